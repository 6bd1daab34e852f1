"""A numbering of the unknowns with which reading a matrix costs least.

Every pass over a matrix follows its connections: with unknowns in the order of a scan each step is
a jump in memory, and a factorisation of 100,000 unknowns takes twice as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from meshconv.mesh.curve import nearby_order

AnyInt = NDArray[np.signedinteger[Any]]

_FAR = 8.0  # square roots of n: connections that are longer on average jump about in memory
_SMALL = 2000  # unknowns that the processor keeps at hand in any order


class Pattern(NamedTuple):
    """A symmetric CSR pattern whose unknowns are numbered along a curve through space.

    Attributes
    ----------
    indptr, indices : int arrays
        Columns of a row in any order.
    entry : (nnz,) int array, or empty
        Where each entry lies in the matrix as given; empty: where it lies here.
    given : (n,) int64, or None
        The number of each unknown in the matrix as given; None: the same.
    """

    indptr: AnyInt
    indices: AnyInt
    entry: AnyInt
    given: NDArray[np.int64] | None


def near_in_memory(indptr: AnyInt, indices: AnyInt, points: NDArray[np.float64]) -> Pattern:
    """Return the pattern with connected unknowns near each other; as it is if they are already."""
    n, rows = len(indptr) - 1, np.arange(0, len(indptr) - 1, 1 + len(indptr) // 1000)
    jump = np.abs(indices[indptr[rows]] - rows).mean() if len(indices) and n else 0.0
    if n < _SMALL or jump < _FAR * n**0.5:
        return Pattern(indptr, indices, indices[:0], None)
    space = np.zeros((n, 3))
    space[:, : points.shape[1]] = points[:, :3]
    given = nearby_order(space)
    new = Pattern(np.empty_like(indptr), np.empty_like(indices), np.empty_like(indices), given)
    rank = np.empty(n, dtype=indices.dtype)
    rank[given] = np.arange(n)
    _renumber(indptr, indices, rank, *new)
    return new


@njit(cache=True)
def _renumber(
    indptr: AnyInt,
    indices: AnyInt,
    rank: AnyInt,
    new_indptr: AnyInt,
    new_indices: AnyInt,
    entry: AnyInt,
    given: NDArray[np.int64],
) -> None:
    top = new_indptr[0] = 0
    for i in range(len(given)):
        for q in range(indptr[given[i]], indptr[given[i] + 1]):
            new_indices[top], entry[top] = rank[indices[q]], q
            top += 1
        new_indptr[i + 1] = top
