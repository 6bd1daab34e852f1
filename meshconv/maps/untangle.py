"""Keep a triangulated plane or sphere free of folds, and even out what is left of the area error.

One energy does both: E = sum over faces of target * phi(area / target), phi(s) = s - 1 - log s,
which is 0 at s = 1 and grows to infinity as a face loses its area. Below s = _BARRIER phi goes on
as the parabola that touches it there, so that folded faces have a finite, still convex, energy. In
the plane a face's area is linear in each of its corners, hence E is convex in every single vertex
and Newton's 2 x 2 step is exact.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.maps.equalize.flow import SPHERE, stay
from meshconv.maps.folds import signed_areas

_BARRIER = 0.1
_PATIENCE = 10  # sweeps without a fold less, after which a patch is given up
_FLAT = 1e-14  # area / longest side below which rounding decides the sign of an area
_REACH = 0.3  # of the smallest altitude; below 1/2 no face can turn over, whatever its corners do


class Stars:
    """The faces around vertex v: `face[start[v]:start[v + 1]]`, v being their corner
    `corner[...]`.
    """

    def __init__(self, faces: IntArray, n: int) -> None:
        order = np.argsort(faces.ravel(), kind="stable")
        self.face, self.corner = np.divmod(order, 3)
        self.start = np.searchsorted(faces.ravel()[order], np.arange(n + 1))


@nb.njit(cache=True)
def _star_step(v, x, y, z, points, faces, start, star, corner, target, kind):  # type: ignore[no-untyped-def]
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
        size = np.sqrt(nx * nx + ny * ny + nz * nz)
        up = nx * (3 * x + ax + bx) + ny * (3 * y + ay + by) + nz * (3 * z + az + bz)
        sign = 1.0 if up > 0.0 else -1.0
        if size > 0.0:
            nx, ny, nz = sign * nx / size, sign * ny / size, sign * nz / size
        else:
            nx, ny, nz = (x, y, z) if kind == SPHERE else (0.0, 0.0, 1.0)
        ex, ey, ez = bx - ax, by - ay, bz - az
        longest = np.sqrt(
            max(
                ex * ex + ey * ey + ez * ez,
                ax * ax + ay * ay + az * az,
                bx * bx + by * by + bz * bz,
            )
        )
        area = 0.5 * sign * size
        lowest = min(lowest, area - _FLAT * longest)
        altitude = min(altitude, 2.0 * area / longest) if longest > 0.0 else 0.0
        p = target[star[s]]
        ratio = area / p
        near = max(ratio, _BARRIER)
        rise, bend, over = 1.0 - 1.0 / near, 1.0 / (near * near), ratio - near
        energy += p * (near - 1.0 - np.log(near) + rise * over + 0.5 * bend * over * over)
        rise += bend * over
        dx, dy, dz = 0.5 * (ny * ez - nz * ey), 0.5 * (nz * ex - nx * ez), 0.5 * (nx * ey - ny * ex)
        du, dv = dx * ux + dy * uy + dz * uz, dx * vx + dy * vy + dz * vz
        gu, gv = gu + rise * du, gv + rise * dv
        huu, huv, hvv = huu + bend / p * du * du, huv + bend / p * du * dv, hvv + bend / p * dv * dv
    huu, hvv = huu * (1.0 + 1e-9), hvv * (1.0 + 1e-9)
    det = huu * hvv - huv * huv
    su = sv = 0.0
    if det > 0.0:
        su, sv = -(hvv * gu - huv * gv) / det, -(huu * gv - huv * gu) / det
    return energy, su * ux + sv * vx, su * uy + sv * vy, su * uz + sv * vz, altitude, lowest


@nb.njit(cache=True)
def _relax(points, faces, start, star, corner, target, kinds, free, sweeps):  # type: ignore[no-untyped-def]
    """Move all free vertices at once, half of Newton's step each and never far enough to fold."""
    for _ in range(sweeps):
        moved = points.copy()
        for v in range(len(points)):
            if not free[v]:
                continue
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            _, sx, sy, sz, altitude, _ = _star_step(
                v, x, y, z, points, faces, start, star, corner, target, kinds[v]
            )
            length = np.sqrt(sx * sx + sy * sy + sz * sz)
            if length > 0.0 and altitude > 0.0:
                f = min(0.5, _REACH * altitude / length)
                moved[v, 0], moved[v, 1], moved[v, 2] = stay(
                    x + f * sx, y + f * sy, z + f * sz, kinds[v]
                )
        points = moved
    return points


