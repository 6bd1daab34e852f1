"""Short loops around handles, found by tree and cotree, and cut open.

References
----------
J. Erickson, K. Whittlesey, Greedy optimal homotopy and homology generators, SODA 2005: from one
root, the shortest non-separating loops are a shortest-path tree plus the edges left by a maximal
dual spanning tree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh import borders, connectivity
from meshconv.mesh.topology import Topology

_ROOTS = 2  # roots tried in turn, each on the shortest loop so far
_LONG = 1.5  # loops up to so many times as long as the shortest are cut together with it


def handle_loops(unit: FloatArray, faces: IntArray) -> list[IntArray]:
    """Return short simple vertex loops (K,) that share no vertex and together do not separate a
    connected surface; none at genus 0.

    They are taken from one homology basis, so no sum of them bounds. Loops at the border are left
    out; they keep off it wherever they can.
    """
    topology = Topology(unit, faces)
    root, shortest = int(faces[0, 0]), np.inf
    best: list[IntArray] = []
    out: list[IntArray] = []
    for _ in range(_ROOTS):
        loops = _basis(topology, root)
        if not loops:
            return []
        length = [borders.loop_length(unit[loop]) for loop in loops]
        order = np.argsort(length, kind="stable")
        if length[order[0]] < shortest:
            shortest, best = length[order[0]], [loops[k] for k in order]
            limit = int((np.array(length) <= _LONG * shortest).sum())
        root = int(best[0][len(best[0]) // 2])
    taken = on_border(topology)
    for k, loop in enumerate(best):
        if (k < limit or not out) and not taken[loop].any():
            taken[loop] = True
            out.append(loop)
    return out


def cut_along(faces: IntArray, loops: list[IntArray], n_vertices: int) -> tuple[IntArray, IntArray]:
    """Open the surface along vertex loops; return the new faces and the old vertex of each
    vertex.
    """
    edges = np.concatenate([np.column_stack([loop, np.roll(loop, -1)]) for loop in loops])
    return cut_edges(faces, edges, n_vertices)


def cut_edges(faces: IntArray, edges: IntArray, n_vertices: int) -> tuple[IntArray, IntArray]:
    """Open the surface along edges (K, 2); return the new faces and the old vertex of each
    vertex.
    """
    n = int(faces.max()) + 1
    pairs = connectivity.joints(faces)
    key = connectivity.edge_keys(connectivity.half_edges(faces)[pairs[:, 0]], n)
    along = np.isin(key, connectivity.edge_keys(edges, n))
    return connectivity.split_fans(faces, pairs[~along], n_vertices)


def _basis(topology: Topology, root: int) -> list[IntArray]:
    """The loops of a homology basis: each an edge and the shortest paths from the root to its ends,
    without what these have in common.
    """
    tree = tree_and_rest(topology, root)
    loops = [_close(tree.parent, a, b) for a, b in tree.rest.tolist()]
    return [loop for loop in loops if len(loop) >= 3]


class Tree(NamedTuple):
    """Shortest paths from a root, and the edges that neither they nor the dual tree use."""

    distance: FloatArray
    parent: IntArray
    rest: IntArray
    """(2 g, 2): cut along these and their paths to the root the surface is a disk, its borders
    filled.
    """


def tree_and_rest(topology: Topology, root: int, *, along_border: bool = False) -> Tree:
    """Return the tree of shortest paths and what a maximal dual spanning tree leaves.

    The paths keep off the border, or run `along_border` for nothing: then all edges but one of each
    border are in the tree, and the surface hangs together without the face that fills it.
    """
    place, faces, pairs = topology.vertices, topology.faces, topology.joints
    a, b = connectivity.half_edges(faces)[pairs[:, 0]].T
    distance, parent = _shortest_paths(topology, root, along_border)
    in_tree = (parent[a] == b) | (parent[b] == a)
    through = distance[a] + distance[b] + np.linalg.norm(place[a] - place[b], axis=1)
    rest = np.flatnonzero(~in_tree & np.isfinite(through))
    f, g = pairs[rest].T // 3
    left = rest[~_in_dual_tree(topology, f, g, through[rest])]
    return Tree(distance, parent, np.column_stack([a[left], b[left]]))


def on_border(topology: Topology) -> BoolArray:
    """Return a mask (V,) of the vertices on a border."""
    mask = np.zeros(len(topology.vertices), dtype=bool)
    for loop in topology.boundary_loops:
        mask[loop] = True
    return mask


def _shortest_paths(
    topology: Topology, root: int, along_border: bool
) -> tuple[FloatArray, IntArray]:
    """Distances and parents; edges at a border count 1000 times, or those on it next to nothing."""
    place, edges = topology.vertices, topology.edges
    length = np.linalg.norm(place[edges[:, 0]] - place[edges[:, 1]], axis=1)
    length = np.maximum(length, np.finfo(np.float64).tiny)
    if along_border:
        length = np.where(topology.groups[2] == 1, 1e-9 * length.mean(), length)
    else:
        length = np.where(on_border(topology)[edges].any(axis=1), 1000.0 * length, length)
    graph: Any = sparse.coo_array((length, edges.T), shape=(len(place),) * 2).tocsr()
    shortest: Any = csgraph.dijkstra  # scipy-stubs knows only dense matrices here
    distance, parent = shortest(graph, directed=False, indices=root, return_predecessors=True)
    return distance, parent.astype(np.int64)


def _in_dual_tree(topology: Topology, f: IntArray, g: IntArray, weight: FloatArray) -> BoolArray:
    """Mask of the links f - g in a maximal spanning tree of the faces, each border being one more
    face.
    """
    faces, loops = topology.faces, topology.boundary_loops
    border = connectivity.boundary_half_edge_ids(topology.groups)
    owner = np.zeros(len(topology.vertices), dtype=np.int64)
    for k, loop in enumerate(loops):
        owner[loop] = len(faces) + k
    n = len(faces) + len(loops)
    outer = np.unique(
        border // 3 * n + owner[faces.ravel()[border]]
    )  # a face may have two sides on one border
    rows, columns = np.concatenate([f, outer // n]), np.concatenate([g, outer % n])
    rank = np.empty(len(rows))
    order = np.argsort(-np.concatenate([weight, np.zeros(len(outer))]), kind="stable")
    rank[order] = np.arange(1, len(rows) + 1)
    graph = sparse.coo_array((rank, (rows, columns)), shape=(n, n)).tocsr()
    chosen = np.zeros(len(rows) + 1, dtype=bool)
    chosen[csgraph.minimum_spanning_tree(graph).data.astype(np.int64)] = True
    return np.asarray(chosen[rank[: len(f)].astype(np.int64)])


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
