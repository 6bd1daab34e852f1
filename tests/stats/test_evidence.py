"""Evidence: certain of a true difference, peaked or spread, silent under chance, not fooled by
likeness of scans.
"""

import tracemalloc

import numpy as np
import pytest

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats import evidence as evidence_module
from meshconv.stats.evidence import group_evidence
from meshconv.stats.group_statistic import GroupStatistic, group_statistic


def _images(n=24, size=16, seed=0, effect=0.0, site=slice(4, 7)):
    rng = np.random.default_rng(seed)
    images, labels = rng.normal(size=(n, 2, size, size)), np.arange(n) % 2
    images[labels == 1, :, site, site] += effect
    return images, labels


def test_evidence_is_full_for_a_true_effect_and_little_for_chance():
    images, labels = _images(effect=2.0)
    statistic, evidence = group_evidence(images, labels)
    np.testing.assert_array_equal(statistic, group_statistic(images, labels))
    assert evidence == 1.0
    by_chance = np.array([group_evidence(*_images(size=8, seed=seed))[1] for seed in range(200)])
    assert (by_chance > 0).mean() < 0.06 and (
        by_chance == 1
    ).mean() < 0.02  # .025 and .0025 of 400 sets


@pytest.mark.parametrize(("n", "expected"), [(8, 0.0), (12, 0.206), (14, 0.643), (16, 1.0)])
def test_few_images_are_little_evidence_however_large_the_difference(n, expected):
    """The least probability of two groups of m is 1 / C(2 m, m)."""
    assert group_evidence(*_images(n=n, effect=50.0))[1] == pytest.approx(expected, abs=0.01)


def test_a_small_site_is_found_among_much_else(monkeypatch):
    """Without the weights by the statistic, 9 pixels are lost among 2,304 that vary as much."""
    images, labels = _images(n=60, size=48, effect=1.0)
    assert group_evidence(images, labels)[1] == 1.0
    monkeypatch.setattr(evidence_module, "_SHARPNESS", 0.0)
    assert group_evidence(images, labels)[1] < 0.5


def test_a_difference_that_stands_out_nowhere_is_evidence():
    """Many pixels that each say little: none of them is larger than what shuffled labels give."""
    images, labels = _images(n=120, size=24, effect=0.12, site=slice(0, 24))
    statistic, evidence = group_evidence(images, labels)
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
    assert peak < 1.7 * images.nbytes


def test_impossible_calls_are_refused():
    images, labels = _images()
    with pytest.raises(
        ArrayTypeError, match=r"images must be \(n, C, N, N\), found \(24, 16, 16\)"
    ):
        group_evidence(images[:, 0], labels)
    with pytest.raises(ArgumentError, match=r"no group empty, found groups \[0\]"):
        group_evidence(images, 0 * labels)
    with pytest.raises(ArgumentError, match="at least 2 folds, found 1"):
        group_evidence(images, labels, folds=1)
    with pytest.raises(ArgumentError, match="one entry for each of 24 scans, found 3"):
        group_evidence(images, labels, subjects=["a", "b", "c"])


def test_images_that_are_alike_but_for_the_fold_held_out_are_no_evidence():
    images = np.zeros((10, 1, 5, 5))
    images[0, 0, 2, 2] = 1
    assert group_evidence(images, np.arange(10) % 2)[1] == 0.0
