"""`Resampler`: from the vertices of a surface to the nodes of a square grid, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from meshconv._check import BoolArray, FloatArray, IntArray, as_array, field_array, require_kind
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.parameterization import Parameterization
from meshconv.resample.domain import square_coordinates
from meshconv.resample.geometry_image import GeometryImage
from meshconv.resample.grid import bilinear_weights, grid_nodes, grid_size
from meshconv.resample.scan import scan_plane, scan_sphere


class Resampler:
    """Two sparse matrices between a parameterized surface and a grid, built once and used for every
    field.

    Parameters
    ----------
    parameterization : Parameterization
        Surface with V vertices and F faces.
    size : int
        Nodes per side N, 2..4097; 2^k + 1 nests (convention: `meshconv.resample.grid`).
    disk_to_square : {'inscribed', 'conformal'}
        How a disk lies in the square; how every domain does: `meshconv.resample.domain`.

    Attributes
    ----------
    coordinates : (V, 2) float64
        Where each vertex lies in the unit square, (u, v).
    vertex_to_pixel : (N*N, V) sparse
        Linear interpolation in the face over each node. Rows sum to 1, or to 0 outside the mask.
    pixel_to_vertex : (V, N*N) sparse
        Bilinear interpolation at each vertex in the nodes inside the mask (renormalised at the rim;
        the nearest such node where none is adjacent). Rows sum to 1.
    mask : (N, N) bool
        True where a face covers the node.
    face : (N, N) int64
        The face over each node, -1 outside.
    flipped, degenerate : int
        Number of faces turned over, and without area, in the parameterization. They are used last,
        or not at all.

    Raises
    ------
    ArgumentError
        If the size or an option is out of range, or no node of the grid lies on the map.

    Notes
    -----
    The transposes carry *mass*: ``vertex_to_pixel.T`` takes a mass on nodes to vertices and keeps
    its total, see `mass_to_vertices`; ``to_vertices`` carries *values*.

    Examples
    --------
    >>> from meshconv import Surface
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> grid = Resampler(Parameterization(square, square.vertices[:, :2], "rectangle"), size=5)
    >>> image = grid.to_image({"x": square.vertices[:, 0]})
    >>> image["x"][2].tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> grid.to_vertices(image["x"]).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        parameterization: Parameterization,
        size: SupportsIndex = 129,
        *,
        disk_to_square: str = "inscribed",
    ) -> None:
        require_kind(parameterization, "parameterization", Parameterization)
        self.parameterization = parameterization
        self.size = grid_size(size)
        self.coordinates = square_coordinates(
            parameterization.coordinates, parameterization.domain, disk_to_square=disk_to_square
        )
        faces = parameterization.surface.faces
        if parameterization.domain == "sphere":
            face, weights = scan_sphere(parameterization.coordinates, faces, self.size)
        else:
            face, weights = scan_plane(self.coordinates, faces, self.size)
        if parameterization.domain == "disk" and disk_to_square == "conformal":
            _fill_rim(parameterization, self.coordinates, self.size, face, weights)
        self.flipped = int((parameterization.face_areas < 0).sum())
        self.degenerate = int((parameterization.face_areas == 0).sum())
        self.face = face.reshape(self.size, self.size)
        self.mask: BoolArray = self.face >= 0
        if not self.mask.any():
            raise ArgumentError(
                f"no node of the grid of {self.size} x {self.size} lies on the map",
                hint="a larger size; is it the same kind of surface as the template?",
            )
        self.vertex_to_pixel = _vertex_to_pixel(
            faces, face, weights, parameterization.surface.n_vertices
        )
        self.pixel_to_vertex = pixel_to_point(self.coordinates, self.mask)

    def __repr__(self) -> str:
        n_vertices = self.parameterization.surface.n_vertices
        inside = f"{self.mask.mean():.0%} inside"
        return f"Resampler({n_vertices} vertices <-> {self.size}^2 nodes, {inside})"

    def to_image(
        self, fields: ArrayLike | Mapping[str, ArrayLike], *, fill: float = np.nan
    ) -> GeometryImage:
        """Return fields on the vertices as an image.

        Parameters
        ----------
        fields : (V,) or (V, C) array_like, or mapping of names to (V,) array_like
            E.g. what `meshconv.channels` returns. Unnamed channels are called "0", "1", ...
        fill : float
            Value outside the mask.
        """
        n_vertices = self.parameterization.surface.n_vertices
        if isinstance(fields, Mapping):
            names = tuple(fields)
            columns = [
                field_array(fields[name], n_vertices, f"field {name!r}").ravel() for name in names
            ]
            if any(len(column) != n_vertices for column in columns):
                raise ArrayTypeError("each named field must be (V,)")
            values = np.stack(columns, axis=1) if columns else np.zeros((n_vertices, 0))
        else:
            values = field_array(fields, n_vertices, "fields").reshape(n_vertices, -1)
            names = tuple(str(k) for k in range(values.shape[1]))
        pixels = (self.vertex_to_pixel @ values).T.reshape(-1, self.size, self.size)
        return GeometryImage(np.where(self.mask, pixels, fill), names, self.mask, 0.0)

    def to_vertices(self, image: GeometryImage | ArrayLike) -> FloatArray:
        """Return the values at the vertices: (N, N) to (V,); (C, N, N) or `GeometryImage` to (V,
        C).
        """
        pixels = self._pixels(image)
        values = self.pixel_to_vertex @ np.where(self.mask.reshape(-1, 1), pixels, 0.0)
        return values[:, 0] if _is_single(image) else values

    def mass_to_vertices(self, image: GeometryImage | ArrayLike) -> FloatArray:
        """Return a mass per node as a mass per vertex, the same total (inside the mask); see
        Notes.
        """
        pixels = self._pixels(image)
        values = self.vertex_to_pixel.T @ np.where(self.mask.reshape(-1, 1), pixels, 0.0)
        return values[:, 0] if _is_single(image) else values

    def _pixels(self, image: GeometryImage | ArrayLike) -> FloatArray:
        array = as_array(image.channels if isinstance(image, GeometryImage) else image, "image")
        if array.ndim not in (2, 3) or array.shape[-2:] != self.mask.shape:
            raise ArrayTypeError(
                f"image must be (C, {self.size}, {self.size}) or one channel, found {array.shape}"
            )
        return array.reshape(-1, self.size**2).T.astype(np.float64)


