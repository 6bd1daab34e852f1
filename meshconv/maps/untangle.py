"""Open the folds of a triangulated plane or sphere by moves of single vertices near them."""

from __future__ import annotations

import numba as nb
import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.maps.area_energy import dense_first, half_volumes
from meshconv.maps.even_folds import grow
from meshconv.maps.folds import covers_once, folded
from meshconv.maps.star_energy import FLAT, Stars, energy_change, lowest_area, star_step, wake
from meshconv.maps.stay import CIRCLE, SPHERE, stay

_PATIENCE = 10  # sweeps without a fold less, after which a patch is given up
_ENDLESS = 2**62
_QUIET = 0.01  # of the smallest altitude: where nothing is folded, shorter steps are not made
_STILL = 1e-3  # of the distance between vertices: moves that end an advance
_LEAST = 1e-3  # of the way to the goal, below which a vertex stays where it was


@nb.njit(cache=True)
def _descend(points, order, start, ring, target, kinds, patience, budget):  # type: ignore[no-untyped-def]
    """Lower the energy vertex by vertex, in place, while the number of folded stars goes down and
    `budget` visits of vertices are not used up; return how many were made. A vertex that is where
    it wants to be waits until one beside it has moved.
    """
    fewest, since, visits = len(order) + 1, 0, 0
    awake = np.ones(len(points), dtype=np.bool_)
    while since < patience and visits < budget:
        folded = 0
        for v in order:
            if not awake[v]:
                continue
            visits += 1
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            sx, sy, sz, altitude = star_step(v, x, y, z, points, start, ring, target, kinds[v])
            awake[v] = altitude <= FLAT
            folded += altitude <= FLAT
            if sx * sx + sy * sy + sz * sz < (_QUIET * altitude) ** 2:
                continue
            f = 1.0
            while f > 0.1:
                to = stay(x + f * sx, y + f * sy, z + f * sz, kinds[v])
                change = energy_change(v, (x, y, z), to, points, start, ring, target, kinds[v])
                if change[0] < 0.0:
                    points[v, 0], points[v, 1], points[v, 2] = to
                    wake(v, start, ring, awake)
                    break
                f *= 0.5
        if folded == 0:
            break
        since += 1
        if folded < fewest:
            fewest, since = folded, 0
    return visits


@nb.njit(cache=True)
def _advance(points, goal, start, ring, kinds, sweeps, still):  # type: ignore[no-untyped-def]
    """Move every vertex towards its goal, in place, each as far as its own faces allow; nothing
    folds. A vertex that could not move waits until one beside it has; moves shorter than `still`
    are the last.
    """
    awake = np.ones(len(points), dtype=np.bool_)
    for _ in range(sweeps):
        far = 0.0
        for v in range(len(points)):
            if not awake[v]:
                continue
            awake[v] = False
            x, y, z = points[v, 0], points[v, 1], points[v, 2]
            dx, dy, dz = goal[v, 0] - x, goal[v, 1] - y, goal[v, 2] - z
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            f = 1.0
            while length > 1e-12 and f > 0.01:
                tx, ty, tz = stay(x + f * dx, y + f * dy, z + f * dz, kinds[v])
                if lowest_area(v, tx, ty, tz, points, start, ring, kinds[v]) > 0.0:
                    points[v, 0], points[v, 1], points[v, 2] = tx, ty, tz
                    far = max(far, f * length)
                    wake(v, start, ring, awake)
                    break
                f *= 0.5
        if far <= still:
            break


def untangle(
    points: FloatArray,
    stars: Stars,
    target: FloatArray,
    kinds: IntArray,
    free: BoolArray,
    budget: int = _ENDLESS,
) -> tuple[FloatArray, bool]:
    """Unfold the folded faces by moving only vertices near them; return points (V, 3) and whether
    it worked: on the sphere, whether it is also covered only once.

    `kinds` (V,) says where each vertex has to stay: anywhere in the plane, within the unit disk, on
    its circle, or on the sphere. After about `budget` visits of vertices it is given up.

    The patch is 3, then 9, then 27 rings of faces around what is folded. Vertices are visited from
    dense to sparse, so that the result does not depend on how they are numbered.
    """
    faces = stars.faces
    points, goal = points.copy(), stars.at_corners(half_volumes(points, faces, target))
    for rings in (3, 9, 27):
        bad = folded(points, faces)
        if not len(bad) or budget <= 0:
            break
        near = np.zeros(len(points), dtype=bool)
        near[faces[bad]] = True
        grow(near, np.flatnonzero(near), stars.start, stars.ring, rings)
        patch = np.flatnonzero(near & free)
        order = dense_first(faces, target, patch, len(points))
        budget -= _descend(points, order, stars.start, stars.ring, goal, kinds, _PATIENCE, budget)
    return points, not len(folded(points, faces)) and goes_once(points, faces, kinds)


def goes_once(points: FloatArray, faces: IntArray, kinds: IntArray) -> bool:
    """Return whether points on the sphere cover it once; in the plane the border sees to it."""
    return not (kinds == SPHERE).all() or covers_once(points, faces)


def back_to(
    start: FloatArray, goal: FloatArray, faces: IntArray, kinds: IntArray, together: IntArray
) -> FloatArray:
    """Return `goal` with the corners of folded faces moved back towards the unfolded `start`.

    Every round halves the way of the corners of what is still folded, so that at last they are
    where they were: this ends without folds, wherever the goal lies. The vertices `together` go
    back at once if one does.
    """
    way, points = np.ones(len(start)), goal
    while len(bad := folded(points, faces)):
        near = np.unique(faces[bad])
        if np.isin(near, together).any():
            near = np.union1d(near, together)
        way[near] = np.where(way[near] > _LEAST, 0.5 * way[near], 0.0)
        part = way[near][:, None]
        moved = _between(start[near], goal[near], part, kinds[near])
        points = points.copy()
        points[near] = np.where(part > 0.0, moved, start[near])
    return points


def _between(start: FloatArray, goal: FloatArray, way: FloatArray, kinds: IntArray) -> FloatArray:
    """Return the points (V, 3) at `way` (V, 1) from start to goal: straight, or along the circle or
    sphere.
    """
    points = start + way * (goal - start)
    there = kinds == CIRCLE
    turn = np.angle((goal[there, :2] @ [1, 1j]) * np.conj(start[there, :2] @ [1, 1j]))
    z = (start[there, :2] @ [1, 1j]) * np.exp(1j * way[there, 0] * turn)
    points[there, :2] = np.column_stack([z.real, z.imag])
    there = kinds == SPHERE
    points[there] /= np.linalg.norm(points[there], axis=1, keepdims=True)
    return points


def advance(
    start: FloatArray,
    goal: FloatArray,
    stars: Stars,
    kinds: IntArray,
    sweeps: int = 200,
) -> FloatArray:
    """Return the unfolded points nearest to `goal` that single moves reach from an unfolded
    start.
    """
    points = start.copy()
    still = _STILL * float(np.sqrt(np.ptp(start[:, 0]) * np.ptp(start[:, 1]) / len(start)))
    _advance(points, goal, stars.start, stars.ring, kinds, sweeps, still)
    return points
