"""Areas of a triangulated plane or sphere brought nearer to what they are to be, by moves that fold
nothing; the energy is that of `star_energy`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.maps.locate import volume
from meshconv.maps.star_energy import Stars, energy_change, star_step, wake
from meshconv.maps.stay import stay

_TAKEN_BACK = 1000
_LOWEST = 0.05  # distance from the centre that a flat face on the sphere is taken to have at least
_REACH = 0.3  # of the smallest altitude; below 1/2 no face can turn over, whatever its corners do
_BEYOND = 1.7  # of Newton's step of a single vertex: its neighbours will follow (over-relaxation)
_STILL = 1e-3  # of the smallest altitude: steps shorter than this are not made


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
def _relax(points, faces, start, ring, target, kinds, free, sweeps):  # type: ignore[no-untyped-def]
    """Move all free vertices at once, half of Newton's step each and never far enough to fold."""
    for _ in range(sweeps):
        moved = points.copy()
        for v in range(len(points)):
            if not free[v]:
                continue
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            sx, sy, sz, altitude = star_step(v, x, y, z, points, start, ring, target, kinds[v])
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
def _settle(points, order, start, ring, target, kinds, sweeps):  # type: ignore[no-untyped-def]
    """Lower the energy vertex by vertex, in place, by moves that fold nothing; a vertex that is
    where it wants to be waits until one beside it has moved.
    """
    awake = np.ones(len(points), dtype=np.bool_)
    for _ in range(sweeps):
        for v in order:
            if not awake[v]:
                continue
            awake[v] = False
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            sx, sy, sz, altitude = star_step(v, x, y, z, points, start, ring, target, kinds[v])
            f = _BEYOND
            if sx * sx + sy * sy + sz * sz < (_STILL * altitude) ** 2:
                continue
            while f > 0.01:
                to = stay(x + f * sx, y + f * sy, z + f * sz, kinds[v])
                change, lowest = energy_change(
                    v, (x, y, z), to, points, start, ring, target, kinds[v]
                )
                if change < 0.0 and lowest > 0.0:
                    points[v, 0], points[v, 1], points[v, 2] = to
                    wake(v, start, ring, awake)
                    break
                f *= 0.5


def relax(
    points: FloatArray,
    stars: Stars,
    target: FloatArray,
    kinds: IntArray,
    free: BoolArray,
    sweeps: int,
) -> FloatArray:
    """Return points (V, 3) with areas nearer to `target` (F,), by local moves; no upright face
    folds.
    """
    faces, start, ring = stars.faces, stars.start, stars.ring
    goal = stars.at_corners(half_volumes(points, faces, target))
    moved: FloatArray = _relax(points, faces, start, ring, goal, kinds, free, sweeps)
    return moved


def settle(
    points: FloatArray,
    stars: Stars,
    target: FloatArray,
    kinds: IntArray,
    free: BoolArray,
    sweeps: int,
) -> FloatArray:
    """Return points (V, 3) of lower energy, reached from unfolded ones by moves of single vertices.

    Far stronger than `relax`, which moves all vertices at once, but not symmetric where the surface
    is: each vertex sees those before it moved. Order as in `untangle`.
    """
    moved, goal = points.copy(), stars.at_corners(half_volumes(points, stars.faces, target))
    order = dense_first(stars.faces, target, np.flatnonzero(free), len(points))
    _settle(moved, order, stars.start, stars.ring, goal, kinds, sweeps)
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
