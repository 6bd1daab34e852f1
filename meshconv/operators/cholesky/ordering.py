"""Elimination orders for sparse symmetric matrices: nested dissection by position in space.

A set of unknowns is cut in two at the median of one axis, the one that promises the fewest
connections across the cut. Few unknowns that touch every such connection go last; both sides are
cut again. Unknowns that are eliminated together form a *front*.

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
from numpy.typing import NDArray

from meshconv._types import FloatArray, IntArray

AnyInt = NDArray[np.signedinteger[Any]]

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
    work = np.empty((2 * n + 2, 3), dtype=np.int64), np.full(n, -1), np.empty(n, dtype=np.int64)
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
    stack, zone, separator = work
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(order), -1
    waiting, count, label = 1, 0, np.int64(0)
    while waiting > 0:
        waiting -= 1
        low, high, parent = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2]
        second = top = low
        if high - low > LEAF:
            _halve(space[0], _best_axis(space, order, low, high), order, low, high)
            second, top = _cut(pattern, order, low, high, zone, separator, label)
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
def _best_axis(space: Any, order: IntArray, low: int, high: int) -> int:
    """The axis with the fewest connections per level: crossings over standard deviation."""
    points, crossing = space
    axis, fewest = 0, np.inf
    for d in range(points.shape[1]):
        origin = points[order[low], d]
        total = first = second = 0.0
        for p in range(low, high):
            x = points[order[p], d] - origin
            first, second = first + x, second + x * x
            total += crossing[order[p], d]
        first, second = first / (high - low), second / (high - low)
        spread = second - first * first
        if spread > 1e-12 * second and total * total < fewest * spread:
            axis, fewest = d, total * total / spread
    return axis


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
    middle = (low + high) // 2
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


def hop_coordinates(indptr: AnyInt, indices: AnyInt) -> FloatArray:
    """Return (n, 3) pseudo-coordinates: hop distances to three vertices far from each other."""
    n = len(indptr) - 1
    hops, points = np.full((n, 4), -1), np.zeros((n, 3))
    _hops(indptr, indices, hops, points, np.empty(n, dtype=np.int64))
    return points


@njit(cache=True)
def _hops(
    indptr: AnyInt, indices: AnyInt, hops: IntArray, points: FloatArray, queue: IntArray
) -> None:
    """Search each component breadth first from any vertex and then from three far ones."""
    offset = 0.0
    for seed in range(len(queue)):
        if hops[seed, 0] >= 0:
            continue
        source, tail, best = seed, 0, 0
        for column in range(4):
            hops[source, column] = 0
            queue[0], tail, head = source, 1, 0
            while head < tail:
                u = queue[head]
                head += 1
                for q in range(indptr[u], indptr[u + 1]):
                    v = indices[q]
                    if hops[v, column] < 0:
                        hops[v, column] = hops[u, column] + 1
                        queue[tail] = v
                        tail += 1
            best = -1
            for p in range(tail):
                v = queue[p]
                far = hops[v, column]
                for c in range(1, column):
                    far = min(far, hops[v, c])
                if far > best:
                    best, source = far, v
        for p in range(tail):
            v = queue[p]
            points[v, 0] = hops[v, 1] + offset  # components side by side
            points[v, 1], points[v, 2] = hops[v, 2], hops[v, 3]
        offset += best + 2.0 + tail**0.5
