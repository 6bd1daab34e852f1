"""The driver of density-equalizing maps, for plane and sphere: rounds of flow and repair."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray, IntArray, one_of
from meshconv.errors import ArgumentError, SolverError, TopologyError
from meshconv.maps.area_energy import relax, settle
from meshconv.maps.equalize.border import Border
from meshconv.maps.equalize.flow import Poisson, trace
from meshconv.maps.folds import folded, refuse_folds, signed_areas
from meshconv.maps.locate import face_neighbours, lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.stay import CIRCLE, INTERIOR, SPHERE
from meshconv.maps.untangle import advance, back_to, untangle

_SWEEPS = 10  # of local relaxation after each round: halves the error, costs less than the flow
_STEEPEST = 3.0  # log of population share / area share that one flow is trusted with
_EXTRA = 30  # rounds allowed besides those asked for, where one flow cannot go all the way
_GAIN = 0.99  # a round that leaves more than this of what was to be done does not count as gain
_SETTLING, _BLOCKS = 50, 10  # sweeps in a block, and blocks, that settle what the flows have left
_SETTLED = 0.98  # a block that leaves more of the error is the last


def equalized(
    mesh: FlowMesh,
    points: FloatArray,
    population: FloatArray,
    *,
    rounds: int,
    steps: int,
    tolerance: float,
) -> tuple[FloatArray, list[str]]:
    """Return the points (n, 3) of the best of some rounds, without folds, and what went wrong.

    Each round is one flow towards the population, or as far towards it as one flow can be trusted;
    the next, on the moved triangles, goes on from there. `rounds` counts those that go all the way.
    """
    notes: list[str] = []
    best, error = points, mesh.error(points, population)
    least, whole, idle = mesh.divergence(points, population), 0, 0
    for _ in range(rounds + _EXTRA):
        if whole >= rounds or error <= 1e-13 or idle >= 2:
            break
        try:
            points, clipped, note = _round(mesh, points, population, steps)
        except SolverError as failure:
            notes = [f"the flow's equation could not be solved ({failure.message})"]
            break
        whole, notes = whole + (not clipped), [note] if note else notes
        found, left = mesh.error(points, population), mesh.divergence(points, population)
        idle = 0 if found < _GAIN * error or left < _GAIN * least else idle + 1
        least = min(least, left)
        if found < error:
            best, error = points, found
        if note and error <= tolerance:  # more rounds would cost more than they bring
            break
    return _settled(mesh, best, population, error, tolerance), notes


def _settled(
    mesh: FlowMesh, points: FloatArray, population: FloatArray, error: float, tolerance: float
) -> FloatArray:
    """Return the points after as many sweeps of single moves as bring the error down."""
    for _ in range(_BLOCKS):
        if error <= tolerance:
            break
        target = mesh.targets(points, population)
        moved = settle(points, mesh.faces, target, mesh.kinds, mesh.free, _SETTLING)
        before, error = error, mesh.error(moved, population)
        if error < before:
            points = moved
        if error > _SETTLED * before:
            break
    return points


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

    def targets(self, points: FloatArray, population: FloatArray) -> FloatArray:
        """Return the area (F,) that each face is to have, the whole having what it has."""
        area = signed_areas(points, self.faces)
        return np.asarray(population * (area.sum() / population.sum()))

    def divergence(self, points: FloatArray, population: FloatArray) -> float:
        """Return the relative entropy of population and area: it falls long before mass arrives."""
        area, share = signed_areas(points, self.faces), population / population.sum()
        return float((share * np.log(share * area.sum() / area)).sum())

    def carried(
        self, start: FloatArray, flux: FloatArray, rho: FloatArray, steps: int
    ) -> FloatArray:
        """Return where the flow carries the vertices, (n, 3); faces may be folded, the border is
        not.
        """
        flux = self.border.tangent(start, flux)
        moved = trace(start, self.faces, self.across, flux, rho, self.first_face, self.kinds, steps)
        moved = np.where(np.isfinite(moved).all(axis=1, keepdims=True), moved, start)
        return self.border.in_order(start, moved)

    def as_far_as_open(self, start: FloatArray, moved: FloatArray) -> FloatArray:
        """Return `moved` with what is folded gone back towards `start`, the border in its order."""
        for together in (self.border.loop[:0], self.border.loop):
            points = back_to(start, moved, self.faces, self.kinds, together)
            if self.border.in_turn(points):
                break
        nearer = advance(points, moved, self.faces, self.kinds)
        return nearer if self.border.in_turn(nearer) else points


def _check_topology(p: Parameterization) -> None:
    if p.domain == "plane":
        raise ArgumentError(
            "density_equalizing_map needs a domain whose border is given: 'disk', 'rectangle' or "
            "'sphere', found 'plane', as conformal_map(domain='free') makes it",
            hint="start from domain='rectangle' for what is long, else from domain='disk'",
        )
    one_of(p.domain, ("disk", "rectangle", "sphere"), "domain of the parameterization to equalize")
    pieces = int(p.surface.topology.sheet.max()) + 1
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
    mesh: FlowMesh, start: FloatArray, population: FloatArray, steps: int
) -> tuple[FloatArray, bool, str]:
    """Return the points after one flow, unfolded and relaxed, whether it was to go only a part of
    the way, and any trouble.
    """
    area = signed_areas(start, mesh.faces)
    ratio = np.log(mesh.targets(start, population) / area)
    poisson = Poisson(start, mesh.faces)
    steep = np.abs(np.log(poisson.density(population))).max() > _STEEPEST
    goal = area * np.exp(np.clip(ratio, -_STEEPEST, _STEEPEST)) if steep else area * np.exp(ratio)
    rho = poisson.density(goal)
    moved = mesh.carried(start, poisson.flux(rho), rho, steps)
    target = mesh.targets(start, goal)
    points, unfolded = untangle(moved, mesh.faces, target, mesh.kinds, mesh.free)
    if not unfolded:
        points = mesh.as_far_as_open(start, points)
    elif not steep:
        return relax(points, mesh.faces, target, mesh.kinds, mesh.free, _SWEEPS), False, ""
    sweeps = 2 * _SWEEPS if unfolded else _SETTLING
    points = settle(points, mesh.faces, target, mesh.kinds, mesh.free, sweeps)
    folds = len(folded(moved, mesh.faces))
    note = f"stepped back from {folds} folded faces that could not be opened"
    return points, bool(steep), "" if unfolded else note
