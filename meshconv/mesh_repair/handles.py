"""Short loops around handles, found by tree and cotree, and cut open.

References
----------
J. Erickson, K. Whittlesey, Greedy optimal homotopy and homology generators, SODA 2005: from one
root, the shortest non-separating loops are a shortest-path tree plus the edges left by a maximal
dual spanning tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh import borders, connectivity

_ROOTS = 12  # roots tried in turn, each on the best loop so far


def handle_loop(unit: FloatArray, faces: IntArray) -> IntArray | None:
    """Return a short simple vertex loop (K,) that does not separate a connected surface; None at
    genus 0.

    The loop keeps off the border wherever it can.
    """
    best, best_length = None, np.inf
    root = int(faces[0, 0])
    tried: set[int] = set()
    while root not in tried and len(tried) < _ROOTS:
        tried.add(root)
        loop = _loop_through(unit, faces, root)
        if loop is None:
            return best
        length = borders.loop_length(unit[loop])
        if length < best_length:
            best, best_length = loop, length
        step = len(best) // 2 if best is not None else 0
        left = [v for v in np.roll(loop if best is None else best, step).tolist() if v not in tried]
        root = left[0] if left else root
    return best


def cut(faces: IntArray, loop: IntArray, n_vertices: int) -> tuple[IntArray, IntArray]:
    """Open the surface along a vertex loop; return the new faces and the old vertex of each
    vertex.
    """
    n = int(faces.max()) + 1
    along = connectivity.edge_keys(np.column_stack([loop, np.roll(loop, -1)]), n)
    pairs = connectivity.joints(faces)
    key = connectivity.edge_keys(connectivity.half_edges(faces)[pairs[:, 0]], n)
    return connectivity.split_fans(faces, pairs[~np.isin(key, along)], n_vertices)


def _loop_through(unit: FloatArray, faces: IntArray, root: int) -> IntArray | None:
    """The shortest loop of the greedy homology basis at `root`."""
    pairs = connectivity.joints(faces)
    half = connectivity.half_edges(faces)[pairs[:, 0]]
    distance, parent = _shortest_paths(unit, faces, root)
    a, b = half.T
    in_tree = (parent[a] == b) | (parent[b] == a)
    through = distance[a] + distance[b] + np.linalg.norm(unit[a] - unit[b], axis=1)
    rest = np.flatnonzero(~in_tree & np.isfinite(through))
    f, g = pairs[rest].T // 3
    left = rest[~_in_dual_tree(faces, f, g, through[rest])]
    if len(left) == 0:
        return None
    for e in left[np.argsort(through[left])]:
        loop = _close(parent, int(a[e]), int(b[e]))
        if len(loop) >= 3:
            return loop
    return None


def _shortest_paths(unit: FloatArray, faces: IntArray, root: int) -> tuple[FloatArray, IntArray]:
    """Distances and parents; edges at a border count 1000 times, so that loops keep off it."""
    edges = connectivity.edges(faces)
    length = np.maximum(
        np.linalg.norm(unit[edges[:, 0]] - unit[edges[:, 1]], axis=1), np.finfo(np.float64).tiny
    )
    border = connectivity.boundary_vertices(faces, len(unit))
    length = np.where(border[edges].any(axis=1), 1000.0 * length, length)
    graph: Any = sparse.coo_array((length, edges.T), shape=(len(unit),) * 2).tocsr()
    shortest: Any = csgraph.dijkstra  # scipy-stubs knows only dense matrices here
    distance, parent = shortest(graph, directed=False, indices=root, return_predecessors=True)
    return distance, parent.astype(np.int64)


def _in_dual_tree(faces: IntArray, f: IntArray, g: IntArray, weight: FloatArray) -> BoolArray:
    """Mask of the links f - g in a maximal spanning tree of the faces, each border being one more
    face.
    """
    border = np.flatnonzero(
        np.isin(np.arange(3 * len(faces)), connectivity.joints(faces), invert=True)
    )
    loops = borders.boundary_loops(faces)
    owner = np.zeros(int(faces.max()) + 1, dtype=np.int64)
    for k, loop in enumerate(loops):
        owner[loop] = len(faces) + k
    n = len(faces) + len(loops)
    outer = np.unique(
        border // 3 * n + owner[faces.ravel()[border]]
    )  # a face may have two sides on one border
    rows, columns = np.concatenate([f, outer // n]), np.concatenate([g, outer % n])
    rank = np.empty(len(rows))
    rank[np.argsort(-np.concatenate([weight, np.zeros(len(outer))]), kind="stable")] = np.arange(
        1, len(rows) + 1
    )
    tree = csgraph.minimum_spanning_tree(
        sparse.coo_array((rank, (rows, columns)), shape=(n, n)).tocsr()
    )
    return np.asarray(np.isin(rank[: len(f)], tree.data))


def _close(parent: IntArray, a: int, b: int) -> IntArray:
    """The loop of edge ab and the tree paths from a and b to where they meet."""
    up, seen = [a], {a: 0}
    while parent[up[-1]] >= 0:
        up.append(int(parent[up[-1]]))
        seen[up[-1]] = len(up) - 1
    down = [b]
    while down[-1] not in seen:
        down.append(int(parent[down[-1]]))
    return np.array(up[: seen[down[-1]]] + down[::-1], dtype=np.int64)
