"""Maps of a study: exact under chance, adjusted, right in millimetres, said in words."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import linregress, ttest_rel

from meshconv.errors import ArgumentError
from meshconv.stats.components import common_weights
from meshconv.stats.group import group_map, score_map

CHANNELS = (
    *("difference_x", "difference_y", "difference_z"),
    *("normal_x", "normal_y", "normal_z"),
)


def _smooth(n, size=17, seed=0, channels=1):
    noise = np.random.default_rng(seed).normal(size=(n, channels, size, size))
    smooth = gaussian_filter(noise, (0, 0, 1, 1))
    return smooth / smooth.std()


def _individuals(n, size=17, seed=0):
    """Much individual variation in six broad ways, little else."""
    rng = np.random.default_rng(seed)
    ways = gaussian_filter(np.random.default_rng(99).normal(size=(6, size, size)), (0, 4, 4))
    ways /= ways.std(axis=(1, 2), keepdims=True)
    return np.tensordot(rng.normal(size=(n, 6)), ways, 1)[:, None] + 0.3 * _smooth(n, size, seed)


def _alarms(study, count=100):
    return sum(study(seed).significant().any() for seed in range(count))


def test_covariates_leave_chance_as_rare_as_it_is():
    def study(seed):
        rng = np.random.default_rng(seed)
        age = rng.normal(size=24)
        labels = (age + rng.normal(size=24) > np.median(age)).astype(int)
        labels[:2], labels[2:4] = 0, 1  # never a group of one
        images = _smooth(24, 9, seed) + 2 * age[:, None, None, None]
        return group_map(images, labels, covariates=age, permutations=19, seed=seed)

    assert _alarms(study) <= 12  # expected 5, binomial standard deviation 2.2


def test_a_confounded_difference_is_found_without_adjustment_and_not_with_it():
    rng = np.random.default_rng(0)
    age = rng.normal(size=60)
    labels = np.where(age + 0.5 * rng.normal(size=60) > 0, "old", "young")
    images = _smooth(60) + age[:, None, None, None]
    assert group_map(images, labels, permutations=99).significant().any()
    adjusted = group_map(images, labels, covariates=age, permutations=99)
    assert not adjusted.significant().any()
    assert "nothing is significant at .05" in str(adjusted)
    images[labels == "old", :, 8:11, 8:11] += 2.5
    again = group_map(images, labels, covariates=age, permutations=99)
    assert again.significant()[9, 9]
    assert again.difference[0, 8:11, 8:11].mean() == pytest.approx(-2.5, abs=0.6)


def test_before_and_after_is_compared_within_subjects():
    rng = np.random.default_rng(1)
    subjects, labels = np.repeat(np.arange(16), 2), np.tile(["after", "before"], 16)
    images = 5 * _smooth(16, seed=2)[subjects] + 0.3 * _smooth(32, seed=3)
    images[labels == "before", :, 4:7, 4:7] += 0.6
    order = rng.permutation(32)
    found = group_map(images[order], labels[order], subjects=subjects[order], permutations=199)
    paired = ttest_rel(images[1::2, 0], images[::2, 0])
    np.testing.assert_allclose(found.statistic, np.abs(paired.statistic), rtol=1e-3)
    np.testing.assert_allclose(
        found.difference[0], (images[1::2] - images[::2]).mean((0, 1)), atol=1e-4
    )
    assert found.significant()[5, 5] and found.share() < 0.2
    assert not group_map(images, labels, permutations=199).significant().any()


def test_within_subjects_chance_is_as_rare_as_it_is():
    def study(seed):
        images = _smooth(12, 9, seed)[np.repeat(np.arange(12), 2)] + 0.5 * _smooth(
            24, 9, seed + 500
        )
        who = np.repeat(np.arange(12), 2)
        return group_map(images, np.tile([0, 1], 12), subjects=who, permutations=19, seed=seed)

    assert _alarms(study) <= 12


def test_a_score_is_a_partial_regression():
    rng = np.random.default_rng(4)
    score, sex = rng.normal(size=50), rng.integers(0, 2, 50)
    images = _smooth(50, seed=5) + sex[:, None, None, None]
    images[:, :, 4:7, 4:7] += 1.2 * score[:, None, None, None]
    found = score_map(images, score, covariates=sex, permutations=99)
    design = np.column_stack([np.ones(50), sex, score])
    slope = np.linalg.lstsq(design, images[:, 0].reshape(50, -1), rcond=None)[0][2]
    np.testing.assert_allclose(found.difference[0].ravel(), slope, atol=1e-4)
    assert found.significant()[5, 5] and found.share() < 0.2
    alone = score_map(images, score, permutations=0)
    expected = linregress(score, images[:, 0, 5, 5])
    assert alone.statistic[5, 5] == pytest.approx(expected.slope / expected.stderr, rel=1e-3)


def test_individual_variation_hides_less_without_its_components():
    labels, sensitivity = np.arange(60) % 2, {}
    for components in (0, "auto"):
        found = []
        for seed in range(5):
            images = _individuals(60, seed=seed)
            images[labels == 1, :, 4:7, 4:7] += 0.8
            one = group_map(images, labels, components=components, permutations=99, seed=seed)
            found.append(one.significant()[4:7, 4:7].mean())
        sensitivity[components] = np.mean(found)
    assert sensitivity["auto"] > 3 * sensitivity[0]


def test_a_difference_that_is_itself_the_first_component_is_still_found():
    labels = np.arange(60) % 2
    images = _smooth(60) + 3.0 * labels[:, None, None, None]
    assert group_map(images, labels, permutations=99).share() > 0.9


def test_components_are_removed_as_far_as_they_stand_out():
    x = np.random.default_rng(0).normal(size=(30, 200)).astype(np.float32)
    x[:, :100] += 20 * np.random.default_rng(1).normal(size=(30, 1)).astype(np.float32)
    every = np.arange(30)
    left = x - common_weights(x @ x.T, every, 1) @ x
    assert np.linalg.svd(left, compute_uv=False)[0] < 0.1 * np.linalg.svd(x, compute_uv=False)[0]
    assert common_weights(np.zeros((30, 30), dtype=np.float32), every, 1) is None


def _displaced(n, seed, mm=2.0):
    """Scans whose surface is 2 mm further out along a tilted normal at a site."""
    rng = np.random.default_rng(seed)
    normal = np.array([0.6, 0.0, 0.8])
    images = np.empty((n, 6, 17, 17))
    images[:, :3] = 0.8 * _smooth(n, seed=seed, channels=3)
    images[:, 3:] = normal[:, None, None] + 0.02 * rng.normal(size=(n, 3, 17, 17))
    labels = np.arange(n) % 2
    images[labels == 1, :3, 6:9, 6:9] += mm * normal[:, None, None]
    return images, labels


def test_millimetres_are_right_and_their_interval_covers_them():
    images, labels = _displaced(120, 0)
    found = group_map(images, labels, channels=CHANNELS, permutations=19)
    assert found.millimetres[6:9, 6:9].mean() == pytest.approx(2.0, abs=0.2)
    assert "mm [" in str(found)
    truth = np.zeros((17, 17))
    truth[6:9, 6:9] = 2.0
    covered = []
    for seed in range(1, 6):
        images, labels = _displaced(40, seed)
        images[::7, :, :5] = np.nan
        one = group_map(images, labels, channels=CHANNELS, permutations=0)
        covered.append((one.interval[0] <= truth) & (truth <= one.interval[1]))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.04)
    assert np.isnan(group_map(images, labels, permutations=0).millimetres).all()


def test_the_other_corrections_find_a_broad_and_a_common_difference():
    labels = np.arange(40) % 2
    images = _smooth(40)
    images[labels == 1, :, 3:12, 3:12] += 1.5
    for correction in ("fdr", "cluster"):
        found = group_map(images, labels, correction=correction, permutations=199)
        assert found.significant()[4:11, 4:11].mean() > 0.8 and found.significant()[13:].sum() == 0
    assert (
        _alarms(
            lambda s: group_map(
                _smooth(20, 9, s), labels[:20], correction="cluster", permutations=19
            )
        )
        <= 12
    )


def test_smoothness_is_that_of_the_noise():
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(60, 1, 65, 65)), (0, 0, 3, 3))
    found = group_map(noise, np.arange(60) % 2, permutations=0)
    assert found.smoothness == pytest.approx(3 * np.sqrt(8 * np.log(2)) / 64, rel=0.1)


def test_areas_weigh_the_share():
    labels = np.arange(40) % 2
    images = _smooth(40)
    images[labels == 1, :, :4] += 4
    found = group_map(images, labels, permutations=99, blur=0.0)
    area = np.ones((17, 17))
    area[:4] = 3
    assert found.share(area=area) > 2 * found.share() > 0.3


def test_impossible_studies_are_refused():
    images, labels = _smooth(12, 9), np.arange(12) % 2
    with pytest.raises(ArgumentError, match="covariates of image 3 are not finite"):
        group_map(images, labels, covariates=np.where(np.arange(12) == 3, np.nan, 1.0))
    with pytest.raises(ArgumentError, match=r"covariates must be \(n,\) or \(n, Z\) for 12 images"):
        group_map(images, labels, covariates=np.ones(5))
    with pytest.raises(ArgumentError, match=r"covariates must be numbers .*'f'"):
        group_map(images, labels, covariates=["f", "m"] * 6)
    with pytest.raises(ArgumentError, match="say all that the groups or the score say"):
        group_map(images, labels, covariates=labels)
    with pytest.raises(ArgumentError, match="channels must name 1 channels, found 2"):
        group_map(images, labels, channels=["x", "y"])
    with pytest.raises(ArgumentError, match="components must be a whole number or 'auto'"):
        group_map(images, labels, components=1.5)
    with pytest.raises(ArgumentError, match="correction"):
        group_map(images, labels, correction="none")
