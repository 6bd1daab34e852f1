"""Elimination orders for sparse symmetric matrices: nested dissection by position in space.

A set of unknowns is cut in two along one axis, the one that promises the fewest connections across
the cut: small sets at the median, larger ones where the fewest connections cross. Few unknowns that
touch every such connection go last, in large sets made fewer still by moving them to either side
(`refine`); both sides are cut again. Unknowns that are eliminated together form a *front*.

Along an axis the connections cross sum |x_i - x_j| levels in all, so their number at one level is
about that sum over the extent of the set (the coarea formula), level by level as for the whole. On
a bumpy surface this tells a short cut from a long level line, which the extents alone do not, and
it takes one pass over the unknowns, none over their connections.

References
----------
George, 1973, Nested dissection of a regular finite element mesh. doi:10.1137/0710032
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from meshconv._types import FloatArray, IntArray
from meshconv.operators.cholesky.levels import LEVELS, AnyInt, best_axis, best_level, inner
from meshconv.operators.cholesky.refine import refine

_LARGE = 200  # unknowns from which on the best place of a cut is sought
_WORTH = 2.0  # axes with more times as many connections a level, squared, are not looked at
_REFINED = 300  # unknowns up to which a separator stays as it was found
_ROUNDING = 1e-12  # of the largest coordinate
_MOST = 0.4  # share of a set that is a separator worth the name
LEAF = 24  # sets this small are eliminated as one dense front; 64 makes solves twice as slow


def nested_dissection(
    indptr: AnyInt, indices: AnyInt, points: FloatArray, some: AnyInt | None = None
) -> tuple[AnyInt, IntArray, IntArray]:
    """Return an elimination order and its fronts, children before parents.

    Parameters
    ----------
    indptr, indices : int arrays
        CSR pattern of a symmetric matrix, n rows.
    points : (n, d) float64
        Positions of the unknowns.
    some : (m,) int array, optional
        The unknowns to be eliminated, ascending; by default all.

    Returns
    -------
    order : (m,) int32
        order[k] is the unknown that is eliminated k-th.
    start : (f + 1,) int64
        Front f eliminates order[start[f]:start[f + 1]].
    parent : (f,) int64
        The front that receives the update of front f; -1 at a root.
    """
    n = len(indptr) - 1
    points = points / (float(np.abs(points).max(initial=0.0)) or 1.0)  # no square may overflow
    crossing = np.zeros_like(points)
    _crossings(indptr, indices, points, crossing)
    order = np.arange(n, dtype=np.int32) if some is None else some.astype(np.int32)
    fronts = np.empty((n + 1, 3), dtype=np.int64)
    lists = (
        *np.empty((4, n), dtype=np.int32),
        np.empty(2 * n, dtype=np.int32),
        np.empty(6, dtype=np.int32),
    )
    work = (
        np.empty((2 * n + 2, 3), dtype=np.int64),
        np.full(n, -1, dtype=np.int32),
        np.empty((2, LEVELS + 2)),
        lists,
        np.empty(n),
    )
    fronts = fronts[: _dissect((indptr, indices), (points, crossing), order, fronts, work)]
    rank = np.argsort(fronts[:, 0], kind="stable")
    number = np.full(len(rank) + 1, -1)
    number[rank] = np.arange(len(rank))
    return order, np.append(fronts[rank, 0], len(order)), number[fronts[rank, 2]]


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

    Every set keeps its unknowns in the order in which they lie in memory.
    """
    stack, zone, lists = work[0], work[1], work[3]
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, len(order), -1
    waiting, count, label = 1, 0, np.int64(0)  # of one type from the first call on
    sizes = np.zeros(3, dtype=np.int64)
    while waiting > 0:
        waiting -= 1
        low, high, parent = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2]
        second = top = low
        if high - low > LEAF:
            some = order[low:high]
            axis, place = _divide(space, some, label, sizes, work)
            _separate(pattern, space, axis, place - _ROUNDING, some, zone, label, sizes, lists[0])
            if high - low > _REFINED:
                refine(pattern, zone, label, sizes, lists)
            if sizes[2] <= _MOST * (high - low):
                second, top = low + sizes[0], high - sizes[2]
                _arrange(some, zone, label, sizes, lists[0])
            label += 3
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


