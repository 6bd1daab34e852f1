"""Cotangent weights of triangles, and the one assembly of every matrix with an entry for each side.

Arrays in, arrays and sparse matrices out; no surface is needed, lengths of sides will do.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numba import njit
from scipy import sparse

from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.errors import DegenerateError

# below this many squared longest sides, twice the area is rounding
_NO_AREA = 8.0 * float(np.finfo(np.float64).eps)
# excess of two sides over the third, over the longest, that a face without area is given
_OPENED = 1e-6


def laplacian_from_lengths(
    faces: IntArray, lengths: FloatArray, n_vertices: int
) -> sparse.csr_array:
    """Return the cotangent Laplacian (V, V) of an intrinsic triangulation.

    Parameters
    ----------
    faces : (F, 3) int64
        Corners; a vertex may stand in a face twice, as it may after intrinsic flips.
    lengths : (F, 3) float64
        Side lengths; side k is opposite corner k. DegenerateError if three sides do not span an
        area.
    n_vertices : int
        V.
    """
    return assemble(faces, half_cotangents(lengths), n_vertices, -1.0)


def laplacian_of_lengths(faces: IntArray, lengths: FloatArray, n: int) -> sparse.csr_array:
    """Return the cotangent Laplacian (n, n) from side lengths (F, 3), side k opposite corner k."""
    return assemble(faces, half_cotangents(mollified(lengths)), n, -1.0)


def mollified(lengths: FloatArray) -> FloatArray:
    """Return side lengths (F, 3) where every face keeps a height: sides grow by the same amount
    where needed.

    References
    ----------
    Sharp, Crane, 2020, Comput. Graph. Forum 39(5), sec. 4.5, here face by face.
    https://doi.org/10.1111/cgf.14069
    """
    longest = lengths.max(axis=1)
    slack = lengths.sum(axis=1) - 2 * longest
    wanted = _OPENED * longest
    grown = lengths + np.maximum(wanted - slack, 0.0)[:, None]
    return np.where((longest > 0)[:, None], grown, 1.0)


def corner_cotangents(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Return half the cotangent at each corner, (F, 3), from vertices (V, 3); NaN in faces without
    area.
    """
    weights = np.empty((len(faces), 3))
    _corner_cotangents(vertices, faces, np.empty((3, 3)), weights)
    return weights


def half_cotangents(lengths: FloatArray) -> FloatArray:
    """Return half the cotangent of the angle opposite each side, (F, 3), from side lengths (F, 3).

    Side k is opposite corner k. cot A_k = (l_i^2 + l_j^2 - l_k^2) / (4 area), the area by Kahan's
    stable form of Heron's formula. DegenerateError names the first face without area.
    """
    longest = lengths.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = lengths / longest  # nothing below can overflow, whatever the unit of length
    c, b, a = np.sort(unit, axis=1).T
    area16 = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))
    area4 = np.sqrt(np.maximum(area16, 0.0))
    bad = ~(area4 > 2.0 * _NO_AREA)
    if bad.any():
        refuse_flat(bad, "meshconv.repair")
    squared = unit**2
    total = squared.sum(axis=1, keepdims=True)
    return np.asarray((total - 2.0 * squared) / (2.0 * area4[:, None]))


