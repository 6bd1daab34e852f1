"""Curvature at the vertices: by local cubic fits, or by the classical discrete formulas.

Signs: a sphere of radius R with outward normals has mean curvature +1/R. Vertices in no face have
zero. Where faces have no area the fit stays finite, and the angle defects still add up. Faces wound
against the majority are taken the other way round, with a `RepairWarning`; on a one-sided surface
all but the angle defect raise an `OrientationError`.
"""

from __future__ import annotations

import warnings

import numpy as np

from meshconv._check import one_of, require_kind
from meshconv._types import BoolArray, FloatArray
from meshconv.errors import OrientationError, RepairWarning, ScaleError
from meshconv.mesh import connectivity
from meshconv.mesh.surface import Surface
from meshconv.mesh.winding import turn_over
from meshconv.operators.cubic_fit import adjacency, fitted_curvatures
from meshconv.operators.intrinsic import unit_scale
from meshconv.operators.laplacian import cotangent_laplacian


def principal_curvatures(surface: Surface, *, rings: int = 2) -> tuple[FloatArray, FloatArray]:
    """Return the largest and the smallest normal curvature at each vertex.

    A cubic height over the tangent plane is fitted to the vertices within `rings` edges. Its second
    derivatives are second-order accurate on irregular triangulations and at borders, where the
    classical formulas do not converge.

    Parameters
    ----------
    surface : Surface
        V vertices.
    rings : int
        Radius of the neighbourhood in edges, at least 1. More rings smooth noise, and fine detail
        with it.

    Returns
    -------
    k1, k2 : (V,) float64
        k1 >= k2, per unit of length; positive where the surface bends away from its normal.

    References
    ----------
    Cazals, Pouget, 2005, Estimating differential quantities using polynomial fitting of osculating
    jets. doi:10.1016/j.cagd.2004.09.004

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> k1, k2 = principal_curvatures(icosphere(4, radius=2.0))
    >>> bool(abs(k1 - 0.5).max() < 0.005), bool(abs(k2 - 0.5).max() < 0.005)
    (True, True)
    """
    require_kind(surface, "surface", Surface)
    mean, gauss, scale = fitted_curvatures(_wound_alike(surface), rings)
    spread = np.sqrt(np.maximum(mean**2 - gauss, 0.0))
    return (mean + spread) / scale, (mean - spread) / scale


def mean_curvature(surface: Surface, *, method: str = "fit", rings: int = 2) -> FloatArray:
    """Return the mean curvature (k1 + k2) / 2 at each vertex, (V,), per unit of length.

    Parameters
    ----------
    surface : Surface
        V vertices.
    method : {'fit', 'cotangent'}
        ``fit``: see `principal_curvatures`. ``cotangent``: half the cotangent Laplacian of the
        position per area, along the vertex normal; exact in the integral, noisy at a vertex; zero
        on the border.
    rings : int
        For ``fit``.

    Raises
    ------
    DegenerateError
        ``cotangent`` on a face without area.
    OrientationError
        If no winding of the faces can agree.

    Warns
    -----
    RepairWarning
        If some faces are wound against the majority.

    References
    ----------
    Meyer, Desbrun, Schroeder, Barr, 2003, Discrete differential-geometry operators for triangulated
    2-manifolds, eq. (8). doi:10.1007/978-3-662-05105-4_2
    """
    require_kind(surface, "surface", Surface)
    surface = _wound_alike(surface)
    if one_of(method, ("fit", "cotangent"), "method") == "fit":
        mean, _, scale = fitted_curvatures(surface, rings)
        return mean / scale
    unit, scale = unit_scale(surface)
    normal_part = ((cotangent_laplacian(unit) @ unit.vertices) * unit.vertex_normals).sum(axis=1)
    normal_part[_border(surface)] = 0.0
    return _ratio(normal_part, 2 * _mixed_areas(unit)) / scale


def gaussian_curvature(surface: Surface, *, method: str = "fit", rings: int = 2) -> FloatArray:
    """Return the Gaussian curvature k1 * k2 at each vertex, (V,), per squared unit of length.

    Parameters
    ----------
    surface : Surface
        V vertices.
    method : {'fit', 'angle_defect'}
        ``fit``: see `principal_curvatures`. ``angle_defect``: `angle_defect` per mixed area, noisy
        at a vertex. On the border, where the defect also holds the turning of the border curve, it
        is the mean of the neighbours inside.
    rings : int
        For ``fit``.

    References
    ----------
    Meyer, Desbrun, Schroeder, Barr, 2003, Discrete differential-geometry operators for triangulated
    2-manifolds, eq. (9). doi:10.1007/978-3-662-05105-4_2
    """
    require_kind(surface, "surface", Surface)
    if one_of(method, ("fit", "angle_defect"), "method") == "fit":
        _, gauss, scale = fitted_curvatures(_wound_alike(surface), rings)
        return _per_area(gauss, scale)
    unit, scale = unit_scale(surface)
    border = _border(surface)
    curvature = np.where(border, 0.0, _ratio(angle_defect(unit), _mixed_areas(unit)))
    inside = adjacency(surface) @ np.column_stack([curvature, ~border])
    curvature[border] = _ratio(inside[:, 0], inside[:, 1])[border]
    return _per_area(curvature, scale)


