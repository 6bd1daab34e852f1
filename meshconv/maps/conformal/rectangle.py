"""The conformal rectangle: two Laplace problems with mixed border values, height in closed form."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import sparse

from meshconv._check import FloatArray, IntArray
from meshconv.errors import FoldError, SolverError
from meshconv.maps.conformal.dividing_edges import dividing_sides
from meshconv.maps.conformal.without_folds import unfolded
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver

_CANDIDATES = 14  # sharpest border vertices among which four corners are looked for
_SPREAD = 4.0  # weight of the shortest side, as a share of the border, against radians of turning
# shares of the border's length, to both sides, over which turning is summed
_WINDOWS = (0.0, 0.01, 0.03, 0.06)
_TIE = 1e-9  # what differs by less is equal: on a symmetric surface rounding must not decide


def rectangle_coordinates(
    surface: Surface, corners: IntArray | None, *, areas: FloatArray
) -> FloatArray:
    """Return the conformal map (V, 2) onto [0, 1] x [0, h]; `corners` (4,) are positions along the
    border.

    Corner 0 goes to the origin, the others follow counter-clockwise. Corners that are found rather
    than given are named so that h <= 1 and the heavier half lies to the right.
    """
    loop = surface.boundary_loops[0]
    if corners is not None:
        return _onto_rectangle(surface, loop, corners)
    uv = _best(surface, loop)
    if uv[:, 1].max() > 1 + _TIE:
        uv = np.column_stack([uv[:, 1], 1 - uv[:, 0]]) / uv[:, 1].max()
    if np.average(uv[:, 0], weights=areas) < 0.5 - _TIE:
        uv = uv.max(axis=0) - uv
    return np.maximum(uv, 0.0)


def _best(surface: Surface, loop: IntArray) -> FloatArray:
    """Of the corners found at several scales of the border, the map with the smallest mean angle
    error; corners that would fold a face are left out, unless all do.
    """
    choices = {tuple(find_corners(surface, loop, window).tolist()) for window in _WINDOWS}
    maps, failures = [], []
    for choice in sorted(choices):
        try:
            maps.append(_onto_rectangle(surface, loop, np.array(choice)))
        except (FoldError, SolverError) as failure:
            failures.append(failure)
    if not maps:
        raise failures[0]
    errors = [Parameterization(surface, uv, "rectangle").distortion().angle_mean for uv in maps]
    return maps[int(np.flatnonzero(np.array(errors) <= min(errors) + _TIE)[0])]


def _onto_rectangle(surface: Surface, loop: IntArray, corners: IntArray) -> FloatArray:
    bottom, right, top, left = sides = _sides(loop, corners)
    _require_no_collapse(surface, loop, sides)
    laplacian = robust_laplacian(surface)

    def solve(weights: sparse.csr_array) -> FloatArray:
        x = _between(weights, left, right, surface.vertices)
        y = _between(weights, bottom, top, surface.vertices)
        return np.column_stack([x, y])

    unit = solve(laplacian)
    energy_x, energy_y = np.einsum("vk,vk->k", unit, laplacian @ unit)
    height = np.sqrt(energy_x / energy_y)
    return unfolded(unit, surface.faces, laplacian, solve, surface.vertices) * [1.0, height]


def _sides(loop: IntArray, corners: IntArray) -> list[IntArray]:
    """The vertices of each side, both corners included."""
    at = np.asarray(corners)
    size = (np.roll(at, -1) - at) % len(loop)
    return [
        loop[(start + np.arange(count + 1)) % len(loop)]
        for start, count in zip(at, size, strict=True)
    ]


def _between(
    laplacian: sparse.csr_array, zero: IntArray, one: IntArray, points: FloatArray
) -> FloatArray:
    """The harmonic function that is 0 on one side, 1 on the other and free between."""
    values = np.concatenate([np.zeros(len(zero)), np.ones(len(one))])
    solver = FixedValueSolver(laplacian, np.concatenate([zero, one]), coordinates=points)
    return np.clip(solver.solve(values), 0.0, 1.0)


def _require_no_collapse(surface: Surface, loop: IntArray, sides: list[IntArray]) -> None:
    """An inner edge with both ends on one straight side would flatten all that lies behind it."""
    flat = _flattened(dividing_sides(surface, loop), sides)
    if len(flat):
        raise FoldError(
            f"{len(flat)} inner edges join two vertices of one side of the rectangle, "
            f"first {flat[0].tolist()}: the faces behind them would have no area",
            indices=flat[:10].tolist(),
            count=len(flat),
            hint="put a corner there, or use domain='disk'",
        )


def _flattened(pairs: IntArray, sides: list[IntArray]) -> IntArray:
    inside = [np.isin(pairs, side).all(axis=1) for side in sides]
    return pairs[np.any(inside, axis=0)]


def find_corners(surface: Surface, loop: IntArray, window: float) -> IntArray:
    """Return four positions along `loop`, increasing: where the border turns most within
    `window`.
    """
    side = np.linalg.norm(surface.vertices[np.roll(loop, -1)] - surface.vertices[loop], axis=1)
    place = np.concatenate([[0.0], np.cumsum(side)[:-1]]) / max(side.sum(), 1e-300)
    turning = _turning(surface, loop)
    sharp = _windowed(turning, place, window)
    pairs = dividing_sides(surface, loop)
    candidates = _candidates(sharp, place, _behind(loop, pairs), 2 * window)
    choices = np.array(list(combinations(np.sort(candidates), 4)))
    spread = (np.roll(place[choices], -1, axis=1) - place[choices]) % 1.0
    score = np.minimum(sharp[choices], 2.0).sum(axis=1) + _SPREAD * spread.min(axis=1)
    if len(pairs):
        score -= [100.0 * len(_flattened(pairs, _sides(loop, choice))) for choice in choices]
    return np.asarray(choices[np.flatnonzero(score >= score.max() - _TIE)[0]])


def _turning(surface: Surface, loop: IntArray) -> FloatArray:
    """Turning angle of the border at each loop vertex within the surface: pi less its face
    angles.
    """
    corners = surface.vertices[surface.faces]
    total = np.zeros(surface.n_vertices)
    for k in range(3):
        u, v = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        angle = np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(axis=1))
        total += np.bincount(surface.faces[:, k], angle, surface.n_vertices)
    return np.pi - total[loop]


def _windowed(turning: FloatArray, place: FloatArray, window: float) -> FloatArray:
    """Sum of turning within `window` to both sides of each border vertex."""
    around = np.concatenate([place - 1, place, place + 1])
    total = np.concatenate([[0.0], np.cumsum(np.tile(turning, 3))])
    high = np.searchsorted(around, place + window, side="right")
    low = np.searchsorted(around, place - window, side="left")
    return np.asarray(total[high] - total[low])


def _candidates(sharp: FloatArray, place: FloatArray, ears: IntArray, apart: float) -> IntArray:
    """Positions worth trying: ears first, then sharp ones `apart` from each other, then any."""
    order = np.concatenate([ears, np.argsort(-np.round(sharp, 6), kind="stable")])
    chosen: list[int] = []
    for distance in (apart, 0.0):
        for k in order:
            gap = np.abs(place[chosen] - place[k])
            near = np.minimum(gap, 1 - gap) < distance
            if len(chosen) < _CANDIDATES and k not in chosen and not near.any():
                chosen.append(int(k))
        if len(chosen) >= 4:
            break
    return np.asarray(chosen)


def _behind(loop: IntArray, pairs: IntArray) -> IntArray:
    """The middle of the shorter piece of border that each dividing edge cuts off, shortest pieces
    first.
    """
    position = {int(v): k for k, v in enumerate(loop)}
    ends = np.array(
        [[position[int(a)], position[int(b)]] for a, b in pairs], dtype=np.int64
    ).reshape(-1, 2)
    size = (ends[:, 1] - ends[:, 0]) % len(loop)
    start = np.where(2 * size <= len(loop), ends[:, 0], ends[:, 1])
    size = np.minimum(size, len(loop) - size)
    order = np.argsort(size, kind="stable")
    return np.asarray(((start + size // 2) % len(loop))[order])
