"""Fronts of every small size, beside NumPy's dense factorisation."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from meshconv.operators.cholesky.dense import eliminate, eliminate_few, tables
from meshconv.operators.cholesky.lanes import add_run, prefetch, subtract_1, subtract_4


def front(p: int, b: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(p + b, 2 * (p + b)))
    return np.asarray(x @ x.T)


def eliminated(matrix: np.ndarray, p: int, *, few: bool) -> tuple[int, np.ndarray, np.ndarray]:
    b = len(matrix) - p
    panel, update = matrix[:, :p].T.ravel().copy(), np.zeros(b * b)
    bad = eliminate_few(p, b, panel, update) if few else eliminate(p, b, panel, update, *tables())
    return bad, panel.reshape(p, p + b).T, update.reshape(b, b).T


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("p", [*range(1, 26), 33, 64, 95, 96, 97, 130])
def test_a_front_is_eliminated_as_numpy_does(p: int, few: bool) -> None:
    for b in (*range(20), 31, 48, 77):
        matrix = front(p, b, seed=p * 100 + b)
        bad, panel, update = eliminated(matrix, p, few=few)
        lower = np.linalg.cholesky(matrix[:p, :p])
        below = np.linalg.solve(lower, matrix[:p, p:]).T
        size = np.abs(matrix).max()
        assert bad == -1
        np.testing.assert_allclose(np.tril(panel[:p]), lower, rtol=0, atol=1e-14 * size)
        np.testing.assert_allclose(panel[p:], below, rtol=0, atol=1e-14 * size)
        np.testing.assert_allclose(
            np.tril(update), np.tril(-below @ below.T), rtol=0, atol=1e-13 * size
        )


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("p", [1, 2, 3, 4, 5, 7, 8, 13, 40])
def test_the_first_bad_pivot_is_named(p: int, value: float) -> None:
    for bad in range(p):
        matrix = np.diag(np.arange(1.0, p + 4))
        matrix[bad, bad] = value
        assert eliminated(matrix, p, few=True)[0] == bad
        assert eliminated(matrix, p, few=False)[0] == bad


def test_nothing_beyond_a_front_is_touched() -> None:
    """Masked ends of columns: the numbers around panel and update stay as they are."""
    for p, b in ((1, 1), (3, 6), (4, 9), (5, 17), (9, 3)):
        n, matrix = p + b, front(p, b, seed=1)
        store = np.full(n * p + b * b + 30, 7.0)
        panel, update = store[10 : 10 + n * p], store[20 + n * p : 20 + n * p + b * b]
        panel[:], update[:] = matrix[:, :p].T.ravel(), 0.0
        assert eliminate_few(p, b, panel, update) == -1
        assert np.all(store[:10] == 7.0) and np.all(store[-10:] == 7.0)
        assert np.all(store[10 + n * p : 20 + n * p] == 7.0)


@njit
def _run(a: np.ndarray, ia: int, c: np.ndarray, ic: int, count: int) -> None:
    prefetch(a, ia)
    add_run(a, ia, c, ic, count)


@njit
def _subtract(a: np.ndarray, b: int, c: np.ndarray, wide: int, depth: int, rows: int) -> None:
    ld = rows + 4
    if wide == 4:
        subtract_4(a, 0, b, c, 0, ld, rows, depth, rows)
    else:
        subtract_1(a, 0, b, c, 0, ld, rows, depth, rows)


def test_runs_of_every_length_are_added() -> None:
    rng = np.random.default_rng(0)
    for count in range(40):
        a, c = rng.normal(size=60), rng.normal(size=60)
        expected = c.copy()
        expected[9 : 9 + count] += a[5 : 5 + count]
        _run(a, 5, c, 9, count)
        np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("wide", [1, 4])
def test_products_of_every_shape_are_subtracted(wide: int) -> None:
    rng = np.random.default_rng(0)
    for rows in range(40):
        for depth in (0, 1, 2, 9):
            a, c = rng.normal(size=(depth, rows + 4)), rng.normal(size=(wide, rows))
            expected = c - a[:, rows : rows + wide].T @ a[:, :rows]
            store = c.ravel().copy()
            _subtract(np.append(a.ravel(), 0.0), rows, store, wide, depth, rows)
            np.testing.assert_allclose(store.reshape(wide, rows), expected, rtol=0, atol=1e-13)