def angle_defect(surface: Surface) -> FloatArray:
    """Return the integrated Gaussian curvature at each vertex, (V,), radians.

    2 pi minus the sum of the corner angles; on the border pi minus it, which is the turning of the
    border. Adds up to 2 pi times the Euler characteristic on every surface (Gauss-Bonnet), to
    rounding, with borders, several components, non-manifold edges and faces without area.

    Examples
    --------
    >>> from meshconv.mesh.shapes import torus
    >>> bool(abs(angle_defect(torus()).sum()) < 1e-10)
    True
    """
    n = surface.n_vertices
    used = np.bincount(surface.faces.ravel(), minlength=n)
    sides = np.bincount(surface.edges.ravel(), minlength=n)
    angles = np.bincount(surface.faces.ravel(), _corner_angles(surface).ravel(), n)
    return np.where(used > 0, np.pi * (2 - sides + used) - angles, 0.0)


def shape_index(surface: Surface, *, rings: int = 2) -> FloatArray:
    """Return Koenderink's shape index (2 / pi) atan2(k1 + k2, k1 - k2) at each vertex, (V,), in
    -1..1.

    1 on a dome (outward normals), .5 on a ridge, 0 on a saddle, -.5 in a rut, -1 in a cup; 0 where
    it is flat. Does not change with scale.

    References
    ----------
    Koenderink, van Doorn, 1992, Surface shape and curvature scales.
    doi:10.1016/0262-8856(92)90076-F
    """
    require_kind(surface, "surface", Surface)
    k1, k2 = principal_curvatures(surface, rings=rings)
    return np.asarray(2 / np.pi * np.arctan2(k1 + k2, k1 - k2))


def _wound_alike(surface: Surface) -> Surface:
    """The surface with all faces wound like the majority: normals that turn from face to face are
    none.
    """
    winding = surface.topology.winding
    if winding.one_sided.any():
        count = int(winding.one_sided.sum())
        raise OrientationError(
            f"curvature needs normals, {count} faces form a one-sided surface such as a Moebius "
            "strip",
            count=count,
            hint="cut it open; no winding of the faces can agree",
        )
    if not winding.flip.any():
        return surface
    warnings.warn(
        f"{int(winding.flip.sum())} faces are wound against the majority and were taken the other "
        "way round; meshconv.repair turns them for good",
        RepairWarning,
        stacklevel=3,
    )
    return Surface(surface.vertices, turn_over(surface.faces, winding.flip))


def _per_area(curvature: FloatArray, scale: float) -> FloatArray:
    with np.errstate(over="ignore"):
        result = curvature / scale / scale
    if not np.isfinite(result).all():
        raise ScaleError(
            f"the Gaussian curvature of a surface of extent {scale:.1e} does not fit a float64",
            hint="choose a larger unit of length",
        )
    return np.asarray(result)


def _border(surface: Surface) -> BoolArray:
    border = np.zeros(surface.n_vertices, dtype=bool)
    border[connectivity.boundary_half_edges(surface.faces).ravel()] = True
    return border


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _corners(surface: Surface) -> tuple[FloatArray, FloatArray]:
    """Dot product and cross product length of the two sides at each corner, (F, 3) each."""
    p = surface.vertices[surface.faces]
    u, v = p[:, [1, 2, 0]] - p, p[:, [2, 0, 1]] - p
    return (u * v).sum(axis=2), np.linalg.norm(np.cross(u, v), axis=2)


def _corner_angles(surface: Surface) -> FloatArray:
    """Angle at each corner, (F, 3), adding up to pi also where two corners coincide."""
    angles = np.arctan2(*_corners(unit_scale(surface)[0])[::-1])
    angles[:, 2] = np.pi - angles[:, 0] - angles[:, 1]
    return angles


def _mixed_areas(surface: Surface) -> FloatArray:
    """Voronoi area of each vertex, safe at obtuse corners (Meyer et al. 2003, figure 4), (V,)."""
    dot, cross = _corners(surface)
    cot = np.divide(dot, cross, out=np.zeros_like(dot), where=cross > 0)
    p = surface.vertices[surface.faces]
    squared = ((p[:, [1, 2, 0]] - p[:, [2, 0, 1]]) ** 2).sum(axis=2)
    opposite = squared * cot / 8
    voronoi = opposite[:, [1, 2, 0]] + opposite[:, [2, 0, 1]]
    area = surface.face_areas[:, None]
    safe = np.where(dot < 0, area / 2, area / 4)
    share = np.where((dot < 0).any(axis=1, keepdims=True), safe, voronoi)
    return np.asarray(
        np.bincount(surface.faces.ravel(), share.ravel(), surface.n_vertices), np.float64
    )
