"""Density-equalizing maps of disks, rectangles and spheres: a face gets its share of population as
area.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, require_kind
from meshconv.errors import AccuracyWarning, ArgumentError
from meshconv.maps.equalize.driver import FlowMesh, equalized
from meshconv.maps.equalize.population import populations, positive
from meshconv.maps.locate import lift
from meshconv.maps.parameterization import Parameterization


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
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
    people = positive(population, "population", (parameterization.surface.n_faces,), "face")
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
        area-preserving; a face with less than a millionth of the mean area is given that much.
    rounds : int
        Rounds of flow, each from where the last one ended; the best is delivered.
    steps : int
        Runge-Kutta steps of each flow.
    tolerance : float
        Misplaced mass above which an `AccuracyWarning` is given.
    max_ratio : float
        A given density / its area-weighted median is clipped to 1 / max_ratio .. max_ratio, with a
        warning.

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
    Each round is one finite-element Moser flow. Where more than a factor of 20 in area is asked
    for, it goes a factor of 7 of the way, a few triangles blurred so that little folds, and further
    rounds go on from there while they pay; at last single vertices are moved by sweeps that fold
    nothing. After each, folded faces are opened by a barrier
    energy on a patch around them, and a few sweeps of the same energy even out what varies from
    face to face. What cannot be opened goes back, vertex by vertex, towards where it was before the
    round, so that there is no fold after any round; the warning says so. Where the tolerance is not
    met, single vertices are moved for up to 500 sweeps.

    References
    ----------
    Dacorogna & Moser, Ann. IHP 7 (1990). Gastner, Seguy & More, PNAS 115(10) (2018). Choi &
    Rycroft, SIAM J. Imaging Sci. 11 (2018): the problem, solved there by diffusion. Lyu, Lui &
    Choi, SIAM J. Imaging Sci. 17(4) (2024): the sphere.
    """
    require_kind(parameterization, "parameterization", Parameterization)
    _check_options(rounds, steps, tolerance, max_ratio)
    mesh = FlowMesh(parameterization)
    wanted, population, changed = populations(parameterization, density, max_ratio)
    start = lift(parameterization.coordinates)[mesh.used]
    best, notes = equalized(
        mesh, start, population[mesh.by_face], rounds=rounds, steps=steps, tolerance=tolerance
    )
    coordinates = parameterization.coordinates.copy()
    coordinates[mesh.used] = best[:, : coordinates.shape[1]]
    result = EqualizedMap(
        parameterization.surface, coordinates, parameterization.domain, population=wanted
    )
    _report(result, changed, notes, tolerance)
    return result


def _check_options(rounds: int, steps: int, tolerance: float, max_ratio: float) -> None:
    for name, value in (("rounds", rounds), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(f"{name} must be a whole number, 1 or more, found {value!r}")
    for name, number, least in (("tolerance", tolerance, 0.0), ("max_ratio", max_ratio, 1.0)):
        if not isinstance(number, (int, float, np.number)) or not number >= least:
            raise ArgumentError(f"{name} must be a number, {least:g} or more, found {number!r}")


def _report(result: EqualizedMap, changed: list[str], notes: list[str], tolerance: float) -> None:
    error = result.misplaced_mass
    if error > tolerance and not changed and not notes:
        notes = ["the density is too steep for these triangles; refine the surface there"]
    if changed or error > tolerance:
        warnings.warn(
            f"misplaced mass {error:.3g}, tolerance {tolerance:g}: {'; '.join([*changed, *notes])}",
            AccuracyWarning,
            stacklevel=3,
        )