@nb.njit(cache=True)
def _descend(points, order, faces, start, star, corner, target, kinds, patience):  # type: ignore[no-untyped-def]
    """Lower the energy vertex by vertex, in place, while the number of folded stars goes down."""
    fewest, since = len(order) + 1, 0
    while since < patience:
        folded = 0
        for v in order:
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            energy, sx, sy, sz, _, lowest = _star_step(
                v, x, y, z, points, faces, start, star, corner, target, kinds[v]
            )
            folded += lowest <= 0.0
            f = 1.0
            while f > 0.1:
                tx, ty, tz = stay(x + f * sx, y + f * sy, z + f * sz, kinds[v])
                lower = _star_step(
                    v, tx, ty, tz, points, faces, start, star, corner, target, kinds[v]
                )[0]
                if lower < energy:
                    points[v, 0], points[v, 1], points[v, 2] = tx, ty, tz
                    break
                f *= 0.5
        if folded == 0:
            return
        since += 1
        if folded < fewest:
            fewest, since = folded, 0


@nb.njit(cache=True)
def _advance(points, goal, faces, start, star, corner, target, kinds, sweeps):  # type: ignore[no-untyped-def]
    """Move every vertex towards its goal, in place, each as far as its own faces allow; nothing
    folds.
    """
    for _ in range(sweeps):
        far = 0.0
        for v in range(len(points)):
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            dx, dy, dz = goal[v, 0] - x, goal[v, 1] - y, goal[v, 2] - z
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            f = 1.0
            while length > 1e-12 and f > 0.01:
                tx, ty, tz = stay(x + f * dx, y + f * dy, z + f * dz, kinds[v])
                if (
                    _star_step(v, tx, ty, tz, points, faces, start, star, corner, target, kinds[v])[
                        5
                    ]
                    > 0.0
                ):
                    points[v, 0], points[v, 1], points[v, 2] = tx, ty, tz
                    far = max(far, f * length)
                    break
                f *= 0.5
        if far < 1e-9:
            break


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
    moved: FloatArray = _relax(
        points, faces, s.start, s.face, s.corner, target, kinds, free, sweeps
    )
    return moved


def untangle(
    points: FloatArray, faces: IntArray, target: FloatArray, kinds: IntArray, free: BoolArray
) -> tuple[FloatArray, bool]:
    """Unfold the folded faces by moving only vertices near them; return points (V, 3) and whether
    it worked.

    The patch is 3, then 9, then 27 rings of faces around what is folded. Vertices are visited from
    dense to sparse, so that the result does not depend on how they are numbered.
    """
    s = Stars(faces, len(points))
    points = points.copy()
    for rings in (3, 9, 27):
        folded = signed_areas(points, faces) <= 0.0
        if not folded.any():
            return points, True
        near = np.zeros(len(points), dtype=bool)
        near[faces[folded]] = True
        for _ in range(rings):
            near[faces[near[faces].any(axis=1)]] = True
        patch = np.flatnonzero(near & free)
        crowd = np.bincount(faces.ravel(), np.repeat(target, 3), len(points))
        order = patch[np.argsort(-crowd[patch], kind="stable")]
        _descend(points, order, faces, s.start, s.face, s.corner, target, kinds, _PATIENCE)
    return points, bool((signed_areas(points, faces) > 0.0).all())


def advance(
    start: FloatArray,
    goal: FloatArray,
    faces: IntArray,
    target: FloatArray,
    kinds: IntArray,
    sweeps: int = 200,
) -> FloatArray:
    """Return the unfolded points nearest to `goal` that single moves reach from an unfolded
    start.
    """
    s = Stars(faces, len(start))
    points = start.copy()
    _advance(points, goal, faces, s.start, s.face, s.corner, target, kinds, sweeps)
    return points
