"""Open the folds of a quasi-conformal map, its fixed vertices staying where they are to be."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse

from meshconv._check import FloatArray, IntArray
from meshconv.errors import AccuracyWarning, FoldError
from meshconv.maps.equalize.flow import corner_sum, face_vectors, stiffness
from meshconv.maps.face_maps import beltrami_between
from meshconv.maps.folds import folded as folds_of
from meshconv.maps.locate import lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import INTERIOR
from meshconv.maps.untangle import untangle
from meshconv.operators.solve import FixedValueSolver

_MOTIONS = 40  # small steps allowed to bring landmarks home without a fold
_LEAST = 1.0 / 64.0  # of the way left: the smallest step


def opened(
    p: Parameterization, folded: Parameterization, fixed: IntArray, count: int
) -> Parameterization:
    """Return the map `folded` of the start `p` with its folds opened, or raise FoldError."""
    faces, n = p.surface.faces, p.surface.n_vertices
    free = np.ones(n, dtype=bool)
    free[fixed] = False
    target = p.face_areas * (np.abs(folded.face_areas).sum() / p.face_areas.sum())
    kinds, goal = np.full(n, INTERIOR), lift(folded.coordinates)
    points, done = untangle(goal, Stars(faces, n), target, kinds, free)
    if not done:
        points, done = _in_small_steps(lift(p.coordinates), goal, faces, fixed)
    mapped = folded.with_coordinates(np.where(free[:, None], points[:, :2], folded.coordinates))
    if not done or len(mapped.flipped_faces()):
        raise FoldError(
            f"{count} faces fold and could not be opened with border and landmarks where they are "
            "to be",
            indices=folded.flipped_faces()[:10].tolist(),
            count=count,
            hint="move the landmarks in several smaller steps, or pass on_fold='keep'",
        )
    worst = float(np.abs(beltrami_between(faces, p.z, mapped.z)).max())
    warnings.warn(
        f"{count} folded faces were opened; largest |mu| now {worst:.4f}",
        AccuracyWarning,
        stacklevel=5,
    )
    return mapped


def _in_small_steps(
    start: FloatArray, goal: FloatArray, faces: IntArray, fixed: IntArray
) -> tuple[FloatArray, bool]:
    """Take the fixed vertices to their goals by small smooth motions; return points (V, 3), and if
    done.

    Each motion is biharmonic on the mesh as it then lies, and as long as nothing folds: their
    composition can go where a single one would fold.
    """
    points, n = start, len(start)
    for _ in range(_MOTIONS):
        sides, _, area = face_vectors(points, faces)
        laplacian = stiffness(faces, sides, area, n)
        mass = sparse.diags_array(3.0 / corner_sum(faces, area, n))
        solver = FixedValueSolver(laplacian @ mass @ laplacian, fixed, coordinates=points)
        motion = solver.solve((goal - points)[fixed])
        part = 1.0
        while part >= _LEAST and len(folds_of(points + part * motion, faces)):
            part *= 0.5
        if part < _LEAST:
            return points, False
        points = points + part * motion
        if part == 1.0:
            return points, True
    return points, False
