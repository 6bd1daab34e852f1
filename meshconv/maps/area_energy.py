"""The area energy of a triangulated plane or sphere, lowered by moves that fold nothing.

E = sum over faces of target * phi(area / target), phi(s) = s - 1 - log s,
which is 0 at s = 1 and grows to infinity as a face loses its area. Below s = _BARRIER phi goes on
as the parabola that touches it there, so that folded faces have a finite, still convex, energy.

Half the volume of (0, a, b, c) stands for the area: with the plane at height 1 it is the area, on
the sphere it is the area of the flat face times its distance from the centre, and 0 exactly where
the face folds. It is linear in each corner, hence E is convex in every single vertex, and Newton's
2 x 2 step is exact in the plane.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.maps.locate import volume
from meshconv.maps.stay import SPHERE, stay
from meshconv.mesh.connectivity import counted_order

_BARRIER = 0.1
_FLAT = 1e-14  # area / longest side below which rounding decides the sign of an area
_FAR = 1e6  # radii of the domain: a step this long is a division by nothing
_TAKEN_BACK = 1000
_LOWEST = 0.05  # distance from the centre that a flat face on the sphere is taken to have at least
_REACH = 0.3  # of the smallest altitude; below 1/2 no face can turn over, whatever its corners do


class Stars:
    """The faces around vertex v: `face[start[v]:start[v + 1]]`, v being their corner
    `corner[...]`.
    """

    def __init__(self, faces: IntArray, n: int) -> None:
        self.face, self.corner = np.divmod(counted_order(faces.ravel()), 3)
        self.start = np.append(0, np.cumsum(np.bincount(faces.ravel(), minlength=n)))


@nb.njit(cache=True, inline="always")
def _barrier(ratio):  # type: ignore[no-untyped-def]
    """phi at area / target, its first and its second derivative."""
    near = max(ratio, _BARRIER)
    over = ratio - near
    bend = 1.0 / (near * near)
    rise = 1.0 - 1.0 / near + bend * over
    return near - 1.0 - np.log(near) + (rise - 0.5 * bend * over) * over, rise, bend


@nb.njit(cache=True)
def star_step(v, x, y, z, points, faces, start, star, corner, target, kind):  # type: ignore[no-untyped-def]
    """Energy around vertex v if at (x, y, z), Newton's step (3 numbers), smallest altitude and area
    there.
    """
    energy = gu = gv = huu = huv = hvv = 0.0
    altitude = lowest = np.inf
    # tangent frame: the plane's own, or one made from the axis farthest from the point
    ux, uy, uz, vx, vy, vz = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    if kind == SPHERE:
        if abs(x) < 0.7:
            ux, uy, uz = 0.0, z, -y
        else:
            ux, uy, uz = -z, 0.0, x
        r = 1.0 / np.sqrt(ux * ux + uy * uy + uz * uz)
        ux, uy, uz = ux * r, uy * r, uz * r
        vx, vy, vz = y * uz - z * uy, z * ux - x * uz, x * uy - y * ux
    for s in range(start[v], start[v + 1]):
        j, k = faces[star[s], (corner[s] + 1) % 3], faces[star[s], (corner[s] + 2) % 3]
        ax, ay, az = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
        bx, by, bz = points[k, 0] - x, points[k, 1] - y, points[k, 2] - z
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        ex, ey, ez = bx - ax, by - ay, bz - az
        longest = np.sqrt(
            max(
                ex * ex + ey * ey + ez * ez,
                ax * ax + ay * ay + az * az,
                bx * bx + by * by + bz * bz,
            )
        )
        area = 0.5 * (nx * x + ny * y + nz * z)
        lowest = min(lowest, area - _FLAT * longest)
        altitude = min(altitude, 2.0 * area / longest) if longest > 0.0 else 0.0
        p = target[star[s]]
        more, rise, bend = _barrier(area / p)
        energy += p * more
        # the volume's gradient is the cross product of the two other corners, n + v x (b - a) ...
        dx, dy, dz = (
            0.5 * (nx + y * ez - z * ey),
            0.5 * (ny + z * ex - x * ez),
            0.5 * (nz + x * ey - y * ex),
        )
        du, dv = dx * ux + dy * uy + dz * uz, dx * vx + dy * vy + dz * vz
        gu, gv = gu + rise * du, gv + rise * dv
        huu, huv, hvv = huu + bend / p * du * du, huv + bend / p * du * dv, hvv + bend / p * dv * dv
    huu, hvv = huu * (1.0 + 1e-9), hvv * (1.0 + 1e-9)
    det = huu * hvv - huv * huv
    su = sv = 0.0
    if det > 0.0:
        su, sv = -(hvv * gu - huv * gv) / det, -(huu * gv - huv * gu) / det
    if not abs(su) + abs(sv) < _FAR:
        su = sv = 0.0
    return energy, su * ux + sv * vx, su * uy + sv * vy, su * uz + sv * vz, altitude, lowest


@nb.njit(cache=True)
def _stay_open(points, moved, faces):  # type: ignore[no-untyped-def]
    """Take back, in place, the moves of the corners of folded faces until none is folded."""
    for _ in range(_TAKEN_BACK):
        folded = False
        for f in range(len(faces)):
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            if _above(moved[i], moved[j], moved[k]):
                continue
            for v in (i, j, k):
                for d in range(3):
                    folded = folded or moved[v, d] != points[v, d]
                    moved[v, d] = points[v, d]
        if not folded:
            return
    moved[:] = points


@nb.njit(cache=True, inline="always")
def _above(a, b, c):  # type: ignore[no-untyped-def]
    """Whether a face is seen counter-clockwise from outside."""
    return volume(a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2]) > 0.0


@nb.njit(cache=True)
def _relax(points, faces, start, star, corner, target, kinds, free, sweeps):  # type: ignore[no-untyped-def]
    """Move all free vertices at once, half of Newton's step each and never far enough to fold."""
    for _ in range(sweeps):
        moved = points.copy()
        for v in range(len(points)):
            if not free[v]:
                continue
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            _, sx, sy, sz, altitude, _ = star_step(
                v, x, y, z, points, faces, start, star, corner, target, kinds[v]
            )
            length = np.sqrt(sx * sx + sy * sy + sz * sz)
            if length > 0.0 and altitude > 0.0:
                f = min(0.5, _REACH * altitude / length)
                moved[v, 0], moved[v, 1], moved[v, 2] = stay(
                    x + f * sx, y + f * sy, z + f * sz, kinds[v]
                )
        _stay_open(points, moved, faces)
        points = moved
    return points


