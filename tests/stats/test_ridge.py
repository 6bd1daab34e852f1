"""Ridge regression beside a second implementation that fits anew for every subject left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meshconv.stats import ridge
from meshconv.stats.ridge import fit_ridge


def by_least_squares(x: Any, y: Any, w: Any, penalty: float, unit: float) -> tuple[Any, Any]:
    """Return weights and bias of the penalized problem, stacked as one of least squares."""
    d = x.shape[1]
    root = np.sqrt(w)[:, None]
    rows = np.hstack([x * root, root])
    pull = np.hstack([np.sqrt(penalty * unit) * np.eye(d), np.zeros((d, 1))])
    targets = np.vstack([y * root, np.zeros((d, y.shape[1]))])
    found = np.linalg.lstsq(np.vstack([rows, pull]), targets, rcond=None)[0]
    return found[:-1], found[-1]


@pytest.fixture(params=[(40, 90, 1), (60, 12, 3)], ids=["wide", "tall"])
def problem(request: pytest.FixtureRequest) -> tuple[Any, Any, Any, Any]:
    n, d, q = request.param
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d)).astype(np.float32) + 2
    y = x[:, :q] - 0.5 * x[:, q : 2 * q] + 0.3 * rng.normal(size=(n, q)) + 1
    return x, y.astype(np.float64), rng.uniform(0.5, 2, n), np.repeat(np.arange(n // 2), 2)


def unit_of(x: Any, w: Any) -> float:
    w = w / w.mean()
    centred = x - w @ x / w.sum()
    return float((w[:, None] * centred**2).sum() / len(x))


def test_it_is_the_penalized_least_squares_fit(problem: Any) -> None:
    x, y, w, subject = problem
    found = fit_ridge(x, y, weight=w, subject=subject)
    weights, bias = by_least_squares(x, y, w / w.mean(), found.penalty, unit_of(x, w))
    assert np.allclose(found.weights, weights, atol=2e-5)
    assert np.allclose(found.bias, bias, atol=2e-4)


def test_what_is_said_of_a_subject_is_what_a_fit_without_it_says(problem: Any) -> None:
    x, y, w, subject = problem
    found, w = fit_ridge(x, y, weight=w, subject=subject), w / w.mean()
    for one in np.unique(subject):
        rest, own = subject != one, subject == one
        weights, bias = by_least_squares(x[rest], y[rest], w[rest], found.penalty, unit_of(x, w))
        assert np.allclose(found.held_out[own], x[own] @ weights + bias, atol=1e-3)


def test_the_penalty_is_the_best_of_those_tried(problem: Any) -> None:
    x, y, w, subject = problem
    found, w, unit = fit_ridge(x, y, weight=w, subject=subject), w / w.mean(), unit_of(x, w)
    level, along = w @ y / w.sum(), []
    for penalty in ridge._PENALTIES:
        said = np.zeros_like(y)
        for one in np.unique(subject):
            rest, own = subject != one, subject == one
            weights, bias = by_least_squares(x[rest], y[rest], w[rest], penalty, unit)
            said[own] = x[own] @ weights + bias - level
        along.append(
            (w[:, None] * said * (y - level)).sum() / np.sqrt((w[:, None] * said**2).sum())
        )
    assert found.penalty == ridge._PENALTIES[int(np.argmax(along))]
    assert 0 < np.argmax(along) < len(along) - 1 or len(x) > x.shape[1]


def test_beyond_the_most_rows_all_rows_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 30)).astype(np.float32)
    y = x[:, :1].astype(np.float64) + rng.normal(size=(200, 1))
    whole = fit_ridge(x, y)
    monkeypatch.setattr(ridge, "_MOST_ROWS", 50)
    monkeypatch.setattr(ridge, "_BLOCK", 7)  # more than one
    some = fit_ridge(x, y)
    assert len(some.rows) == len(some.held_out) == 50 and len(whole.rows) == 200
    weights, bias = by_least_squares(x, y, np.ones(200), some.penalty, unit_of(x, np.ones(200)))
    assert np.allclose(some.weights, weights, atol=1e-5) and np.allclose(some.bias, bias, atol=1e-5)


def test_features_that_are_all_alike_say_the_mean() -> None:
    found = fit_ridge(np.full((6, 4), 7, np.float32), np.arange(6.0)[:, None])
    assert np.allclose(found.weights, 0) and np.allclose(found.bias, 2.5)
