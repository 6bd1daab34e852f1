"""Mean and Gaussian curvature of a cubic height fitted at each vertex.

References
----------
Cazals, Pouget, 2005, Estimating differential quantities using polynomial fitting of osculating
jets. doi:10.1016/j.cagd.2004.09.004
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._types import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface
from meshconv.operators.cotangent import assemble
from meshconv.operators.intrinsic import unit_scale

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
_CHUNK = 4096  # vertices fitted at once: what the processor keeps at hand


def fitted_curvatures(surface: Surface, rings: int) -> tuple[FloatArray, FloatArray, float]:
    """Mean and Gaussian curvature of a cubic fitted at each vertex, and the unit of length they are
    in.
    """
    if int(rings) != rings or rings < 1:
        raise ArgumentError(f"rings must be a positive integer, found {rings!r}")
    unit, scale = unit_scale(surface)
    step = _one_edge(surface)
    mean, gauss = np.zeros(surface.n_vertices), np.zeros(surface.n_vertices)
    for k in range(0, surface.n_vertices, _CHUNK):
        part = np.arange(k, min(k + _CHUNK, surface.n_vertices))
        mean[part], gauss[part] = _fit_cubics(unit, part, _neighbours(step, part, int(rings)))
    return mean, gauss, scale


def _neighbours(step: sparse.csr_array, part: IntArray, rings: int) -> sparse.csr_array:
    """Vertices within `rings` edges of each of a part, itself included; up to two edges more where
    they are too few.
    """
    near = step[part]
    for _ in range(rings - 1):
        near = near @ step
    for _ in range(2):
        few = np.flatnonzero(np.diff(near.indptr) <= _ENOUGH)
        where = (np.ones(len(few), bool), (few, few))
        select = sparse.coo_array(where, shape=(len(part), len(part))).tocsr()
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


def adjacency(surface: Surface) -> sparse.csr_array:
    """Return the matrix (V, V) with a one for each edge, both ways."""
    near = _one_edge(surface).astype(np.float64)
    near.setdiag(0.0)
    near.eliminate_zeros()
    return near


def _one_edge(surface: Surface) -> sparse.csr_array:
    """The matrix (V, V) that is true where an edge joins two vertices, and on its diagonal."""
    faces = surface.faces
    sides = assemble(faces, np.ones(faces.shape), surface.n_vertices, 1.0)
    return sparse.csr_array(
        (np.ones(sides.nnz, dtype=bool), sides.indices, sides.indptr), shape=sides.shape
    )
