"""Curvature at the vertices: by local cubic fits, or by the classical discrete formulas.

Signs: a sphere of radius R with outward normals has mean curvature +1/R. Vertices in no face have
zero. Where faces have no area the fit stays finite, and the angle defects still add up.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import one_of, require_kind
from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError, ScaleError
from meshconv.mesh import connectivity
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import unit_scale
from meshconv.operators.laplacian import cotangent_laplacian

_POWERS = [
    (1, 0),
    (0, 1),
    (2, 0),
    (1, 1),
    (0, 2),
    (3, 0),
    (2, 1),
    (1, 2),
    (0, 3),
]  # of x, y in a cubic
_ENOUGH = 14  # neighbours for nine coefficients; with fewer, one more ring is taken
_CHUNK = 20_000  # vertices fitted at once: bounds the memory


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
    mean, gauss, scale = _fitted(surface, rings)
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

    References
    ----------
    Meyer, Desbrun, Schroeder, Barr, 2003, Discrete differential-geometry operators for triangulated
    2-manifolds, eq. (8). doi:10.1007/978-3-662-05105-4_2
    """
    require_kind(surface, "surface", Surface)
    if one_of(method, ("fit", "cotangent"), "method") == "fit":
        mean, _, scale = _fitted(surface, rings)
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
        _, gauss, scale = _fitted(surface, rings)
        return _per_area(gauss, scale)
    unit, scale = unit_scale(surface)
    border = _border(surface)
    curvature = np.where(border, 0.0, _ratio(angle_defect(unit), _mixed_areas(unit)))
    inside = _adjacency(surface) @ np.column_stack([curvature, ~border])
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


# --- the fit
# ---------------------------------------------------------------------------------------


def _fitted(surface: Surface, rings: int) -> tuple[FloatArray, FloatArray, float]:
    """Mean and Gaussian curvature of a cubic fitted at each vertex, and the unit of length they are
    in.
    """
    if int(rings) != rings or rings < 1:
        raise ArgumentError(f"rings must be a positive integer, found {rings!r}")
    unit, scale = unit_scale(surface)
    near = _neighbours(surface, int(rings))
    mean, gauss = np.zeros(surface.n_vertices), np.zeros(surface.n_vertices)
    for k in range(0, surface.n_vertices, _CHUNK):
        part = np.arange(k, min(k + _CHUNK, surface.n_vertices))
        mean[part], gauss[part] = _fit_cubics(unit, part, near[part])
    return mean, gauss, scale


def _neighbours(surface: Surface, rings: int) -> sparse.csr_array:
    """Vertices within `rings` edges of each, itself included; up to two edges more where they are
    too few.
    """
    step = (_adjacency(surface) + sparse.eye_array(surface.n_vertices)).astype(bool).tocsr()
    near = step
    for _ in range(rings - 1):
        near = near @ step
    for _ in range(2):
        few = np.flatnonzero(np.diff(near.indptr) <= _ENOUGH)
        select = sparse.coo_array((np.ones(len(few), bool), (few, few)), shape=near.shape).tocsr()
        near = (near + select @ near @ step).tocsr()
    return near


def _fit_cubics(
    unit: Surface, vertices: IntArray, near: sparse.csr_array
) -> tuple[FloatArray, FloatArray]:
    x, y, z, (width, height), start = _local_heights(unit, vertices, near)
    moment = _moments(x, y, np.ones_like(x), start, 6)
    normal = np.array([[moment[a + c, b + d] for c, d in _POWERS] for a, b in _POWERS]).transpose(
        2, 0, 1
    )
    moment = _moments(x, y, z, start, 3)
    rhs = np.array([moment[power] for power in _POWERS]).T[..., None]
    count = np.diff(near.indptr)[:, None, None]
    ridge = (
        1e-10 * count * np.eye(len(_POWERS))
    )  # with too few neighbours: the smallest coefficients
    fx, fy, fxx, fxy, fyy = np.linalg.solve(normal + ridge, rhs)[:, :5, 0].T
    fx, fy = fx / width, fy / height
    fxx, fxy, fyy = 2 * fxx / width**2, fxy / (width * height), 2 * fyy / height**2
    g = 1 + fx**2 + fy**2
    mean = -((1 + fy**2) * fxx - 2 * fx * fy * fxy + (1 + fx**2) * fyy) / (2 * g**1.5)
    return mean, (fxx * fyy - fxy**2) / g**2


def _moments(
    x: FloatArray, y: FloatArray, weight: FloatArray, start: IntArray, degree: int
) -> dict[tuple[int, int], FloatArray]:
    """Sums of weight * x^a * y^b over each run, for 1 <= a + b <= degree."""
    out = {}
    column = weight
    for b in range(degree + 1):
        term = column
        for a in range(degree + 1 - b):
            if a + b:
                out[a, b] = np.add.reduceat(term, start)
            term = term * x
        column = column * y
    return out


def _local_heights(
    unit: Surface, vertices: IntArray, near: sparse.csr_array
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[FloatArray, FloatArray], IntArray]:
    """Neighbours in each vertex's frame: x, y along the axes of their spread and in units of it,
    height z.

    This frame makes the fit as good on stretched triangles as on round ones.
    """
    row = np.repeat(np.arange(len(vertices)), np.diff(near.indptr))
    start = near.indptr[:-1].astype(np.int64)
    away = unit.vertices[near.indices] - unit.vertices[vertices[row]]
    normal = unit.vertex_normals[vertices]
    normal = np.where(np.abs(normal).sum(axis=1, keepdims=True) > 0, normal, [0.0, 0.0, 1.0])
    first = np.cross(
        normal, np.where(np.abs(normal[:, :1]) < 0.6, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    )
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    x, y, z = (_dot(away, axis[row]) for axis in (first, np.cross(normal, first), normal))
    xx, xy, yy = (np.add.reduceat(product, start) for product in (x * x, x * y, y * y))
    turn = 0.5 * np.arctan2(2 * xy, xx - yy)
    cos, sin = np.cos(turn)[row], np.sin(turn)[row]
    x, y = cos * x + sin * y, cos * y - sin * x
    width = np.sqrt(np.maximum.reduceat(x * x, start))
    width = np.where(width > 0, width, 1.0)
    height = np.maximum(np.sqrt(np.maximum.reduceat(y * y, start)), 1e-3 * width)
    return x / width[row], y / height[row], z, (width, height), start


def _dot(u: FloatArray, v: FloatArray) -> FloatArray:
    return u[:, 0] * v[:, 0] + u[:, 1] * v[:, 1] + u[:, 2] * v[:, 2]


# --- parts
# -----------------------------------------------------------------------------------------


def _per_area(curvature: FloatArray, scale: float) -> FloatArray:
    with np.errstate(over="ignore"):
        result = curvature / scale / scale
    if not np.isfinite(result).all():
        raise ScaleError(
            f"the Gaussian curvature of a surface of extent {scale:.1e} does not fit a float64",
            hint="choose a larger unit of length",
        )
    return np.asarray(result)


def _adjacency(surface: Surface) -> sparse.csr_array:
    i, j = surface.edges.T
    ones = np.ones(2 * len(i))
    return sparse.coo_array(
        (ones, (np.r_[i, j], np.r_[j, i])), shape=(surface.n_vertices,) * 2
    ).tocsr()


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
