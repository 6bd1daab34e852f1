"""Elimination orders for sparse symmetric matrices: nested dissection by position in space.

A set of unknowns is cut in two along one axis, the one that promises the fewest connections across
the cut: small sets at the median, large ones where the fewest connections are counted. Few unknowns
that touch every such connection go last; both sides are cut again. Unknowns that are eliminated
together form a *front*.

Along an axis the connections cross sum |x_i - x_j| levels in all, so their number at one level is
about that sum over the extent of the set (the coarea formula). On a bumpy surface this tells a
short cut from a long level line, which the extents alone do not.

References
----------
George, 1973, Nested dissection of a regular finite element mesh. doi:10.1137/0710032
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from meshconv._types import FloatArray, IntArray
from meshconv.operators.cholesky.hops import hop_coordinates
from meshconv.operators.cholesky.levels import (
    LEVELS,
    AnyInt,
    best_axis,
    cheapest,
    count_levels,
    per_level,
)

_LARGE = 1500  # unknowns from which on the best place of a cut is sought
_WORTH = 2.0  # axes with more times as many connections a level, squared, are not looked at
LEAF = 24  # sets this small are eliminated as one dense front; 64 makes solves twice as slow


def nested_dissection(
    indptr: AnyInt, indices: AnyInt, points: FloatArray | None
) -> tuple[IntArray, IntArray, IntArray]:
    """Return an elimination order and its fronts, children before parents.

    Parameters
    ----------
    indptr, indices : int arrays
        CSR pattern of a symmetric matrix, n rows.
    points : (n, d) float64, optional
        Positions of the unknowns; without them, hop distances in the graph serve as coordinates.

    Returns
    -------
    order : (n,) int64
        order[k] is the unknown that is eliminated k-th.
    start : (m + 1,) int64
        Front f eliminates order[start[f]:start[f + 1]].
    parent : (m,) int64
        The front that receives the update of front f; -1 at a root.
    """
    n = len(indptr) - 1
    points = hop_coordinates(indptr, indices) if points is None else points
    points = points / (float(np.abs(points).max(initial=0.0)) or 1.0)  # no square may overflow
    crossing = np.zeros_like(points)
    _crossings(indptr, indices, points, crossing)
    order, fronts = np.arange(n), np.empty((n + 1, 3), dtype=np.int64)
    work = (
        np.empty((2 * n + 2, 3), dtype=np.int64),
        np.full(n, -1),
        np.empty(n, dtype=np.int64),
        np.empty((2, LEVELS + 2), dtype=np.int64),
    )
    fronts = fronts[: _dissect((indptr, indices), (points, crossing), order, fronts, work)]
    rank = np.argsort(fronts[:, 0], kind="stable")
    number = np.full(len(rank) + 1, -1)
    number[rank] = np.arange(len(rank))
    return order, np.append(fronts[rank, 0], n), number[fronts[rank, 2]]


@njit(cache=True)
def _crossings(indptr: AnyInt, indices: AnyInt, points: FloatArray, crossing: FloatArray) -> None:
    """Add up, for each unknown and axis, how far its neighbours lie away."""
    for i in range(len(points)):
        for q in range(indptr[i], indptr[i + 1]):
            for d in range(points.shape[1]):
                crossing[i, d] += abs(points[indices[q], d] - points[i, d])


@njit(cache=True)
def _dissect(pattern: Any, space: Any, order: IntArray, fronts: IntArray, work: Any) -> int:
    """Permute `order` in place; write the fronts (low, high, parent), parents first; return their
    number.
    """
    stack, zone, separator, _ = work
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(order), -1
    waiting, count, label = 1, 0, np.int64(0)
    while waiting > 0:
        waiting -= 1
        low, high, parent = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2]
        second = top = low
        if high - low > LEAF:
            middle = _divide(pattern, space, order, low, high, work)
            second, top = _cut(pattern, order, low, middle, high, zone, separator, label)
            label += 2
            if high - top > 0.4 * (high - low):  # no cut worth the name
                second = top = low
        if top < high:
            fronts[count, 0], fronts[count, 1], fronts[count, 2] = top, high, parent
            parent = count
            count += 1
        if low < second:
            stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] = low, second, parent
            waiting += 1
        if second < top:
            stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] = second, top, parent
            waiting += 1
    return count


@njit(cache=True)
def _divide(pattern: Any, space: Any, order: IntArray, low: int, high: int, work: Any) -> int:
    """Rearrange order[low:high] into two sides of the best level of the best axis; return where the
    second starts.
    """
    zone, level, counts = work[1], work[2], work[3]
    points, crossing = space
    axis, fewest = best_axis(space, order, low, high)
    best, along, place = np.inf, axis, 0.0
    for d in range(points.shape[1] if high - low > _LARGE else 0):
        few, mean, deviation = per_level(points, crossing, order, low, high, d)
        if few <= _WORTH * fewest and deviation > 0.0:
            first, width = mean - deviation, 2.0 * deviation / LEVELS
            count_levels(pattern, points[:, d], order[low:high], zone, level, counts, first, width)
            score, k = cheapest(counts, high - low)
            if score < best:
                best, along, place = score, d, first + k * width
    if best < np.inf:
        middle = _split(points, along, place, order, low, high)
        if low < middle < high:
            return middle
    _halve(points, axis, order, low, high)
    return (low + high) // 2


@njit(cache=True)
def _split(
    points: FloatArray, axis: int, level: float, order: IntArray, low: int, high: int
) -> int:
    """Rearrange order[low:high] into what lies below the level and the rest; return where it
    starts.
    """
    middle = low
    for p in range(low, high):
        if points[order[p], axis] < level:
            order[p], order[middle] = order[middle], order[p]
            middle += 1
    return middle


@njit(cache=True)
def _halve(points: FloatArray, axis: int, order: IntArray, low: int, high: int) -> None:
    """Quickselect: the half order[low:middle] lies at or below order[middle:high] along the
    axis.
    """
    middle = (low + high) // 2
    high -= 1
    while low < high:
        pivot = points[order[(low + high) // 2], axis]
        i, j = low, high
        while i <= j:
            while points[order[i], axis] < pivot:
                i += 1
            while points[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(cache=True)
def _cut(
    pattern: Any,
    order: IntArray,
    low: int,
    middle: int,
    high: int,
    zone: IntArray,
    separator: IntArray,
    label: int,
) -> Any:
    """Rearrange order[low:high] into left, right, separator; return where the last two start.

    A left vertex with one open connection gives way to the vertex at its other end, which may close
    more.
    """
    indptr, indices = pattern
    for p in range(low, high):
        zone[order[p]] = label + (p >= middle)
    size = 0
    for p in range(low, middle):
        chosen, across = order[p], 0
        for q in range(indptr[order[p]], indptr[order[p] + 1]):
            if zone[indices[q]] == label + 1:
                across += 1
                chosen = indices[q]
        if across > 0:
            chosen = chosen if across == 1 else order[p]
            zone[chosen] = -1
            separator[size] = chosen
            size += 1
    top = second = low
    for p in range(low, high):
        if p == middle:
            second = top
        if zone[order[p]] >= 0:
            order[top] = order[p]
            top += 1
    for p in range(size):
        order[top + p] = separator[p]
    return second, top
