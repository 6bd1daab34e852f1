"""The area energy of the faces around one vertex, and the step that lowers it most.

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

from meshconv._check import FloatArray, IntArray
from meshconv.maps.stay import SPHERE
from meshconv.mesh.vector import fixed

_BARRIER = 0.1
_FLAT = 1e-14  # area / longest side below which rounding decides the sign of an area
FLAT = 2.0 * _FLAT  # the same of the altitude
_FAR = 1e6  # radii of the domain: a step this long is a division by nothing


class Stars:
    """The faces around vertex v, rows `start[v]` to `start[v + 1]` of what is below.

    Attributes
    ----------
    faces : (F, 3) int64
    face : (3F,) int32
    ring : (3F, 2) int32
        The two other corners, counter-clockwise.
    """

    def __init__(self, faces: IntArray, n: int) -> None:
        self.faces = faces
        self.start = np.zeros(n + 1, dtype=np.int64)
        self.face = np.empty(3 * len(faces), dtype=np.int32)
        self.ring = np.empty((3 * len(faces), 2), dtype=np.int32)
        _collect(fixed(faces), self.start, self.face, self.ring)

    def at_corners(self, per_face: FloatArray) -> FloatArray:
        """Return values (F,) of the faces in rows, (3F,)."""
        return per_face[self.face]

    def beside(self, vertices: IntArray) -> IntArray:
        """Return the faces around these vertices, ascending."""
        count = self.start[vertices + 1] - self.start[vertices]
        row = np.repeat(self.start[vertices + 1] - np.cumsum(count), count)
        return np.unique(self.face[row + np.arange(len(row))])


@nb.njit(cache=True)
def _collect(faces, start, face, ring):  # type: ignore[no-untyped-def]
    """Fill the rows, the faces of each vertex ascending; `start` is 0 before."""
    n = len(start) - 1
    for f in range(len(faces)):
        for k in range(3):
            start[faces[f, k]] += 1
    for v in range(n):
        start[v + 1] += start[v]  # where the rows of v end
    for f in range(len(faces) - 1, -1, -1):
        for k in range(3):
            start[faces[f, k]] -= 1
            s = start[faces[f, k]]
            face[s], ring[s, 0], ring[s, 1] = f, faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]


@nb.njit(cache=True, inline="always")
def wake(v, start, ring, awake):  # type: ignore[no-untyped-def]
    """Mark vertex v and all beside it."""
    awake[v] = True
    for s in range(start[v], start[v + 1]):
        awake[ring[s, 0]] = awake[ring[s, 1]] = True


@nb.njit(cache=True, inline="always")
def _barrier(ratio):  # type: ignore[no-untyped-def]
    """phi at area / target."""
    near = max(ratio, _BARRIER)
    over = ratio - near
    bend = 1.0 / (near * near)
    rise = 1.0 - 1.0 / near + bend * over
    return near - 1.0 - np.log(near) + (rise - 0.5 * bend * over) * over


@nb.njit(cache=True, inline="always")
def _slopes(ratio):  # type: ignore[no-untyped-def]
    """The first and the second derivative of phi at area / target."""
    near = max(ratio, _BARRIER)
    inverse = 1.0 / near
    bend = inverse * inverse
    return 1.0 - inverse + bend * (ratio - near), bend


@nb.njit(cache=True, inline="always")
def _face(s, x, y, z, points, ring, kind):  # type: ignore[no-untyped-def]
    """Twice the area of face s around a vertex at (x, y, z), and what of it may be rounding."""
    j, k = ring[s, 0], ring[s, 1]
    ax, ay = points[j, 0] - x, points[j, 1] - y
    bx, by = points[k, 0] - x, points[k, 1] - y
    area = ax * by - ay * bx
    longest = max(ax * ax + ay * ay, bx * bx + by * by)
    if kind == SPHERE:
        az, bz = points[j, 2] - z, points[k, 2] - z
        area = area * z + (ay * bz - az * by) * x + (az * bx - ax * bz) * y
        longest += max(az * az, bz * bz)
    return area, _FLAT * np.sqrt(longest)


@nb.njit(cache=True)
def energy_change(v, here, there, points, start, ring, target, kind):  # type: ignore[no-untyped-def]
    """What a move of vertex v from here to there adds to its energy, and the smallest area there.

    One logarithm for each face: the two energies alone would need two, and lose digits.
    """
    change, lowest = 0.0, np.inf
    for s in range(start[v], start[v + 1]):
        before, _ = _face(s, here[0], here[1], here[2], points, ring, kind)
        after, flat = _face(s, there[0], there[1], there[2], points, ring, kind)
        lowest = min(lowest, after - flat)
        old, new = 0.5 * before / target[s], 0.5 * after / target[s]
        if min(old, new) >= _BARRIER:
            change += target[s] * (new - old - np.log(new / old))
        else:
            change += target[s] * (_barrier(new) - _barrier(old))
    return change, lowest


@nb.njit(cache=True)
def lowest_area(v, x, y, z, points, start, ring, kind):  # type: ignore[no-untyped-def]
    """The smallest area around vertex v if at (x, y, z), as in `energy_change`."""
    lowest = np.inf
    for s in range(start[v], start[v + 1]):
        area, flat = _face(s, x, y, z, points, ring, kind)
        lowest = min(lowest, area - flat)
    return lowest


@nb.njit(cache=True)
def star_step(v, x, y, z, points, start, ring, target, kind):  # type: ignore[no-untyped-def]
    """Newton's step (3 numbers) of vertex v at (x, y, z), and the smallest altitude of a face
    there; not above `FLAT` where one is folded.
    """
    if kind == SPHERE:
        return _step_on_sphere(v, x, y, z, points, start, ring, target)
    gu = gv = huu = huv = hvv = 0.0
    least = np.inf
    for s in range(start[v], start[v + 1]):
        j, k = ring[s, 0], ring[s, 1]
        ax, ay = points[j, 0] - x, points[j, 1] - y
        bx, by = points[k, 0] - x, points[k, 1] - y
        ex, ey = bx - ax, by - ay
        longest = max(ex * ex + ey * ey, ax * ax + ay * ay, bx * bx + by * by)
        area = ax * by - ay * bx
        least = min(least, area * abs(area) / longest) if longest > 0.0 else min(least, 0.0)
        inverse = 1.0 / target[s]
        rise, bend = _slopes(0.5 * area * inverse)
        du, dv = -0.5 * ey, 0.5 * ex
        bend *= inverse
        gu, gv = gu + rise * du, gv + rise * dv
        huu, huv, hvv = huu + bend * du * du, huv + bend * du * dv, hvv + bend * dv * dv
    su, sv = _newton(gu, gv, huu, huv, hvv)
    return su, sv, 0.0, np.sqrt(max(least, 0.0))


@nb.njit(cache=True, inline="always")
def _newton(gu, gv, huu, huv, hvv):  # type: ignore[no-untyped-def]
    huu, hvv = huu * (1.0 + 1e-9), hvv * (1.0 + 1e-9)
    det = huu * hvv - huv * huv
    su = sv = 0.0
    if det > 0.0:
        su, sv = -(hvv * gu - huv * gv) / det, -(huu * gv - huv * gu) / det
    if not abs(su) + abs(sv) < _FAR:
        su = sv = 0.0
    return su, sv


@nb.njit(cache=True)
def _step_on_sphere(v, x, y, z, points, start, ring, target):  # type: ignore[no-untyped-def]
    gu = gv = huu = huv = hvv = 0.0
    least = np.inf
    # tangent frame made from the axis farthest from the point
    if abs(x) < 0.7:
        ux, uy, uz = 0.0, z, -y
    else:
        ux, uy, uz = -z, 0.0, x
    r = 1.0 / np.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux * r, uy * r, uz * r
    vx, vy, vz = y * uz - z * uy, z * ux - x * uz, x * uy - y * ux
    for s in range(start[v], start[v + 1]):
        j, k = ring[s, 0], ring[s, 1]
        ax, ay, az = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
        bx, by, bz = points[k, 0] - x, points[k, 1] - y, points[k, 2] - z
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        ex, ey, ez = bx - ax, by - ay, bz - az
        longest = max(
            ex * ex + ey * ey + ez * ez, ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz
        )
        area = nx * x + ny * y + nz * z
        least = min(least, area * abs(area) / longest) if longest > 0.0 else min(least, 0.0)
        inverse = 1.0 / target[s]
        rise, bend = _slopes(0.5 * area * inverse)
        # the volume's gradient is the cross product of the two other corners, n + v x (b - a) ...
        dx, dy, dz = (
            0.5 * (nx + y * ez - z * ey),
            0.5 * (ny + z * ex - x * ez),
            0.5 * (nz + x * ey - y * ex),
        )
        du, dv = dx * ux + dy * uy + dz * uz, dx * vx + dy * vy + dz * vz
        bend *= inverse
        gu, gv = gu + rise * du, gv + rise * dv
        huu, huv, hvv = huu + bend * du * du, huv + bend * du * dv, hvv + bend * dv * dv
    su, sv = _newton(gu, gv, huu, huv, hvv)
    step = su * ux + sv * vx, su * uy + sv * vy, su * uz + sv * vz
    return *step, np.sqrt(max(least, 0.0))
