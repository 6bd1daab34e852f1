"""p that allow for the number of places looked at, from a map and maps of permutations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from meshconv._check import BoolArray, FloatArray

Maps = NDArray[np.float32]

_TIE = 1e-5  # of a standard deviation
_CLUSTER = 3.1  # standard deviations above the mean of permuted maps that begin a cluster


def peak(maps: Maps, reached: BoolArray) -> FloatArray:
    """Return the share (D,) of maps (1 + m, D), the first included, that have a value as large
    *anywhere*: the probability of a single false pixel on the whole map is at most the level.
    """
    largest = np.sort(maps[1:].max(axis=1))
    return _share_above(largest, maps[0])


def false_discovery(maps: Maps, reached: BoolArray) -> FloatArray:
    """Return p of each pixel by itself, (D,), adjusted so that of those below the level about that
    share is false (Benjamini and Hochberg 1995).

    It says nothing of a single pixel, and a pixel's own p is no smaller than 1 / (m + 1): with few
    permutations a small site cannot be found.
    """
    above = (maps[1:] >= maps[0] - _TIE).sum(axis=0)
    p = (1 + above) / len(maps)
    order = np.argsort(p)
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum.accumulate(ranked[::-1])[::-1]
    return np.minimum(out, 1.0)


def cluster_extent(maps: Maps, reached: BoolArray) -> FloatArray:
    """Return, for pixels of clusters above a threshold, the share of maps with a cluster as large;
    1 for all others, (D,).

    It says that *somewhere* in the cluster there is a difference, not where in it; narrow ones are
    missed, and where the map is smoother, clusters are larger by chance.
    """
    sizes = [_clusters(one, reached) for one in maps]
    largest = np.sort([size.max(initial=0) for size in sizes[1:]])
    p = _share_above(largest, sizes[0])
    return np.where(sizes[0] > 0, p, 1.0)


def _clusters(values: Maps, reached: BoolArray) -> FloatArray:
    """Return the size of the cluster each pixel is in, (D,); 0 outside."""
    grid = np.zeros(reached.shape, dtype=bool)
    grid[reached] = values > _CLUSTER
    number = label(grid)[0]
    size = np.bincount(number.ravel()).astype(np.float64)
    size[0] = 0.0
    return np.asarray(size[number[reached]])


def _share_above(sorted_: NDArray[np.floating], values: NDArray[np.floating]) -> FloatArray:
    above = len(sorted_) - np.searchsorted(sorted_, values - _TIE, side="left")
    return np.asarray((1 + above) / (1 + len(sorted_)), dtype=np.float64)


CORRECTIONS: dict[str, Callable[[Maps, BoolArray], FloatArray]] = {
    "peak": peak,
    "fdr": false_discovery,
    "cluster": cluster_extent,
}