@nb.njit(cache=True)
def _settle(points, order, faces, start, star, corner, target, kinds, sweeps):  # type: ignore[no-untyped-def]
    """Lower the energy vertex by vertex, in place, by moves that fold nothing."""
    for _ in range(sweeps):
        for v in order:
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            energy, sx, sy, sz, _, _ = star_step(
                v, x, y, z, points, faces, start, star, corner, target, kinds[v]
            )
            f = 1.0
            while f > 0.01:
                tx, ty, tz = stay(x + f * sx, y + f * sy, z + f * sz, kinds[v])
                after, _, _, _, _, lowest = star_step(
                    v, tx, ty, tz, points, faces, start, star, corner, target, kinds[v]
                )
                if after < energy and lowest > 0.0:
                    points[v, 0], points[v, 1], points[v, 2] = tx, ty, tz
                    break
                f *= 0.5


def relax(
    points: FloatArray,
    faces: IntArray,
    target: FloatArray,
    kinds: IntArray,
    free: BoolArray,
    sweeps: int,
) -> FloatArray:
    """Return points (V, 3) with areas nearer to `target` (F,), by local moves; no upright face
    folds.
    """
    s = Stars(faces, len(points))
    goal = half_volumes(points, faces, target)
    moved: FloatArray = _relax(points, faces, s.start, s.face, s.corner, goal, kinds, free, sweeps)
    return moved


def settle(
    points: FloatArray,
    faces: IntArray,
    target: FloatArray,
    kinds: IntArray,
    free: BoolArray,
    sweeps: int,
) -> FloatArray:
    """Return points (V, 3) of lower energy, reached from unfolded ones by moves of single vertices.

    Far stronger than `relax`, which moves all vertices at once, but not symmetric where the surface
    is: each vertex sees those before it moved. Order as in `untangle`.
    """
    s = Stars(faces, len(points))
    moved, goal = points.copy(), half_volumes(points, faces, target)
    order = dense_first(faces, target, np.flatnonzero(free), len(points))
    _settle(moved, order, faces, s.start, s.face, s.corner, goal, kinds, sweeps)
    return moved


def dense_first(faces: IntArray, target: FloatArray, vertices: IntArray, n: int) -> IntArray:
    """Return `vertices` in the order in which single moves do not depend on their numbers."""
    crowd = np.bincount(faces.ravel(), np.repeat(target, 3), n)
    return vertices[np.argsort(-crowd[vertices], kind="stable")]


def half_volumes(points: FloatArray, faces: IntArray, target: FloatArray) -> FloatArray:
    """Return the areas wanted (F,) as half volumes: times the distance of each face from 0."""
    if (points[:, 2] == 1.0).all():  # the plane
        return target
    a, b, c = points[faces].swapaxes(0, 1)
    normal = np.cross(b - a, c - a)
    size = np.maximum(np.linalg.norm(normal, axis=1), np.finfo(float).tiny)
    height = np.abs(np.einsum("fi,fi->f", normal, a)) / size
    return np.asarray(target * np.clip(height, _LOWEST, 1.0))
