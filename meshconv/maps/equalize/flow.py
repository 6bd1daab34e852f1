"""Dacorogna-Moser flow by finite elements on a triangulated plane domain or sphere.

Find a map whose area ratio is rho / mean. With div F = rho - mean and F tangent to the border, the
velocity v = F / ((1 - t) rho + t mean), t from 0 to 1, carries density rho to the constant mean.
Moser 1965, Trans. AMS 120; Dacorogna & Moser 1990, Ann. IHP 7; Gastner, Seguy & More 2018, PNAS
115(10).
"""

from __future__ import annotations

import numba as nb
import numpy as np
from scipy import sparse

from meshconv._check import FloatArray, IntArray
from meshconv.errors import SolverError
from meshconv.maps.conformal.edge_weights import tame
from meshconv.maps.locate import walk
from meshconv.maps.stay import stay
from meshconv.operators.cotangent import assemble
from meshconv.operators.solve import SPDSolver

_THINNEST = 1e-7  # area / longest side^2 below which a face's stiffness is capped


def face_vectors(points: FloatArray, faces: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sides (3, F, 3) opposite each corner, unit normals (F, 3) and areas (F,), kept off
    zero.
    """
    corner = points[faces].swapaxes(0, 1)
    sides = corner[[2, 0, 1]] - corner[[1, 2, 0]]
    normal = 0.5 * np.cross(sides[0], sides[1])
    area = np.sqrt(np.einsum("fi,fi->f", normal, normal))
    longest = np.einsum("kfi,kfi->kf", sides, sides).max(axis=0)
    normal /= np.maximum(area, 1e-300)[:, None]
    return sides, normal, np.maximum(area, _THINNEST * longest)


def stiffness(faces: IntArray, sides: FloatArray, area: FloatArray, n: int) -> sparse.csr_array:
    """Return the P1 stiffness matrix (n, n): sides_i . sides_j / (4 area), summed over faces."""
    products = [np.einsum("fi,fi->f", sides[k - 2], sides[k - 1]) for k in range(3)]
    return assemble(faces, np.column_stack(products) / (-4.0 * area)[:, None], n, -1.0)


def corner_sum(faces: IntArray, per_face: FloatArray, n: int) -> FloatArray:
    """Return the sum over the faces around each vertex, (n,) or (n, d)."""
    if per_face.ndim == 1:
        return np.bincount(faces.ravel(), np.repeat(per_face, 3), n).astype(np.float64)
    return np.column_stack([corner_sum(faces, column, n) for column in per_face.T])


class Poisson:
    """The Neumann problem of one triangulation, factored once for as many densities as are tried.

    Parameters
    ----------
    points : (n, 3)
        On the sphere, or of the plane at height 1.
    faces : (F, 3)
    before : Poisson, optional
        Of the same faces, their points elsewhere: its order of elimination is kept, and it is not
        to be used afterwards.
    """

    def __init__(self, points: FloatArray, faces: IntArray, before: Poisson | None = None) -> None:
        self.faces, self.n = faces, len(points)
        self._sides, self._normal, self.area = face_vectors(points, faces)
        self.mass = corner_sum(faces, self.area, self.n)
        matrix = stiffness(faces, self._sides, self.area, self.n)
        known = before._solver if before else None
        try:
            self._solver: SPDSolver = _pinned(matrix, points, known)
        except SolverError:  # angles too extreme for the solver
            self._solver = _pinned(tame(matrix), points, known)

    def density(self, population: FloatArray) -> FloatArray:
        """Return rho / mean (n,): population of the faces around a vertex / their area."""
        people = corner_sum(self.faces, population, self.n)
        return np.asarray(people * (self.area.sum() / population.sum()) / self.mass)

    def flux(self, density: FloatArray) -> FloatArray:
        """Return F (n, 3) with div F = density - 1 at the vertices, natural border.

        L phi = mass (1 - density); F = area-weighted mean of grad phi over the faces around a
        vertex.
        """
        phi = np.append(0.0, self._solver.solve((self.mass * (1.0 - density) / 3.0)[1:]))
        corner = [
            phi[self.faces[:, k], None] * np.cross(self._normal, self._sides[k]) for k in (0, 1, 2)
        ]
        slope = np.asarray(sum(corner) / 2.0)  # area * gradient
        return corner_sum(self.faces, np.asarray(slope), self.n) / self.mass[:, None]


def _pinned(matrix: sparse.csr_array, points: FloatArray, known: SPDSolver | None) -> SPDSolver:
    """Factor with the first value fixed at 0, in the order of elimination that is known."""
    if known is None:
        return SPDSolver(matrix[1:, 1:], coordinates=points[1:])
    known.refactor(matrix[1:, 1:])
    return known


def trace(
    points: FloatArray,
    faces: IntArray,
    across: IntArray,
    flux: FloatArray,
    density: FloatArray,
    first_face: IntArray,
    kinds: IntArray,
    steps: int,
) -> FloatArray:
    """Carry every vertex along the flow, t = 0 to 1, by `steps` steps of Runge-Kutta 4; return (V,
    3).
    """
    # all of a vertex in one line of the processor's memory
    nodes = np.column_stack([points, flux, density, density])
    narrow = faces.astype(np.int32), across.astype(np.int32)
    moved: FloatArray = _trace(points, nodes, *narrow, first_face, kinds, steps)
    return moved


@nb.njit(cache=True)
def _velocity(x, y, z, time, face, nodes, faces, across, limit):  # type: ignore[no-untyped-def]
    face, w0, w1, w2, _ = walk(x, y, z, face, nodes, faces, across, limit)
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    rho = w0 * nodes[i, 6] + w1 * nodes[j, 6] + w2 * nodes[k, 6]
    scale = 1.0 / ((1.0 - time) * rho + time)
    u = scale * (w0 * nodes[i, 3] + w1 * nodes[j, 3] + w2 * nodes[k, 3])
    v = scale * (w0 * nodes[i, 4] + w1 * nodes[j, 4] + w2 * nodes[k, 4])
    w = scale * (w0 * nodes[i, 5] + w1 * nodes[j, 5] + w2 * nodes[k, 5])
    return face, u, v, w


@nb.njit(cache=True)
def _trace(points, nodes, faces, across, first_face, kinds, steps):  # type: ignore[no-untyped-def]
    moved = points.copy()
    limit = 100 + 2 * int(np.sqrt(len(faces)))
    h = 1.0 / steps
    for v in range(len(points)):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        face, kind = first_face[v], kinds[v]
        if face < 0:
            continue
        for step in range(steps):
            t = step * h
            sx = sy = sz = 0.0
            ax, ay, az = x, y, z
            for stage in range(4):
                late = t + (0.0 if stage == 0 else (h if stage == 3 else 0.5 * h))
                face, u, w, q = _velocity(ax, ay, az, late, face, nodes, faces, across, limit)
                weight = h / 3.0 if 0 < stage < 3 else h / 6.0
                sx, sy, sz = sx + weight * u, sy + weight * w, sz + weight * q
                reach = h if stage == 2 else 0.5 * h
                ax, ay, az = stay(x + reach * u, y + reach * w, z + reach * q, kind)
            x, y, z = stay(x + sx, y + sy, z + sz, kind)
        moved[v, 0], moved[v, 1], moved[v, 2] = x, y, z
    return moved
