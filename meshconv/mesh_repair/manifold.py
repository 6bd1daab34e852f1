"""Making a surface manifold: at most two faces on an edge, one fan at a vertex."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh import connectivity

_MOST = 8  # an edge with more faces than this is cut between all of them


def split_nonmanifold(unit: FloatArray, faces: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Give each sheet its own vertices where sheets share an edge or touch in a vertex.

    At an edge of three or more faces, the pairs that continue each other most smoothly stay joined.

    Returns
    -------
    faces : (F', 3) int64
    old : (V',) int64
        The vertex that each vertex is a copy of; the first V are unchanged.
    kept : (F',) int64
        The faces kept. A few are dropped only where no split separates the sheets: both ends of an
        edge are each in one fan that passes the edge twice.
    """
    kept = np.arange(len(faces))
    while True:
        pairs = np.concatenate([connectivity.joints(faces[kept]), _smooth_pairs(unit, faces[kept])])
        new, old = connectivity.split_fans(faces[kept], pairs, len(unit))
        order, first, size = connectivity.edge_groups(new)
        many = np.flatnonzero(size > 2)
        if len(many) == 0:
            return new, old, kept
        rank = np.arange(len(order)) - np.repeat(first, size)
        kept = np.delete(kept, np.unique(order[rank > 1] // 3))


def _smooth_pairs(unit: FloatArray, faces: IntArray) -> IntArray:
    """Pair the half-edges of each edge of 3 to `_MOST` faces: those wound alike first, then the
    flattest.
    """
    order, first, size = connectivity.edge_groups(faces)
    none = np.empty((0, 2), dtype=np.int64)
    groups = [
        np.column_stack([first[size == k] + i, first[size == k] + j])
        for k in range(3, min(_MOST, int(size.max())) + 1)
        for i, j in combinations(range(k), 2)
    ]
    place = np.concatenate([none, *groups])
    pairs = order[place]
    edge = np.searchsorted(first, place[:, 0], side="right")
    score = _smoothness(unit, faces, pairs)
    best = np.lexsort((-score, edge))
    pairs, edge = pairs[best], edge[best]
    chosen = [none]
    while len(pairs):
        _, top = np.unique(edge, return_index=True)
        chosen.append(pairs[top])
        free = ~np.isin(pairs, pairs[top]).any(axis=1)
        pairs, edge = pairs[free], edge[free]
    return np.concatenate(chosen)


def _smoothness(unit: FloatArray, faces: IntArray, pairs: IntArray) -> FloatArray:
    """2 for opposite half-edges, plus the cosine of the bend (1 = flat)."""
    corner = unit[faces]
    face, side = np.divmod(pairs, 3)
    start, end, apex = (corner[face, (side + k) % 3] for k in range(3))
    along = end - start
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), np.finfo(np.float64).tiny)
    out = apex - start
    out -= (out * along).sum(axis=2, keepdims=True) * along
    out /= np.maximum(np.linalg.norm(out, axis=2, keepdims=True), np.finfo(np.float64).tiny)
    vertex = connectivity.half_edges(faces)[pairs]
    opposite = vertex[:, 0, 0] != vertex[:, 1, 0]
    return np.asarray(2.0 * opposite - (out[:, 0] * out[:, 1]).sum(axis=1))
