"""Connectivity of a triangle list: edges, fans, borders, components. Indices only, no coordinates
needed.

Half-edge ``h = 3 f + k`` is side k of face f, from corner k to corner k + 1; corner h is its start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from meshconv._compiled import tell_of_compiling
from meshconv._types import IntArray

EdgeGroups = tuple[IntArray, IntArray, IntArray]
tell_of_compiling()


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
    order = counted_order(high)
    order = order[counted_order(low[order])]
    low, high = low[order], high[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first = np.flatnonzero(new)
    return order, first, np.diff(first, append=len(order))


def counted_order(key: IntArray) -> IntArray:
    """Return the stable order of small whole numbers (K,) in linear time: the transposition of a
    sparse matrix.
    """
    ones, rows = np.ones(len(key), dtype=np.int8), np.arange(len(key) + 1)
    by_key = sparse.csr_array(
        (ones, key, rows), shape=(len(key), int(key.max(initial=0)) + 1)
    ).tocsc()
    return by_key.indices.astype(np.int64)


def joints(faces: IntArray, groups: EdgeGroups | None = None) -> IntArray:
    """Return the pairs of half-edges (J, 2) that lie on an edge of exactly two faces."""
    order, first, size = groups or edge_groups(faces)
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
    h_end, g_end = corner_after(h), corner_after(g)
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


def nonmanifold_vertices(faces: IntArray, pairs: IntArray | None = None) -> IntArray:
    """Return the vertices whose faces are more than one fan, joined across edges of exactly two
    faces (the `joints`, if they are at hand).
    """
    fan = corner_fans(faces, joints(faces) if pairs is None else pairs)
    _, first = np.unique(fan, return_index=True)
    vertex, fans = np.unique(faces.ravel()[first], return_counts=True)
    return vertex[fans > 1]


def boundary_half_edges(faces: IntArray) -> IntArray:
    """Return the directed edges (K, 2) that belong to exactly one face, in the direction of that
    face.
    """
    return half_edges(faces)[boundary_half_edge_ids(edge_groups(faces))]


def face_components(faces: IntArray, groups: EdgeGroups | None = None) -> IntArray:
    """Return the component label of each face (F,), faces joined across shared edges; 0 is the
    largest.
    """
    order, first, size = groups or edge_groups(faces)
    face = order // 3
    inside = np.ones(len(order), dtype=bool)
    inside[first + size - 1] = False  # the last of a group is not linked to the next group
    k = np.flatnonzero(inside)
    return largest_first(components(face[k], face[k + 1], len(faces)))


def largest_first(label: IntArray) -> IntArray:
    """Rename labels (K,) so that 0 is the most frequent one."""
    sizes = np.bincount(label)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[label]


def first_equal_row(rows: NDArray[Any]) -> IntArray:
    """Return, for each row (n,) of float64 or int64, the index of the first row equal to it."""
    plain = np.ascontiguousarray(rows) + rows.dtype.type(0)  # -0.0 becomes 0.0
    first = np.empty(len(rows), dtype=np.int64)
    size = 1 << int(2 * len(rows) + 1).bit_length()
    _first_equal(plain.view(np.int64), np.full(size, -1), first)
    return first


@njit(cache=True)
def _first_equal(rows: IntArray, table: IntArray, first: IntArray) -> None:
    """Look each row up in an open hash table, its size a power of two."""
    mask = len(table) - 1
    for i in range(len(rows)):
        mixed = np.uint64(0)
        for k in range(rows.shape[1]):
            mixed = (mixed ^ np.uint64(rows[i, k])) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        slot = np.int64(mixed & np.uint64(mask))
        while table[slot] >= 0 and not _same(rows, i, table[slot]):
            slot = (slot + 1) & mask
        if table[slot] < 0:
            table[slot] = i
        first[i] = table[slot]


@njit(cache=True)
def _same(rows: IntArray, i: int, j: int) -> bool:
    for k in range(rows.shape[1]):  # noqa: SIM110 (a compiled loop)
        if rows[i, k] != rows[j, k]:
            return False
    return True


def components(rows: IntArray, columns: IntArray, n: int) -> IntArray:
    """Return the component label (n,) of each of n nodes joined by the links rows[k] -
    columns[k].
    """
    graph = sparse.coo_array(
        (np.ones(len(rows)), (rows, columns)), shape=(n, n)
    )  # csgraph would convert others
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def vertex_count(faces: IntArray) -> int:
    """Return the number of the last vertex in a face plus one, at least 1."""
    return int(faces.max()) + 1 if faces.size else 1


def corner_after(h: IntArray) -> IntArray:
    """Return the corner where each half-edge h ends."""
    return np.where(h % 3 == 2, h - 2, h + 1)


def boundary_half_edge_ids(groups: EdgeGroups) -> IntArray:
    """Return the half-edges (K,) that belong to exactly one face, sorted."""
    order, first, size = groups
    return np.sort(order[first[size == 1]])