def _is_single(image: GeometryImage | ArrayLike) -> bool:
    return not isinstance(image, GeometryImage) and np.ndim(image) == 2


def _vertex_to_pixel(
    faces: IntArray, face: IntArray, weights: FloatArray, n_vertices: int
) -> sparse.csr_array:
    inside = np.flatnonzero(face >= 0)
    start = np.concatenate([[0], np.cumsum(3 * (face >= 0))])
    data = np.clip(weights[inside], 0.0, 1.0)  # the slack of the scan
    data /= data.sum(axis=1, keepdims=True)
    matrix = sparse.csr_array(
        (data.ravel(), faces[face[inside]].ravel(), start), shape=(len(face), n_vertices)
    )
    matrix.sort_indices()
    return matrix


def pixel_to_point(coordinates: FloatArray, mask: BoolArray) -> sparse.csr_array:
    """Return bilinear interpolation at points (P, 2) = (u, v) in the nodes inside a mask, (P, N*N)
    sparse.
    """
    n_vertices, size = len(coordinates), len(mask)
    nodes, weights = bilinear_weights(coordinates, size)
    weights = weights * mask.ravel()[nodes]
    lost = weights.sum(axis=1) <= 1e-12
    if lost.any() and mask.any():
        nearest = distance_transform_edt(~mask, return_distances=False, return_indices=True)
        row, col = (
            np.rint(np.clip(coordinates[lost], 0, 1) * (size - 1)).astype(np.int64)[:, ::-1].T
        )
        nodes[lost, 0] = nearest[0, row, col] * size + nearest[1, row, col]
        weights[lost] = [1.0, 0.0, 0.0, 0.0]
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    start = np.arange(0, 4 * n_vertices + 1, 4)
    matrix = sparse.csr_array(
        (weights.ravel(), nodes.ravel(), start), shape=(n_vertices, size * size)
    )
    matrix.eliminate_zeros()
    return matrix


def _fill_rim(
    parameterization: Parameterization,
    points: FloatArray,
    size: int,
    face: IntArray,
    weights: FloatArray,
) -> None:
    """Give nodes between the border polygon and the square the values of the nearest border point.

    Edges on the unit circle become chords: at a corner of the square they leave a sliver of nodes
    outside, at most one edge wide. Nodes beside a border that lies within the disk stay outside.
    """
    empty = np.flatnonzero(face < 0)
    loops = parameterization.surface.boundary_loops
    if not len(empty) or not loops:
        return
    faces = parameterization.surface.faces
    border = np.stack([loops[0], np.roll(loops[0], -1)], axis=1)
    owner = _edge_faces(faces, border)
    places = grid_nodes(size).reshape(-1, 2)[empty]
    a, b = points[border[:, 0]], points[border[:, 1]]
    _, candidates = cKDTree((a + b) / 2).query(places, k=min(8, len(border)))
    candidates = candidates.reshape(len(places), -1)
    along = (b - a)[candidates]
    s = ((places[:, None] - a[candidates]) * along).sum(axis=2) / np.maximum(
        (along**2).sum(axis=2), 1e-300
    )
    s = np.clip(s, 0.0, 1.0)
    best = np.linalg.norm(a[candidates] + s[..., None] * along - places[:, None], axis=2).argmin(
        axis=1
    )
    rows = np.arange(len(places))
    edge, s = candidates[rows, best], s[rows, best]
    outer = (np.abs(np.abs(parameterization.z[border[edge]]) - 1) < 1e-6).all(axis=1)
    empty, edge, s = empty[outer], edge[outer], s[outer, None]
    mine, face[empty] = faces[owner[edge]], owner[edge]
    weights[empty] = (mine == border[edge, :1]) * (1 - s) + (mine == border[edge, 1:]) * s


def _edge_faces(faces: IntArray, edges: IntArray) -> IntArray:
    """Return the face that owns each directed edge (a, b), (E,)."""
    n = int(faces.max()) + 1
    keys = (faces * n + np.roll(faces, -1, axis=1)).ravel()
    order = np.argsort(keys)
    return np.asarray(
        order[np.searchsorted(keys, edges[:, 0] * n + edges[:, 1], sorter=order)] // 3
    )
