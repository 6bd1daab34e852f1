"""An order of points in space in which neighbours follow one another."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def nearby_order(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order (K,) of points (K, 3) in which neighbours in space follow one another
    (Morton's curve).
    """
    low = points.min(axis=0, initial=np.inf)
    extent = (points.max(axis=0, initial=-np.inf) - low).max(initial=0.0)
    size = max(len(points), 1)  # place and number in one integer sort faster than places alone
    place = _morton(points, low, 1023.0 / (extent or 1.0))
    return np.sort(place * size + np.arange(len(points))) % size


@njit(cache=True)
def _morton(
    points: NDArray[np.float64], low: NDArray[np.float64], scale: float
) -> NDArray[np.int64]:
    """The bits of the three coordinates in turn, 30 in all."""
    out = np.zeros(len(points), dtype=np.int64)
    for q in range(len(points)):
        for k in range(3):
            x = np.int64((points[q, k] - low[k]) * scale)
            x = (x | (x << 16)) & 0x30000FF
            x = (x | (x << 8)) & 0x300F00F
            x = (x | (x << 4)) & 0x30C30C3
            out[q] |= ((x | (x << 2)) & 0x9249249) << k
    return out
