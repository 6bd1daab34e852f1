"""Connectivity of a triangle list: edges, borders, components. Indices only, no coordinates needed."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from meshconv._check import FloatArray, IntArray


def half_edges(faces: IntArray) -> IntArray:
    """Return the directed edges (3F, 2): sides 01, 12, 20 of face 0, then of face 1, and so on."""
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def edges(faces: IntArray) -> IntArray:
    """Return every undirected edge once, (E, 2) int64, smaller index first, sorted by both columns."""
    pairs = np.sort(half_edges(faces), axis=1)
    n = int(faces.max()) + 1
    key = np.unique(pairs[:, 0] * n + pairs[:, 1])
    return np.column_stack(np.divmod(key, n))


def boundary_half_edges(faces: IntArray) -> IntArray:
    """Return the directed edges (K, 2) that belong to exactly one face, in the direction of that face."""
    directed = half_edges(faces)
    n = int(faces.max()) + 1
    low, high = directed.min(axis=1), directed.max(axis=1)
    _, first, count = np.unique(low * n + high, return_index=True, return_counts=True)
    return directed[first[count == 1]]


def boundary_loops(faces: IntArray, vertices: FloatArray | None = None) -> list[IntArray]:
    """Return the closed borders as vertex cycles in face orientation, longest first.

    Length is geometric when `vertices` (V, 3) is given, else the number of edges. Each loop starts at its
    smallest index. At a vertex where several borders meet, the walk turns inside one fan of faces, so that
    touching holes come out as separate simple loops where possible.
    """
    border = boundary_half_edges(faces)
    if len(border) == 0:
        return []
    follow = _next_border_edge(faces, border)
    _, label = csgraph.connected_components(
        sparse.coo_array((np.ones(len(follow)), (np.arange(len(follow)), follow))), directed=True, connection="weak"
    )
    loops = [_walk(border, follow, start) for start in np.unique(label, return_index=True)[1]]
    if vertices is None:
        size = [float(len(loop)) for loop in loops]
    else:
        size = [float(np.linalg.norm(np.diff(vertices[[*loop, loop[0]]], axis=0), axis=1).sum()) for loop in loops]
    order = np.argsort(-np.asarray(size), kind="stable")
    return [loops[k] for k in order]


def _next_border_edge(faces: IntArray, border: IntArray) -> IntArray:
    """For each border edge, the index of the one that follows it."""
    order = np.argsort(border[:, 0], kind="stable")
    starts = border[order, 0]
    first = np.searchsorted(starts, border[:, 1], side="left")
    last = np.searchsorted(starts, border[:, 1], side="right")
    follow = order[np.minimum(first, len(order) - 1)]
    several = np.flatnonzero(last - first != 1)
    if len(several):
        _resolve_touching(faces, border, order, first, last, several, follow)
    return follow


def _resolve_touching(
    faces: IntArray,
    border: IntArray,
    order: IntArray,
    first: IntArray,
    last: IntArray,
    several: IntArray,
    follow: IntArray,
) -> None:
    """Where borders touch at a vertex, pair incoming with outgoing by turning through the fan of faces."""
    directed = half_edges(faces)
    n = int(faces.max()) + 1
    position = {int(a * n + b): k for k, (a, b) in enumerate(directed)}
    outgoing = {(int(border[k, 0]), int(border[k, 1])): int(k) for k in order}
    used: set[int] = set()
    for k in several:
        a, v = map(int, border[k])
        candidates = [int(order[j]) for j in range(first[k], last[k])]
        target = _turn(faces, position, n, a, v)
        chosen = outgoing.get((v, target), -1) if target is not None else -1
        if chosen < 0 or chosen in used:
            free = [c for c in candidates if c not in used]
            chosen = free[0] if free else int(k)  # inconsistent winding: close the walk on itself
        used.add(chosen)
        follow[k] = chosen


def _turn(faces: IntArray, position: dict[int, int], n: int, a: int, v: int) -> int | None:
    """Start at border edge a->v, turn around v through its faces, return the far end of the exit edge."""
    for _ in range(len(position)):
        k = position.get(a * n + v)
        if k is None:
            return a
        face, side = divmod(k, 3)
        a = int(faces[face, (side + 2) % 3])
        if position.get(a * n + v) is None:
            return a
    return None


def _walk(border: IntArray, follow: IntArray, start: int) -> IntArray:
    cycle, k, seen = [], int(start), set()
    while k not in seen:
        seen.add(k)
        cycle.append(int(border[k, 0]))
        k = int(follow[k])
    loop = np.asarray(cycle, dtype=np.int64)
    return np.roll(loop, -int(loop.argmin()))


def face_components(faces: IntArray) -> IntArray:
    """Return the component label of each face (F,), faces joined across shared edges; 0 is the largest."""
    count = len(faces)
    directed = np.sort(half_edges(faces), axis=1)
    n = int(faces.max()) + 1
    _, edge_of = np.unique(directed[:, 0] * n + directed[:, 1], return_inverse=True)
    face_of = np.repeat(np.arange(count), 3)
    incidence = sparse.coo_array((np.ones(3 * count), (face_of, count + edge_of)), shape=(count + edge_of.max() + 1,) * 2)
    _, label = csgraph.connected_components(incidence, directed=False)
    label = label[:count]
    values, index, sizes = np.unique(label, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(values))
    return rank[index]
