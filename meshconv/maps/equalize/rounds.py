"""The driver of density-equalizing maps, for plane and sphere: rounds of flow and repair."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray, IntArray, one_of
from meshconv.errors import TopologyError
from meshconv.maps.equalize.border import Border
from meshconv.maps.equalize.flow import CIRCLE, INTERIOR, SPHERE, flux_and_density, trace
from meshconv.maps.folds import refuse_folds, signed_areas
from meshconv.maps.locate import face_neighbours, lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.untangle import advance, relax, untangle
from meshconv.mesh import connectivity

_SWEEPS = 10  # of local relaxation after each round: halves the error, costs less than the flow
_MANY = 0.02  # share of folded faces above which a flow is taken in shorter parts
_SHORTEST = 1.0 / 16.0
_EXTRA = 10  # rounds allowed besides those asked for, when parts are needed


def equalized(
    mesh: FlowMesh, points: FloatArray, population: FloatArray, *, rounds: int, steps: int
) -> tuple[FloatArray, list[str]]:
    """Return the points (n, 3) of the best of some rounds, and what went wrong on the way."""
    notes: list[str] = []
    best, error = points, mesh.error(points, population)
    whole, part = 0, 1.0
    for _ in range(rounds + _EXTRA):
        if whole >= rounds or error <= 1e-13:
            break
        points, part, note = _round(mesh, points, population, steps, part)
        whole, part = whole + (part >= 1.0), min(1.0, 2.0 * part)
        found = mesh.error(points, population)
        notes = [note] if note else notes
        stuck = part < 1.0 and found > 0.98 * error
        if found < error:
            best, error = points, found
        if stuck:
            break
    return best, notes


class FlowMesh:
    """What the rounds need again and again: connectivity, and what holds each vertex in its
    domain.
    """

    def __init__(self, p: Parameterization) -> None:
        _check_topology(p)
        self.used, faces = np.unique(p.surface.faces, return_inverse=True)
        self.faces: IntArray = faces.reshape(-1, 3)
        points = lift(p.coordinates)[self.used]
        refuse_folds(points, self.faces)
        self.across = face_neighbours(self.faces)
        n = len(self.used)
        self.first_face = np.empty(n, dtype=np.int64)
        self.first_face[self.faces] = np.arange(len(self.faces))[:, None]
        self.border = Border(points, self.faces, p.domain)
        self.kinds = np.full(n, SPHERE if p.domain == "sphere" else INTERIOR, dtype=np.int64)
        if p.domain == "disk":
            self.kinds[self.border.loop] = CIRCLE
        self.free = np.ones(n, dtype=bool)
        self.free[self.border.loop] = False

    def error(self, points: FloatArray, population: FloatArray) -> float:
        """Return the misplaced mass at these points."""
        area = signed_areas(points, self.faces)
        return float(0.5 * np.abs(population / population.sum() - area / area.sum()).sum())

    def flow(self, start: FloatArray, population: FloatArray, steps: int) -> FloatArray:
        """Return where the flow carries the vertices, (n, 3); faces may be folded, the border is
        not.
        """
        flux, rho = flux_and_density(start, self.faces, population)
        flux = self.border.tangent(start, flux)
        moved = trace(start, self.faces, self.across, flux, rho, self.first_face, self.kinds, steps)
        return self.border.in_order(start, moved)


def _check_topology(p: Parameterization) -> None:
    one_of(p.domain, ("disk", "rectangle", "sphere"), "domain of the parameterization to equalize")
    pieces = int(connectivity.face_components(p.surface.faces).max()) + 1
    found = (pieces, len(p.surface.boundary_loops), p.surface.euler_characteristic)
    need = (1, 0, 2) if p.domain == "sphere" else (1, 1, 1)
    if found != need:
        raise TopologyError(
            f"density_equalizing_map on the {p.domain} needs {need[0]} component, {need[1]} "
            "boundary loops,"
            f" Euler characteristic {need[2]}; found {found[0]}, {found[1]}, {found[2]}",
            hint="close holes and keep one component with meshconv.repair",
        )


def _round(
    mesh: FlowMesh, start: FloatArray, population: FloatArray, steps: int, part: float
) -> tuple[FloatArray, float, str]:
    """Return the points after one flow, unfolded and relaxed, the part of the way gone, and any
    trouble.

    A flow that folds much is a flow over too long a way for these triangles: it is tried again
    towards the density to the power 1/2, 1/4, ...; the next round, on the moved triangles, goes on
    from there.
    """
    area = signed_areas(start, mesh.faces)
    note = ""
    while True:
        goal = area * (population / area / population.sum()) ** part
        target = goal * (area.sum() / goal.sum())
        moved = mesh.flow(start, goal, steps)
        folds = int((signed_areas(moved, mesh.faces) <= 0.0).sum())
        if folds <= _MANY * len(mesh.faces):
            points, unfolded = untangle(moved, mesh.faces, target, mesh.kinds, mesh.free)
            if unfolded:
                break
        if part <= _SHORTEST:
            points = advance(start, moved, mesh.faces, target, mesh.kinds)
            note = f"stepped back from {folds} folded faces that could not be opened"
            break
        part *= 0.5
    return relax(points, mesh.faces, target, mesh.kinds, mesh.free, _SWEEPS), part, note
