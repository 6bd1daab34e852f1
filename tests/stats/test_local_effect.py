"""A known displacement under individual variation: right, with intervals that hold it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meshconv.stats.group import group_map, score_map

CHANNELS = ("difference_x", "difference_y", "difference_z", "normal_x", "normal_y", "normal_z")
SIZE, N = 25, 80
SITE = np.zeros((SIZE, SIZE))
SITE[8, 15] = 1
SITE = gaussian_filter(SITE, 1.2) / gaussian_filter(SITE, 1.2).max()
PLACE = (8, 15)


def _images(seed, effect, labels):
    """Individuals vary by 3 mm in six smooth ways, and by .4 mm finely."""
    rng = np.random.default_rng(seed)
    ways = gaussian_filter(np.random.default_rng(7).normal(size=(6, SIZE, SIZE)), (0, 5, 5))
    ways *= 3 / ways.std(axis=(1, 2), keepdims=True) / 6**0.5
    fine = gaussian_filter(rng.normal(size=(len(labels), SIZE, SIZE)), (0, 1, 1))
    height = np.tensordot(rng.normal(size=(len(labels), 6)), ways, 1) + 0.4 * fine / fine.std()
    images = np.zeros((len(labels), 6, SIZE, SIZE))
    images[:, 2] = height + labels[:, None, None] * effect
    images[:, 5] = 1
    return images


@pytest.fixture(scope="module")
def found():
    labels = np.arange(N) % 2
    how = {"channels": CHANNELS, "permutations": 40}
    return [group_map(_images(seed, 2 * SITE, labels), labels, **how) for seed in range(24)]


def test_two_millimetres_are_two_millimetres(found):
    """To .2 mm, root mean square; without what the rest says the error is several times that."""
    local = np.array([one.local[PLACE] for one in found])
    plain = np.array([one.millimetres[PLACE] for one in found])
    assert abs(local.mean() - 2) < 0.08 and np.sqrt(((local - 2) ** 2).mean()) < 0.2
    assert np.sqrt(((plain - 2) ** 2).mean()) > 2 * np.sqrt(((local - 2) ** 2).mean())


def test_intervals_hold_the_truth_as_often_as_they_say(found):
    truth = 2 * SITE
    held = [(one.local_interval[0] <= truth) & (truth <= one.local_interval[1]) for one in found]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    at_peak = [one.local_interval[0][PLACE] <= 2 <= one.local_interval[1][PLACE] for one in found]
    assert np.mean(at_peak) >= 0.8
    assert np.mean([np.ptp(one.local_interval[:, 8, 15]) for one in found]) < 0.6 * np.mean(
        [np.ptp(one.interval[:, 8, 15]) for one in found]
    )


def test_what_is_everywhere_the_same_is_no_local_effect():
    labels = np.arange(N) % 2
    images = _images(3, np.full((SIZE, SIZE), 2.0), labels)
    images[:, 2] -= _images(3, 0 * SITE, labels)[:, 2] * 0.9  # nearly alike but for the effect
    one = group_map(images, labels, channels=CHANNELS, permutations=0)
    assert one.millimetres.mean() == pytest.approx(2, abs=0.2)
    assert abs(one.local.mean()) < 0.7


def test_scores_repeated_scans_and_words():
    rng = np.random.default_rng(0)
    score = rng.normal(size=N)
    one = score_map(_images(5, 2 * SITE, score), score, channels=CHANNELS, permutations=100)
    assert one.local[PLACE] == pytest.approx(2, abs=0.35)
    assert "beyond what the rest of the surface predicts" in str(one)
    before = _images(6, 0 * SITE, np.zeros(N // 2))
    after = before + _images(7, 0 * SITE, np.zeros(N // 2)) * [[[[0.1]]]]
    after[:, 2] += 2 * SITE
    after[:, 5] = 1
    who, when = np.tile(np.arange(N // 2), 2), np.repeat([0, 1], N // 2)
    images = np.concatenate([before, after])
    paired = group_map(images, when, subjects=who, channels=CHANNELS, permutations=0)
    assert paired.local[PLACE] == pytest.approx(2, abs=0.2)
    few = group_map(images[:6], np.arange(6) % 2, channels=CHANNELS, permutations=0)
    np.testing.assert_array_equal(few.local, few.millimetres)  # nothing to predict with


def test_a_difference_everywhere_within_subjects_leaves_nothing_to_compare_with():
    """Twice seen, and moved by 5 mm everywhere: the local estimate is that."""
    first = _images(3, 0.0, np.zeros(20))
    second = first + 0.1 * np.random.default_rng(4).normal(size=first.shape)
    second[:, 2] += 5.0
    found = group_map(
        np.concatenate([first, second]),
        ["a"] * 20 + ["b"] * 20,
        reference="a",
        subjects=[f"s{k}" for k in range(20)] * 2,
        channels=CHANNELS,
        permutations=50,
    )
    assert found.significant().all()
    np.testing.assert_allclose(found.local, 5.0, atol=0.2)
