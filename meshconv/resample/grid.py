"""The grid convention. It is stated here and nowhere else.

- Nodes lie **on the border**: a grid of size N has N x N nodes, node k at k / (N - 1), from 0 to 1
  inclusive.
- **Row = v, column = u**: ``image[i, j]`` is the value at u = j / (N - 1), v = i / (N - 1). A
  picture of it is drawn with the origin in the lower left corner.
- In torch this is ``align_corners=True`` with x = 2 u - 1 along columns and y = 2 v - 1 along rows,
  last axis (x, y).
- N = 2^k + 1 (33, 65, 129, 257) nests: every other node of one grid is the next coarser grid. Other
  sizes work.

(A grid of pixel centres was measured at 14 times the error on the border.)
"""

from __future__ import annotations

import operator
from typing import SupportsIndex

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError

MAX_SIZE = 4097  # 17 million nodes; a resampler of that size already takes half a gigabyte


def grid_size(size: SupportsIndex, name: str = "size") -> int:
    """Return `size` as an int if a grid can have it.

    Raises
    ------
    ArgumentError
        Unless it is an integer in 2..4097.
    """
    try:
        value = operator.index(size)
    except TypeError as error:
        raise ArgumentError(
            f"{name} must be an integer number of nodes per side, found {size!r}"
        ) from error
    if not 2 <= value <= MAX_SIZE:
        raise ArgumentError(
            f"{name} must lie in 2..{MAX_SIZE} nodes per side, found {value}",
            hint="129 and 65 are usual",
        )
    return value


def node_positions(size: int) -> FloatArray:
    """Return the positions of the nodes along one side, (N,), from 0 to 1.

    >>> node_positions(5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return np.arange(size) / (size - 1)


def grid_nodes(size: int) -> FloatArray:
    """Return the nodes of the unit square, (N, N, 2), last axis (u, v).

    >>> grid_nodes(3)[0, 2].tolist()  # row 0, last column: u = 1, v = 0
    [1.0, 0.0]
    """
    along = node_positions(size)
    return np.stack(np.meshgrid(along, along, indexing="xy"), axis=-1)


def node_weights(size: int) -> FloatArray:
    """Return each node's share of the unit square, (N, N), summing to 1 (trapezoid rule)."""
    along = np.full(size, 1.0 / (size - 1))
    along[[0, -1]] *= 0.5
    return np.outer(along, along)


def bilinear_weights(points: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """Return the four nodes around each point (P, 2) = (u, v), flat (P, 4), and their bilinear
    weights (P, 4).

    Points outside are moved to the border.
    """
    place = np.clip(points, 0.0, 1.0) * (size - 1)
    cell = np.minimum(place.astype(np.int64), size - 2)
    (fu, fv), (col, row) = (place - cell).T, cell.T
    first = row * size + col
    nodes = np.stack([first, first + 1, first + size, first + size + 1], axis=1)
    weights = np.stack([(1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv], axis=1)
    return nodes, weights
