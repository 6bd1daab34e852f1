"""Triangle strips, as PLY, VTK and glTF have them."""

from __future__ import annotations

import numpy as np

from meshconv._check import IntArray
from meshconv.io.ragged import spread


def strip_triangles(items: IntArray, starts: IntArray, sizes: IntArray) -> IntArray:
    """Return the triangles (F, 3) of strips items[start : start + size]; every second one is turned
    round.
    """
    sizes = np.maximum(sizes - 2, 0)
    first = spread(starts, sizes)
    odd = (spread(np.zeros_like(starts), sizes) % 2).astype(np.int64)
    return np.stack([items[first + odd], items[first + 1 - odd], items[first + 2]], axis=1)


def without_repeats(faces: IntArray) -> IntArray:
    """Drop the flat triangles that join strips; they are no fault of the surface."""
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]
