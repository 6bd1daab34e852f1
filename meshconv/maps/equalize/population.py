"""What a density asks of each face: its population, checked, clipped and in shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, as_array, one_of
from meshconv.errors import ArrayTypeError, DensityError
from meshconv.maps.parameterization import Parameterization

_REPLACE = "replace it, for example by the smallest positive value"
_NO_AREA = 1e-6  # of the mean area: what a face of a surface is taken to have at least


def positive(value: ArrayLike, name: str, lengths: tuple[int, ...], per: str) -> FloatArray:
    """Return `value` as positive numbers (n,), n one of `lengths`, or raise DensityError."""
    try:
        array = np.ascontiguousarray(as_array(value, name), dtype=np.float64)
    except ArrayTypeError as error:
        raise DensityError(str(error)) from error
    if array.ndim != 1 or len(array) not in lengths:
        raise DensityError(
            f"{name} must have one value per {per} ({' or '.join(map(str, lengths))}), found "
            f"shape {array.shape}"
        )
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0.0)))
    if len(bad):
        raise DensityError(
            f"{name} must be finite and positive, found {array[bad[0]]} at index {bad[0]}"
            f" ({len(bad)} of {len(array)})",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint=_REPLACE,
        )
    return array


def populations(
    p: Parameterization, density: ArrayLike | str | None, max_ratio: float
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Return the population of each face as asked for, as used after clipping, and what was
    clipped.
    """
    if density is None or isinstance(density, str):
        one_of("area" if density is None else density, ("area",), "density")
        area = p.surface.face_areas / p.surface.face_areas.mean()
        count = int((area < _NO_AREA).sum())
        if not count:
            return area, area, []
        note = (
            f"{count} faces of the surface have no area and were given {_NO_AREA:g} of the mean "
            f"({p.surface.topology.repair_call} removes them)"
        )
        area = np.maximum(area, _NO_AREA)
        return area, area, [note]
    rho = positive(density, "density", (p.surface.n_vertices, p.surface.n_faces), "vertex or face")
    rho = rho[p.surface.faces].mean(axis=1) if len(rho) == p.surface.n_vertices else rho
    if rho.min() == rho.max():
        return p.face_areas, p.face_areas, []
    rho = np.maximum(rho / rho.max(), 1e-300)  # a smaller share would underflow to 0
    order = np.argsort(rho, kind="stable")
    cumulated = np.cumsum(p.face_areas[order])
    median = rho[order[np.searchsorted(cumulated, 0.5 * cumulated[-1])]]
    used = np.clip(rho / median, 1.0 / max_ratio, max_ratio)
    count = int((used != rho / median).sum())
    note = f"the density of {count} faces was clipped to within {max_ratio:g} times the median"
    wanted, population = (np.maximum(r * p.face_areas, 1e-300) for r in (rho, used))
    return wanted, population, [note] * (count > 0)
