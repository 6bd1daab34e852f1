"""Displacement along the mean normal, from the channels of registered images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError

_POSITION = (("difference_x", "difference_y", "difference_z"), ("x", "y", "z"))
_NORMAL = ("normal_x", "normal_y", "normal_z")


def _places(channels: Sequence[str], count: int) -> tuple[list[int], list[int]] | None:
    """Return which channels are positions and normals; None if they are not there."""
    names = list(channels)
    if len(names) != count:
        raise ArgumentError(f"channels must name {count} channels, found {len(names)}")
    position = next((part for part in _POSITION if set(part) <= set(names)), None)
    if position is None or not set(_NORMAL) <= set(names):
        return None
    return [names.index(name) for name in position], [names.index(name) for name in _NORMAL]


def mean_normals(values: NDArray[Any], channels: Sequence[str]) -> FloatArray | None:
    """Return the mean unit normal (3, ...) of images (n, C, ...), of those that reach; None if the
    channels do not hold positions and normals.

    Raises
    ------
    ArgumentError
        If there is not one name for each channel.
    """
    found = _places(channels, values.shape[1])
    if found is None:
        return None
    normal = values[:, found[1]]
    there = np.isfinite(normal)
    total = np.where(there, normal, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=0), 1e-9))


def along(
    values: NDArray[Any], channels: Sequence[str], normals: FloatArray
) -> NDArray[np.float32]:
    """Return positions of images (n, C, ...) along normals (3, ...), outward positive, (n, ...)."""
    found = _places(channels, values.shape[1])
    if found is None:
        raise ArgumentError(
            "channels: difference_x, _y, _z (or x, y, z) and normal_x, _y, _z are needed",
            hint="PrepareConfig.channels",
        )
    return np.asarray((values[:, found[0]] * normals).sum(axis=1), dtype=np.float32)
