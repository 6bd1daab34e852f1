"""Making a surface manifold: at most two faces on an edge, one fan at a vertex."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh import connectivity

_MOST = 8  # an edge with more faces than this is cut between all of them


class Split(NamedTuple):
    """The surface with its sheets apart."""

    unit: FloatArray
    """(V', 3); the first V are unchanged."""
    faces: IntArray
    vertex: IntArray
    """(V',) the vertex that each vertex is a copy of, -1 for those on cut edges."""
    face: IntArray
    """(F',) the face that each face is or is a half of."""


def split_nonmanifold(unit: FloatArray, faces: IntArray) -> Split:
    """Give each sheet its own vertices where sheets share an edge or touch in a vertex.

    At an edge of three or more faces, the pairs that are wound alike and continue each other most
    smoothly stay joined. Where the two ends of such an edge each lie in one fan that passes it
    twice, both sheets keep the ends, and each gets a vertex of its own in the middle.
    """
    vertex, face = np.arange(len(unit)), np.arange(len(faces))
    while True:
        chosen = _smooth_pairs(unit, faces)
        pairs = np.concatenate([connectivity.joints(faces), chosen])
        faces, old = connectivity.split_fans(faces, pairs, len(unit))
        unit, vertex = unit[old], vertex[old]
        order, _, size = connectivity.edge_groups(faces)
        many = order[np.repeat(size > 2, size)]
        if len(many) == 0:
            return Split(unit, faces, vertex, face)
        cuts = _apart(many, chosen)
        middle = unit[connectivity.half_edges(faces)[cuts[:, 0]]].mean(axis=1)
        faces, added = _halved(faces, cuts, len(unit))
        unit, face = np.concatenate([unit, middle]), np.concatenate([face, face[added]])
        vertex = np.concatenate([vertex, np.full(len(middle), -1)])


def _apart(many: IntArray, chosen: IntArray) -> IntArray:
    """The pairs (C, 2) of half-edges to cut in this round, a lone one twice: no face two times."""
    paired = chosen[np.isin(chosen[:, 0], many)]
    lone = np.setdiff1d(many, paired)
    taken: set[int] = set()
    out = []
    for h, g in [*paired.tolist(), *zip(lone.tolist(), lone.tolist(), strict=True)]:
        if not taken & {h // 3, g // 3}:
            taken |= {h // 3, g // 3}
            out.append((h, g))
    return np.array(out, dtype=np.int64)


def _halved(faces: IntArray, cuts: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Cut the faces at the middle of the half-edges of each pair, vertex n, n + 1, ...; also return
    which faces the added ones, at the end, are halves of.
    """
    middle = np.repeat(n + np.arange(len(cuts)), 2)
    half, first = np.unique(cuts.ravel(), return_index=True)
    middle = middle[first]
    face, side = np.divmod(half, 3)
    second = faces[face]  # a, m, c keeps the place of a, b, c; m, b, c is added
    second[np.arange(len(face)), side] = middle
    faces = faces.copy()
    faces[face, (side + 1) % 3] = middle
    return np.concatenate([faces, second]), face


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
