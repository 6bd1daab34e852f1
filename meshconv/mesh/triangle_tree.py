"""A tree of boxes over triangles: the halves of each box hold equally many, so no pointer is
stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.vector import Triple, fixed, row

LEAF = 3
"""Boxes of at most as many triangles are not divided."""
DEPTH = 64
"""Room for the boxes that wait during a search: one for each level."""


class BoxTree(NamedTuple):
    """Boxes over the triangles of a mesh: 50 bytes a triangle at most.

    Box 0 holds ``order[0:F]``; box k of ``order[low:high]`` has the halves 2 k + 1 of
    ``order[low:middle]`` and 2 k + 2 of the rest, where ``middle = (low + high) // 2``.
    """

    boxes: FloatArray
    """(B, 6) lowest and highest corner."""
    order: IntArray
    """(F,) int32, the faces by box."""


def build_tree(vertices: FloatArray, faces: IntArray) -> BoxTree:
    """Return the tree over the triangles `faces` (F, 3) of `vertices` (V, 3)."""
    size, count = len(faces), 1
    while size > LEAF:
        size, count = (size + 1) // 2, 2 * count + 1
    boxes, order = np.empty((count, 6)), np.arange(len(faces), dtype=np.int32)
    centres = vertices[faces[:, 0]] + vertices[faces[:, 1]] + vertices[faces[:, 2]]
    first, last = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    _halve(centres, order, first, last)
    _enclose(fixed(vertices), fixed(faces), order, boxes, (first, last))
    return BoxTree(fixed(boxes), fixed(order))


def nearby_order(points: FloatArray) -> IntArray:
    """Return an order (K,) of points (K, 3) in which neighbours in space follow one another
    (Morton's curve).
    """
    low = points.min(axis=0, initial=np.inf)
    extent = (points.max(axis=0, initial=-np.inf) - low).max(initial=0.0)
    return np.argsort(_morton(points, low, 1023.0 / (extent or 1.0)), kind="stable")


@njit(cache=True)
def _morton(points: FloatArray, low: FloatArray, scale: float) -> IntArray:
    """The bits of the three coordinates in turn, 30 in all."""
    out = np.zeros(len(points), dtype=np.int64)
    for q in range(len(points)):
        for k in range(3):
            cell = int((points[q, k] - low[k]) * scale)
            for bit in range(10):
                out[q] |= ((cell >> bit) & 1) << (3 * bit + k)
    return out


@njit(cache=True)
def box_distance(boxes: FloatArray, box: int, p: Triple) -> float:
    """Return the squared distance of a point to a box, 0 inside."""
    total = 0.0
    for k in range(3):
        away = max(boxes[box, k] - p[k], p[k] - boxes[box, k + 3], 0.0)
        total += away * away
    return total


@njit(cache=True)
def _halve(centres: FloatArray, order: IntArray, first: IntArray, last: IntArray) -> None:
    """Sort the faces into boxes, each halved at the median of its longer side; note its faces."""
    first[0], last[0] = 0, len(order)
    for box in range(len(first) // 2):
        low, high = first[box], last[box]
        middle = (low + high) // 2
        _select(centres, order, _longest_side(centres, low, high), low, high, middle)
        first[2 * box + 1], last[2 * box + 1] = low, middle
        first[2 * box + 2], last[2 * box + 2] = middle, high


@njit(cache=True)
def _longest_side(centres: FloatArray, low: int, high: int) -> int:
    best, longest = 0, -1.0
    for k in range(3):
        least = most = centres[low, k]
        for i in range(low + 1, high):
            least, most = min(least, centres[i, k]), max(most, centres[i, k])
        if most - least > longest:
            best, longest = k, most - least
    return best


@njit(cache=True)
def _select(
    centres: FloatArray, order: IntArray, axis: int, low: int, high: int, middle: int
) -> None:
    """Move the faces so that none before `middle` lies above one behind it (Hoare's select)."""
    high -= 1
    while low < high:
        pivot = centres[(low + high) // 2, axis]
        i, j = low, high
        while i <= j:
            while centres[i, axis] < pivot:
                i += 1
            while centres[j, axis] > pivot:
                j -= 1
            if i <= j:
                _swap(centres, order, i, j)
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(cache=True)
def _swap(centres: FloatArray, order: IntArray, i: int, j: int) -> None:
    order[i], order[j] = order[j], order[i]
    for k in range(3):
        centres[i, k], centres[j, k] = centres[j, k], centres[i, k]


@njit(cache=True)
def _enclose(
    vertices: FloatArray,
    faces: IntArray,
    order: IntArray,
    boxes: FloatArray,
    ends: tuple[IntArray, IntArray],
) -> None:
    """Fill the boxes, the smallest first."""
    for box in range(len(boxes) - 1, -1, -1):
        for k in range(3):
            boxes[box, k], boxes[box, k + 3] = np.inf, -np.inf
        if 2 * box + 2 < len(boxes):
            for half in (2 * box + 1, 2 * box + 2):
                for k in range(3):
                    boxes[box, k] = min(boxes[box, k], boxes[half, k])
                    boxes[box, k + 3] = max(boxes[box, k + 3], boxes[half, k + 3])
            continue
        for i in range(ends[0][box], ends[1][box]):
            for corner in range(3):
                p = row(vertices, faces[order[i], corner])
                for k in range(3):
                    boxes[box, k] = min(boxes[box, k], p[k])
                    boxes[box, k + 3] = max(boxes[box, k + 3], p[k])
