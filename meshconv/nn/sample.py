"""One bilinear gather and its exact adjoint, in two and three dimensions; area-averaging where a map shrinks.

Positions are in the grid convention of `meshconv.resample.grid`: nodes on the border, coordinates in [-1, 1],
``align_corners=True``, last axis (x, y) or (x, y, z) with x along the last axis of the image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArrayTypeError
from meshconv.nn.cells import area_ratio

PADDING = ("border", "zeros")


def node_grid(size: int, like: Tensor) -> Tensor:
    """Return the identity sampling grid: the nodes of the square in [-1, 1], (1, N, N, 2), as (x, y)."""
    along = torch.linspace(-1.0, 1.0, size, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], dim=-1)[None]


def full_precision(tensor: Tensor) -> Tensor:
    """Return float32 for half precision, the tensor itself otherwise: positions need more than 8 bits."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def gather(image: Tensor, positions: Tensor, *, padding: str = "border") -> Tensor:
    """Return the image at the positions, by bilinear (trilinear) interpolation.

    Parameters
    ----------
    image : (B, C, H, W) or (B, C, D, H, W) Tensor
    positions : (B, ..., d) Tensor
        In [-1, 1], last axis (x, y) or (x, y, z); any number of axes between.
    padding : {'border', 'zeros'}
        What lies outside: the nearest border value, or zero.

    Returns
    -------
    values : (B, C, ...) Tensor
        Differentiable in both arguments.

    Raises
    ------
    ArrayTypeError, ArgumentError
        If the shapes do not belong together, or the padding is unknown.

    Examples
    --------
    >>> image = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> gather(image, torch.tensor([[[-0.5, 0.0], [1.0, 1.0]]])).tolist()
    [[[3.5, 8.0]]]
    """
    d = _dimension(image.ndim - 2, positions)
    one_of(padding, PADDING, "padding")
    between = positions.shape[1:-1]
    # grid_sample wants exactly d axes between batch and coordinates
    points = positions if len(between) == d else positions.reshape(positions.shape[0], *[1] * (d - 1), -1, d)
    values = functional.grid_sample(image, points, mode="bilinear", padding_mode=padding, align_corners=True)
    return values if len(between) == d else values.reshape(*image.shape[:2], *between)


def splat(values: Tensor, positions: Tensor, size: Sequence[int], *, padding: str = "border") -> Tensor:
    """Return the exact adjoint of `gather`: each value is laid down on the nodes around its position.

    <gather(image, p), values> = <image, splat(values, p, size)> for every image and all values.

    Parameters
    ----------
    values : (B, C, ...) Tensor
    positions : (B, ..., d) Tensor
        As in `gather`.
    size : sequence of d int
        (H, W) or (D, H, W) of the result.
    padding : {'border', 'zeros'}
        As in the gather that is transposed. With 'border' the total is kept.

    Returns
    -------
    image : (B, C, H, W) or (B, C, D, H, W) Tensor
        Differentiable in values and positions.

    Raises
    ------
    ArrayTypeError, ArgumentError
        If the shapes do not belong together, or the padding is unknown.
    """
    d = _dimension(len(size), positions)
    one_of(padding, PADDING, "padding")
    if values.shape[2:] != positions.shape[1:-1] or values.shape[0] != positions.shape[0]:
        raise ArrayTypeError(f"values {tuple(values.shape)} and positions {tuple(positions.shape)} do not match")
    b, c = values.shape[:2]
    flat = values.reshape(b, c, -1)
    extent = positions.new_tensor(size[::-1]).reshape(d, 1, 1)  # x first
    place = (positions.reshape(b, -1, d).movedim(-1, 0).contiguous() + 1) * ((extent - 1) / 2)
    # a margin of nodes around the image takes what falls outside, and is cut off
    margin = 0.0 if padding == "border" else 1.0
    place = torch.minimum(place.clamp_min(-margin), extent - 1 + margin)
    low = place.detach().floor()
    upper = place - low
    halves = torch.stack([1 - upper, upper], dim=2)  # (d, b, 2, points): shares of the lower and the upper node
    weight = halves[0]
    for half in halves[1:]:
        weight = (weight[:, :, None] * half[:, None]).flatten(1, 2)  # (b, 2^d, points)
    canvas = [n + 3 for n in size]
    strides = [math.prod(canvas[d - k :]) for k in range(d)]  # x first
    # the margin puts node (-1, -1) at 0
    corners = [sum(u * s for u, s in zip(up, strides, strict=True)) for up in itertools.product((1, 2), repeat=d)]
    first = (low.long() * torch.tensor(strides, device=positions.device).reshape(d, 1, 1)).sum(dim=0)
    index = (first[:, None] + torch.tensor(corners, device=positions.device)[:, None]).reshape(b, 1, -1)
    shares = (flat[:, :, None] * weight[:, None].to(flat.dtype)).reshape(b, c, -1)
    image = flat.new_zeros(b, c, math.prod(canvas)).scatter_add_(2, index.expand(b, c, -1), shares)
    inner = (slice(None), slice(None), *[slice(1, n + 1) for n in size])
    return image.reshape(b, c, *canvas)[inner]


def pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """Return the image and up to `levels` coarser copies, each the area average of the one before.

    Every level has its nodes on the border and keeps the mean of the one before (trapezoid rule, sides 2^k
    + 1). Stops when a side falls below 5 nodes.
    """
    out = [image]
    for _ in range(levels):
        h, w = out[-1].shape[-2:]
        if min(h, w) < 5:
            break
        out.append(_halve(_halve(out[-1], -1), -2))
    return out


def area_sample(image: Tensor, sampling_grid: Tensor) -> Tensor:
    """Return the image on the sampling grid, averaged over area where the grid is coarser than the image.

    Each output node reads the level of an average pyramid whose node spacing matches the node's footprint
    in the source (square root of its area), blended linearly between levels. Where the grid is as fine as the
    image or finer this is plain bilinear interpolation.

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
    with torch.autocast(image.device.type, enabled=False):
        work = full_precision(image)
        return _area_sample(work, sampling_grid.to(work.dtype)).to(image.dtype)


def _area_sample(image: Tensor, sampling_grid: Tensor) -> Tensor:
    with torch.no_grad():
        level = _level(sampling_grid, image.shape[-2:])
    coarser = max(image.shape[-2:]) / sampling_grid.shape[1]
    stages = pyramid(image, max(0, math.ceil(math.log2(coarser))) + 2)  # 2 more: areas shrunk up to 16 times
    level = level.clamp_max(len(stages) - 1)
    grid = sampling_grid.expand(image.shape[0], -1, -1, -1)
    values = torch.zeros_like(image[:, :, :1, :1])
    for k, stage in enumerate(stages):
        weight = (1 - (level - k).abs()).clamp_min(0)
        values = values + weight * gather(stage, grid)
    return values


def _level(grid: Tensor, size: torch.Size) -> Tensor:
    """Return the pyramid level of each node, (B, 1, n, n): log2 of its footprint's side in source nodes."""
    cells = functional.pad(area_ratio(grid).abs()[:, None], (1, 1, 1, 1), mode="replicate")
    uniform = (size[0] - 1) * (size[1] - 1) / (grid.shape[1] - 1) / (grid.shape[2] - 1)
    return 0.5 * torch.log2((uniform * functional.avg_pool2d(cells, 2, stride=1)).clamp_min(1.0))


def _halve(image: Tensor, dim: int) -> Tensor:
    """Smooth by [1 2 1] / 4, reflected at the border, and keep every other node of one axis."""
    n = image.shape[dim]
    wide = torch.cat([image.narrow(dim, 1, 1), image, image.narrow(dim, n - 2, 1)], dim)
    smooth = 0.5 * image + 0.25 * (wide.narrow(dim, 0, n) + wide.narrow(dim, 2, n))
    if n % 2:
        return smooth[..., ::2] if dim == -1 else smooth[..., ::2, :]
    shape = list(image.shape[-2:])
    shape[dim] = n // 2 + 1
    return functional.interpolate(smooth, size=shape, mode="bilinear", align_corners=True)


def _dimension(d: int, positions: Tensor) -> int:
    if d not in (2, 3) or positions.shape[-1] != d:
        raise ArrayTypeError(
            f"an image of {d} dimensions needs positions (B, ..., {d}), found {tuple(positions.shape)}"
        )
    return d
