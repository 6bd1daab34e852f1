"""How far a vertex is at most and at least: a path along edges, the straight line."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from meshconv._types import FloatArray, IntArray
from meshconv.mesh.connectivity import half_edges, joints
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic_triangulation import IntrinsicTriangulation


class PathBounds:
    """Bounds of the distance from some places to every vertex of one surface.

    Paths run along the edges of the surface, those of its intrinsic Delaunay triangulation, which
    are straight, and straight across two of its triangles: near a place they are exact.

    Parameters
    ----------
    surface : Surface
        V vertices of size one.
    triangles : IntrinsicTriangulation
        Of that surface.
    """

    def __init__(self, surface: Surface, triangles: IntrinsicTriangulation) -> None:
        self._place = surface.vertices
        sides = half_edges(triangles.faces), triangles.lengths[:, [2, 0, 1]].ravel()
        along = surface.vertices[surface.edges]
        own = surface.edges, np.linalg.norm(along[:, 1] - along[:, 0], axis=1)
        parts = [own, sides, _across(triangles)]
        self._graph = _graph(
            np.concatenate([ends for ends, _ in parts]),
            np.concatenate([length for _, length in parts]),
            surface.n_vertices,
        )

    def clip(
        self, distance: FloatArray, starts: IntArray, known: FloatArray, places: FloatArray
    ) -> FloatArray:
        """Return distances (V,) moved between the bounds.

        `starts` (K,) are vertices at the `known` distances (K,) from the `places` (M, 3).
        """
        n, graph = len(self._place), self._graph
        first = np.maximum(known, np.finfo(np.float64).tiny)  # a weight of 0 would be no edge
        from_all = sparse.csr_array(
            (
                np.concatenate([graph.data, first]),
                np.concatenate([graph.indices, starts]),
                np.append(graph.indptr, graph.indptr[-1] + len(starts)),
            ),
            shape=(n + 1, n + 1),
        )
        shortest_paths: Any = csgraph.dijkstra  # scipy-stubs knows only dense matrices here
        longest = shortest_paths(from_all, indices=n)[:n]
        longest[longest <= np.finfo(np.float64).tiny] = 0.0
        shortest = cKDTree(places).query(self._place)[0]
        return np.asarray(np.clip(distance, np.minimum(shortest, longest), longest))


def _graph(ends: IntArray, length: FloatArray, n: int) -> sparse.csr_array:
    """Both directions of each edge, of equal ones the shortest."""
    both, twice = np.concatenate([ends, ends[:, ::-1]]), np.tile(length, 2)
    apart = both[:, 0] != both[:, 1]
    both, twice = both[apart], twice[apart]
    order = np.lexsort((twice, both[:, 1], both[:, 0]))
    both, twice = both[order], twice[order]
    new = np.ones(len(both), dtype=bool)
    new[1:] = (both[1:] != both[:-1]).any(axis=1)
    i, j = both[new].T
    return sparse.csr_array((twice[new], (i, j)), shape=(n, n))


def _across(triangles: IntrinsicTriangulation) -> tuple[IntArray, FloatArray]:
    """The vertices opposite a common side whose straight connection crosses it, and its length."""
    faces, lengths = triangles.faces, triangles.lengths
    corner = faces.ravel()
    f, g = joints(faces).T
    same = (corner[f] != corner[g]) & (corner[f] != corner[_next(f)])
    same &= np.isclose(_side(lengths, f, 2), _side(lengths, g, 2), rtol=1e-9, atol=0.0)
    f, g = f[same], g[same]
    base = _side(lengths, f, 2)
    x, y = _apex(base, _side(lengths, f, 1), _side(lengths, f, 0))
    u, v = _apex(base, _side(lengths, g, 0), _side(lengths, g, 1))
    crossing = x * v + u * y  # where the line meets the side, times y + v
    crosses = (y + v > 0) & (crossing >= 0) & (crossing <= base * (y + v))
    ends = np.column_stack([corner[_next(_next(f))], corner[_next(_next(g))]])
    return ends[crosses], np.hypot(x - u, y + v)[crosses]


def _apex(base: FloatArray, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The corner above a side from (0, 0) to (base, 0), from its distances to the two ends."""
    x = (base**2 + left**2 - right**2) / (2 * base)
    return x, np.sqrt(np.maximum(left**2 - x**2, 0.0))


def _side(lengths: FloatArray, half: IntArray, k: int) -> FloatArray:
    """Of half-edge 3 f + i, the side opposite corner i + k: it itself is 2, the next one 0."""
    face, start = np.divmod(half, 3)
    return np.asarray(lengths[face, (start + k) % 3])


def _next(half: IntArray) -> IntArray:
    return np.where(half % 3 == 2, half - 2, half + 1)
