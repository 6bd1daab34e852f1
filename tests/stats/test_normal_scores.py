import numpy as np
import pytest

from meshconv.errors import ArgumentError
from meshconv.stats.normal_scores import NormalScores


def test_scores_are_normal_whatever_the_measure():
    x = np.random.default_rng(1).normal(size=(5000, 1))
    scores = NormalScores.of(x)(x)
    assert abs(scores.mean()) < 0.01 and scores.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(scores, x.clip(-2.5, 2.5), atol=0.2)
    for function in (np.exp, np.cbrt, lambda v: 1e6 * v - 3):
        np.testing.assert_allclose(
            NormalScores.of(function(x))(function(x)), scores, atol=0.12
        )  # of the ends


def test_ties_constants_and_far_values_stay_finite():
    x = np.column_stack([np.zeros(50), np.repeat([0.0, 1.0], 25), np.arange(50.0)])
    scores = NormalScores.of(x)
    assert (scores(x)[:, 0] == 0).all()
    low, high = scores(x)[[0, 49], 1]
    assert low == pytest.approx(-high) and 0.5 < high < 0.9
    assert np.isfinite(scores(np.array([[5.0, -1e300, 1e300]]))).all()


def test_what_has_no_rank_is_refused_when_it_is_asked_about_as_well():
    x = np.random.default_rng(0).normal(size=(30, 3))
    scores = NormalScores.of(x)
    for bad in (np.nan, np.inf, -np.inf):
        y = x.copy()
        y[4, 1] = bad
        for ask in (scores, NormalScores.of):
            with pytest.raises(ArgumentError, match="measure 1 of scan 4 is not finite"):
                ask(y)
    for columns in (2, 4):
        with pytest.raises(ArgumentError, match="learned from 3 of a scan"):
            scores(np.zeros((30, columns)))
