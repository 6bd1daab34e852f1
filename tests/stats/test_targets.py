from math import comb, exp, factorial

import numpy as np
import pytest

from meshconv.errors import ArgumentError
from meshconv.stats.targets import targets


def test_columns_explain_what_an_analysis_of_variance_does():
    labels, x = np.arange(30) % 3, np.random.default_rng(0).normal(size=30)
    found, row = targets(labels)
    x = x[np.argsort(row)] - x.mean()
    between = sum((labels == k).sum() * x[labels == k].mean() ** 2 for k in range(3))
    assert ((found.columns.T @ x) ** 2).sum() == pytest.approx(between)
    np.testing.assert_allclose(found.columns.T @ found.columns, np.eye(2), atol=1e-12)


def test_scans_of_one_subject_and_value_are_one_row():
    found, row = targets(np.array([1, 0, 1, 0, 1]), ["ann", "bob", "ann", "", ""])
    assert len(found.subject) == 4 and row[0] == row[2] and not found.within
    assert exp(found.log_arrangements) == pytest.approx(comb(4, 2))


def test_values_change_places_within_subjects_that_have_several():
    subjects = np.repeat(np.arange(6), 2)
    found, _ = targets(np.tile([0, 1], 6), subjects)
    assert found.within and exp(found.log_arrangements) == pytest.approx(2**6)
    for order in found.orders(20, seed=0):
        np.testing.assert_array_equal(found.subject[order], found.subject)
    seen = np.stack(list(found.orders(200, seed=1)))
    assert (seen == np.arange(12)).mean(axis=0) == pytest.approx(0.5, abs=0.15)


def test_where_some_subjects_have_several_the_others_change_with_each_other():
    found, _ = targets(np.array([0, 1, 0, 1, 1]), ["a", "a", "b", "c", "d"])
    assert not found.within
    for order in found.orders(20, seed=0):
        assert set(order[:2]) == {0, 1} and set(order[2:]) == {2, 3, 4}
    assert exp(found.log_arrangements) == pytest.approx(2 * 3)


def test_scores_and_tasks():
    score = np.array([0.5, 2.0, -1.0, 3.0])
    found, _ = targets(score)
    np.testing.assert_allclose(
        np.abs(np.corrcoef(found.columns[:, 0], score)[0, 1]), 1.0, rtol=1e-12
    )
    assert exp(found.log_arrangements) == pytest.approx(factorial(4))
    several, _ = targets(np.array([[0, 0], [1, 2], [0, 1], [1, 0]]))
    np.testing.assert_array_equal(several.starts, [0, 1])
    np.testing.assert_array_equal(several.widths, [1, 2])


def test_impossible_targets_are_refused():
    with pytest.raises(ArgumentError, match="task 1 of the targets has one value alone"):
        targets(np.array([[0, 1], [1, 1]]))
    with pytest.raises(ArgumentError, match="targets must be finite"):
        targets(np.array([0.0, np.nan]))
    with pytest.raises(ArgumentError, match="targets must be numbers"):
        targets(np.array(["a", "b"]))
