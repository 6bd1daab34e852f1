"""A border on the unit circle: the angle of each vertex, and the map about its centre."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import sparse

from meshconv._types import ComplexArray, FloatArray, IntArray
from meshconv.errors import AccuracyWarning, FoldError
from meshconv.maps.conformal.without_folds import as_complex, as_plane
from meshconv.maps.folds import folded
from meshconv.maps.moebius import centring
from meshconv.mesh.surface import Surface
from meshconv.operators.solve import FixedValueSolver

# least share of the circle of a border vertex, relative to its share of the border's length
_FLOOR = 1e-4
_CENTRED = 1e-11

Extend = Callable[[FloatArray], FloatArray]


def green_angles(
    rows: sparse.csr_array,
    solver: FixedValueSolver,
    loop: IntArray,
    areas: FloatArray,
    share: FloatArray,
) -> FloatArray:
    """Return increasing angles (B,) of the border `loop`.

    The flux of Green's function of the deepest vertex is 2 pi in sum and gives each border vertex
    its arc; `share` (B,) is the share of each vertex in the border's length, `rows` (B, V) are the
    Laplacian's rows of the border.
    """
    zero = np.zeros(len(loop))
    depth = solver.solve(zero, areas)
    depth[loop] = -np.inf
    source = np.zeros(len(areas))
    deepest = np.flatnonzero(depth >= (1 - 1e-9) * depth.max())[
        0
    ]  # a symmetric surface has several: the first
    source[deepest] = 2 * np.pi
    flux = -np.asarray(rows @ solver.solve(zero, source))
    return cumulated(_positive(flux, share))


def on_circle(angles: FloatArray) -> FloatArray:
    """Return the points (B, 2) of the unit circle at these angles."""
    return np.column_stack([np.cos(angles), np.sin(angles)])


def length_shares(vertices: FloatArray, loop: IntArray) -> FloatArray:
    """Return half the length of the two sides at each loop vertex over the loop's length, (B,)."""
    side = np.linalg.norm(vertices[np.roll(loop, -1)] - vertices[loop], axis=1)
    length = np.maximum(side + np.roll(side, 1), 1e-6 * side.mean())
    return np.asarray(length / length.sum())


def cumulated(measure: FloatArray) -> FloatArray:
    """Return the angles (B,) of border vertices whose arcs are `measure` (B,), the first at 0."""
    gaps = (measure + np.roll(measure, -1)) / 2
    return np.concatenate([[0.0], np.cumsum(gaps)[:-1]])


def _positive(measure: FloatArray, share: FloatArray) -> FloatArray:
    """Return the measure with every entry above a floor, 2 pi in sum.

    Neighbours of a bad entry exchange flux as in diffusion, so that the sum is kept on the spot.
    """
    floor = _FLOOR * 2 * np.pi * share
    low = measure < floor
    active = low
    for _ in range(1000):
        if not low.any():
            break
        active = active | low
        edge = active | np.roll(active, -1)
        density = measure / share
        flow = (
            0.25 * edge * np.minimum(share, np.roll(share, -1)) * (np.roll(density, -1) - density)
        )
        measure = measure + flow - np.roll(flow, 1)
        low = measure < floor
    measure = np.maximum(measure, floor)
    return measure * (2 * np.pi / measure.sum())


def centred(
    z: ComplexArray, surface: Surface, borders: IntArray, areas: FloatArray, extend: Extend
) -> ComplexArray:
    """Return the map with its area-weighted mean at 0: moved as it is, or extended anew if that
    would fold.

    `extend` takes positions of the vertices `borders` to a whole map without folds.
    """
    faces, outer = surface.faces, surface.boundary_loops[0]
    best = z
    for _ in range(10):
        moved = centring(best, areas)(best)
        moved[outer] /= np.abs(moved[outer])
        if len(folded(as_plane(moved), faces)) == 0:
            return moved
        try:
            best = as_complex(extend(as_plane(moved[borders])))
        except FoldError:
            break
    offset = abs(np.average(best, weights=areas))
    if offset > _CENTRED:
        warnings.warn(
            f"the disk map is off centre by {offset:.1e}: centring it further would fold faces",
            AccuracyWarning,
            stacklevel=4,
        )
    return best
