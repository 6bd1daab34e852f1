"""Points and vectors of space as triples of numbers, for compiled loops over meshes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._compiled import compiled
from meshconv._types import FloatArray

Triple = tuple[float, float, float]


def fixed(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view: to the compiler it is another type than the array, and one type is
    enough.
    """
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


@compiled()
def row(array: FloatArray, i: int) -> Triple:
    """Return row i of an array (N, 3)."""
    return array[i, 0], array[i, 1], array[i, 2]


@compiled()
def minus(u: Triple, v: Triple) -> Triple:
    """Return u - v."""
    return u[0] - v[0], u[1] - v[1], u[2] - v[2]


@compiled()
def along(start: Triple, step: float, direction: Triple) -> Triple:
    """Return start + step * direction."""
    return (
        start[0] + step * direction[0],
        start[1] + step * direction[1],
        start[2] + step * direction[2],
    )


@compiled()
def dot(u: Triple, v: Triple) -> float:
    """Return the scalar product."""
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@compiled()
def cross(u: Triple, v: Triple) -> Triple:
    """Return the vector product."""
    return u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]