def assemble(
    faces: IntArray, weights: FloatArray, n_vertices: int, sign: float
) -> sparse.csr_array:
    """Return the symmetric (V, V) matrix with `sign` * weight added at both ends of each side of
    each face.

    The diagonal is the sum of the weights at a vertex; side k, with weights[:, k], is opposite
    corner k.
    """
    n = n_vertices
    dtype = np.int32 if 6 * len(faces) + n < np.iinfo(np.int32).max else np.int64
    start, end, below = np.zeros(n + 1, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    other, weight = np.empty(3 * len(faces), dtype), np.empty(3 * len(faces))
    sides = (start, end, other, weight)
    _bucket_sides(faces, weights, sides)
    _merge_sides(sides, below, np.full(n, -1))
    indptr = np.zeros(n + 1, dtype)
    np.cumsum(below + 1 + end - start[:-1], out=indptr[1:])
    indices, data = np.empty(indptr[-1], dtype), np.empty(indptr[-1])
    _write_rows(sides, below, sign, (data, indices, indptr, indptr[:-1].copy()))
    return sparse.csr_array((data, indices, indptr), shape=(n, n))


def refuse_flat(bad: BoolArray, remedy: str, lack: str = "its cotangents do not exist") -> NoReturn:
    """Raise DegenerateError for faces without area, with the first, how many, what is lacking, and
    the remedy.
    """
    where = np.flatnonzero(bad)
    raise DegenerateError(
        f"face {where[0]} has no area ({len(where)} of {len(bad)} faces), so {lack}",
        indices=where[:10].tolist(),
        count=len(where),
        hint=f"remove such faces with {remedy}",
    )


@njit(cache=True)
def _corner_cotangents(
    vertices: FloatArray, faces: IntArray, side: FloatArray, out: FloatArray
) -> None:
    """Half cotangent at each corner, (F, 3); a face without area has NaN."""
    for f in range(len(faces)):
        size = 0.0
        for k in range(3):
            i, j = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            for d in range(3):
                side[k, d] = vertices[j, d] - vertices[i, d]
                size = max(size, abs(side[k, d]))
        if size == 0.0:
            size = np.nan
        for k in range(3):
            for d in range(3):
                side[k, d] /= size  # squares neither overflow nor vanish
        x = side[0, 1] * side[1, 2] - side[0, 2] * side[1, 1]
        y = side[0, 2] * side[1, 0] - side[0, 0] * side[1, 2]
        z = side[0, 0] * side[1, 1] - side[0, 1] * side[1, 0]
        double_area = np.sqrt(x * x + y * y + z * z)
        scale = 0.5 / double_area if double_area > _NO_AREA else np.nan
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            out[f, k] = -scale * (
                side[i, 0] * side[j, 0] + side[i, 1] * side[j, 1] + side[i, 2] * side[j, 2]
            )


# Kernels get every array from outside: allocation inside costs more to compile than all the loops
# together.


@njit(cache=True)
def _bucket_sides(faces: IntArray, weights: FloatArray, sides: Any) -> None:
    """Bucket the sides by smaller end: start and end of each, larger end and weight of each
    side.
    """
    start, end, other, weight = sides
    for f in range(len(faces)):
        for k in range(3):
            start[min(faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]) + 1] += 1
    for i in range(len(end)):
        end[i] = start[i]
        start[i + 1] += start[i]
    for f in range(len(faces)):
        for k in range(3):
            i, j = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            low, high = min(i, j), max(i, j)
            if low != high:  # a side from a vertex to itself adds nothing
                other[end[low]] = high
                weight[end[low]] = weights[f, k]
                end[low] += 1


@njit(cache=True)
def _merge_sides(sides: Any, below: IntArray, slot: IntArray) -> None:
    """Add up equal sides in each bucket, in place; count the sides that end at each vertex from
    below.
    """
    start, end, other, weight = sides
    for i in range(len(end)):
        top = start[i]
        for p in range(start[i], end[i]):
            j = other[p]
            if slot[j] >= start[i]:
                weight[slot[j]] += weight[p]
            else:
                other[top], weight[top], slot[j] = j, weight[p], top
                below[j] += 1
                top += 1
        end[i] = top


@njit(cache=True)
def _write_rows(sides: Any, below: IntArray, sign: float, matrix: Any) -> None:
    """Fill CSR arrays, columns sorted: rows write the lower half in order; read back, it writes the
    upper.
    """
    start, end, other, weight = sides
    data, indices, indptr, fill = matrix
    n = len(end)
    for i in range(n):
        for p in range(start[i], end[i]):
            j = other[p]
            indices[fill[j]], data[fill[j]] = i, weight[p]
            fill[j] += 1
    for i in range(n):
        indices[fill[i]] = i
        fill[i] += 1
        for p in range(indptr[i], indptr[i] + below[i]):
            j = indices[p]
            indices[fill[j]], data[fill[j]] = i, data[p]
            fill[j] += 1
    for i in range(n):
        total = 0.0
        diagonal = indptr[i] + below[i]
        for p in range(indptr[i], indptr[i + 1]):
            if p != diagonal:
                total += data[p]
                data[p] *= sign
        data[diagonal] = total
