"""Where along an axis the fewest connections of a set of unknowns cross."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

AnyInt = NDArray[np.signedinteger[Any]]

LEVELS = 64  # places that are compared, within a standard deviation of the middle
_FEW = 1000  # unknowns from which mean, deviation and connections per level are taken, about
_SAMPLE = 16000  # unknowns whose connections are counted, at most
_LEAST, _BALANCE = 0.25, 1.5  # share of the smaller side at least; price of sides that differ


@njit(cache=True)
def best_axis(space: Any, order: NDArray[np.int64], low: int, high: int) -> Any:
    """The axis with the fewest connections per level, and their number squared."""
    points, crossing = space
    axis, fewest = 0, np.inf
    for d in range(points.shape[1]):
        few = per_level(points, crossing, order, low, high, d)[0]
        if few < fewest:
            axis, fewest = d, few
    return axis, fewest


@njit(cache=True)
def per_level(
    points: NDArray[np.float64],
    crossing: NDArray[np.float64],
    order: NDArray[np.int64],
    low: int,
    high: int,
    d: int,
) -> Any:
    """Squared connections per level along an axis, mean and standard deviation."""
    origin = points[order[low], d]
    total = first = second = 0.0
    stride = 1 + (high - low) // _FEW
    for p in range(low, high, stride):
        x = points[order[p], d] - origin
        first, second = first + x, second + x * x
        total += crossing[order[p], d]
    seen = (high - low - 1) // stride + 1
    first, second, total = first / seen, second / seen, total * ((high - low) / seen)
    spread = second - first * first
    if not spread > 1e-12 * second:
        return np.inf, 0.0, 0.0
    return total * total / spread, origin + first, np.sqrt(spread)


@njit(cache=True)
def count_levels(
    pattern: Any,
    x: NDArray[np.float64],
    some: NDArray[np.int64],
    zone: NDArray[np.int64],
    level: NDArray[np.int64],
    counts: NDArray[np.int64],
    first: float,
    width: float,
) -> None:
    """Count the unknowns in each level and what more connections cross its lower end than that of
    the one before.
    """
    indptr, indices = pattern
    mine = zone[some[0]]
    counts[:] = 0
    for i in some:
        level[i] = int(min(max((x[i] - first) / width + 1.0, 0.0), LEVELS + 1.0))
        counts[0, level[i]] += 1
    for p in range(0, len(some), 1 + len(some) // _SAMPLE):
        a = level[some[p]]
        for q in range(indptr[some[p]], indptr[some[p] + 1]):
            b = level[indices[q]]
            if b > a and zone[indices[q]] == mine:
                counts[1, a] += 1
                counts[1, b] -= 1


@njit(cache=True)
def cheapest(counts: NDArray[np.int64], total: int) -> Any:
    """The level after which the fewest connections cross, sides that differ costing more."""
    below = across = best_level = 0
    best = np.inf
    for k in range(LEVELS + 1):
        below, across = below + counts[0, k], across + counts[1, k]
        share = below / total
        if _LEAST < share < 1.0 - _LEAST:
            score = (across + 1.0) * (1.0 + _BALANCE * (2.0 * share - 1.0) ** 2)
            if score < best:
                best, best_level = score, k
    return best, best_level
