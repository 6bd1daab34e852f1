"""The conformal disk: Green's function gives the border, one harmonic extension the rest.

One factorisation of the Laplacian with the border held. The flux of Green's function through the
border is the harmonic measure: border length in the disk = probability that Brownian motion leaves
there.
"""

from __future__ import annotations

from collections.abc import Callable

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
    REACH,
    as_complex,
    as_plane,
    faces_near,
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

_Factored = tuple[sparse.csr_array, FixedValueSolver, Callable[[Surface], sparse.csr_array]]


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
    rows, solver, weights_of = _factored(surface, loop)
    depth = np.concatenate([areas, np.zeros(rows.shape[1] - surface.n_vertices)])
    share = length_shares(surface.vertices, loop)
    angles = (
        green_angles(rows, solver, loop, depth, share)
        if len(solver.free)
        else cumulated(2 * np.pi * share)  # one triangle
    )
    steps = (20 if len(loop) < _COARSE else 0) if polish is None else polish
    angles = polished(angles, lambda border: rows @ solver.solve(border), steps)

    def extend(border: FloatArray) -> FloatArray:
        def again(weights: sparse.csr_array) -> FloatArray:
            return FixedValueSolver(weights, loop, coordinates=surface.vertices).solve(border)

        first = np.ascontiguousarray(solver.solve(border)[: surface.n_vertices])
        if len(folded(first, surface.faces)) == 0:
            return first
        better = patched(first, surface.faces, weights_of(_near_folds(surface, first)), loop)
        if len(folded(better, surface.faces)) == 0:
            return better
        return unfolded(better, surface.faces, weights_of(surface), again, surface.vertices)

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


def _factored(surface: Surface, loop: IntArray) -> _Factored:
    """Return the Laplacian's rows of the border, its solver, and how a Laplacian is made here.

    Of the surface cut where sides divide it, which is gone by the time it is factored: of millions
    of vertices it takes as much memory as the map.
    """
    whole = without_dividing_edges(surface, loop)
    laplacian = robust_laplacian(whole)
    same, points = whole is surface, whole.vertices
    del whole
    try:
        solver = FixedValueSolver(laplacian, loop, coordinates=points)
        return laplacian[loop], solver, robust_laplacian
    except SolverError:  # angles too extreme for the solver: the faces have no shape worth keeping
        whole = without_dividing_edges(surface, loop)
        laplacian = tame(robust_laplacian(whole))
        solver = FixedValueSolver(laplacian, loop, coordinates=whole.vertices)
        return laplacian[loop], solver, _tamed if same else robust_laplacian


def _near_folds(surface: Surface, uv: FloatArray) -> Surface:
    """The faces around folds as far as a patch reaches, of the same vertices."""
    some = faces_near(surface.faces, folded(uv, surface.faces), surface.n_vertices, REACH)
    return Surface._known(surface.vertices, surface.faces[some])


def _tamed(surface: Surface) -> sparse.csr_array:
    return tame(robust_laplacian(surface))
