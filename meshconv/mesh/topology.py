"""`Topology`: how the faces of one surface hang together, each part found once, on first use."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.mesh import connectivity
from meshconv.mesh.borders import boundary_loops, loop_length
from meshconv.mesh.connectivity import EdgeGroups
from meshconv.mesh.stars import Stars, border_walks, stars
from meshconv.mesh.winding import Winding, winding


class Topology:
    """Edges, borders, components and windings of a triangle mesh.

    Where the mesh is `coherent` all of it is read off one compiled pass; the edges are grouped only
    where it is not, and once.

    Parameters
    ----------
    vertices : (V, 3) float64
        Only for the length of borders.
    faces : (F, 3) int64
    """

    def __init__(self, vertices: FloatArray, faces: IntArray) -> None:
        self.vertices, self.faces = vertices, faces

    def moved(self, vertices: FloatArray) -> Topology:
        """Return that of the same faces, their vertices moved, without looking at them again."""
        topology = Topology(vertices, self.faces)
        topology.__dict__["_stars"] = self._stars
        return topology

    @property
    def coherent(self) -> bool:
        """Every vertex in a face has one fan of faces, and neighbours agree on the outside."""
        return self._stars.coherent

    @cached_property
    def is_sheet(self) -> bool:
        """Coherent, connected, and without vertices in no face."""
        return self.coherent and not self._stars.component.any()

    @property
    def is_manifold(self) -> bool:
        """Every edge has one or two faces, and every vertex one fan."""
        if self.coherent:
            return True
        return len(self.nonmanifold_edges) == 0 and len(self.nonmanifold_vertices) == 0

    @cached_property
    def used(self) -> BoolArray:
        """Which vertices lie in a face, (V,)."""
        return self._stars.component >= 0

    @cached_property
    def n_edges(self) -> int:
        """Number of undirected edges."""
        if self.coherent:
            return (3 * len(self.faces) + int((self._stars.following >= 0).sum())) // 2
        return len(self.groups[1])

    @cached_property
    def euler_characteristic(self) -> int:
        """V - E + F, vertices in no face left out."""
        return int(self.used.sum()) - self.n_edges + len(self.faces)

    @cached_property
    def boundary_loops(self) -> tuple[IntArray, ...]:
        """Vertices of each border in face orientation, each from its smallest, the longest first.

        What a border is where it is not simple: see `borders.boundary_loops`.
        """
        if not self.coherent:
            loops = boundary_loops(self.faces, self.vertices, self.groups)
        else:
            loops = border_walks(self._stars.following)
            length = [-loop_length(self.vertices[loop]) for loop in loops]
            loops = [loops[k] for k in np.argsort(length, kind="stable")]
        for loop in loops:
            loop.setflags(write=False)
        return tuple(loops)

    @property
    def repair_call(self) -> str:
        """The call of `meshconv.repair` that keeps a sphere a sphere and a disk a disk."""
        kind = (self.euler_characteristic, len(self.boundary_loops))
        whole = self.is_manifold and not (self.component > 0).any()
        target = {(2, 0): "sphere", (1, 1): "disk"}.get(kind) if whole else None
        return f"meshconv.repair(surface{f', target={target!r}' if target else ''})"

    @cached_property
    def component(self) -> IntArray:
        """Label (V,) of the component of each vertex, parts that share vertices; 0 has the most
        faces, -1 is no component.
        """
        found, used = self._stars.component, self.used
        if not found.any():
            return found
        sizes = np.bincount(found[self.faces[:, 0]])
        rank = np.empty(len(sizes) + 1, dtype=np.int64)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
        return np.where(used, rank[found], -1)

    @cached_property
    def component_euler(self) -> IntArray:
        """V - E + F of each component, (C,)."""
        faces = np.bincount(self.face_component)
        vertices = np.bincount(self.component[self.used], minlength=len(faces))
        if self.coherent:
            border = np.bincount(self.component[self._stars.following >= 0], minlength=len(faces))
            return vertices - (3 * faces + border) // 2 + faces
        edges = np.bincount(self.component[self.edges[:, 0]], minlength=len(faces))
        return vertices - edges + faces

    @property
    def face_component(self) -> IntArray:
        """Label (F,) of the component of each face."""
        return self.component[self.faces[:, 0]]

    @cached_property
    def sheet(self) -> IntArray:
        """Label (F,) of the parts that share edges; 0 is the largest."""
        return (
            self.face_component
            if self.coherent
            else connectivity.face_components(self.faces, self.groups)
        )

    @cached_property
    def groups(self) -> EdgeGroups:
        """The half-edges sorted by edge: see `connectivity.edge_groups`."""
        return connectivity.edge_groups(self.faces)

    @cached_property
    def edges(self) -> IntArray:
        """Every undirected edge once, (E, 2) int64, smaller index first, sorted."""
        order, first, _ = self.groups
        return np.sort(connectivity.half_edges(self.faces)[order[first]], axis=1)

    @cached_property
    def joints(self) -> IntArray:
        """The pairs of half-edges (J, 2) on an edge of exactly two faces."""
        return connectivity.joints(self.faces, self.groups)

    @cached_property
    def nonmanifold_edges(self) -> IntArray:
        """(K, 2) edges of three or more faces."""
        if self.coherent:
            return np.empty((0, 2), dtype=np.int64)
        return self.edges[self.groups[2] > 2]

    @cached_property
    def nonmanifold_vertices(self) -> IntArray:
        """(K,) vertices where more than one fan of faces meets, away from or at such edges."""
        if self.coherent:
            return np.empty(0, dtype=np.int64)
        return connectivity.nonmanifold_vertices(self.faces, self.joints)

    @cached_property
    def winding(self) -> Winding:
        """Which faces disagree with their neighbours, and whether any choice can agree."""
        if self.coherent:
            none = np.zeros(len(self.faces), dtype=bool)
            return Winding(none, none, self.sheet)
        return winding(self.faces, self.joints)

    @cached_property
    def closed(self) -> BoolArray:
        """Which parts of `winding` have two faces at every edge."""
        part = self.winding.part
        if self.coherent:
            open_part = part[self._border_faces]
        else:
            order, _, size = self.groups
            open_part = part[order[np.repeat(size != 2, size)] // 3]
        out = np.ones(int(part.max(initial=-1)) + 1, dtype=bool)
        out[open_part] = False
        return out

    @property
    def _border_faces(self) -> BoolArray:
        border = self._stars.following >= 0
        return np.asarray(border[self.faces].any(axis=1))

    @cached_property
    def _stars(self) -> Stars:
        return stars(self.faces, len(self.vertices))
