"""How far the peaks of a field on a surface stand out."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import FloatArray, IntArray


def peak_heights(edges: IntArray, field: FloatArray) -> FloatArray:
    """Return how far each peak of a field stands out, (k,), highest first.

    A peak's height is what one must go down to reach a higher one (topological persistence of the
    superlevel sets): small bumps of noise on a spicule do not count as spicules. The highest peak
    of each component is measured down to the field's least value on all.

    Parameters
    ----------
    edges : (E, 2) int64
    field : (V,) float64

    References
    ----------
    Edelsbrunner, Letscher, Zomorodian, 2002, Topological persistence and simplification.
    doi:10.1007/s00454-002-2885-2

    Examples
    --------
    >>> path = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    >>> peak_heights(path, np.array([0.0, 3.0, 2.0, 5.0, 1.0])).tolist()
    [5.0, 1.0]
    """
    if len(field) == 0:
        return np.zeros(0)
    rank = np.empty(len(field), dtype=np.int64)
    rank[np.argsort(-field, kind="stable")] = np.arange(len(field))
    later = np.maximum(rank[edges[:, 0]], rank[edges[:, 1]])  # when the edge joins two
    by_time = edges[np.argsort(later, kind="stable")]
    heights = _persistence(np.ascontiguousarray(by_time), field, rank)
    return np.sort(heights[heights > 0])[::-1]


@njit(cache=True)
def _persistence(edges: IntArray, field: FloatArray, rank: IntArray) -> FloatArray:
    """Height of the component that each vertex began, by union of the edges in turn; 0 for most."""
    parent = np.arange(len(field))
    height = np.zeros(len(field))
    alive = np.ones(len(field), dtype=np.bool_)
    for k in range(len(edges)):
        a, b = _root(parent, edges[k, 0]), _root(parent, edges[k, 1])
        if a == b:
            continue
        if rank[a] > rank[b]:
            a, b = b, a
        level = min(field[edges[k, 0]], field[edges[k, 1]])
        height[b], alive[b], parent[b] = field[b] - level, False, a
    for v in range(len(field)):
        if alive[v]:
            height[v] = field[v] - field.min()
    return height


@njit(cache=True)
def _root(parent: IntArray, v: int) -> int:
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v
