import numpy as np
import pytest
from scipy.stats import f_oneway, ttest_ind

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.group import group_map
from meshconv.stats.group_statistic import (
    centred,
    f_ratio,
    f_ratio_of_known,
    group_statistic,
    one_hot,
)


def _images(n=24, size=16, seed=0, effect=0.0):
    rng = np.random.default_rng(seed)
    images, labels = rng.normal(size=(n, 2, size, size)), np.arange(n) % 2
    images[labels == 1, :, 4:7, 4:7] += effect
    return images, labels


def test_statistic_is_scipys():
    images, labels = _images(effect=1.0)
    flat = images.reshape(len(images), -1)
    ratio = f_ratio(centred(images), one_hot(labels))
    np.testing.assert_allclose(
        ratio, ttest_ind(flat[labels == 1], flat[labels == 0]).statistic ** 2, rtol=1e-3
    )
    three = np.arange(24) % 3
    groups = [flat[three == k] for k in range(3)]
    np.testing.assert_allclose(
        f_ratio(centred(images), one_hot(three)), f_oneway(*groups).statistic, rtol=1e-3
    )


def test_a_planted_difference_is_found_and_little_else():
    images, labels = _images(effect=2.5)
    found = group_map(images, np.where(labels == 1, "case", "control")[::1], permutations=200)
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:7, 4:7] = True
    assert found.significant()[inside].all() and found.significant()[~inside].sum() <= 1
    assert found.p.min() == pytest.approx(1 / 201)
    # "case" sorts first: the last group minus the first is control minus case
    assert found.difference[:, inside].mean() == pytest.approx(-2.5, abs=0.4)


def test_the_reference_is_what_others_are_compared_with():
    images, labels = _images(effect=2.5)
    names = np.array(["control", "case", "mild"])[np.r_[labels[:-6], np.full(6, 2)]]
    inside = (slice(None), slice(4, 7), slice(4, 7))
    found = group_map(images[:18], names[:18], reference="control", permutations=0)
    assert found.contrast == "case - control" and found.difference[inside].mean() > 2
    plain = group_map(images, names, permutations=0)
    others = group_map(images, names, reference="mild", permutations=0)
    assert others.contrast == "control - mild"
    np.testing.assert_allclose(others.statistic, plain.statistic)  # the groups are the same
    with pytest.raises(ArgumentError, match="reference must be one of"):
        group_map(images, names, reference="well")


def test_chance_alone_is_rarely_significant_anywhere():
    alarms = [
        group_map(*_images(seed=seed), permutations=99).significant(0.1).any() for seed in range(60)
    ]
    assert sum(alarms) <= 13  # expected 6, binomial standard deviation 2.3


