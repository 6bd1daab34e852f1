"""Where along an axis the fewest connections of a set of unknowns cross."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

AnyInt = NDArray[np.signedinteger[Any]]

# called by compiled functions only: ways in from Python take a sixth of the time to compile
inner = njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)

LEVELS = 64  # places that are compared at most, within a standard deviation of the middle
_FINE = 0.5  # of the square root of a set: its levels, each about an edge of a surface wide
_FEW = 250  # unknowns from which mean, deviation and connections per level are taken, about
_LEAST, _BALANCE = 0.25, 1.5  # share of the smaller side at least; price of sides that differ


@inner
def best_axis(space: Any, some: NDArray[np.int64]) -> Any:
    """The axis with the fewest connections per level, and their number squared."""
    points, crossing = space
    axis, fewest = 0, np.inf
    for d in range(points.shape[1]):
        few = per_level(points, crossing, some, d)[0]
        if few < fewest:
            axis, fewest = d, few
    return axis, fewest


@inner
def per_level(
    points: NDArray[np.float64], crossing: NDArray[np.float64], some: NDArray[np.int64], d: int
) -> Any:
    """Squared connections per level along an axis, mean and standard deviation."""
    n = len(some)
    origin = points[some[0], d]
    total = first = second = 0.0
    stride = 1 + n // _FEW
    for p in range(0, n, stride):
        x = points[some[p], d] - origin
        first, second = first + x, second + x * x
        total += crossing[some[p], d]
    seen = (n - 1) // stride + 1
    first, second, total = first / seen, second / seen, total * (n / seen)
    spread = second - first * first
    if not spread > 1e-12 * second:
        return np.inf, 0.0, 0.0
    return total * total / spread, origin + first, np.sqrt(spread)


@inner
def best_level(
    space: Any, some: NDArray[np.int64], d: int, most: float, counts: NDArray[np.float64]
) -> Any:
    """What the best level along an axis costs and where it lies; infinity where the axis has more
    than `most` squared connections a level.
    """
    few, mean, deviation = per_level(space[0], space[1], some, d)
    if not few <= most or not deviation > 0.0:
        return np.inf, 0.0
    levels = min(LEVELS, int(_FINE * len(some) ** 0.5))
    first, width = mean - deviation, 2.0 * deviation / levels
    count_levels(space, d, some, counts, levels + 2, first, width)
    score, k = cheapest(counts, levels + 2, width)
    return score, first + (k - 0.5) * width


@inner
def count_levels(
    space: Any,
    d: int,
    some: NDArray[np.int64],
    counts: NDArray[np.float64],
    n: int,
    first: float,
    width: float,
) -> None:
    """Count the unknowns in each of n levels along an axis, and the connections that cross it.

    Connections within a level cross it by their share of its width; the second of `space` is how
    far those of an unknown reach together.
    """
    points, reach = space
    for k in range(n):
        counts[0, k] = counts[1, k] = 0.0
    last, scale = float(n - 1), 1.0 / width
    for v in some:
        k = int(min(max((points[v, d] - first) * scale + 1.0, 0.0), last))
        counts[0, k] += 1.0
        counts[1, k] += reach[v, d]


@inner
def cheapest(counts: NDArray[np.float64], n: int, width: float) -> Any:
    """The level of n in whose middle the fewest connections cross, sides that differ costing
    more.
    """
    below, total, best, place = counts[0, 0], 0.0, np.inf, 0
    for k in range(n):
        total += counts[0, k]
    for k in range(1, n - 1):
        share = (below + 0.5 * counts[0, k]) / total
        if _LEAST < share < 1.0 - _LEAST:
            across = 1.0 + 0.5 * counts[1, k] / width
            score = across * (1.0 + _BALANCE * (2.0 * share - 1.0) ** 2)
            if score < best:
                best, place = score, k
        below += counts[0, k]
    return best, place
