import numpy as np
import pytest

from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.stats.folds import grouped_folds, hold_out, inner_folds, warn_shared_subjects


def test_no_subject_on_both_sides_and_classes_in_proportion():
    subjects = np.repeat(np.arange(30), 3).astype(str)
    labels = np.repeat(np.arange(30) % 3 == 0, 3).astype(int)
    seen = []
    for train, test in grouped_folds(labels, subjects, folds=5, seed=1):
        assert not set(subjects[train]) & set(subjects[test])
        assert labels[test].mean() == pytest.approx(1 / 3, abs=0.05)
        seen += test.tolist()
    assert sorted(seen) == list(range(90))


def test_unknown_subjects_are_all_different():
    train, test = hold_out([0, 1] * 10, [""] * 20, share=0.25)
    assert len(test) in range(4, 7) and len(train) + len(test) == 20


def test_too_few_members_in_scikit_learn_wording():
    with pytest.raises(
        ArgumentError,
        match=r"n_splits=5 cannot be greater than the number of members in each class",
    ):
        next(grouped_folds([0] * 10 + [1] * 3, folds=5))
    with pytest.raises(ArgumentError, match="class 1 has 2"):  # six scans, but of two people
        next(grouped_folds([0] * 6 + [1] * 6, list("abcdef") + list("xyxyxy"), folds=3))


def test_shared_subjects_are_named():
    with pytest.warns(MeshConvWarning, match=r"1 subjects are in train and test \(bob\)"):
        warn_shared_subjects(["ann", "bob", ""], ["bob", "eve", ""])


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.4, 0.7, 0.9])
def test_the_share_held_out_is_the_one_asked_for(share):
    labels = np.arange(200) % 2
    train, held = hold_out(labels, share=share)
    assert len(held) == round(200 * share) and labels[held].mean() == 0.5
    assert sorted([*train, *held]) == list(range(200))
    subjects = np.repeat(np.arange(60), 3)
    train, held = hold_out(subjects % 2, subjects, share=share)
    assert abs(len(held) - 180 * share) <= 3 and not set(subjects[train]) & set(subjects[held])
    assert set(subjects[train] % 2) == set(subjects[held] % 2) == {0, 1}


def test_a_usual_share_is_still_the_first_fold():
    rng = np.random.default_rng(2)
    subjects = rng.integers(0, 50, 130)
    for folds in (2, 3, 4, 5, 10):
        train, held = next(grouped_folds(subjects % 3 == 0, subjects, folds=folds, seed=7))
        found = hold_out(subjects % 3 == 0, subjects, share=1 / folds, seed=7)
        np.testing.assert_array_equal(found[0], train)
        np.testing.assert_array_equal(found[1], held)


def test_few_members_give_the_nearest_share_there_is():
    assert len(hold_out([0] * 3 + [1] * 3, share=0.2)[1]) == 2  # one of three of each
    assert len(hold_out([0] * 3 + [1] * 3, share=0.7)[1]) == 4
    with pytest.raises(ArgumentError, match="class 1 has 1; add scans of it"):
        hold_out([0, 0, 1], share=0.5)


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ArgumentError, match="share held out must lie above 0 and below 1"):
        hold_out([0, 1] * 10, share=share)


def test_inner_folds_learn_from_every_class_and_are_none_of_a_single_subject():
    index, subjects = np.repeat([0, 1], [20, 6]), [f"{k // 2}" for k in range(26)]
    folds = list(inner_folds(index, subjects, seed=0))
    assert len(folds) == 3  # subjects of the rarer class
    for rows, held in folds:
        assert set(index[rows]) == {0, 1}
        assert not {subjects[k] for k in rows} & {subjects[k] for k in held}
    assert list(inner_folds(index, [*subjects[:20], *["x"] * 6], seed=0)) == []
