"""Cells of a mapped grid: their areas, and those that fold."""

from __future__ import annotations

import torch
from torch import Tensor


def area_ratio(grid: Tensor) -> Tensor:
    """Return the signed area of each cell of a grid (B, N, N, 2) over a uniform cell's, (B, N-1,
    N-1).
    """
    a, b, c, d = corners(grid)
    cells = (grid.shape[1] - 1) * (grid.shape[2] - 1)
    return 0.5 * _cross(c - a, d - b) * (cells / 4)


def folds(grid: Tensor) -> Tensor:
    """Return the number of cells with a corner triangle of no positive area, (B,), of a grid (B, N,
    N, 2).
    """
    return folded(*corners(grid)).sum(dim=(1, 2))


def folded(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return which cells have a corner triangle of no positive area, by their corners (..., 2)."""
    triangles = [
        _cross(b - a, d - a),
        _cross(c - b, a - b),
        _cross(d - c, b - c),
        _cross(a - d, c - d),
    ]
    return torch.stack(triangles).amin(dim=0) <= 0


def corners(grid: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the corners of each cell, counter-clockwise in (x, y)."""
    return grid[:, :-1, :-1], grid[:, :-1, 1:], grid[:, 1:, 1:], grid[:, 1:, :-1]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
