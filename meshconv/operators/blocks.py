"""Square sparse matrices, checked, and split by which unknowns are fixed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy import sparse

from meshconv._types import FloatArray, IntArray
from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError


class Blocks(NamedTuple):
    """What of a matrix (n, n) tells the free unknowns from the fixed ones.

    Attributes
    ----------
    fixed, free : (K,), (n - K,) int64
        The two kinds of unknowns; `free` ascends.
    inner, coupling : (n - K, n - K), (n - K, K) csr_array
        Rows of the free unknowns: their own columns, those of the fixed ones.
    """

    fixed: IntArray
    free: IntArray
    inner: sparse.csr_array
    coupling: sparse.csr_array


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


def split(matrix: Any, fixed: ArrayLike) -> Blocks:
    """Split a square matrix by the indices that are fixed, in one pass over its entries."""
    A = square(matrix)
    at = _indices(fixed, A.shape[0])
    number = np.zeros(A.shape[0], dtype=np.int64)
    number[at] = -1 - np.arange(len(at))
    free = np.flatnonzero(number >= 0)
    number[free] = np.arange(len(free))
    parts = []
    for columns, mine in ((len(free), True), (len(at), False)):
        indptr = np.zeros(len(free) + 1, dtype=A.indptr.dtype)
        _count(A.indptr, A.indices, free, number, mine, indptr)
        np.cumsum(indptr, out=indptr)
        data, indices = np.empty(indptr[-1]), np.empty(indptr[-1], dtype=A.indices.dtype)
        _copy(A.indptr, A.indices, A.data, free, number, mine, (indptr, indices, data))
        part = sparse.csr_array((data, indices, indptr), shape=(len(free), columns))
        part.sort_indices()
        parts.append(part)
    return Blocks(at, free, *parts)


@njit(cache=True)
def _count(
    indptr: Any, indices: Any, free: IntArray, number: IntArray, mine: bool, counts: Any
) -> None:
    for k in range(len(free)):
        for q in range(indptr[free[k]], indptr[free[k] + 1]):
            counts[k + 1] += (number[indices[q]] >= 0) == mine


@njit(cache=True)
def _copy(
    indptr: Any,
    indices: Any,
    values: FloatArray,
    free: IntArray,
    number: IntArray,
    mine: bool,
    part: Any,
) -> None:
    at, columns, data = part
    for k in range(len(free)):
        top = at[k]
        for q in range(indptr[free[k]], indptr[free[k] + 1]):
            j = number[indices[q]]
            if (j >= 0) == mine:
                columns[top], data[top] = j if mine else -1 - j, values[q]
                top += 1


def _indices(fixed: ArrayLike, n: int) -> IntArray:
    index = np.asarray(fixed)
    if index.size == 0:
        index = index.astype(np.int64)
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ArrayTypeError(
            f"fixed must be a list of indices, found {index.dtype} of shape {index.shape}"
        )
    if index.size and (index.min() < 0 or index.max() >= n or len(np.unique(index)) < len(index)):
        raise ArgumentError(f"fixed must hold indices in 0..{n - 1} without repeats")
    return index.astype(np.int64)
