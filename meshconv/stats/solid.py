"""Moments of the body that a surface bounds, exact for polyhedra, and its convex hull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from meshconv._check import FloatArray, IntArray
from meshconv.errors import DegenerateError, TopologyError
from meshconv.mesh.surface import Surface

_THIN = 1e-9  # volume over the power of the area below which nothing is enclosed


@dataclass(frozen=True, eq=False)
class Solid:
    """The body inside a closed surface; an open one is closed by a flat lid.

    Attributes
    ----------
    volume : float
    centroid : (3,) float64
    semiaxes : (3,) float64
        Of the ellipsoid with the same second moments about the centroid, longest first.
    hull_volume, hull_area : float
        Of the convex hull.
    """

    volume: float
    centroid: FloatArray
    semiaxes: FloatArray
    hull_volume: float
    hull_area: float

    @property
    def radius(self) -> float:
        """Radius of the ball of the same volume."""
        return float(np.cbrt(3 * self.volume / (4 * np.pi)))


def solid_of(surface: Surface) -> Solid:
    """Return the body inside a surface.

    Each face makes a tetrahedron with the origin; the integrals of 1, x and x x' over one of them
    are polynomials of its corners.

    Raises
    ------
    TopologyError
        If the surface is turned inside out.
    DegenerateError
        If it encloses nothing.

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> round(solid_of(icosphere(5, 2.0)).radius, 2)
    2.0
    """
    points, faces = lidded(surface)
    origin = points.mean(axis=0)
    corners = (points - origin)[faces]
    sixth = np.linalg.det(corners) / 6
    volume = float(sixth.sum())
    enclosed = _THIN * surface.area**1.5
    if volume < -enclosed:
        raise TopologyError(
            f"the surface is turned inside out: its volume is {volume:.3g}",
            hint="meshconv.repair turns it",
        )
    try:
        hull = ConvexHull(points)
    except QhullError as error:
        raise DegenerateError("the surface is flat: its convex hull has no volume") from error
    if volume <= enclosed:
        raise DegenerateError(f"the surface encloses no volume ({volume:.3g})")
    total = corners.sum(axis=1)
    centroid = sixth @ total / 4 / volume
    second = np.einsum("f,fki,fkj->ij", sixth, corners, corners)
    second = (second + (total * sixth[:, None]).T @ total) / 20 / volume
    spread = np.linalg.eigvalsh(second - np.outer(centroid, centroid))[::-1]
    semiaxes = np.sqrt(5 * np.maximum(spread, 0.0))
    return Solid(volume, centroid + origin, semiaxes, float(hull.volume), float(hull.area))


def lidded(surface: Surface) -> tuple[FloatArray, IntArray]:
    """Return vertices and faces with a fan from the mean of each border over that border."""
    points, faces = [surface.vertices], [surface.faces]
    for k, loop in enumerate(surface.boundary_loops):
        points.append(surface.vertices[loop].mean(axis=0)[None])
        apex = np.full(len(loop), surface.n_vertices + k)
        faces.append(np.column_stack([np.roll(loop, -1), loop, apex]))
    return np.vstack(points), np.vstack(faces)
