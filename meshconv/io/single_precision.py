"""What single precision does to coordinates and fields, for the formats that have no more."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.errors import AccuracyWarning, ArgumentError
from meshconv.io.raw_mesh import Fields
from meshconv.mesh.surface import Surface

_LARGEST = float(np.finfo(np.float32).max)
_MEANT = 1e-5  # of the size: rounding by more is told


def centre_of(surface: Surface) -> FloatArray:
    """Return the middle of the box around the vertices that some face uses."""
    used = surface.vertices[np.unique(surface.faces)]
    return used.min(axis=0) / 2 + used.max(axis=0) / 2


def single(surface: Surface, centre: FloatArray) -> NDArray[np.float32]:
    """Return the vertices around `centre` in single precision; those in no face that are beyond it
    are moved to the centre.
    """
    moved = surface.vertices - centre
    beyond = np.abs(moved).max(axis=1) > _LARGEST
    moved[beyond] = 0.0
    return moved.astype(np.float32)


def check_vertices(surface: Surface, centre: FloatArray, form: str) -> None:
    """Refuse coordinates that single precision does not reach; warn where it is coarse.

    Vertices that no face uses do not count.
    """
    used = surface.vertices[np.unique(surface.faces)] - centre
    largest = float(np.abs(used).max())
    if largest > _LARGEST:
        raise ArgumentError(
            f".{form} stores float32, which ends at {_LARGEST:.3g}; the largest coordinate is"
            f" {largest:.3g}",
            hint="save as .ply or .vtp",
        )
    size = float((used.max(axis=0) - used.min(axis=0)).max())
    error = float(np.abs(used - used.astype(np.float32)).max())
    if error > _MEANT * size:
        warnings.warn(
            f".{form} stores float32: coordinates move by up to {error:.3g} on a surface of size"
            f" {size:.3g}; save as .ply or .vtp to keep them",
            AccuracyWarning,
            stacklevel=4,
        )


def check_fields(fields: Fields, form: str) -> None:
    """Do the same for the fields that are stored in single precision."""
    for name, value in fields.items():
        if value.dtype.itemsize <= 2 or value.dtype == np.float32:
            continue
        finite = value[np.isfinite(value)].astype(np.float64)
        largest = float(np.abs(finite).max(initial=0.0))
        whole = value.dtype.kind in "iu" and name != "colors"
        if largest > (2**24 if whole else _LARGEST):
            raise ArgumentError(
                f".{form} stores field {name!r} as float32, which does not hold {largest:.17g}",
                hint="save as .ply or .vtp",
            )
        error = float(np.abs(finite - finite.astype(np.float32)).max(initial=0.0))
        span = float(finite.max(initial=-np.inf) - finite.min(initial=np.inf))
        if error > _MEANT * span and error > 1e-6 * largest:
            warnings.warn(
                f".{form} stores float32: field {name!r} changes by up to {error:.3g};"
                " save as .ply or .vtp to keep it",
                AccuracyWarning,
                stacklevel=4,
            )
