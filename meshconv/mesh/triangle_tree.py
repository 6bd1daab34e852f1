"""A tree of boxes over triangles: the halves of each box hold equally many, so no pointer is
stored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from meshconv._types import FloatArray, IntArray
from meshconv.mesh.vector import Triple, fixed, row

LEAF = 3
"""Boxes of at most as many triangles are not divided."""
DEPTH = 64
"""Room for the boxes that wait during a search: one for each level."""


class BoxTree(NamedTuple):
    """Boxes over the triangles of a mesh: 80 bytes a triangle at most.

    Box 0 holds all of them, the halves of box k are 2 k + 1 and 2 k + 2.
    """

    boxes: FloatArray
    """(B, 6) lowest and highest corner."""
    ends: IntArray
    """(B, 2) int32, box k holds the faces ``order[ends[k, 0] : ends[k, 1]]``."""
    order: IntArray
    """(F,) int32, the faces by box."""


def build_tree(vertices: FloatArray, faces: IntArray) -> BoxTree:
    """Return the tree over the triangles `faces` (F, 3) of `vertices` (V, 3)."""
    size, count = len(faces), 1
    while size > LEAF:
        size, count = (size + 1) // 2, 2 * count + 1
    boxes, ends = np.empty((count, 6)), np.empty((count, 2), dtype=np.int32)
    order = np.arange(len(faces), dtype=np.int32)
    centres = vertices[faces[:, 0]] + vertices[faces[:, 1]] + vertices[faces[:, 2]]
    _halve(centres, order, ends)
    _enclose(fixed(vertices), fixed(faces), order, ends, boxes)
    return BoxTree(fixed(boxes), fixed(ends), fixed(order))


@njit(cache=True)
def box_distance(boxes: FloatArray, box: int, p: Triple) -> float:
    """Return the squared distance of a point to a box, 0 inside."""
    total = 0.0
    for k in range(3):
        away = max(boxes[box, k] - p[k], p[k] - boxes[box, k + 3], 0.0)
        total += away * away
    return total


@njit(cache=True)
def divide(boxes: FloatArray, stack: IntArray, top: int, p: Triple) -> int:
    """Replace the box at `top` by its halves, the one nearer to p above; return how many wait."""
    left, right = 2 * stack[top] + 1, 2 * stack[top] + 2
    near = top + (box_distance(boxes, left, p) < box_distance(boxes, right, p))
    stack[near], stack[2 * top + 1 - near] = left, right
    return top + 2


@njit(cache=True)
def _halve(centres: FloatArray, order: IntArray, ends: IntArray) -> None:
    """Sort the faces into boxes, each halved at the median of its longer side; note its faces."""
    ends[0, 0], ends[0, 1] = 0, len(order)
    for box in range(len(ends) // 2):
        low, high = ends[box]
        middle = (low + high) // 2
        _select(centres, order, _longest_side(centres, low, high), low, high, middle)
        left, right = 2 * box + 1, 2 * box + 2
        ends[left, 0], ends[left, 1], ends[right, 0], ends[right, 1] = low, middle, middle, high


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
    vertices: FloatArray, faces: IntArray, order: IntArray, ends: IntArray, boxes: FloatArray
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
        for i in range(ends[box, 0], ends[box, 1]):
            for corner in range(3):
                p = row(vertices, faces[order[i], corner])
                for k in range(3):
                    boxes[box, k] = min(boxes[box, k], p[k])
                    boxes[box, k + 3] = max(boxes[box, k + 3], p[k])
