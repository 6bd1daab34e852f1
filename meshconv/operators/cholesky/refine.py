"""Make a separator smaller by moving its vertices to one side, some uphill moves included.

References
----------
Fiduccia, Mattheyses, 1982, A linear-time heuristic for improving network partitions.
doi:10.1145/800263.809204
Ashcraft, Liu, 1997, Using domain decomposition to find graph bisectors. doi:10.1007/BF02510238
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# called by compiled functions only: ways in from Python take a sixth of the time to compile
inner = njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)

_PASSES = 4
_UPHILL = 0.5  # of its size: moves that may bring no smaller separator before a pass gives up
_SIDE = 0.58  # share of the set that a side may have


@njit(cache=True)
def refine(pattern: Any, zone: IntArray, label: int, sizes: IntArray, lists: Any) -> None:
    """Shrink the separator (zone ``label + 2``) between ``label`` and ``label + 1`` in place.

    `sizes` counts left, right, separator; ``lists[0][:sizes[2]]`` is the separator.
    """
    to, idle = int(sizes[1] < sizes[0]), 0
    for _ in range(_PASSES):
        before = sizes[2]
        _sweep(pattern, zone, label, to, sizes, lists)
        idle = idle + 1 if sizes[2] == before else 0
        if idle == 2 or sizes[2] == 0:
            return
        to = 1 - to


@inner
def _sweep(pattern: Any, zone: IntArray, label: int, to: int, sizes: IntArray, lists: Any) -> None:
    """Move separator vertices to one side, cheapest first, then go back to the smallest one."""
    members, after, ahead, count, log, head = lists
    queue = (after, ahead, count, head)
    inside, other, middle = label + to, label + 1 - to, label + 2
    _fill(pattern, zone, other, members[: sizes[2]], queue)
    total = sizes[0] + sizes[1] + sizes[2]
    most, patience = _SIDE * total, 4 + int(_UPHILL * sizes[2])
    size, side, top, kept = sizes[2], sizes[to], 0, 0
    best, unequal = size, abs(2 * side + size - total)
    while side < most and top - kept <= patience:
        v = _cheapest(queue)
        if v < 0:
            break
        _remove(v, queue)
        zone[v] = inside
        log[top] = v
        pulled = _pull(pattern, zone, v, other, middle, log[top + 1 :], queue)
        top, side, size = top + 1 + pulled, side + 1, size - 1 + pulled
        now = abs(2 * side + size - total)
        if size < best or (size == best and now < unequal):
            best, unequal, kept = size, now, top
    for t in range(top - 1, kept - 1, -1):
        v = log[t]
        zone[max(v, -1 - v)] = middle if v >= 0 else other
    _settle(zone, inside, middle, to, sizes, members, log[:kept])


@inner
def _fill(pattern: Any, zone: IntArray, other: int, members: IntArray, queue: Any) -> None:
    indptr, indices = pattern
    count, head = queue[2], queue[3]
    head[:] = -1
    for v in members:
        count[v] = 0
        for q in range(indptr[v], indptr[v + 1]):
            count[v] += zone[indices[q]] == other
        _insert(v, queue)


@inner
def _pull(
    pattern: Any, zone: IntArray, v: int, other: int, middle: int, log: IntArray, queue: Any
) -> int:
    """Bring the neighbours of v on the other side into the separator; return their number."""
    indptr, indices = pattern
    count, pulled = queue[2], 0
    for q in range(indptr[v], indptr[v + 1]):
        u = np.int64(indices[q])
        if zone[u] != other:
            continue
        zone[u], count[u], log[pulled] = middle, 0, -1 - u
        pulled += 1
        for r in range(indptr[u], indptr[u + 1]):
            w = np.int64(indices[r])
            if zone[w] == other:
                count[u] += 1
            elif zone[w] == middle and w != u:
                _remove(w, queue)
                count[w] -= 1
                _insert(w, queue)
        _insert(u, queue)
    return pulled


@inner
def _settle(
    zone: IntArray,
    inside: int,
    middle: int,
    to: int,
    sizes: IntArray,
    members: IntArray,
    log: IntArray,
) -> None:
    """List what the separator is now, and count the sides."""
    size = 0
    for s in range(sizes[2]):
        if zone[members[s]] == middle:
            members[size] = members[s]
            size += 1
    for v in log:
        sizes[to if v >= 0 else 1 - to] += 1 if v >= 0 else -1
        if v < 0 and zone[-1 - v] == middle:
            members[size] = -1 - v
            size += 1
    sizes[2] = size


@inner
def _cheapest(queue: Any) -> int:
    head = queue[3]
    for bucket in range(len(head)):
        if head[bucket] >= 0:
            return int(head[bucket])
    return -1


@inner
def _insert(v: int, queue: Any) -> None:
    after, ahead, count, head = queue
    bucket = min(count[v], len(head) - 1)
    after[v], ahead[v] = head[bucket], -1
    if head[bucket] >= 0:
        ahead[head[bucket]] = v
    head[bucket] = v


@inner
def _remove(v: int, queue: Any) -> None:
    after, ahead, count, head = queue
    if ahead[v] >= 0:
        after[ahead[v]] = after[v]
    else:
        head[min(count[v], len(head) - 1)] = after[v]
    if after[v] >= 0:
        ahead[after[v]] = ahead[v]
