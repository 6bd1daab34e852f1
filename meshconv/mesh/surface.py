"""The `Surface`: vertices and triangles, checked once, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from meshconv._check import faces_array, vertices_array
from meshconv._types import FloatArray, IntArray
from meshconv.mesh.areas import area_vectors
from meshconv.mesh.sketch import card, drawing

if TYPE_CHECKING:
    import pyvista
    import trimesh

    from meshconv.mesh.topology import Topology


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh in space. Vertex and face order are the caller's and are never changed.

    Parameters
    ----------
    vertices : (V, 3) array_like
        Positions, any real dtype, any unit of length; kept as read-only float64.
    faces : (F, 3) array_like
        Vertex indices from 0, counter-clockwise seen from outside; kept as read-only int64.

    Raises
    ------
    ArrayTypeError
        If an array has the wrong shape or dtype.
    NonFiniteError, IndexOutOfRangeError, DegenerateError, EmptyMeshError, NoFacesError
        If a vertex is NaN or infinite, an index does not exist, a face repeats an index, or nothing
        is there.

    Notes
    -----
    Unreferenced vertices, several components, holes, non-manifold edges and mixed winding are all
    allowed here; `meshconv.check` reports them and `meshconv.repair` mends them. Fields on a
    surface are plain arrays passed beside it. Derived quantities are computed once, on first use.

    Examples
    --------
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> square.n_vertices, square.n_faces, square.euler_characteristic, float(square.area)
    (4, 2, 1, 1.0)
    """

    vertices: FloatArray
    faces: IntArray

    def __post_init__(self) -> None:
        vertices = vertices_array(self.vertices)
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces_array(self.faces, len(vertices)))

    def __repr__(self) -> str:
        return f"Surface({self.n_vertices} vertices, {self.n_faces} faces)"

    def _repr_html_(self) -> str:
        """Counts, what `check` would look into, and a small picture: for notebooks."""
        shape = self.topology
        pieces = int(shape.component.max(initial=-1)) + 1
        flaws = {
            "several components": pieces > 1,
            "not manifold": not shape.is_manifold,
            "mixed winding": shape.is_manifold and not shape.coherent,
            "vertices in no face": not shape.used.all(),
            "faces without area": bool((self.face_areas == 0).any()),
        }
        faults = ", ".join(name for name, there in flaws.items() if there)
        rows = [
            ("vertices, faces", f"{self.n_vertices:,}, {self.n_faces:,}"),
            ("components, borders", f"{pieces}, {len(self.boundary_loops)}"),
            ("extent", " x ".join(f"{x:.4g}" for x in np.ptp(self.vertices, axis=0))),
            ("faults", f"{faults}: meshconv.check says more" if faults else "none at a glance"),
        ]
        unit = self.vertices / self._magnitude
        return card("Surface", rows, [drawing(unit, self.faces)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Surface):
            return NotImplemented
        return np.array_equal(self.vertices, other.vertices) and np.array_equal(
            self.faces, other.faces
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        vertices = self.vertices + 0.0  # -0.0 equals 0.0
        return hash((vertices.tobytes(), self.faces.tobytes()))

    @classmethod
    def _known(cls, vertices: FloatArray, faces: IntArray) -> Surface:
        """A surface of arrays that are known to be right, such as parts of another surface's."""
        surface = cls.__new__(cls)
        object.__setattr__(surface, "vertices", _frozen(vertices))
        object.__setattr__(surface, "faces", _frozen(faces))
        return surface

    def _moved(self, vertices: FloatArray) -> Surface:
        """The same faces, their vertices moved as a whole: how they hang together is known."""
        surface = Surface._known(vertices, self.faces)
        object.__setattr__(surface, "topology", self.topology.moved(vertices))
        return surface

    def __reduce__(self) -> tuple[Any, ...]:  # without what can be computed again
        return Surface._known, (self.vertices, self.faces)

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return len(self.vertices)

    @property
    def n_faces(self) -> int:
        """Number of faces F."""
        return len(self.faces)

    @cached_property
    def topology(self) -> Topology:
        """How the faces hang together: see `Topology`."""
        from meshconv.mesh.topology import Topology  # loads numba and SciPy

        return Topology(self.vertices, self.faces)

    @property
    def edges(self) -> IntArray:
        """Every undirected edge once, (E, 2) int64, smaller index first, sorted."""
        return self.topology.edges

    @property
    def boundary_loops(self) -> tuple[IntArray, ...]:
        """Vertex indices of each closed border, in face orientation, longest (by length) first."""
        return self.topology.boundary_loops

    @property
    def euler_characteristic(self) -> int:
        """V - E + F, counting referenced vertices only."""
        return self.topology.euler_characteristic

    @cached_property
    def _magnitude(self) -> float:
        """The power of two below the largest coordinate of a vertex that is in a face; dividing by
        it is exact and tames squares.
        """
        used = np.flatnonzero(np.bincount(self.faces.ravel()))
        largest = np.abs(self.vertices[used]).max()
        return float(np.exp2(np.frexp(largest)[1] - 1.0)) or 1.0

    @cached_property
    def _scaled_area_vectors(self) -> FloatArray:
        """`face_area_vectors` in units of the squared magnitude."""
        return _frozen(area_vectors(self.vertices / self._magnitude, self.faces))

    @cached_property
    def face_area_vectors(self) -> FloatArray:
        """Half the cross product of two sides of each face, (F, 3); length = area, direction =
        normal.
        """
        return _frozen(self._scaled_area_vectors * self._magnitude * self._magnitude)

    @cached_property
    def face_areas(self) -> FloatArray:
        """Area of each face, (F,), in squared units of length."""
        return _frozen(
            np.linalg.norm(self._scaled_area_vectors, axis=1) * self._magnitude * self._magnitude
        )

    @cached_property
    def area(self) -> float:
        """Total area."""
        return float(self.face_areas.sum())

    @cached_property
    def face_normals(self) -> FloatArray:
        """Unit normal of each face, (F, 3); zero where the face has no area."""
        return _frozen(_unit(self._scaled_area_vectors))

    @cached_property
    def vertex_normals(self) -> FloatArray:
        """Unit area-weighted normal of each vertex, (V, 3); zero at unreferenced vertices."""
        total = np.zeros_like(self.vertices)
        for corner in self.faces.T:
            for k in range(3):
                total[:, k] += np.bincount(corner, self._scaled_area_vectors[:, k], self.n_vertices)
        return _frozen(_unit(total))

    # --- adapters ------------------------------------------------------------------------------

    def mirrored(self) -> Surface:
        """Return the mirror image in the plane x = 0, its faces still counter-clockwise seen from
        outside.

        >>> tetrahedron = Surface(np.eye(4, 3), [[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
        >>> tetrahedron.mirrored().vertices[0].tolist(), tetrahedron.mirrored().faces[0].tolist()
        ([-1.0, 0.0, 0.0], [2, 1, 0])
        """
        return Surface(self.vertices * [-1, 1, 1], self.faces[:, ::-1])

    @classmethod
    def from_trimesh(cls, mesh: trimesh.Trimesh) -> Surface:
        """Copy a `trimesh.Trimesh`; vertex order as it stands there (load with
        ``process=False``).
        """
        return cls(np.array(mesh.vertices), np.array(mesh.faces))

    def to_trimesh(self) -> trimesh.Trimesh:
        """Return a `trimesh.Trimesh` with the same vertices in the same order
        (``process=False``).
        """
        import trimesh

        return trimesh.Trimesh(
            self.vertices.copy(), self.faces.copy(), process=False, validate=False
        )

    @classmethod
    def from_pyvista(cls, mesh: pyvista.DataSet) -> Surface:
        """Copy a `pyvista.PolyData`; polygons are triangulated without adding or moving a
        vertex.
        """
        poly = (
            mesh
            if hasattr(type(mesh), "is_all_triangles")
            else mesh.extract_surface(algorithm=None)
        )
        if not poly.is_all_triangles:
            poly = poly.triangulate()
        return cls(np.array(poly.points), np.asarray(poly.faces).reshape(-1, 4)[:, 1:].copy())

    def to_pyvista(self, **point_data: Any) -> pyvista.PolyData:
        """Return a `pyvista.PolyData`; keyword arguments become point arrays."""
        import pyvista

        cells = np.column_stack([np.full(self.n_faces, 3), self.faces]).ravel()
        poly = pyvista.PolyData(self.vertices.copy(), faces=cells)
        for name, field in point_data.items():
            poly.point_data[name] = field
        return poly

    @classmethod
    def from_torch_geometric(cls, data: Any) -> Surface:
        """Copy ``pos`` (V, 3) and ``face`` (3, F) of a `torch_geometric.data.Data`."""
        return cls(
            data.pos.detach().cpu().numpy().copy(), data.face.detach().cpu().numpy().T.copy()
        )

    def to_torch_geometric(self, **fields: Any) -> Any:
        """Return a `torch_geometric.data.Data` with ``pos`` float32, ``face`` and ``edge_index``
        int64.
        """
        import torch
        from torch_geometric.data import Data

        both = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        arrays = {name: torch.as_tensor(np.array(field)) for name, field in fields.items()}
        return Data(
            pos=torch.as_tensor(self.vertices.astype(np.float32)),
            face=torch.as_tensor(self.faces.T.copy()),
            edge_index=torch.as_tensor(np.ascontiguousarray(both)),
            **arrays,
        )


def _frozen(array: Any) -> Any:
    array.setflags(write=False)
    return array


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
