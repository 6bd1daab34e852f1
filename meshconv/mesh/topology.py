"""Connectivity of a triangle list: edges, fans, borders, components. Indices only, no coordinates
needed.

Half-edge ``h = 3 f + k`` is side k of face f, from corner k to corner k + 1; corner h is its start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from meshconv._check import BoolArray, FloatArray, IntArray

EdgeGroups = tuple[IntArray, IntArray, IntArray]


def half_edges(faces: IntArray) -> IntArray:
    """Return the directed edges (3F, 2): sides 01, 12, 20 of face 0, then of face 1, and so on."""
    return faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def edge_keys(pairs: IntArray, n_vertices: int) -> IntArray:
    """Return one integer per undirected edge (K,), the same for both directions; decode with
    `divmod`.
    """
    a, b = pairs[:, 0], pairs[:, 1]  # a reduction over an axis of length 2 is ten times slower
    return np.minimum(a, b) * n_vertices + np.maximum(a, b)


def edges(faces: IntArray) -> IntArray:
    """Return every undirected edge once, (E, 2) int64, smaller index first, sorted by both
    columns.
    """
    return edge_uses(faces)[0]


def edge_uses(faces: IntArray) -> tuple[IntArray, IntArray]:
    """Return the undirected edges (E, 2) as `edges` does, and how many faces use each (E,)."""
    order, first, size = edge_groups(faces)
    return np.sort(half_edges(faces)[order[first]], axis=1), size


def edge_groups(faces: IntArray) -> EdgeGroups:
    """Return the half-edges sorted by undirected edge (3F,), and first position and size per edge
    (E,).
    """
    start, end = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = _counted_order(high)
    order = order[_counted_order(low[order])]
    low, high = low[order], high[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first = np.flatnonzero(new)
    return order, first, np.diff(first, append=len(order))


def _counted_order(key: IntArray) -> IntArray:
    """Return the stable order of small whole numbers (K,) in linear time: the transposition of a
    sparse matrix.
    """
    ones, rows = np.ones(len(key), dtype=np.int8), np.arange(len(key) + 1)
    by_key = sparse.csr_array(
        (ones, key, rows), shape=(len(key), int(key.max(initial=0)) + 1)
    ).tocsc()
    return by_key.indices.astype(np.int64)


def joints(faces: IntArray) -> IntArray:
    """Return the pairs of half-edges (J, 2) that lie on an edge of exactly two faces."""
    order, first, size = edge_groups(faces)
    start = first[size == 2]
    return np.column_stack([order[start], order[start + 1]])


def corner_fans(faces: IntArray, pairs: IntArray) -> IntArray:
    """Return the fan label of each corner (3F,): corners at one vertex, joined across the half-edge
    `pairs`.

    A vertex is manifold when all its corners are one fan. Labels increase with each fan's first
    corner.
    """
    corner = faces.ravel()
    h, g = pairs.T
    h_end, g_end = _next(h), _next(g)
    opposite = corner[h] == corner[g_end]
    rows = np.concatenate([h, h_end])
    columns = np.concatenate([np.where(opposite, g_end, g), np.where(opposite, g, g_end)])
    return components(rows, columns, len(corner))


def split_fans(faces: IntArray, pairs: IntArray, n_vertices: int) -> tuple[IntArray, IntArray]:
    """Give each fan a vertex of its own; return the new faces (F, 3) and the old vertex of each
    vertex.

    The first fan of a vertex keeps its index; the others get new indices from `n_vertices` on.
    """
    fan = corner_fans(faces, pairs)
    _, first = np.unique(fan, return_index=True)
    vertex = faces.ravel()[first]
    _, keeper = np.unique(vertex, return_index=True)
    extra = np.ones(len(vertex), dtype=bool)
    extra[keeper] = False
    name = vertex.copy()
    name[extra] = n_vertices + np.arange(int(extra.sum()))
    return name[fan].reshape(-1, 3), np.concatenate([np.arange(n_vertices), vertex[extra]])


def nonmanifold_vertices(faces: IntArray) -> IntArray:
    """Return the vertices whose faces are more than one fan, joined across edges of exactly two
    faces.
    """
    fan = corner_fans(faces, joints(faces))
    _, first = np.unique(fan, return_index=True)
    vertex, fans = np.unique(faces.ravel()[first], return_counts=True)
    return vertex[fans > 1]


def used_vertices(faces: IntArray) -> IntArray:
    """Return the vertices that faces use, sorted."""
    return np.flatnonzero(np.bincount(faces.ravel()))


def boundary_half_edges(faces: IntArray) -> IntArray:
    """Return the directed edges (K, 2) that belong to exactly one face, in the direction of that
    face.
    """
    return half_edges(faces)[boundary_half_edge_ids(edge_groups(faces))]


def boundary_vertices(faces: IntArray, n_vertices: int) -> BoolArray:
    """Return a mask (V,) of the vertices on an edge with one face only."""
    mask = np.zeros(n_vertices, dtype=bool)
    mask[boundary_half_edges(faces)] = True
    return mask


def boundary_loops(
    faces: IntArray, vertices: FloatArray | None = None, groups: EdgeGroups | None = None
) -> list[IntArray]:
    """Return the closed borders as vertex cycles in face orientation, longest first.

    Length is geometric when `vertices` (V, 3) is given, else the number of edges. Each loop starts
    at its smallest index. Where borders meet in a vertex, a walk stays inside one fan of faces and
    is split where it passes a vertex again, so touching holes and touching sheets come out as
    simple loops. With mixed winding a loop runs in the direction of the face it starts from; where
    a border ends in an edge of three faces, the chain is returned as it is. `groups` are the
    `edge_groups` of the faces, if they are at hand.
    """
    border = boundary_half_edge_ids(groups or edge_groups(faces))
    if len(border) == 0:
        return []
    loops = _walk(half_edges(faces)[border], _border_partners(faces, border))
    if vertices is None:
        size = [float(len(loop)) for loop in loops]
    else:
        size = [loop_length(vertices[loop]) for loop in loops]
    order = np.argsort(-np.asarray(size), kind="stable")
    return [loops[k] for k in order]


def loop_length(points: FloatArray) -> float:
    """Return the length of the closed polygon through points (K, 3)."""
    return float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum())


def face_components(faces: IntArray) -> IntArray:
    """Return the component label of each face (F,), faces joined across shared edges; 0 is the
    largest.
    """
    order, first, size = edge_groups(faces)
    face = order // 3
    inside = np.ones(len(order), dtype=bool)
    inside[first + size - 1] = False  # the last of a group is not linked to the next group
    k = np.flatnonzero(inside)
    return _largest_first(components(face[k], face[k + 1], len(faces)))


def touching_components(faces: IntArray) -> IntArray:
    """Return the component label of each face (F,), faces joined across shared vertices; 0 is the
    largest.
    """
    a, b, c = faces.T
    label = components(np.concatenate([a, b]), np.concatenate([b, c]), _count(faces))
    return _largest_first(np.unique(label[a], return_inverse=True)[1])


def _largest_first(label: IntArray) -> IntArray:
    sizes = np.bincount(label)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[label]


def first_equal_row(rows: NDArray[Any]) -> IntArray:
    """Return, for each row (n,), the index of the first row equal to it."""
    order = np.lexsort(rows.T[::-1])  # stable: the first of a run has the lowest index
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[order[1:]] != rows[order[:-1]]).any(axis=1)
    first = np.empty(len(rows), dtype=np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first


def components(rows: IntArray, columns: IntArray, n: int) -> IntArray:
    """Return the component label (n,) of each of n nodes joined by the links rows[k] -
    columns[k].
    """
    graph = sparse.coo_array(
        (np.ones(len(rows)), (rows, columns)), shape=(n, n)
    )  # csgraph would convert others
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def _count(faces: IntArray) -> int:
    return int(faces.max()) + 1 if faces.size else 1


def _next(h: IntArray) -> IntArray:
    """The corner where half-edge h ends."""
    return np.where(h % 3 == 2, h - 2, h + 1)


def boundary_half_edge_ids(groups: EdgeGroups) -> IntArray:
    """Return the half-edges (K,) that belong to exactly one face, sorted."""
    order, first, size = groups
    return np.sort(order[first[size == 1]])


def _border_partners(faces: IntArray, border: IntArray) -> IntArray:
    """For each end of each border edge (2k = start, 2k + 1 = end), the end it meets (2K,), or -1.

    Ends in one fan meet; ends left over at a vertex (its fan stops at an edge of three faces) meet
    in pairs.
    """
    ends = np.column_stack([border, _next(border)]).ravel()
    vertex = faces.ravel()[ends]
    partner = np.full(len(ends), -1)
    crossing = np.bincount(vertex, minlength=_count(faces)) > 2  # elsewhere two ends have no choice
    if crossing.any():
        near = np.flatnonzero(crossing[faces].any(axis=1))
        fan = corner_fans(faces[near], joints(faces[near]))
        row = np.zeros(len(faces), dtype=np.int64)
        row[near] = np.arange(len(near))
        here = np.flatnonzero(crossing[vertex])
        _pair_equal(fan[3 * row[ends[here] // 3] + ends[here] % 3], here, partner)
    left = np.flatnonzero(partner < 0)
    _pair_equal(vertex[left], left, partner)
    return partner


def _pair_equal(key: IntArray, items: IntArray, partner: IntArray) -> None:
    """Pair the 1st with the 2nd, the 3rd with the 4th ... of the items with equal key."""
    order = np.argsort(key, kind="stable")
    key, items = key[order], items[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    rank = np.arange(len(key)) - np.repeat(first, np.diff(first, append=len(key)))
    k = np.flatnonzero((rank[:-1] % 2 == 0) & (key[:-1] == key[1:]))
    partner[items[k]], partner[items[k + 1]] = items[k + 1], items[k]


def _walk(border: IntArray, partner: IntArray) -> list[IntArray]:
    """Follow the partners around, open chains first; one pass over the border edges."""
    ends, meets = border.ravel().tolist(), partner.tolist()
    done = [False] * len(border)
    loops: list[IntArray] = []
    for start in [*np.flatnonzero(partner < 0).tolist(), *range(0, len(ends), 2)]:
        end, chain = start, []
        while end >= 0 and not done[end // 2]:
            done[end // 2] = True
            chain.append(ends[end])
            last = end ^ 1
            end = meets[last]
        if chain:
            loops += _simple_cycles(chain if end >= 0 else [*chain, ends[last]], closed=end >= 0)
    return loops


def _simple_cycles(chain: list[int], *, closed: bool) -> list[IntArray]:
    """Split a walk at each vertex that it passes again; a cycle starts at its smallest vertex."""
    cycles: list[list[int]] = []
    path: list[int] = []
    place: dict[int, int] = {}
    for v in chain:
        if v in place:
            cycles.append(path[place[v] :])
            for w in path[place[v] + 1 :]:
                del place[w]
            del path[place[v] + 1 :]
        else:
            place[v] = len(path)
            path.append(v)
    arrays = [np.asarray(cycle, dtype=np.int64) for cycle in cycles]
    if closed:
        arrays.append(np.asarray(path, dtype=np.int64))
    arrays = [np.roll(cycle, -int(cycle.argmin())) for cycle in arrays]
    if not closed and len(path) > 1:
        arrays.append(np.asarray(path, dtype=np.int64))
    return arrays
