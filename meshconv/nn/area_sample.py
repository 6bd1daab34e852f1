"""Images averaged over area where a map shrinks: a pyramid of averages, read level by level, and
the exact adjoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.nn.cells import area_ratio
from meshconv.nn.precision import valueless, without_autocast
from meshconv.nn.sample import full_precision, gather, splat


def pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Return the image and up to `levels` coarser copies, each the area average of the one before.

    Every level has its nodes on the border and keeps the mean of the one before (trapezoid rule,
    sides 2^k + 1). Stops when a side falls below 5 nodes.
    """
    out = [image]
    for _ in range(levels):
        h, w = out[-1].shape[-2:]
        if min(h, w) < 5:
            break
        out.append(_halve(_halve(out[-1], -1), -2))
    return out


def area_sample(image: Tensor, sampling_grid: Tensor) -> Tensor:
    """Return the image on the sampling grid, averaged over area where the grid is coarser than the
    image.

    Each output node reads the level of an average pyramid whose node spacing matches the node's
    footprint in the source (square root of its area), blended linearly between levels. Where the
    grid is as fine as the image or finer this is plain bilinear interpolation.

    Parameters
    ----------
    image : (B, C, H, W) Tensor
    sampling_grid : (B, n, n, 2) or (1, n, n, 2) Tensor
        In [-1, 1], last axis (x, y).

    Returns
    -------
    values : (B, C, n, n) Tensor
        In the dtype of the image.
    """
    with without_autocast(image):
        return read(averages(image, sampling_grid.shape[1]), sampling_grid).to(image.dtype)


def averages(image: Tensor, nodes: int) -> list[Tensor]:
    """Return the pyramid that sampling grids of so many nodes per side read of images, in full
    precision: for several grids, it is made once.
    """
    with without_autocast(image):
        return pyramid(full_precision(image), _levels(image.shape[-2:], nodes))


def read(stages: Sequence[Tensor], sampling_grid: Tensor) -> Tensor:
    """Return `area_sample` of images by their `averages`."""
    image = stages[0]
    with without_autocast(image):
        weights = _level_weights(sampling_grid.to(image.dtype), image.shape[-2:])
        grid = sampling_grid.to(image.dtype).expand(image.shape[0], -1, -1, -1)
        values = torch.zeros_like(image[:, :, :1, :1])
        for weight, stage in zip(weights, stages, strict=False):
            if not _is_nothing(weight):
                values = values + weight * gather(stage, grid)
        return values


def _is_nothing(weight: Tensor) -> bool:
    """Whether no node reads a level: asked where a look costs less than to read it."""
    return not valueless(weight) and weight.device.type == "cpu" and not bool(weight.any())


def area_splat(values: Tensor, sampling_grid: Tensor, size: Sequence[int]) -> Tensor:
    """Return the exact adjoint of `area_sample`: each node's value is spread over the area it
    averaged.

    <area_sample(image, g), values> = <image, area_splat(values, g, size)>; the total is kept.

    Parameters
    ----------
    values : (B, C, n, n) Tensor
    sampling_grid : (B, n, n, 2) or (1, n, n, 2) Tensor
    size : (H, W)
        Of the result.

    Returns
    -------
    image : (B, C, H, W) Tensor
        Differentiable in the values, and in the grid as `area_sample` is.
    """
    image = values.new_zeros(*values.shape[:2], *size)
    weights = _level_weights(sampling_grid.to(values.dtype), size)
    stages, back = torch.func.vjp(lambda picture: tuple(pyramid(picture, len(weights) - 1)), image)[
        :2
    ]
    grid = sampling_grid.to(values.dtype).expand(len(values), -1, -1, -1)
    laid = [
        splat(values * w, grid, stage.shape[2:]) for w, stage in zip(weights, stages, strict=True)
    ]
    spread: Tensor = back(tuple(laid))[0]
    return spread


@torch.no_grad()
def _level_weights(grid: Tensor, size: Sequence[int]) -> list[Tensor]:
    """Return how much each node reads of each level of the pyramid, (B, 1, n, n) each."""
    shortest, last = min(size), 0
    while last < _levels(size, grid.shape[1]) and shortest >= 5:  # as `pyramid` stops
        shortest, last = shortest // 2 + 1, last + 1
    level = _level(grid, size).clamp_max(last)
    return [(1 - (level - k).abs()).clamp_min(0) for k in range(last + 1)]


def _levels(size: Sequence[int], nodes: int) -> int:
    """Return how many coarser levels grids of so many nodes per side may read."""
    return max(0, math.ceil(math.log2(max(size) / nodes))) + 2  # areas shrunk up to 16 times


def _level(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Return each node's pyramid level, (B, 1, n, n): log2 of its side in source nodes."""
    cells = functional.pad(area_ratio(grid).abs()[:, None], (1, 1, 1, 1), mode="replicate")
    uniform = (size[0] - 1) * (size[1] - 1) / (grid.shape[1] - 1) / (grid.shape[2] - 1)
    return 0.5 * torch.log2((uniform * functional.avg_pool2d(cells, 2, stride=1)).clamp_min(1.0))


def _halve(image: Tensor, dim: int) -> Tensor:
    """Smooth by [1 2 1] / 4, reflected at the border, and keep every other node of one axis."""
    n = image.shape[dim]
    if n % 2:  # on what is kept alone: a fifth of the time
        kept, left = (image[..., k::2] if dim == -1 else image[..., k::2, :] for k in (0, 1))
        below = torch.cat([left.narrow(dim, 0, 1), left], dim)
        above = torch.cat([left, left.narrow(dim, n // 2 - 1, 1)], dim)
        return 0.5 * kept + 0.25 * (below + above)
    wide = torch.cat([image.narrow(dim, 1, 1), image, image.narrow(dim, n - 2, 1)], dim)
    smooth = 0.5 * image + 0.25 * (wide.narrow(dim, 0, n) + wide.narrow(dim, 2, n))
    shape = list(image.shape[-2:])
    shape[dim] = n // 2 + 1
    return functional.interpolate(smooth, size=shape, mode="bilinear", align_corners=True)
