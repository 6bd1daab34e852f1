"""Coordinates of a graph that has none: hop distances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

AnyInt = NDArray[np.signedinteger[Any]]


def hop_coordinates(indptr: AnyInt, indices: AnyInt) -> NDArray[np.float64]:
    """Return (n, 3) pseudo-coordinates: hop distances to three vertices far from each other."""
    n = len(indptr) - 1
    hops, points = np.full((n, 4), -1), np.zeros((n, 3))
    _hops(indptr, indices, hops, points, np.empty(n, dtype=np.int64))
    return points


@njit(cache=True)
def _hops(
    indptr: AnyInt,
    indices: AnyInt,
    hops: NDArray[np.int64],
    points: NDArray[np.float64],
    queue: NDArray[np.int64],
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
