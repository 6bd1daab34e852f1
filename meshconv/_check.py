"""Array checks for the public doors: accept what can be meant, refuse the rest with a reason. Trust
inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._types import BoolArray as BoolArray
from meshconv._types import ComplexArray as ComplexArray
from meshconv._types import FloatArray as FloatArray
from meshconv._types import IntArray as IntArray
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    DegenerateError,
    EmptyMeshError,
    IndexOutOfRangeError,
    NoFacesError,
    NonFiniteError,
)


def read_only(array: NDArray[Any], dtype: type, like: Any = None) -> NDArray[Any]:
    """Return a C-contiguous read-only array of `dtype`; a copy unless `array` is already ours to
    freeze.
    """
    out: NDArray[Any] = np.ascontiguousarray(array, dtype=dtype)
    if out.flags.writeable:
        if (
            out is array
            or out is like
            or (isinstance(like, np.ndarray) and np.shares_memory(out, like))
        ):
            out = out.copy()
        out.setflags(write=False)
    elif (
        out.base is not None
        and getattr(out.base, "flags", None) is not None
        and out.base.flags.writeable
    ):
        out = out.copy()  # a frozen view of somebody's writeable array can still change
        out.setflags(write=False)
    return out


def as_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as a numeric ndarray, or say why it is none."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ArrayTypeError(
            f"{name} is not an array of numbers: its rows have different lengths"
        ) from error
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise ArrayTypeError(
                f"{name} is an object array with entries that are not numbers"
            ) from error
    if array.dtype.kind not in "fiu":
        raise ArrayTypeError(f"{name} must hold real numbers, found {array.dtype}")
    return array


def vertices_array(value: ArrayLike) -> FloatArray:
    """Return (V, 3) float64 read-only finite vertices."""
    array = as_array(value, "vertices")
    if array.size == 0:
        raise EmptyMeshError("no vertices")
    if array.ndim != 2 or array.shape[1] != 3:
        raise ArrayTypeError(f"vertices must be (V, 3), found {array.shape}")
    out = read_only(array, np.float64, value)
    if not np.isfinite(out).all():
        bad = np.flatnonzero(~np.isfinite(out).all(axis=1))
        raise NonFiniteError(
            f"vertex {bad[0]} is {out[bad[0]].tolist()}, {len(bad)} of {len(out)} vertices"
            " are not finite",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="remove or replace them first",
        )
    return out


def faces_array(value: ArrayLike, n_vertices: int) -> IntArray:
    """Return (F, 3) int64 read-only faces with indices in 0..n_vertices-1 and no repeated index in
    a face.
    """
    array = as_array(value, "faces")
    if array.size == 0:
        raise NoFacesError(f"no faces: point cloud of {n_vertices} points")
    if array.ndim != 2 or array.shape[1] != 3:
        raise ArrayTypeError(
            f"faces must be (F, 3), found {array.shape}",
            hint="triangulate polygons first, or load from a file",
        )
    if array.dtype.kind == "f" and not (
        np.isfinite(array).all() and np.array_equal(array, np.round(array))
    ):
        raise ArrayTypeError(
            f"faces must be integers, found fractions, NaN or infinity in {array.dtype}"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n_vertices:
        bad = np.flatnonzero((array < 0).any(axis=1) | (array >= n_vertices).any(axis=1))
        hint = "1-based? subtract 1" if low == 1 and high == n_vertices else ""
        raise IndexOutOfRangeError(
            f"face {bad[0]} is {array[bad[0]].tolist()}, allowed indices are 0..{n_vertices - 1}"
            f" ({len(bad)} faces out of range)",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint=hint,
        )
    out: IntArray = read_only(array, np.int64, value)
    a, b, c = out.T
    bad = np.flatnonzero((a == b) | (b == c) | (c == a))
    if len(bad):
        raise DegenerateError(
            f"face {bad[0]} is {out[bad[0]].tolist()}: a repeated index ({len(bad)} such faces)",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="drop them; meshconv.load does",
        )
    return out


def field_array(value: ArrayLike, length: int, name: str, *, per: str = "vertex") -> FloatArray:
    """Return a finite float64 field with `length` rows."""
    array = np.asarray(as_array(value, name), dtype=np.float64, order="C")
    if array.ndim == 0 or len(array) != length:
        raise ArrayTypeError(
            f"{name} must have one row per {per} ({length}), found shape {array.shape}"
        )
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array.reshape(length, -1)).all(axis=1))
        raise NonFiniteError(
            f"{name} is not finite at {per} {bad[0]} ({len(bad)} of {length})",
            indices=bad[:10].tolist(),
            count=len(bad),
        )
    return array


def one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    """Return `value` if it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(
            f"{name} must be one of {', '.join(map(repr, allowed))}, found {value!r}"
        )
    return value


def in_range(value: float, low: float, high: float, name: str) -> float:
    """Return `value` if low <= value <= high."""
    if not isinstance(value, int | float | np.integer | np.floating) or not low <= value <= high:
        raise ArgumentError(f"{name} must lie in [{low}, {high}], found {value!r}")
    return value


def whole_number(value: Any, least: int, name: str) -> int:
    """Return `value` if it is an integer of at least `least`."""
    if (
        isinstance(value, bool | np.bool_)
        or not isinstance(value, int | np.integer)
        or value < least
    ):
        raise ArgumentError(f"{name} must be a whole number of at least {least}, found {value!r}")
    return int(value)


_MADE_BY = {
    "Surface": "make one with meshconv.Surface(vertices, faces) or meshconv.load",
    "Parameterization": "make one with meshconv.conformal_map",
    "Template": "make one with meshconv.Template.from_surface or from_population",
}

_PUBLIC = {"Frame": "Template"}  # what users know a kind as


def require_kind(value: Any, name: str, *kinds: type) -> None:
    """Raise ArgumentError unless `value` is of one of the kinds: what `name` should be, what it is,
    how to make one.
    """
    if isinstance(value, kinds):
        return
    shape = getattr(value, "shape", None)
    found = type(value).__name__ + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")
    names = [_PUBLIC.get(kind.__name__, kind.__name__) for kind in kinds]
    wanted = " or a ".join(names)
    raise ArgumentError(
        f"{name} must be a {wanted}, found {found}", hint=_MADE_BY.get(names[-1], "")
    )
