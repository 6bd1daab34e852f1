"""Solutions with fixed unknowns beside SciPy's own indexing, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.operators.cholesky import fronts
from meshconv.operators.solve import FixedValueSolver
from meshconv.operators.square import beside_free, held_unknowns, square


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["int32", "int64", "unsorted", "dense"])
def test_free_unknowns_solve_their_own_block(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    half = sparse.random_array((n, n), density=0.1, rng=rng)
    A = sparse.csr_array(half + half.T + n * sparse.eye_array(n))
    fixed = rng.permutation(n)[: int(rng.integers(0, n + 1))]
    dense, given = A.toarray(), A
    if kind == "int64":
        given = sparse.csr_array(A)
        given.indices, given.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    elif kind == "unsorted":
        given = sparse.csr_array(sparse.csr_array(A[:, ::-1])[:, ::-1])
    elif kind == "dense":
        given = dense
    free = np.setdiff1d(np.arange(n), fixed)
    values, rhs = rng.random((len(fixed), 2)), rng.random((n, 2))
    where = rng.random((n, 3)) if seed % 2 else None
    solver = FixedValueSolver(given, fixed, coordinates=where)
    np.testing.assert_array_equal(solver.free, free)
    np.testing.assert_array_equal(solver.fixed, fixed)
    found = solver.solve(values, rhs)
    np.testing.assert_array_equal(found[fixed], values)
    inner = dense[np.ix_(free, free)]
    expected = np.linalg.solve(inner, rhs[free] - dense[np.ix_(free, fixed)] @ values)
    np.testing.assert_allclose(found[free], expected, rtol=1e-10, atol=1e-14)


def test_what_no_free_unknown_touches_plays_no_part() -> None:
    path = sparse.diags_array(
        [-np.ones(29), 2.0 * np.ones(30), -np.ones(29)], offsets=[-1, 0, 1], format="csr"
    )
    held = np.ones(30, dtype=bool)
    held[[4, 5, 29]] = False
    np.testing.assert_array_equal(beside_free(path, held), [3, 4, 5, 6, 28, 29])
    values = np.arange(27.0)
    x = FixedValueSolver(path, np.flatnonzero(held), coordinates=np.arange(30.0)).solve(values)
    np.testing.assert_array_equal(x[held], values)
    np.testing.assert_allclose(x[~held], [10 / 3, 11 / 3, 13.0], rtol=1e-14)


@pytest.mark.parametrize("entry", [-1.0, 0.0])
def test_what_stands_in_the_rows_of_fixed_unknowns_only_need_not_be_definite(entry: float) -> None:
    path = sparse.diags_array(
        [-np.ones(29), 2.0 * np.ones(30), -np.ones(29)], offsets=[-1, 0, 1], format="csr"
    )
    path[7, 7] = entry
    expected = np.interp(np.arange(30), [0, 7, 29], [2.0, -3.0, 1.0])
    solver = FixedValueSolver(path, [29, 0, 7], coordinates=np.arange(30.0)[:, None])
    np.testing.assert_allclose(solver.solve([1.0, 2.0, -3.0]), expected, rtol=1e-13)
    assert solver.residual < 1e-14


def test_where_the_own_core_would_be_too_large_superlu_holds_them_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fronts, "_MOST_ENTRIES", 0.0)
    rng = np.random.default_rng(0)
    n = 300
    links = sparse.random_array((n, n), density=0.03, rng=rng)
    A = sparse.csr_array(links + links.T + 100.0 * sparse.eye_array(n))
    fixed = rng.permutation(n)[:100]
    solver = FixedValueSolver(A, fixed)
    assert solver._solver is not None and solver._solver.backend == "superlu"
    x = solver.solve(np.ones(100))
    free = np.setdiff1d(np.arange(n), fixed)
    assert solver.residual < 1e-12
    np.testing.assert_allclose((A @ x)[free], 0.0, atol=1e-10)


def test_what_is_no_matrix_or_list_of_unknowns_is_refused() -> None:
    with pytest.raises(ArrayTypeError, match=r"square, found \(2, 3\)"):
        square(np.ones((2, 3)))
    for fixed in ([0, 0], [-1], [3]):
        with pytest.raises(ArgumentError, match=r"indices in 0\.\.2 without repeats"):
            held_unknowns(fixed, 3)
    with pytest.raises(ArrayTypeError, match="list of indices"):
        held_unknowns([0.5], 3)


@pytest.mark.parametrize("fixed", [[0], list(range(2, 30))])
@pytest.mark.parametrize("rows", [29, 31, 2])
def test_positions_are_of_all_unknowns_however_few_are_free(fixed, rows):
    path = sparse.diags_array([-np.ones(29), np.full(30, 2.0), -np.ones(29)], offsets=[-1, 0, 1])
    with pytest.raises(ArrayTypeError, match=f"coordinates have {rows} rows for a matrix of 30"):
        FixedValueSolver(path, fixed, coordinates=np.zeros((rows, 3)))