def _repeated(seed, size=6):
    """Null data: 12 subjects of two groups, 8 scans each that are much alike."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(12), 8)
    images = rng.normal(size=(12, 1, size, size))[subjects] + 0.3 * rng.normal(
        size=(96, 1, size, size)
    )
    return images, subjects % 2, subjects


def test_repeated_scans_of_a_subject_raise_no_alarm():
    alarms = naive = 0
    for seed in range(60):
        images, labels, subjects = _repeated(seed)
        alarms += (
            group_map(images, labels, subjects=subjects, permutations=99).significant(0.05).any()
        )
        naive += seed < 5 and group_map(images, labels, permutations=99).significant(0.05).any()
    assert alarms <= 8  # expected 3, binomial standard deviation 1.7
    assert naive == 5  # what happens without subjects


def test_copies_of_scans_change_nothing():
    images, labels = _images(effect=1.0)
    once = group_map(images, labels, permutations=50)
    copies = np.random.default_rng(1).permutation(np.repeat(np.arange(24), np.arange(24) % 3 + 1))
    # subjects are met in another order: the same statistic, p of other permutations
    copied = group_map(
        images[copies], labels[copies], subjects=[f"subject {k}" for k in copies], permutations=50
    )
    np.testing.assert_allclose(copied.statistic, once.statistic, rtol=1e-4)
    np.testing.assert_allclose(copied.difference, once.difference, atol=1e-5)
    in_order = np.sort(copies)
    again = group_map(images[in_order], labels[in_order], subjects=in_order, permutations=50)
    np.testing.assert_allclose(again.p, once.p, atol=0.03)
    unknown = group_map(images, labels, subjects=[""] * 24, permutations=50)
    np.testing.assert_array_equal(unknown.p, once.p)


def test_scans_of_one_subject_may_have_other_masks():
    images, labels = _images(n=8)
    halves = images.repeat(2, axis=0)
    halves[::2, :, :8], halves[1::2, :, 8:] = np.nan, np.nan
    whole = group_map(images, labels, permutations=0)
    found = group_map(halves, labels.repeat(2), subjects=np.arange(8).repeat(2), permutations=0)
    np.testing.assert_allclose(found.statistic, whole.statistic, rtol=1e-4)


def test_a_subject_of_two_groups_is_refused():
    images, labels = _images()
    with pytest.raises(
        ArgumentError, match=r"subject 'ann' has scans of groups 0 and 1 \(1 such subjects\)"
    ):
        group_map(images, labels, subjects=["ann"] * 2 + [str(k) for k in range(22)])
    with pytest.raises(ArgumentError, match="one entry for each of 24 scans, found 3"):
        group_map(images, labels, subjects=["ann"] * 3)
    with pytest.raises(ArgumentError, match=r"two subjects or more, found groups of \[1, 1\]"):
        group_map(images, labels, subjects=labels)


def test_what_few_scans_reach_is_left_out():
    images, labels = _images(effect=2.0)
    images[:20, :, :, :2] = np.nan
    found = group_map(images, labels, permutations=20)
    assert np.isnan(found.p[:, :2]).all() and np.isfinite(found.p[:, 2:]).all()
    assert not found.significant()[:, :2].any()
    statistic = group_statistic(images, labels)
    assert np.isnan(statistic[:, :2]).all() and np.isfinite(statistic[:, 2:]).all()
    assert np.unravel_index(np.nanargmax(statistic), statistic.shape) in {
        (i, j) for i in (4, 5, 6) for j in (4, 5, 6)
    }


def test_under_masks_only_what_is_there_counts():
    rng = np.random.default_rng(4)
    images, labels = rng.normal(size=(40, 1, 9, 9)), np.arange(40) % 2
    images[labels == 1] += 1.0
    images[rng.random(images.shape) < 0.3] = np.nan
    images[np.flatnonzero(labels == 1)[:14], :, 4, 4] = np.nan
    found = group_map(images, labels, permutations=5, least_share=0.4)
    two = [images[labels == k] for k in (1, 0)]
    expected = ttest_ind(*two, nan_policy="omit").statistic[0]
    np.testing.assert_allclose(found.statistic, np.abs(expected), rtol=1e-4)
    np.testing.assert_allclose(
        found.difference, np.nanmean(two[0], axis=0) - np.nanmean(two[1], axis=0), rtol=1e-4
    )
    several = np.concatenate(
        [images, images[:, :, ::-1]], axis=1
    )  # channels with masks of their own
    three = np.arange(40) % 3
    ratio = f_ratio_of_known(centred(several), np.isfinite(several).reshape(40, -1), one_hot(three))
    by_group = [several[three == k].reshape(-1, 162) for k in range(3)]
    np.testing.assert_allclose(
        ratio, f_oneway(*by_group, nan_policy="omit").statistic, rtol=1e-3, atol=1e-5
    )


def test_masks_alone_raise_no_alarm():
    alarms = 0
    for seed in range(60):
        images, labels = _images(seed=seed, size=8)
        images[np.random.default_rng(seed).random((24, 1, 8, 8)).repeat(2, axis=1) < 0.4] = np.nan
        alarms += group_map(images, labels, permutations=99).significant(0.1).any()
    assert alarms <= 13  # expected 6, binomial standard deviation 2.3


def test_a_place_that_one_group_does_not_reach_is_left_out():
    images, labels = _images()
    images[labels == 1, :, 0, 0] = np.nan
    images[np.flatnonzero(labels == 1)[1:], :, 0, 1] = np.nan  # one scan tells nothing of its group
    found = group_map(images, labels, permutations=5)
    for field in (found.statistic, found.p, *found.difference):
        assert np.isnan(field[0, :2]).all() and np.isfinite(field[1:]).all()


def test_constant_images_differ_nowhere():
    images, labels = np.ones((8, 1, 5, 5)), np.arange(8) % 2
    assert (group_statistic(images, labels) == 0).all()
    assert (group_map(images, labels, permutations=10).p == 1).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.repeat([0, 2], 12), r"no group empty, found groups \[0, 2\]"),
        (np.zeros(24, int), r"no group empty, found groups \[0\]"),
        (np.repeat([-1, 0, 1], 8), r"found groups \[-1, 0, 1\]"),
        (np.repeat([0, 1], 5), r"24 integers, one for each image, found int64 \(10,\)"),
        (np.repeat([0.0, 1.0], 12), "24 integers, .* found float64"),
    ],
)
def test_labels_that_are_no_groups_are_refused_by_the_statistic(labels, message):
    with pytest.raises(ArgumentError, match=message):
        group_statistic(_images()[0], labels)


def test_impossible_shapes_and_permutations_are_refused():
    images, labels = _images()
    for function in (group_statistic, group_map):
        with pytest.raises(
            ArrayTypeError, match=r"images must be \(n, C, N, N\), found \(24, 16, 16\)"
        ):
            function(images[:, 0], labels)
    with pytest.raises(ArgumentError, match="permutations must be at least 0, found -1"):
        group_map(images, labels, permutations=-1)


@pytest.mark.parametrize(
    "labels",
    [np.array([0.0, 1.0, np.nan] * 8), ["a", "b", None] * 8, ["a", "b", float("nan")] * 8],
    ids=["array", "None", "text"],
)
def test_a_missing_label_is_no_group(labels):
    with pytest.raises(ArgumentError, match="Input y contains NaN"):
        group_map(_images()[0], labels)


def test_impossible_groups_are_refused():
    images, _ = _images()
    with pytest.raises(ArgumentError, match="two groups"):
        group_map(images, np.zeros(24))
    with pytest.raises(ArgumentError, match=r"groups of \[23, 1\]"):
        group_map(images, np.arange(24) == 3)
    with pytest.raises(ArgumentError, match="no pixel"):
        group_map(np.full_like(images, np.nan), np.arange(24) % 2)
