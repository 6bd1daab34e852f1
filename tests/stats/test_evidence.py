"""Evidence: certain of a true difference, peaked or spread, silent under chance, not fooled by
likeness of scans.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.evidence import find_evidence, group_evidence
from meshconv.stats.group_statistic import GroupStatistic, group_statistic


def _images(n=24, size=16, seed=0, effect=0.0, site=slice(4, 7)):
    rng = np.random.default_rng(seed)
    images, labels = rng.normal(size=(n, 2, size, size)), np.arange(n) % 2
    images[labels == 1, :, site, site] += effect
    return images, labels


def _auc(found, inside):
    """How well a map tells a site from what is around it."""
    return roc_auc_score(inside[np.isfinite(found)], found[np.isfinite(found)])


def test_evidence_is_full_for_a_true_effect_and_little_for_chance():
    images, labels = _images(effect=2.0)
    found, evidence = group_evidence(images, labels)
    assert evidence == 1.0
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:7, 4:7] = True
    assert _auc(found, inside) > 0.99
    by_chance = np.array(
        [group_evidence(*_images(size=6, site=slice(2, 4), seed=seed))[1] for seed in range(200)]
    )
    assert (by_chance > 0).mean() < 0.06 and (
        by_chance == 1
    ).mean() < 0.02  # .025 and .0025 of 400 sets


@pytest.mark.parametrize(("n", "expected"), [(8, 0.0), (12, 0.206), (14, 0.643), (16, 1.0)])
def test_few_images_are_little_evidence_however_large_the_difference(n, expected):
    """The least probability of two groups of m is 1 / C(2 m, m)."""
    assert group_evidence(*_images(n=n, effect=50.0))[1] == pytest.approx(expected, abs=0.01)


def test_a_small_site_is_found_among_much_else():
    """All pixels taken together, 9 are lost among 2,304 that vary as much."""
    images, labels = _images(n=60, size=48, effect=1.0)
    found = find_evidence(images, labels)
    assert found.strength == 1.0
    assert "everywhere" not in {one.kind for one in found.findings}


def test_a_difference_that_stands_out_nowhere_is_evidence():
    """Many pixels that each say little: none of them is larger than what shuffled labels give."""
    images, labels = _images(n=120, size=24, effect=0.12, site=slice(0, 24))
    evidence, statistic = group_evidence(images, labels)[1], group_statistic(images, labels)
    rng = np.random.default_rng(0)
    peaks = [group_statistic(images, rng.permutation(labels)).max() for _ in range(40)]
    assert statistic.max() < np.mean(peaks) + 2 * np.std(peaks)
    assert evidence == 1.0


def test_several_groups():
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    images = rng.normal(size=(60, 1, 16, 16))
    assert group_evidence(images, labels)[1] < 0.5
    for k in (1, 2):
        images[labels == k, :, 4 * k : 4 * k + 3, 4:7] += 2
    assert group_evidence(images, labels)[1] == 1.0


def _likenesses(seed):
    """Eight scans each of 12 subjects who differ, in two groups that do not."""
    rng, subjects = np.random.default_rng(seed), np.repeat(np.arange(12), 8)
    images = rng.normal(size=(12, 1, 12, 12))[subjects] + 0.3 * rng.normal(size=(96, 1, 12, 12))
    return images, subjects % 2, subjects


def test_likeness_of_a_subject_to_himself_is_no_evidence():
    known = [group_evidence(x, y, subjects=who)[1] for x, y, who in map(_likenesses, range(8))]
    unknown = [group_evidence(x, y)[1] for x, y, _ in map(_likenesses, range(8))]
    assert max(known) < 0.5 and min(unknown) == 1.0


def test_a_subject_scanned_often_counts_once():
    """Noise alone; of 24 subjects one in each group has 30 scans, that are alike."""
    subjects = np.repeat(np.arange(24), np.where(np.arange(24) < 2, 30, 1))
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        images = rng.normal(size=(24, 1, 12, 12))[subjects] + 0.3 * rng.normal(
            size=(len(subjects), 1, 12, 12)
        )
        found.append(group_evidence(images, subjects % 2, subjects=subjects)[1])
    assert np.mean(np.array(found) > 0) <= 0.1


def test_before_and_after_of_the_same_subjects_is_a_difference():
    rng, subjects = np.random.default_rng(0), np.repeat(np.arange(20), 2)
    images, labels = rng.normal(size=(20, 1, 12, 12))[subjects], np.arange(40) % 2
    images[labels == 1, :, 4:7, 4:7] += 1
    assert group_evidence(images, labels, subjects=subjects)[1] == 1.0


def test_nothing_to_tell_is_no_evidence():
    assert group_evidence(np.ones((8, 1, 5, 5)), np.arange(8) % 2)[1] == 0.0
    images, _ = _images(effect=9.0)
    assert (
        group_evidence(images[:5], np.array([0, 0, 0, 0, 1]))[1] == 0.0
    )  # a single case cannot be held out


def test_masks_are_allowed_for():
    images, labels = _images(n=40, effect=2.0)
    images[:, :, :3] = np.nan
    images[::3, :, 10:] = np.nan
    statistic, evidence = group_evidence(images, labels)
    assert evidence == 1.0 and np.isnan(statistic[:3]).all()


def test_the_statistic_of_some_rows_is_that_of_their_images():
    images, labels = _images(n=30, effect=1.0)
    rows = np.flatnonzero(np.arange(30) % 5 != 0)
    found = GroupStatistic(images)(labels, rows)
    np.testing.assert_allclose(found, group_statistic(images[rows], labels[rows]), rtol=1e-3)


def test_one_group_of_several_that_differs_is_enough():
    images, _ = _images(n=100)
    labels = np.arange(100) % 5
    images[labels == 3, :, 4:7, 4:7] += 2
    assert group_evidence(images, labels)[1] == 1.0


def test_pixels_that_hardly_any_image_reaches_are_no_evidence():
    images, labels = _images()
    images = np.where(
        (np.arange(24) % 8)[:, None, None, None] == (np.arange(16) % 8), images, np.nan
    )
    assert group_evidence(images, labels)[1] == 0.0


def test_evidence_needs_little_more_than_a_second_copy_of_the_images():
    images = np.random.default_rng(0).normal(size=(60, 3, 65, 65)).astype(np.float32)
    group_evidence(images[..., :5, :5], np.arange(60) % 2)  # what it imports is no copy
    tracemalloc.start()
    group_evidence(images, np.arange(60) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.55 * images.nbytes


def test_impossible_calls_are_refused():
    images, labels = _images()
    with pytest.raises(
        ArrayTypeError, match=r"images must be \(n, C, N, N\), found \(24, 16, 16\)"
    ):
        group_evidence(images[:, 0], labels)
    with pytest.raises(ArgumentError, match=r"no group empty, found groups \[0\]"):
        group_evidence(images, 0 * labels)
    with pytest.raises(ArgumentError, match="at least 20 permutations, found 19"):
        find_evidence(images, labels, permutations=19)
    with pytest.raises(ArgumentError, match="one for each of 24 images"):
        find_evidence(images, labels[:5])
    with pytest.raises(ArgumentError, match="one entry for each of 24 scans, found 3"):
        group_evidence(images, labels, subjects=["a", "b", "c"])


def test_images_that_are_alike_but_for_the_fold_held_out_are_no_evidence():
    images = np.zeros((10, 1, 5, 5))
    images[0, 0, 2, 2] = 1
    assert group_evidence(images, np.arange(10) % 2)[1] == 0.0


def _site(size=16, at=(4, 4)):
    inside = np.zeros((size, size), dtype=bool)
    inside[at[0] : at[0] + 3, at[1] : at[1] + 3] = True
    return inside


def _smooth(n, size, seed):
    """Images that vary smoothly, as shapes do."""
    noise = np.random.default_rng(seed).normal(size=(n, 2, size, size))
    smooth = gaussian_filter(noise, (0, 0, 1.5, 1.5))
    return smooth / smooth.std()


def _two_places(images, labels, rng):
    """Both places in or out alike in group 1, opposite in group 0."""
    first = rng.choice([-2.5, 2.5], len(images))
    second = np.where(labels == 1, first, -first)
    images[:, :, 3:6, 3:6] += first[:, None, None, None]
    images[:, :, 10:13, 11:14] += second[:, None, None, None]
    return _site(at=(3, 3)) | _site(at=(10, 11))


def _either_sign(images, labels, rng):
    bump = gaussian_filter(np.eye(16)[:, 8, None] * np.eye(16)[8], 1.5)
    height = np.where(labels == 1, rng.choice([-5.0, 5.0], len(images)), 0.0)
    images += height[:, None, None, None] * bump / bump.max()
    return _site(at=(7, 7))


def _rough(images, labels, rng):
    images[:, :, 4:7, 4:7] += rng.normal(size=(len(images), 2, 3, 3)) * labels[:, None, None, None]
    return _site()


def _shift(images, labels, rng):
    images[labels == 1, :, 4:7, 4:7] += 1.0
    return _site()


@pytest.mark.parametrize(
    ("effect", "kinds"),
    [
        (_shift, {"mean", "residual", "linear"}),
        (_either_sign, {"spread", "local"}),
        (_rough, {"texture", "spread"}),
        (_two_places, {"pair"}),
    ],
)
def test_every_kind_of_difference_is_found_where_it_is_and_called_by_its_name(effect, kinds):
    labels = np.arange(200) % 2
    images = _smooth(200, 16, seed=3)
    inside = effect(images, labels, np.random.default_rng(4))
    found = find_evidence(images, labels)
    assert found.strength == 1.0
    assert _auc(found.map, inside) > 0.95
    assert found.findings[0].kind in kinds
    for u, v in found.findings[0].places:
        nearest = np.argwhere(inside) / 15 - [v, u]
        assert np.linalg.norm(nearest, axis=1).min() < 0.15
    assert str(found).startswith("the groups differ in")


def test_a_score_is_a_target_like_groups():
    rng = np.random.default_rng(0)
    score, images = rng.normal(size=120), _smooth(120, 16, seed=5)
    images[:, :, 4:7, 4:7] += 0.8 * score[:, None, None, None]
    found = find_evidence(images, score)
    assert found.strength == 1.0 and _auc(found.map, _site()) > 0.95
    assert find_evidence(images, rng.permutation(score)).strength < 1.0
    assert find_evidence(images, 3 - 2 * score).p == found.p


def test_of_several_tasks_each_is_found_and_named():
    rng = np.random.default_rng(1)
    values, images = rng.integers(0, 2, (200, 3)), _smooth(200, 16, seed=6)
    images[values[:, 0] == 1, :, 2:5, 2:5] += 1.5
    images[values[:, 2] == 1, :, 10:13, 10:13] += 1.5
    found = find_evidence(images, values)
    assert {one.task for one in found.findings} == {0, 2}
    assert _auc(found.map, _site(at=(2, 2)) | _site(at=(10, 10))) > 0.95
    assert "task 0: in" in str(found) and "task 2: in" in str(found)


def test_the_names_of_groups_and_the_order_of_images_do_not_matter():
    labels, images = np.arange(60) % 3, _smooth(60, 12, seed=7)
    images[labels == 2, :, 4:7, 4:7] += 1.5
    once = find_evidence(images, labels)
    renamed = find_evidence(images, np.array([7, 3, 5])[labels])
    np.testing.assert_allclose(renamed.map, once.map, rtol=0.05, atol=0.05)
    assert find_evidence(images[:, ::-1] * 10, labels).strength == once.strength


def test_nothing_found_is_said_plainly():
    images, _ = _images(n=40, size=10)
    found = find_evidence(images, np.random.default_rng(5).permutation(np.arange(40) % 2))
    assert found.strength == 0.0 and found.findings == () and found.p > 0.002
    assert str(found).startswith("nothing was found in which the groups differ (p = ")
    statistic, strength = group_evidence(images, np.arange(40) % 2)
    assert strength == 0.0
    np.testing.assert_array_equal(statistic, group_statistic(images, np.arange(40) % 2))
