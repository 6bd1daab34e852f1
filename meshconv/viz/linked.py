"""One point, seen three times: on the surface, in the map, in the image. Plain geometry, no
window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import FloatArray
from meshconv.maps.locate import locate
from meshconv.maps.parameterization import Parameterization
from meshconv.resample.domain import sphere_to_square, square_coordinates, square_to_sphere
from meshconv.resample.grid import grid_size


@dataclass(frozen=True, eq=False)
class Place:
    """A point of the surface and its two images.

    Attributes
    ----------
    face, weights : int, (3,) float64
        Where it lies: barycentric coordinates in a face.
    vertex : int
        The nearest corner of that face, by weight.
    point : (3,) float64
        On the surface.
    map_point : (2,) or (3,) float64
        In the plane, or on the sphere.
    pixel : (2,) float64
        (row, column) in the image, fractional.
    """

    face: int
    weights: FloatArray
    vertex: int
    point: FloatArray
    map_point: FloatArray
    pixel: FloatArray

    def __str__(self) -> str:
        row, column = self.pixel
        return f"vertex {self.vertex}, row {row:.1f}, column {column:.1f}"


class LinkedViews:
    """Carries a point of a surface, of its map or of its image to the other two.

    Parameters
    ----------
    parameterization : Parameterization
        Surface and map.
    size : int
        Nodes per side of the image (convention: `meshconv.resample.grid`).

    Examples
    --------
    >>> from meshconv.mesh.shapes import disk
    >>> flat = disk(8)
    >>> views = LinkedViews(Parameterization(flat, flat.vertices[:, :2], "disk"), size=65)
    >>> views.from_pixel(32, 48).point.round(6).tolist()
    [0.5, 0.0, 0.0]
    """

    def __init__(self, parameterization: Parameterization, size: int = 65) -> None:
        self.parameterization, self.size = parameterization, grid_size(size)
        self.square = square_coordinates(parameterization.coordinates, parameterization.domain)

    def from_surface(self, face: int, point: FloatArray) -> Place:
        """Return the place of a point picked on a face, moved into it if it lies beside or above
        it.
        """
        a, b, c = self.parameterization.surface.vertices[self.parameterization.surface.faces[face]]
        along = np.stack([b - a, c - a], axis=1)
        s, t = np.linalg.lstsq(along, np.asarray(point, dtype=np.float64) - a)[0]
        return self._place(face, np.array([1.0 - s - t, s, t]))

    def from_map(self, map_point: FloatArray) -> Place | None:
        """Return the place of a point (2,) of the plane or (3,) of the sphere; None outside the
        map.
        """
        query = np.asarray(map_point, dtype=np.float64)
        if self.parameterization.domain == "sphere":
            query = query / np.linalg.norm(query)
        return self._search(query, self.parameterization.coordinates)

    def from_pixel(self, row: float, column: float) -> Place | None:
        """Return the place of a point of the image; None where the image shows no surface."""
        uv = np.array([column, row], dtype=np.float64) / (self.size - 1)
        if self.parameterization.domain == "sphere":
            return self.from_map(square_to_sphere(uv[None])[0])
        return self._search(uv, self.square)

    def value(self, place: Place, field: FloatArray) -> float:
        """Return a vertex field (V,) at a place, linear in the face."""
        return float(place.weights @ field[self.parameterization.surface.faces[place.face]])

    def _search(self, query: FloatArray, points: FloatArray) -> Place | None:
        found, weights = locate(query[None], points, self.parameterization.surface.faces)
        place = self._place(int(found[0]), weights[0])
        reached = weights[0] @ points[self.parameterization.surface.faces[found[0]]]
        if self.parameterization.domain == "sphere":
            reached = reached / np.linalg.norm(reached)
        span = float(np.ptp(points, axis=0).max())
        return place if np.linalg.norm(reached - query) <= 1e-6 * span else None

    def _place(self, face: int, weights: FloatArray) -> Place:
        weights = np.clip(weights, 0.0, None)
        weights = weights / weights.sum()
        corners = self.parameterization.surface.faces[face]
        map_point = weights @ self.parameterization.coordinates[corners]
        uv = weights @ self.square[corners]
        if self.parameterization.domain == "sphere":
            map_point = map_point / np.linalg.norm(map_point)
            uv = sphere_to_square(map_point[None])[0]
        return Place(
            int(face),
            weights,
            int(corners[weights.argmax()]),
            weights @ self.parameterization.surface.vertices[corners],
            map_point,
            uv[::-1] * (self.size - 1),
        )
