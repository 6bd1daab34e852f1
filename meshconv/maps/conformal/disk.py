"""The conformal disk: Green's function gives the border, one harmonic extension the rest.

One factorisation of the Laplacian with the border held. The flux of Green's function through the
border is the harmonic measure: border length in the disk = probability that Brownian motion leaves
there.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import FloatArray, IntArray
from meshconv.errors import SolverError
from meshconv.maps.conformal.border_polish import polished
from meshconv.maps.conformal.circle import (
    centred,
    cumulated,
    green_angles,
    length_shares,
    on_circle,
)
from meshconv.maps.conformal.dividing_edges import without_dividing_edges
from meshconv.maps.conformal.edge_weights import equal, tame
from meshconv.maps.conformal.without_folds import (
    as_complex,
    as_plane,
    patched,
    too_deep,
    unfolded,
)
from meshconv.maps.folds import folded
from meshconv.maps.moebius import upright
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver

# border vertices below which polishing pays: so few fluxes are a crude measure of the border
_COARSE = 64


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
        else cumulated(2 * np.pi * share)  # one triangle
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


def length_coordinates(surface: Surface) -> FloatArray:
    """Return a map (V, 2) onto the unit disk for surfaces too long or deep for the conformal one.

    The border goes to the circle by its length, the rest by attracting weights: no fold (Tutte),
    unless in floating point. Tamed cotangents keep more of the angles, equal weights more depth.

    Raises
    ------
    FoldError
        If both maps fall below the resolution of floating point.
    """
    loop = surface.boundary_loops[0]
    whole = without_dividing_edges(surface, loop)
    border = on_circle(cumulated(2 * np.pi * length_shares(surface.vertices, loop)))
    laplacian, bad = robust_laplacian(whole), np.arange(surface.n_faces)
    for weights in (tame(laplacian), equal(laplacian)):
        try:
            solver = FixedValueSolver(weights, loop, coordinates=whole.vertices)
            uv = np.ascontiguousarray(solver.solve(border)[: surface.n_vertices])
        except SolverError:
            continue
        bad = folded(uv, surface.faces)
        if len(bad) == 0:
            return uv
    raise too_deep(bad)


def _factored(surface: Surface, loop: IntArray) -> tuple[sparse.csr_array, FixedValueSolver]:
    laplacian = robust_laplacian(surface)
    try:
        return laplacian, FixedValueSolver(laplacian, loop, coordinates=surface.vertices)
    except SolverError:  # angles too extreme for the solver: the faces have no shape worth keeping
        laplacian = tame(laplacian)
        return laplacian, FixedValueSolver(laplacian, loop, coordinates=surface.vertices)
