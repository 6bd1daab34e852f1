"""Open the folds of a triangulated plane or sphere by averaging around them."""

from __future__ import annotations

import numba as nb
import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.maps.folds import folded
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import stay

_RINGS, _GROWTH = 3, 1.5  # of faces around what is folded, at first, and from round to round
_WIDEST = 30
_ROUNDS = 24
_SWEEPS = 10  # and two for each ring


@nb.njit(cache=True)
def grow(near, front, start, ring, rings):  # type: ignore[no-untyped-def]
    """Mark the vertices within so many rings of faces around those in `front`, in place."""
    queue = np.empty(len(near), dtype=np.int64)
    tail = len(front)
    queue[:tail] = front
    head = 0
    for _ in range(rings):
        last = tail
        for q in range(head, last):
            for s in range(start[queue[q]], start[queue[q] + 1]):
                for k in range(2):
                    v = ring[s, k]
                    if not near[v]:
                        near[v] = True
                        queue[tail] = v
                        tail += 1
        head = last


@nb.njit(cache=True)
def _average(points, patch, start, ring, kinds, border, sweeps):  # type: ignore[no-untyped-def]
    """Move the vertices of the patch, all at once, to the mean of their neighbours, in place; those
    on the border to the mean of their neighbours there.
    """
    moved = np.empty((len(patch), 3))
    for _ in range(sweeps):
        for q in range(len(patch)):
            v = patch[q]
            x = y = z = 0.0
            count = 0
            for s in range(start[v], start[v + 1]):
                for k in range(2):
                    j = ring[s, k]
                    if border[j] or not border[v]:
                        x, y, z = x + points[j, 0], y + points[j, 1], z + points[j, 2]
                        count += 1
            if x == y == z == 0.0:  # neighbours all around a sphere have no mean on it
                x, y, z, count = points[v, 0], points[v, 1], points[v, 2], 1
            moved[q, 0], moved[q, 1], moved[q, 2] = stay(x / count, y / count, z / count, kinds[v])
        for q in range(len(patch)):
            for d in range(3):
                points[patch[q], d] = moved[q, d]


def evened(
    points: FloatArray,
    stars: Stars,
    kinds: IntArray,
    free: BoolArray,
    border: BoolArray,
    bad: IntArray,
) -> tuple[FloatArray, bool]:
    """Return points (V, 3) with the folded faces `bad` opened, and whether all are. What is far
    from them is not looked at.

    Around what is folded, vertices move to the mean of their neighbours, in patches that grow from
    round to round: a harmonic map with equal weights, which folds nothing if the patch has a convex
    image (Tutte, 1963, How to draw a graph. doi:10.1112/plms/s3-13.1.743).
    """
    points, rings = points.copy(), float(_RINGS)
    for _ in range(_ROUNDS):
        if not len(bad):
            return points, True
        near = np.zeros(len(points), dtype=bool)
        near[stars.faces[bad]] = True
        still = border & ~near
        grow(near, np.flatnonzero(near), stars.start, stars.ring, int(rings))
        patch = np.flatnonzero(near & free & ~still)
        sweeps = _SWEEPS + 2 * int(rings)
        _average(points, patch, stars.start, stars.ring, kinds, border, sweeps)
        maybe = np.union1d(bad, stars.beside(patch))
        bad = maybe[folded(points, stars.faces[maybe])]
        rings = min(_GROWTH * rings, _WIDEST)
    return points, not len(bad)
