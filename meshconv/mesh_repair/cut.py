"""`cut`: open a surface along short seams until it is a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, field_array
from meshconv.errors import TopologyError
from meshconv.io.convert import as_surface
from meshconv.mesh.connectivity import edge_keys, half_edges
from meshconv.mesh.surface import Surface
from meshconv.mesh.topology import Topology
from meshconv.mesh_repair.handles import Tree, cut_edges, tree_and_rest

_ROOTS = 4  # places from which a cut is tried


@dataclass(frozen=True, eq=False)
class Cut:
    """A surface cut open to a disk. Its faces are those of the input, in the same order."""

    surface: Surface
    vertex_origin: IntArray
    """(V',) index in the input of each vertex; those on a seam come twice or more often."""
    seams: IntArray
    """(K, 2) edges of the input along which it was cut."""

    def moved(self, field: ArrayLike) -> FloatArray:
        """Carry a vertex field (V, ...) of the input to the cut surface, (V', ...) float64."""
        n = int(self.vertex_origin.max()) + 1
        return field_array(field, n, "field")[self.vertex_origin]


def cut(surface: Any) -> Cut:
    """Return the surface cut open to a disk, along short paths.

    A body without handles is cut along the shortest path between two vertices far apart; handles
    are opened by two loops each, and all borders are joined by paths. No vertex is moved; a disk
    comes back as it is.

    Parameters
    ----------
    surface : Surface, path, (vertices, faces) or a mesh of trimesh, PyVista or torch-geometric
        One connected, manifold, oriented component, with or without borders, of any genus.

    Returns
    -------
    cut : Cut

    Raises
    ------
    TopologyError
        If the surface is not manifold, oriented and connected.

    References
    ----------
    J. Erickson, S. Har-Peled, Optimally cutting a surface into a disk, SoCG 2002 (tree and cotree).
    doi:10.1145/513400.513430

    Examples
    --------
    >>> from meshconv.mesh.shapes import torus
    >>> opened = cut(torus())
    >>> opened.surface.euler_characteristic, len(opened.surface.boundary_loops)
    (1, 1)
    """
    surface = as_surface(surface)
    topology = _unit_topology(surface)
    loops = topology.boundary_loops
    genus = (2 - topology.euler_characteristic - len(loops)) // 2
    if genus == 0 and len(loops) == 1:
        none = np.empty((0, 2), dtype=np.int64)
        return Cut(surface, np.arange(surface.n_vertices), none)
    seams = _shortest(topology, _seams(topology, genus))
    faces, old = cut_edges(surface.faces, seams, surface.n_vertices)
    return Cut(Surface(surface.vertices[old], faces), old, seams)


def _unit_topology(surface: Surface) -> Topology:
    """The topology with vertices of size one, which can be squared."""
    if not surface.topology.is_sheet:
        raise TopologyError(
            "cut needs one connected, manifold surface whose faces agree on the outside",
            hint="meshconv.repair makes one; meshconv.check says what is wrong",
        )
    size = float(np.abs(surface.vertices).max()) or 1.0
    return Topology(surface.vertices / size, surface.faces)


def _seams(topology: Topology, genus: int) -> list[IntArray]:
    """Edges (K, 2) to cut, from several roots."""
    loops = topology.boundary_loops
    root = int(loops[0][0]) if loops else 0
    out = []
    for _ in range(_ROOTS):
        tree = tree_and_rest(topology, root, along_border=True)
        if genus == 0 and not loops:
            root = int(np.argmax(tree.distance))
            out = [_paths(tree, [root])]  # the last root was as far from here as any
            continue
        ends = [*tree.rest.ravel().tolist(), *(int(loop[0]) for loop in loops)]
        out.append(_without_ends(np.concatenate([_paths(tree, ends), tree.rest]), topology))
        root = int(tree.rest[np.argmin(tree.distance[tree.rest].sum(axis=1)), 0]) if genus else root
        if loops or not genus:
            break
    return out


def _paths(tree: Tree, ends: list[int]) -> IntArray:
    """The edges (K, 2) on the paths from the root to the ends, each once."""
    seen: set[int] = set()
    for end in ends:
        v = end
        while v not in seen and tree.parent[v] >= 0:
            seen.add(v)
            v = int(tree.parent[v])
    steps = np.array(sorted(seen), dtype=np.int64)
    return np.column_stack([steps, tree.parent[steps]])


def _without_ends(seams: IntArray, topology: Topology) -> IntArray:
    """Take off what leads nowhere: edges to a vertex in no other seam and on no border."""
    fixed = np.zeros(len(topology.vertices), dtype=np.int64)
    for loop in topology.boundary_loops:
        fixed[loop] = 2
    while True:
        uses = np.bincount(seams.ravel(), minlength=len(fixed)) + fixed
        loose = (uses[seams] == 1).any(axis=1)
        if not loose.any():
            return seams
        seams = seams[~loose]


def _shortest(topology: Topology, choices: list[IntArray]) -> IntArray:
    """The choice of least length, without edges of a border, which are open already."""
    place, n = topology.vertices, len(topology.vertices)
    length = [float(np.linalg.norm(np.diff(place[c], axis=1), axis=2).sum()) for c in choices]
    best = choices[int(np.argmin(length))]
    inner = edge_keys(half_edges(topology.faces)[topology.joints[:, 0]], n)
    return best[np.isin(edge_keys(best, n), inner)]
