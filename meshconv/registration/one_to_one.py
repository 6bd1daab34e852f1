"""A one-to-one map near a wanted one: folds are opened, or the scan's own map is moved there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import FoldError, SolverError
from meshconv.maps.even_folds import evened
from meshconv.maps.folds import folded, signed_areas
from meshconv.maps.locate import lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import DISK, SPHERE
from meshconv.maps.untangle import advance, untangle
from meshconv.mesh.surface import Surface

KIND = "is it the same kind of surface?"
_NO_WAY = "the scan cannot be laid into the frame without folds"
_AVERAGING = 3  # rounds of averaging for the local area ratio
_LEAST_AREA = 0.2  # of what the surroundings suggest, for a face that is to be unfolded
_BUDGET = 50_000  # visits of vertices for what averages leave, and one for each vertex

OwnMap = Callable[[], Parameterization]


def one_to_one(
    surface: Surface, domain: str, wanted: FloatArray, marks: IntArray, own_map: OwnMap
) -> FloatArray:
    """Return coordinates near `wanted` in which no face is folded; the vertices `marks` stay if
    that is possible.

    First the folds are opened where they are, or else the scan's own map is taken; then each vertex
    moves towards what is wanted, as far as its faces allow.
    """
    kinds = np.full(surface.n_vertices, SPHERE if domain == "sphere" else DISK)
    goal = wanted if domain == "sphere" else lift(wanted)
    bad = folded(goal, surface.faces)
    if not len(bad):
        return wanted
    stars = Stars(surface.faces, len(goal))
    start = _opened(surface, goal, stars, kinds, marks, bad)
    if start is None:
        start = _start(surface, domain, wanted, own_map)
    points = advance(start, goal, stars, kinds)
    return points if domain == "sphere" else points[:, :2]


def _opened(
    surface: Surface,
    goal: FloatArray,
    stars: Stars,
    kinds: IntArray,
    marks: IntArray,
    bad: IntArray,
) -> FloatArray | None:
    """Return points near the goal without its folded faces, or None: by averages around
    them, and what these leave by the energy of areas.
    """
    border, free = np.zeros(len(goal), dtype=bool), np.ones(len(goal), dtype=bool)
    for loop in surface.boundary_loops:
        border[loop] = True
    free[marks] = False
    for movable in (free, np.ones_like(free)) if len(marks) else (free,):
        points, clean = evened(goal, stars, kinds, movable, border, bad)
        if not clean:
            target = _wanted_areas(points, surface)
            budget = _BUDGET + len(points)
            if not target.min() > 0.0:  # averages drew all of a small sphere into one point
                return None
            points, clean = untangle(points, stars, target, kinds, movable, budget)
        if clean:
            return points
    return None


def _start(surface: Surface, domain: str, wanted: FloatArray, own_map: OwnMap) -> FloatArray:
    """Return points without folds from which to reach what is wanted: the scan's own map, moved
    near it but not out of the disk.
    """
    try:
        begin = own_map().coordinates
    except (SolverError, FoldError) as error:
        raise FoldError(f"{_NO_WAY}, and it has no map of its own: {error}", hint=KIND) from error
    if domain == "disk":
        near = _similar(begin, wanted)
        begin = lift(near / max(1.0, float(np.linalg.norm(near, axis=1).max())))
    folds = len(folded(begin, surface.faces))
    if folds:
        raise FoldError(
            f"{_NO_WAY}, and {folds} faces of its own map are smaller than rounding",
            count=folds,
            hint=KIND,
        )
    return begin


def _wanted_areas(points: FloatArray, surface: Surface) -> FloatArray:
    """Return the area (F,) each face should keep: its own, but at least a share of what its
    surroundings suggest.
    """
    area = signed_areas(points, surface.faces)
    local, weight = np.maximum(area, 0.0), surface.face_areas
    for _ in range(_AVERAGING):  # local area ratio, from face to vertex and back
        local, weight = (_spread_to_faces(x, surface) for x in (local, weight))
    expected = surface.face_areas * local / np.maximum(weight, np.finfo(np.float64).tiny)
    floor = 1e-9 * np.abs(area).mean()
    return np.asarray(np.maximum.reduce([area, _LEAST_AREA * expected, np.full(len(area), floor)]))


def _spread_to_faces(per_face: FloatArray, surface: Surface) -> FloatArray:
    a, b, c = surface.faces.T
    at = sum((np.bincount(k, per_face, surface.n_vertices) for k in (a, b, c)), np.zeros(1))
    return np.asarray(at[a] + at[b] + at[c])


def _similar(source: FloatArray, target: FloatArray) -> FloatArray:
    """`source` (V, 2) turned, scaled and moved onto `target` by least squares; never mirrored."""
    s, t = source - source.mean(axis=0), target - target.mean(axis=0)
    z, w = s[:, 0] + 1j * s[:, 1], t[:, 0] + 1j * t[:, 1]
    moved = z * (np.vdot(z, w) / np.vdot(z, z).real)
    return np.column_stack([moved.real, moved.imag]) + target.mean(axis=0)
