"""`local_thickness`: how thick a closed surface is below each of its vertices."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import FloatArray
from meshconv.errors import TopologyError
from meshconv.mesh.surface import Surface

_TURNED = 0.5  # cosine between normals above which a point is on the same wall and does not count


def local_thickness(surface: Surface) -> FloatArray:
    """Return the diameter of the largest ball inside the surface that touches it at each vertex.

    The ball through p and q that touches the plane at p has the radius |p - q|^2 / (2 n_p . (p -
    q)): the smallest over all q. Points q of which the normal is within 60 degrees of that at p are
    left out: there the quotient is noise. Unchanged by any motion of the surface.

    Parameters
    ----------
    surface : Surface
        Closed, V vertices, faces counter-clockwise seen from outside.

    Returns
    -------
    thickness : (V,) float64
        In the unit of length; second order in the length of the edges (the points q are vertices
        and centroids of faces). 0 where nothing lies below a vertex, as on a fold.

    Raises
    ------
    TopologyError
        If the surface has a border, or is turned inside out.

    References
    ----------
    Ma, Bae, Choi, 2012, 3D medial axis point approximation using nearest neighbors and the normal
    field. doi:10.1007/s00371-011-0594-7

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> bool(np.allclose(local_thickness(icosphere(3, 5.0)), 10.0, rtol=0.05))
    True
    """
    if surface.boundary_loops:
        raise TopologyError(
            f"local_thickness needs a closed surface, found {len(surface.boundary_loops)} boundary loops",
            hint="close them: repair(target='sphere')",
        )
    p = surface.vertices - surface.vertices.mean(axis=0)
    points = np.vstack([p, p[surface.faces].mean(axis=1)])
    normals = np.vstack([surface.vertex_normals, surface.face_normals])
    least = _touching(points, normals, len(p), _TURNED)
    few = np.flatnonzero(~np.isfinite(least))  # spikes: every point beyond counts
    if len(few):
        order = np.concatenate([few, np.delete(np.arange(len(points)), few)])
        least[few] = _touching(points[order], normals[order], len(few), 1.0)
    nothing = ~np.isfinite(least)
    if nothing.sum() > len(p) / 2:
        raise TopologyError(
            f"nothing lies below {nothing.sum()} of {len(p)} vertices: the faces are turned inside out",
            count=int(nothing.sum()),
            hint="meshconv.repair turns them",
        )
    return np.where(nothing, 0.0, least)


@njit(cache=True)
def _touching(points, normals, count, turned):  # type: ignore[no-untyped-def]
    """Diameter of the smallest ball that touches at each of the first points and passes through one
    beyond it.
    """
    least = np.full(count, np.inf)
    for i in range(count):
        for j in range(len(points)):
            if (
                normals[i, 0] * normals[j, 0]
                + normals[i, 1] * normals[j, 1]
                + normals[i, 2] * normals[j, 2]
                < turned
            ):
                x = points[i, 0] - points[j, 0]
                y = points[i, 1] - points[j, 1]
                z = points[i, 2] - points[j, 2]
                depth = x * normals[i, 0] + y * normals[i, 1] + z * normals[i, 2]
                if depth > 0.0:
                    least[i] = min(least[i], (x * x + y * y + z * z) / depth)
    return least
