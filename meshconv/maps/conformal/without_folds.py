"""No folded face, whatever the triangles: weaken the guilty weights step by step until the map is
one-to-one.

Where all edge weights are positive and the border is convex a harmonic map cannot fold (Tutte,
Floater), so making the weights positive around the folds, in growing patches, ends; outside the
patches nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from scipy import sparse

from meshconv._check import BoolArray, ComplexArray, FloatArray, IntArray
from meshconv.errors import FoldError, SolverError
from meshconv.maps.conformal.edge_weights import attracting_near, relaxed
from meshconv.maps.folds import folded
from meshconv.operators.solve import FixedValueSolver

_PATCHES = 8
_RELAXATIONS = 30
_PATCH_RINGS = 6  # around the edges that are changed
_PATCH_GROWTH = (0, 1, 2)
REACH = sum(_PATCH_GROWTH) + _PATCH_RINGS + 2  # rings around folds that `patched` looks at

Solve = Callable[[sparse.csr_array], FloatArray]


def as_complex(coordinates: FloatArray) -> ComplexArray:
    """Return (V, 2) coordinates as x + iy, (V,)."""
    return np.asarray(np.ascontiguousarray(coordinates).view(np.complex128)[:, 0])


def as_plane(z: ComplexArray) -> FloatArray:
    """Return x + iy as (V, 2) coordinates."""
    return np.asarray(np.ascontiguousarray(z).view(np.float64).reshape(-1, 2))


def unfolded(
    first: FloatArray,
    faces: IntArray,
    laplacian: sparse.csr_array,
    solve: Solve,
    positions: FloatArray | None = None,
) -> FloatArray:
    """Return `first` if nothing is folded in it, else the nearest map of the ladder that has no
    fold.

    Parameters
    ----------
    first : (V, 2) float64
        The map wanted, ``solve(laplacian)``.
    solve : callable
        Laplacian -> coordinates (V, 2) with the same border.
    positions : (V, 3) float64, optional
        The surface; if given, edges that the image shrinks to nothing are relaxed in the end.

    Raises
    ------
    FoldError
        If even positive, relaxed weights fold in floating point; names the faces.
    """
    coordinates, near = first, np.zeros(len(first), dtype=bool)
    bad = folded(coordinates, faces)
    for rings in range(_PATCHES):
        if len(bad) == 0:
            return coordinates
        near |= _grown(faces, bad, len(first), rings)
        coordinates = solve(attracting_near(laplacian, near))
        bad = folded(coordinates, faces)
    for _ in range(_RELAXATIONS):
        if len(bad) == 0 or positions is None:
            break
        laplacian = relaxed(laplacian, coordinates, positions)
        coordinates = solve(laplacian)
        bad = folded(coordinates, faces)
    if len(bad) == 0:
        return coordinates
    raise too_deep(bad)


def too_deep(bad: IntArray) -> FoldError:
    """The refusal of a surface that no weights unfold; `bad` are the faces that stay folded."""
    return FoldError(
        f"{len(bad)} faces stay folded or without area, first face {bad[0]}: a part of the surface "
        "is too deep for its opening, and its image falls below the resolution of floating point",
        indices=bad[:10].tolist(),
        count=len(bad),
        hint="crop the surface, or cut the deep part off",
    )


def patched(
    first: FloatArray, faces: IntArray, laplacian: sparse.csr_array, fixed: IntArray
) -> FloatArray:
    """Return the map (V, 2) with only the surroundings of its folds solved anew, or `first` if that
    is not enough.

    Edges near the folds are made to attract, as by `unfolded`, but what lies farther away stays: a
    small system, where a large mesh with folds in a few places would have to be factored once more.
    """
    near = np.unique(faces[folded(first, faces)])
    for rings in _PATCH_GROWTH:
        near = _neighbourhood(laplacian, near, rings)
        inside = np.setdiff1d(_neighbourhood(laplacian, near, _PATCH_RINGS), fixed)
        patch = _neighbourhood(laplacian, inside, 1)
        weights = attracting_near(laplacian[patch][:, patch], np.isin(patch, near))
        held = np.flatnonzero(~np.isin(patch, inside))
        coordinates = first.copy()
        try:
            solver = FixedValueSolver(weights, held, coordinates=first[patch])
            coordinates[patch] = solver.solve(first[patch[held]])
        except SolverError:
            return first
        if len(folded(coordinates, faces)) == 0:
            return coordinates
    return first


def _neighbourhood(laplacian: sparse.csr_array, vertices: IntArray, rings: int) -> IntArray:
    for _ in range(rings):
        vertices = np.unique(laplacian[vertices].indices).astype(np.int64)
    return vertices


@njit(cache=True)
def faces_near(faces: IntArray, bad: IntArray, n: int, rings: int) -> BoolArray:
    """The faces (F,) within some rings of faces around those that are `bad`, of n vertices."""
    ring, out = np.full(n, rings), np.zeros(len(faces), dtype=np.bool_)
    for f in bad:
        for k in range(3):
            ring[faces[f, k]] = 0
    for step in range(rings):
        for f in range(len(faces)):
            if out[f]:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            if min(ring[a], ring[b], ring[c]) <= step:
                out[f] = True
                for v in (a, b, c):
                    ring[v] = min(ring[v], step + 1)
    return out


def _grown(faces: IntArray, bad: IntArray, n: int, rings: int) -> BoolArray:
    """Vertices of the faces `bad` and of 2^rings - 1 rings around them."""
    near = np.zeros(n, dtype=bool)
    near[faces[bad]] = True
    for _ in range(2**rings - 1):
        near[faces[near[faces].any(axis=1)]] = True
        if near.all():
            break
    return near
