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
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import CIRCLE, INTERIOR, SPHERE
from meshconv.maps.untangle import advance, back_to, goes_once, untangle
from meshconv.mesh.curve import nearby_order

_SWEEPS = 10  # of local relaxation after each round: halves the error, costs less than the flow
_STEEPEST = 3.0  # log of population share / area share that one flow is trusted with
_REACH = 2.0  # of it, how far one flow goes where more is asked for: at 3 hundreds of faces fold
_SPREAD = 2  # times that a density too steep for one flow is averaged over the faces of a vertex
_EXTRA = 30  # rounds allowed besides those asked for, where one flow cannot go all the way
_GAIN = 0.99  # a round that leaves more than this of what was to be done does not count as gain
_LITTLE = 0.95  # of the error: a flow over a part of the way that leaves more is the last
_ENOUGH = 0.1  # of the tolerance: errors this small end flows over a part of the way
_POLISH = (8, 0.9)  # after steep rounds: sweeps in a block, and what the last leaves of the error
_LAST_RESORT = (50, 0.995)  # the same, where the tolerance is not met
_BLOCKS = 10  # of sweeps, at most


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
    least, whole, idle, steep = mesh.divergence(points, population), 0, 0, False
    for _ in range(rounds + _EXTRA):
        if whole >= rounds or error <= 1e-13 or idle >= 2:
            break
        try:
            points, clipped, note = _round(mesh, points, population, steps)
        except SolverError as failure:
            notes = [f"the flow's equation could not be solved ({failure.message})"]
            break
        whole, notes = whole + (not clipped), [note] if note else notes
        steep |= clipped
        found, left = mesh.error(points, population), mesh.divergence(points, population)
        idle = 0 if found < _GAIN * error or left < _GAIN * least else idle + 1
        best, least = points if found < error else best, min(least, left)
        before, error = error, min(found, error)
        little = clipped and (error > _LITTLE * before or error <= _ENOUGH * tolerance)
        if error <= tolerance and (little or note):  # more would cost more than it brings
            break
    if steep:
        best = _settled(mesh, best, population, *_POLISH)
    if mesh.error(best, population) > tolerance:
        best = _settled(mesh, best, population, *_LAST_RESORT, tolerance)
    return best, notes


def _settled(
    mesh: FlowMesh,
    points: FloatArray,
    population: FloatArray,
    sweeps: int,
    gain: float,
    least: float = 0.0,
) -> FloatArray:
    """Return the points after blocks of sweeps of single moves, until one leaves more than `gain`
    of the error, or less than `least` is left.
    """
    error = mesh.error(points, population)
    for _ in range(_BLOCKS):
        target = mesh.targets(points, population)
        moved = settle(points, mesh.stars, target, mesh.kinds, mesh.free, sweeps)
        before, error = error, mesh.error(moved, population)
        if error < before:
            points = moved
        if error > gain * before or error <= least:
            break
    return points


class FlowMesh:
    """What the rounds need again and again: connectivity, and what holds each vertex in its
    domain.

    Vertices and faces are renumbered so that neighbours lie near each other in memory: a flow
    across 108,000 vertices in the order of a scan takes four times as long.

    Attributes
    ----------
    used : (n,) int64
        The vertices that faces use, in the new order.
    by_face : (F,) int64
        The faces in the new order.
    """

    def __init__(self, p: Parameterization) -> None:
        _check_topology(p)
        used = np.unique(p.surface.faces)
        self.used: IntArray = used[nearby_order(lift(p.coordinates)[used])]
        number = np.empty(p.surface.n_vertices, dtype=np.int64)
        number[self.used] = np.arange(len(self.used))
        faces = number[p.surface.faces]
        self.by_face: IntArray = np.argsort(faces.min(axis=1), kind="stable")
        self.faces: IntArray = np.ascontiguousarray(faces[self.by_face])
        points = lift(p.coordinates)[self.used]
        refuse_folds(points, self.faces)
        self.across = face_neighbours(self.faces)
        n = len(self.used)
        self.stars = Stars(self.faces, n)
        self.first_face = np.empty(n, dtype=np.int64)
        self.first_face[self.faces] = np.arange(len(self.faces))[:, None]
        self.border = Border(points, self.faces, p.domain)
        self.kinds = np.full(n, SPHERE if p.domain == "sphere" else INTERIOR, dtype=np.int64)
        if p.domain == "disk":
            self.kinds[self.border.loop] = CIRCLE
        self.free = np.ones(n, dtype=bool)
        self.free[self.border.loop] = False
        self.poisson: Poisson | None = None  # of the last round

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
        nearer = advance(points, moved, self.stars, self.kinds)
        points = nearer if self.border.in_turn(nearer) else points
        return points if goes_once(points, self.faces, self.kinds) else start


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
    poisson = mesh.poisson = Poisson(start, mesh.faces, mesh.poisson)
    steep = np.abs(np.log(poisson.density(population))).max() > _STEEPEST
    goal = area * np.exp(np.clip(ratio, -_REACH, _REACH) if steep else ratio)
    rho = poisson.density(goal)
    for _ in range(_SPREAD * int(steep)):
        rho = poisson.density(poisson.area * rho[mesh.faces].mean(axis=1))
    moved = mesh.carried(start, poisson.flux(rho), rho, steps)
    target = mesh.targets(start, goal)
    points, unfolded = untangle(moved, mesh.stars, target, mesh.kinds, mesh.free)
    if unfolded:
        points = relax(points, mesh.stars, target, mesh.kinds, mesh.free, _SWEEPS)
        return points, bool(steep), ""
    points = mesh.as_far_as_open(start, points)
    points = settle(points, mesh.stars, target, mesh.kinds, mesh.free, 2 * _SWEEPS)
    folds = len(folded(moved, mesh.faces))
    note = f"stepped back from {folds} folded faces that could not be opened"
    return points, bool(steep), note
