"""Matrices split by which unknowns are fixed, beside SciPy's own indexing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.operators.blocks import split
from meshconv.operators.solve import FixedValueSolver


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["int32", "int64", "unsorted", "dense"])
def test_blocks_are_those_of_indexing(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    A = sparse.csr_array(sparse.random_array((n, n), density=0.3, rng=rng))
    fixed = rng.permutation(n)[: int(rng.integers(0, n + 1))]
    given = A
    if kind == "int64":
        given = sparse.csr_array(A)
        given.indices, given.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    elif kind == "unsorted":
        given = sparse.csr_array(sparse.csr_array(A[:, ::-1])[:, ::-1])
    elif kind == "dense":
        given = A.toarray()
    blocks = split(given, fixed)
    free = np.setdiff1d(np.arange(n), fixed)
    dense = A.toarray()
    np.testing.assert_array_equal(blocks.free, free)
    np.testing.assert_array_equal(blocks.fixed, fixed)
    np.testing.assert_array_equal(blocks.inner.toarray(), dense[np.ix_(free, free)])
    np.testing.assert_array_equal(blocks.coupling.toarray(), dense[np.ix_(free, fixed)])
    assert blocks.inner.has_canonical_format and blocks.coupling.has_canonical_format


def test_a_solver_of_blocks_is_the_solver_of_the_matrix() -> None:
    path = sparse.diags_array(
        [-np.ones(29), 2.0 * np.ones(30), -np.ones(29)], offsets=[-1, 0, 1], format="csr"
    )
    where, fixed = np.arange(30.0)[:, None], np.array([29, 0, 7])
    blocks = split(path, fixed)
    expected = FixedValueSolver(path, fixed, coordinates=where).solve([1.0, 2.0, -3.0])
    found = FixedValueSolver.of_blocks(blocks, coordinates=where[blocks.free])
    np.testing.assert_array_equal(found.solve([1.0, 2.0, -3.0]), expected)
    free = np.setdiff1d(np.arange(30), fixed)
    np.testing.assert_allclose((path @ expected)[free], 0.0, atol=1e-14)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ArrayTypeError, match=r"square, found \(2, 3\)"):
        split(np.ones((2, 3)), [0])
    for fixed in ([0, 0], [-1], [3]):
        with pytest.raises(ArgumentError, match=r"indices in 0\.\.2 without repeats"):
            split(np.eye(3), fixed)
    with pytest.raises(ArrayTypeError, match="list of indices"):
        split(np.eye(3), [0.5])
