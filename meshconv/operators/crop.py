"""Crop a surface to a geodesic radius, cutting through triangles so that the border is smooth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from meshconv._check import as_array, field_array, require_kind
from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError, ArrayTypeError, IndexOutOfRangeError, NonFiniteError
from meshconv.mesh import connectivity
from meshconv.mesh.surface import Surface
from meshconv.operators.geodesic import GeodesicSolver

_SNAP = 0.05  # a vertex this close to the cut, in edge lengths, becomes the border: no slivers


@dataclass(frozen=True, eq=False)
class Cropped:
    """A part of a surface, and where each of its vertices comes from.

    Attributes
    ----------
    surface : Surface
        W vertices, those kept in their old order, then the new ones on the cut.
    vertex_origin : (W,) int64
        Index in the surface before; -1 for a new vertex.
    vertex_weights : (W, V) scipy.sparse.csr_array
        Each row holds the one or two old vertices that a vertex is the weighted mean of.
    fields : dict of str to array
        The given vertex fields, on the new vertices.
    """

    surface: Surface
    vertex_origin: IntArray
    vertex_weights: sparse.csr_array
    fields: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def n_boundary_loops(self) -> int:
        """Number of borders: 1 is a disk's; holes of the surface, and those that the cut leaves,
        stay.
        """
        return len(self.surface.boundary_loops)

    def moved(self, values: ArrayLike) -> FloatArray:
        """Return a field of the surface before, (V,) or (V, k), on this one; linear along cut
        edges.
        """
        return np.asarray(
            self.vertex_weights @ field_array(values, self.vertex_weights.shape[1], "values")
        )


def crop(
    surface: Surface,
    centre: ArrayLike,
    radius: float,
    *,
    vertex_fields: Mapping[str, ArrayLike] | None = None,
    distance: ArrayLike | None = None,
) -> Cropped:
    """Return the part of a surface within a geodesic radius of a point, in one piece.

    Triangles are cut along the iso-line of the distance, so that the borders of scans with
    different triangles are comparable. Vertices within a twentieth of an edge of the cut are used
    as they are.

    Parameters
    ----------
    surface : Surface
        V vertices.
    centre : int or (3,) array_like
        A vertex, or a point in space, of which the nearest point on the surface is taken.
    radius : float
        Positive, in units of length.
    vertex_fields : mapping of str to (V,) or (V, k) array_like, optional
        Fields to carry along.
    distance : (V,) array_like, optional
        Another function to cut where it reaches `radius`, in place of `geodesic_distance` from the
        centre; infinite values are outside.

    Returns
    -------
    cropped : Cropped
        The component of the cut surface that holds the centre.

    Raises
    ------
    ArgumentError
        If the radius is not positive, or so small that no triangle is left.

    Examples
    --------
    >>> from meshconv.mesh.shapes import grid
    >>> part = crop(grid(41, width=2, height=2), [1.0, 1.0, 0.0], 0.5)
    >>> part.n_boundary_loops, bool(abs(part.surface.area - np.pi / 4) < 0.03)
    (1, True)
    """
    require_kind(surface, "surface", Surface)
    if not (np.isfinite(radius) and radius > 0):
        raise ArgumentError(f"radius must be positive and finite, found {radius!r}")
    middle = _centre_vertex(surface, centre)
    level = _snapped(surface, _reach(surface, centre, distance), float(radius))
    weights, faces = _cut(surface.faces, level)
    faces = _piece_around(faces, middle)
    if len(faces) == 0:
        raise ArgumentError(
            f"nothing is left within {radius:g} of vertex {middle}",
            hint=(
                f"edges there are about {_edge_length(surface, middle):.3g} long: choose a "
                "larger radius"
            ),
        )
    used = np.unique(faces)
    new_index = np.full(weights.shape[0], -1)
    new_index[used] = np.arange(len(used))
    rows = weights[used]
    origin = np.where(used < surface.n_vertices, used, -1)
    cropped = Cropped(Surface(rows @ surface.vertices, new_index[faces]), origin, rows)
    carried = {name: cropped.moved(values) for name, values in (vertex_fields or {}).items()}
    return Cropped(cropped.surface, origin, rows, carried)


def _centre_vertex(surface: Surface, centre: ArrayLike) -> int:
    array = as_array(centre, "centre")
    if array.shape == (3,):
        if not np.isfinite(array).all():
            raise NonFiniteError(f"centre is {array.tolist()}")
        used = np.unique(surface.faces)
        return int(used[np.abs(surface.vertices[used] - array).max(axis=1).argmin()])
    if array.shape != () or array != np.round(array):
        raise ArrayTypeError(
            f"centre must be a vertex index or a point (3,), found shape {array.shape}"
        )
    if not 0 <= array < surface.n_vertices:
        raise IndexOutOfRangeError(
            f"centre is vertex {array}, allowed are 0..{surface.n_vertices - 1}"
        )
    return int(array)


def _reach(surface: Surface, centre: ArrayLike, distance: ArrayLike | None) -> FloatArray:
    if distance is None:
        solver = GeodesicSolver(surface)
        return (
            solver.distance(centre) if np.ndim(centre) == 0 else solver.distance_from_point(centre)
        )
    array = as_array(distance, "distance").astype(np.float64)
    field_array(np.where(np.isposinf(array), 0.0, array), surface.n_vertices, "distance")
    return array


def _snapped(surface: Surface, reach: FloatArray, radius: float) -> FloatArray:
    """Signed level, negative inside; exactly 0 at vertices next to the cut."""
    level = reach - radius
    i, j = surface.edges.T
    crossing = (level[i] < 0) != (level[j] < 0)
    i, j = i[crossing], j[crossing]
    with np.errstate(invalid="ignore"):
        near = np.abs(level[i]) <= _SNAP * np.abs(level[j] - level[i])
        also = np.abs(level[j]) <= _SNAP * np.abs(level[j] - level[i])
    level[i[near & np.isfinite(level[i])]] = 0.0
    level[j[also & np.isfinite(level[j])]] = 0.0
    return level


def _cut(faces: IntArray, level: FloatArray) -> tuple[sparse.csr_array, IntArray]:
    """Clip faces to level <= 0: weights of old and new vertices (W, V), and the faces left."""
    n = len(level)
    inside, outside = level[faces] < 0, level[faces] > 0
    whole = faces[~outside.any(axis=1) & inside.any(axis=1)]
    split = inside.any(axis=1) & outside.any(axis=1)
    tail, head = faces[split][:, [0, 1, 2]].ravel(), faces[split][:, [1, 2, 0]].ravel()
    crossing = level[tail] * level[head] < 0
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    key, where = np.unique(low[crossing] * n + high[crossing], return_inverse=True)
    a, b = np.divmod(key, n)
    share = np.where(np.isinf(level[b]), 0.0, level[a] / (level[a] - level[b]))
    share = np.where(np.isinf(level[a]), 1.0, share)
    row = np.arange(n, n + len(key))
    weights = sparse.coo_array(
        (
            np.r_[np.ones(n), 1 - share, share],
            (np.r_[np.arange(n), row, row], np.r_[np.arange(n), a, b]),
        )
    ).tocsr()
    middle = np.full(len(tail), -1)
    middle[crossing] = n + where
    return weights, np.concatenate(
        [whole, _clipped(faces[split], outside[split], middle.reshape(-1, 3))]
    )


def _clipped(faces: IntArray, outside: BoolArray, middle: IntArray) -> IntArray:
    """Triangles of the inner part of each face; middle[f, k] is the new vertex on side k to k+1, or
    -1.
    """
    pieces = []
    count = outside.sum(axis=1)
    for k in range(3):  # one corner outside, the other two not: a quadrilateral, or half the face
        first = (count == 1) & outside[:, k]
        p, q = faces[first, (k + 1) % 3], faces[first, (k + 2) % 3]
        enter, leave = middle[first, (k + 2) % 3], middle[first, k]
        enter, leave = np.where(enter < 0, q, enter), np.where(leave < 0, p, leave)
        pieces += [np.column_stack([leave, p, q]), np.column_stack([leave, q, enter])]
        both = (count == 2) & ~outside[:, k]
        pieces.append(np.column_stack([faces[both, k], middle[both, k], middle[both, (k + 2) % 3]]))
    triangles = np.concatenate(pieces)
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)]


def _piece_around(faces: IntArray, vertex: int) -> IntArray:
    if len(faces) == 0:
        return faces
    label = connectivity.face_components(faces)
    return faces[np.isin(label, label[(faces == vertex).any(axis=1)])]


def _edge_length(surface: Surface, vertex: int) -> float:
    i, j = surface.edges[(surface.edges == vertex).any(axis=1)].T
    return float(np.linalg.norm(surface.vertices[i] - surface.vertices[j], axis=1).mean())
