"""The conformal disk: Green's function gives the border, one harmonic extension the rest.

One factorisation of the Laplacian with the border held. The flux of Green's function through the
border is the harmonic measure: border length in the disk = probability that Brownian motion leaves
there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numba import njit
from scipy import sparse

from meshconv._check import BoolArray, ComplexArray, FloatArray, IntArray
from meshconv.errors import AccuracyWarning, FoldError, SolverError
from meshconv.maps.conformal.border_polish import polished
from meshconv.maps.conformal.edge_weights import tame
from meshconv.maps.conformal.without_folds import as_complex, as_plane, patched, unfolded
from meshconv.maps.folds import folded
from meshconv.maps.moebius import centring, upright
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver

# least share of the circle of a border vertex, relative to its share of the border's length
_FLOOR = 1e-4
# border vertices below which polishing pays: so few fluxes are a crude measure of the border
_COARSE = 64
_CENTRED = 1e-11

Extend = Callable[[FloatArray], FloatArray]


def disk_coordinates(
    surface: Surface, *, areas: FloatArray | None = None, polish: int | None = None
) -> FloatArray:
    """Return the conformal map (V, 2) onto the unit disk: centred, upright, |z| = 1 on the border,
    no fold.

    `surface` is a disk of about unit size; `areas` (V,) are the weights of the centre; `polish`
    steps follow the first solve, by default only where they pay.
    """
    loop = surface.boundary_loops[0]
    areas = thirds_of_area(surface.vertices, surface.faces) if areas is None else areas
    finer = without_dividing_edges(surface, loop)
    laplacian, solver = _factored(finer, loop)
    depth = np.concatenate([areas, np.zeros(finer.n_vertices - surface.n_vertices)])
    share = length_shares(surface.vertices, loop)
    angles = (
        green_angles(laplacian, solver, loop, depth, share)
        if len(solver.free)
        else _cumulated(2 * np.pi * share)  # one triangle
    )
    steps = (20 if len(loop) < _COARSE else 0) if polish is None else polish
    rows = laplacian[loop]
    angles = polished(angles, lambda border: rows @ solver.solve(border), steps)

    def extend(border: FloatArray) -> FloatArray:
        def again(weights: sparse.csr_array) -> FloatArray:
            return FixedValueSolver(weights, loop, coordinates=surface.vertices).solve(border)

        first = np.ascontiguousarray(solver.solve(border)[: surface.n_vertices])
        if len(folded(first, surface.faces)) == 0:
            return first
        weights = laplacian if finer is surface else robust_laplacian(surface)
        return unfolded(
            patched(first, surface.faces, weights, loop),
            surface.faces,
            weights,
            again,
            surface.vertices,
        )

    z = centred(as_complex(extend(on_circle(angles))), surface, loop, areas, extend)
    z = z * upright(z, surface.vertices, areas)
    z[loop] /= np.abs(z[loop])
    return as_plane(z)


def green_angles(
    laplacian: sparse.csr_array,
    solver: FixedValueSolver,
    loop: IntArray,
    areas: FloatArray,
    share: FloatArray,
) -> FloatArray:
    """Return increasing angles (B,) of the border `loop`.

    The flux of Green's function of the deepest vertex is 2 pi in sum and gives each border vertex
    its arc; `share` (B,) is the share of each vertex in the border's length.
    """
    zero = np.zeros(len(loop))
    depth = solver.solve(zero, areas)
    depth[loop] = -np.inf
    source = np.zeros(len(areas))
    deepest = np.flatnonzero(depth >= (1 - 1e-9) * depth.max())[
        0
    ]  # a symmetric surface has several: the first
    source[deepest] = 2 * np.pi
    flux = -np.asarray(laplacian[loop] @ solver.solve(zero, source))
    return _cumulated(_positive(flux, share))


def on_circle(angles: FloatArray) -> FloatArray:
    """Return the points (B, 2) of the unit circle at these angles."""
    return np.column_stack([np.cos(angles), np.sin(angles)])


def length_shares(vertices: FloatArray, loop: IntArray) -> FloatArray:
    """Return half the length of the two sides at each loop vertex over the loop's length, (B,)."""
    side = np.linalg.norm(vertices[np.roll(loop, -1)] - vertices[loop], axis=1)
    length = np.maximum(side + np.roll(side, 1), 1e-6 * side.mean())
    return np.asarray(length / length.sum())


def _factored(surface: Surface, loop: IntArray) -> tuple[sparse.csr_array, FixedValueSolver]:
    laplacian = robust_laplacian(surface)
    try:
        return laplacian, FixedValueSolver(laplacian, loop, coordinates=surface.vertices)
    except SolverError:  # angles too extreme for the solver: the faces have no shape worth keeping
        laplacian = tame(laplacian)
        return laplacian, FixedValueSolver(laplacian, loop, coordinates=surface.vertices)


def _cumulated(measure: FloatArray) -> FloatArray:
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


def without_dividing_edges(surface: Surface, loop: IntArray) -> Surface:
    """Return the surface with a vertex on each inner edge that joins two border vertices.

    Such edges (ears, strips, necks) cut the inner vertices into parts that do not see each other.
    Old vertices keep their numbers; a face with such a side is cut from its centre.
    """
    faces, n = surface.faces, surface.n_vertices
    if not _any_dividing(faces, _following(surface, loop)):
        return surface
    start, end = faces, faces[:, [1, 2, 0]]
    dividing = _dividing(surface, loop)
    cut = dividing.any(axis=1)
    i, j, split = start[cut].ravel(), end[cut].ravel(), dividing[cut].ravel()
    key = np.minimum(i, j) * n + np.maximum(i, j)
    pairs, which = np.unique(key[split], return_inverse=True)
    middle = np.full(len(i), -1)
    middle[split] = n + which
    centre = np.repeat(n + len(pairs) + np.arange(int(cut.sum())), 3)
    whole = ~split
    new_faces = [
        faces[~cut],
        np.column_stack([i, j, centre])[whole],
        np.column_stack([i, middle, centre])[split],
        np.column_stack([middle, j, centre])[split],
    ]
    points = surface.vertices
    added = [
        points[np.column_stack(np.divmod(pairs, n))].mean(axis=1),
        points[faces[cut]].mean(axis=1),
    ]
    return Surface(np.concatenate([points, *added]), np.concatenate(new_faces))


def dividing_sides(surface: Surface, loop: IntArray) -> IntArray:
    """Return the inner edges (K, 2) that join two border vertices, each once."""
    dividing = _dividing(surface, loop)
    start, end = surface.faces[dividing], surface.faces[:, [1, 2, 0]][dividing]
    return np.column_stack([start, end])[start < end]


def _following(surface: Surface, loop: IntArray) -> IntArray:
    """The vertex (V,) that follows each along the loop, or -1."""
    following = np.full(surface.n_vertices, -1)
    following[loop] = np.roll(loop, -1)
    return following


@njit(cache=True)
def _any_dividing(faces: IntArray, following: IntArray) -> bool:
    """Whether `_dividing` would find any side: without an array of its own, ten times as fast."""
    for f in range(len(faces)):
        for k in range(3):
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            if following[i] >= 0 and following[j] >= 0 and following[i] != j:
                return True
    return False


def _dividing(surface: Surface, loop: IntArray) -> BoolArray:
    after = _following(surface, loop)[surface.faces]
    on_border = after >= 0
    return np.asarray(on_border & on_border[:, [1, 2, 0]] & (after != surface.faces[:, [1, 2, 0]]))


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
