"""Density-equalizing maps of disks, rectangles and spheres: a face gets its share of population as
area.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, as_array, one_of, require_kind
from meshconv.errors import (
    AccuracyWarning,
    ArgumentError,
    ArrayTypeError,
    DensityError,
    TopologyError,
)
from meshconv.maps.equalize.border import Border
from meshconv.maps.equalize.flow import CIRCLE, INTERIOR, SPHERE, flux_and_density, trace
from meshconv.maps.locate import face_neighbours, lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.untangle import advance, refuse_folds, relax, signed_areas, untangle
from meshconv.mesh import topology

_SWEEPS = 10  # of local relaxation after each round: halves the error, costs less than the flow
_MANY = 0.02  # share of folded faces above which a flow is taken in shorter parts
_SHORTEST = 1.0 / 16.0
_REPLACE = "replace it, for example by the smallest positive value"
_REPAIR = "meshconv.repair removes faces without area; or give a density"
_EXTRA = 10  # rounds allowed besides those asked for, when parts are needed


@dataclass(frozen=True, eq=False, kw_only=True)
class EqualizedMap(Parameterization):
    """A `Parameterization` with the population that it was asked to even out, hence with its own
    true error.

    Parameters
    ----------
    population : (F,) ndarray
        Population of each face, any unit; only shares matter.
    """

    population: FloatArray

    @property
    def misplaced_mass(self) -> float:
        """Share of the population in the wrong place, 0..1, measured on these coordinates."""
        return misplaced_mass(self, self.population)


def misplaced_mass(parameterization: Parameterization, population: ArrayLike) -> float:
    """Return half the sum over faces of |population share - area share|, in 0..1 for a map without
    folds.

    Parameters
    ----------
    parameterization : Parameterization
        The delivered map, F faces. Areas are signed in the plane, of chordal triangles on the
        sphere.
    population : (F,) array_like
        Population of each face, for example ``surface.face_areas``; only shares matter.

    Examples
    --------
    >>> from meshconv import Surface
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> misplaced_mass(Parameterization(square, square.vertices[:, :2]), [3.0, 1.0])
    0.25
    """
    require_kind(parameterization, "parameterization", Parameterization)
    people = _positive(population, "population", (parameterization.surface.n_faces,), "face")
    area = parameterization.face_areas
    return float(0.5 * np.abs(people / people.sum() - area / area.sum()).sum())


def density_equalizing_map(
    parameterization: Parameterization,
    density: ArrayLike | str | None = None,
    *,
    rounds: int = 2,
    steps: int = 8,
    tolerance: float = 0.05,
    max_ratio: float = 1e6,
) -> EqualizedMap:
    """Move the vertices inside the domain until each face's share of area is its share of
    population.

    The area ratio of the motion is density / mean density: where the density is high, the map
    magnifies. No face of the result is folded, whatever the density.

    Parameters
    ----------
    parameterization : Parameterization
        V vertices, F faces; domain 'disk', 'rectangle' (one border) or 'sphere' (none); without
        folds.
    density : (F,) or (V,) array_like, or 'area', optional
        Positive population per unit of *present* area in the domain: a face's population is its
        density times its present area. Per vertex: a face has the mean of its corners (also where V
        == F). None or 'area': the population is the surface area of the face, which makes the map
        area-preserving.
    rounds : int
        Rounds of flow, each from where the last one ended; the best is delivered.
    steps : int
        Runge-Kutta steps of each flow.
    tolerance : float
        Misplaced mass above which an `AccuracyWarning` is given.
    max_ratio : float
        Density / its area-weighted median is clipped to 1 / max_ratio .. max_ratio, with a warning.

    Returns
    -------
    equalized : EqualizedMap
        Border vertices stay on the circle, or on their side of the rectangle, in their order;
        corners stay. ``equalized.misplaced_mass`` is its true error against the population asked
        for, clipped or not. A constant density returns the very same coordinates.

    Raises
    ------
    DensityError
        If the density is not finite and positive everywhere (names the first index), or has another
        length.
    FoldError, TopologyError, ArgumentError
        If the given map is folded, not of disk or sphere type, or its border is not the domain's.

    Notes
    -----
    Each round is one finite-element Moser flow; then folded faces are opened by a barrier energy on
    a patch around them, and a few sweeps of the same energy even out what varies from face to face.
    Should the patch have to become the whole mesh in vain, every vertex goes from where it was
    towards its goal only as far as its faces allow; the warning says so and gives the figures.

    References
    ----------
    Dacorogna & Moser, Ann. IHP 7 (1990). Gastner, Seguy & More, PNAS 115(10) (2018). Choi &
    Rycroft, SIAM J. Imaging Sci. 11 (2018): the problem, solved there by diffusion. Lyu, Lui &
    Choi, SIAM J. Imaging Sci. 17(4) (2024): the sphere.
    """
    require_kind(parameterization, "parameterization", Parameterization)
    _check_options(rounds, steps, tolerance, max_ratio)
    mesh = _Mesh(parameterization)
    wanted, population, clipped = _populations(parameterization, density, max_ratio)
    points, notes = lift(parameterization.coordinates)[mesh.used], clipped
    best, error = points, mesh.error(points, population)
    whole, part = 0, 1.0
    for _ in range(rounds + _EXTRA):
        if whole >= rounds or error <= 1e-13:
            break
        points, part, note = _round(mesh, points, population, steps, part)
        whole, part = whole + (part >= 1.0), min(1.0, 2.0 * part)
        found = mesh.error(points, population)
        notes = [*clipped, note] if note else notes
        stuck = part < 1.0 and found > 0.98 * error
        if found < error:
            best, error = points, found
        if stuck:
            break
    coordinates = parameterization.coordinates.copy()
    coordinates[mesh.used] = best[:, : coordinates.shape[1]]
    result = EqualizedMap(
        parameterization.surface, coordinates, parameterization.domain, population=wanted
    )
    _report(result, notes, tolerance)
    return result


def _check_options(rounds: int, steps: int, tolerance: float, max_ratio: float) -> None:
    for name, value in (("rounds", rounds), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{name} must be a whole number, 1 or more, found {value!r}")
    for name, number, least in (("tolerance", tolerance, 0.0), ("max_ratio", max_ratio, 1.0)):
        if not isinstance(number, (int, float, np.number)) or not number >= least:
            raise ArgumentError(f"{name} must be a number, {least:g} or more, found {number!r}")


def _positive(
    value: ArrayLike, name: str, lengths: tuple[int, ...], per: str, hint: str = _REPLACE
) -> FloatArray:
    try:
        array = np.ascontiguousarray(as_array(value, name), dtype=np.float64)
    except ArrayTypeError as error:
        raise DensityError(str(error)) from error
    if array.ndim != 1 or len(array) not in lengths:
        raise DensityError(
            f"{name} must have one value per {per} ({' or '.join(map(str, lengths))}), found shape {array.shape}"
        )
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0.0)))
    if len(bad):
        raise DensityError(
            f"{name} must be finite and positive, found {array[bad[0]]} at index {bad[0]}"
            f" ({len(bad)} of {len(array)})",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint=hint,
        )
    return array


def _populations(
    p: Parameterization, density: ArrayLike | str | None, max_ratio: float
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Return the population of each face as asked for, as used after clipping, and what was
    clipped.
    """
    if density is None or isinstance(density, str):
        one_of("area" if density is None else density, ("area",), "density")
        rho = _positive(
            p.surface.face_areas, "the surface's face area", (p.surface.n_faces,), "face", _REPAIR
        )
        rho = rho / p.face_areas
    else:
        rho = _positive(
            density, "density", (p.surface.n_vertices, p.surface.n_faces), "vertex or face"
        )
        rho = rho[p.surface.faces].mean(axis=1) if len(rho) == p.surface.n_vertices else rho
    if rho.min() == rho.max():
        return p.face_areas, p.face_areas, []
    rho = np.maximum(
        rho / rho.max(), 1e-300
    )  # a smaller share is no share, and would underflow to 0
    order = np.argsort(rho, kind="stable")
    cumulated = np.cumsum(p.face_areas[order])
    median = rho[order[np.searchsorted(cumulated, 0.5 * cumulated[-1])]]
    used = np.clip(rho / median, 1.0 / max_ratio, max_ratio)
    count = int((used != rho / median).sum())
    note = (
        f"the density of {count} faces was clipped to within {max_ratio:g} times the median"
        if count
        else ""
    )
    return rho * p.face_areas, used * p.face_areas, [note] if count else []


class _Mesh:
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
    pieces = int(topology.face_components(p.surface.faces).max()) + 1
    found = (pieces, len(p.surface.boundary_loops), p.surface.euler_characteristic)
    need = (1, 0, 2) if p.domain == "sphere" else (1, 1, 1)
    if found != need:
        raise TopologyError(
            f"density_equalizing_map on the {p.domain} needs {need[0]} component, {need[1]} boundary loops,"
            f" Euler characteristic {need[2]}; found {found[0]}, {found[1]}, {found[2]}",
            hint="close holes and keep one component with meshconv.repair",
        )


def _round(
    mesh: _Mesh, start: FloatArray, population: FloatArray, steps: int, part: float
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


def _report(result: EqualizedMap, notes: list[str], tolerance: float) -> None:
    error = result.misplaced_mass
    if error > tolerance and not notes:
        notes = ["the density is too steep for these triangles; refine the surface there"]
    if notes and (error > tolerance or "clipped" in notes[0]):
        warnings.warn(
            f"misplaced mass {error:.3g}, tolerance {tolerance:g}: {'; '.join(notes)}",
            AccuracyWarning,
            stacklevel=3,
        )