@inner
def _divide(space: Any, some: IntArray, label: int, sizes: IntArray, work: Any) -> Any:
    """Mark the unknowns as `label` or ``label + 1``: the two sides of the best level of the best
    axis; return both.
    """
    zone, counts, scratch = work[1], work[2], work[4]
    points, n = space[0], len(some)
    axis, fewest = best_axis(space, some)
    best, along, place = np.inf, axis, 0.0
    for d in range(points.shape[1] if n > _LARGE else 0):
        score, level = best_level(space, some, d, _WORTH * fewest, counts)
        if score < best:
            best, along, place = score, d, level
    if best < np.inf:
        _mark(points, along, some, place, np.int64(0), zone, label, sizes)
        if sizes[0] > 0 and sizes[1] > 0:
            return along, place
    place, equal = _middle(points, axis, some, scratch)
    _mark(points, axis, some, place, equal, zone, label, sizes)
    return axis, place


@inner
def _mark(
    points: FloatArray,
    axis: int,
    some: IntArray,
    place: float,
    equal: int,
    zone: IntArray,
    label: int,
    sizes: IntArray,
) -> None:
    """To the left goes what lies before the place, and the first `equal` of what lies at it."""
    left = 0
    for v in some:
        x = points[v, axis]
        first = x < place
        if x == place and equal > 0:
            first, equal = True, equal - 1
        zone[v] = label if first else label + 1
        left += first
    sizes[0], sizes[1], sizes[2] = left, len(some) - left, 0


@inner
def _middle(points: FloatArray, axis: int, some: IntArray, scratch: FloatArray) -> Any:
    """The median, and how many of what lies at it belong to the smaller half."""
    n = len(some)
    for k in range(n):
        scratch[k] = points[some[k], axis]
    place = _select(scratch, n, n // 2)
    before = at = 0
    for v in some:
        before += points[v, axis] < place
        at += points[v, axis] == place
    return place, n // 2 - before if 4 * before < n else 0


@inner
def _select(x: FloatArray, n: int, k: int) -> float:
    """The k-th smallest of the first n numbers (Hoare's quickselect); they are rearranged."""
    low, high = 0, n - 1
    while low < high:
        pivot = x[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return x[k]


@njit(cache=True)
def _separate(
    pattern: Any,
    space: Any,
    axis: int,
    place: float,
    some: IntArray,
    zone: IntArray,
    label: int,
    sizes: IntArray,
    members: IntArray,
) -> None:
    """Choose unknowns that touch every connection between the sides; mark them ``label + 2``.

    A left vertex with one open connection gives way to the vertex at its other end, which may close
    more. What reaches less far than the place of the cut, in all its connections together, has none
    across.
    """
    indptr, indices = pattern
    points, reach = space
    for v in some:
        if zone[v] != label or points[v, axis] + reach[v, axis] < place:
            continue
        chosen, across = v, 0
        for q in range(indptr[v], indptr[v + 1]):
            if zone[indices[q]] == label + 1:
                across += 1
                chosen = indices[q]
        if across > 0:
            chosen = chosen if across == 1 else v
            sizes[zone[chosen] - label] -= 1
            zone[chosen] = label + 2
            members[sizes[2]] = chosen
            sizes[2] += 1


@inner
def _arrange(some: IntArray, zone: IntArray, label: int, sizes: IntArray, right: IntArray) -> None:
    """Rearrange a set into left, right, separator."""
    left = kept = cut = 0
    for k in range(len(some)):
        v = some[k]
        if zone[v] == label:
            some[left] = v
            left += 1
        elif zone[v] == label + 1:
            right[kept] = v
            kept += 1
        else:
            right[sizes[1] + cut] = v
            cut += 1
    for k in range(kept + cut):
        some[left + k] = right[k]
