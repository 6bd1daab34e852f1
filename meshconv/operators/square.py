"""What a solver is given, checked: a square matrix, which unknowns are fixed, where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from meshconv._check import as_array
from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError


def square(matrix: Any) -> Any:
    """Return a canonical CSR copy or the array itself, or say what is wrong with it."""
    ready = isinstance(matrix, sparse.csr_array) and matrix.dtype == np.float64
    A = matrix if ready else sparse.csr_array(matrix, dtype=np.float64)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ArrayTypeError(f"matrix must be square, found {A.shape}")
    if not A.has_canonical_format:
        A = A.copy()  # csr_array shares the caller's buffers
        A.sum_duplicates()
    if A.nnz < np.iinfo(np.int32).max and A.indices.dtype != np.int32:  # one type, one compilation
        A = sparse.csr_array(
            (A.data, A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=A.shape
        )
    if not np.isfinite(A.data.sum()) and not np.isfinite(A.data).all():
        first = np.flatnonzero(~np.isfinite(A.data))[0]
        row = int(np.searchsorted(A.indptr, first, side="right")) - 1
        raise NonFiniteError(f"matrix has an entry in row {row} that is not finite", indices=[row])
    return A


def mirrors(A: Any) -> bool:
    """Return whether entries lie alike on both sides of the diagonal."""
    here = sparse.csr_array((np.ones(len(A.indices), np.int8), A.indices, A.indptr), shape=A.shape)
    there = here.T.tocsr()  # sorted
    here.sort_indices()
    return np.array_equal(here.indptr, there.indptr) and np.array_equal(here.indices, there.indices)


def held_unknowns(fixed: ArrayLike, n: int) -> tuple[IntArray, BoolArray]:
    """Return the indices (K,) that are fixed, checked, and which of n unknowns they are."""
    index = np.asarray(fixed)
    if index.size == 0:
        index = index.astype(np.int64)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ArrayTypeError(
            f"fixed must be a list of indices, found {index.dtype} of shape {index.shape}"
        )
    if index.size and (index.min() < 0 or index.max() >= n or len(np.unique(index)) < len(index)):
        raise ArgumentError(f"fixed must hold indices in 0..{n - 1} without repeats")
    held = np.zeros(n, dtype=bool)
    held[index] = True
    return index.astype(np.int64), held


def beside_free(A: Any, held: BoolArray) -> IntArray | slice:
    """Return the free unknowns and those next to them, ascending, where these are few; else all."""
    free = np.flatnonzero(~held)
    if 2 * len(free) >= len(held):
        return slice(None)
    return np.union1d(A[free].indices, free)


def positions(coordinates: ArrayLike, n: int | None = None) -> FloatArray:
    """Return where each unknown (of n) lies in space (n, d), checked."""
    points = np.ascontiguousarray(as_array(coordinates, "coordinates"), dtype=np.float64)
    points = points.reshape(len(points), -1)
    if not np.isfinite(points).all():
        raise NonFiniteError("coordinates are not finite")
    if n not in (None, len(points)):
        raise ArrayTypeError(f"coordinates have {len(points)} rows for a matrix of {n}")
    return points
