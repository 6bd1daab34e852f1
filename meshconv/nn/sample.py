"""One bilinear gather and its exact adjoint, in two and three dimensions; area-averaging where a
map shrinks.

Positions are in the grid convention of `meshconv.resample.grid`: nodes on the border, coordinates
in [-1, 1], ``align_corners=True``, last axis (x, y) or (x, y, z) with x along the last axis of the
image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArrayTypeError
from meshconv.nn.cells import area_ratio
from meshconv.nn.precision import without_autocast

PADDING = ("border", "zeros")
PADDING_MODE = {"zeros": 0, "border": 1}  # numbers of torch's own operator


def node_grid(size: int, like: Tensor) -> Tensor:
    """Return the identity sampling grid: the nodes of the square in [-1, 1], (1, N, N, 2), as (x,
    y).
    """
    along = torch.linspace(-1.0, 1.0, size, dtype=like.dtype, device=like.device)
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], dim=-1)[None]


def full_precision(tensor: Tensor) -> Tensor:
    """Return float32 for half precision, else the tensor itself: 8 bits place nothing."""
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
    points = (
        positions
        if len(between) == d
        else positions.reshape(positions.shape[0], *[1] * (d - 1), math.prod(between), d)
    )
    values = functional.grid_sample(
        image, points, mode="bilinear", padding_mode=padding, align_corners=True
    )
    return values if len(between) == d else values.reshape(*image.shape[:2], *between)


def splat(
    values: Tensor, positions: Tensor, size: Sequence[int], *, padding: str = "border"
) -> Tensor:
    """Return the exact adjoint of `gather`: each value is laid down on the nodes around its
    position.

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
        raise ArrayTypeError(
            f"values {tuple(values.shape)} and positions {tuple(positions.shape)} do not match"
        )
    between = tuple(positions.shape[1:-1])
    if positions.ndim != d + 2:
        between = *[1] * (d - 1), math.prod(between)
    points = positions.to(values.dtype).reshape(positions.shape[0], *between, d)
    flat = values.reshape(*values.shape[:2], *points.shape[1:-1])
    if torch.is_grad_enabled() and (flat.requires_grad or points.requires_grad):
        image: Tensor = _Splat.apply(flat, points, tuple(size), padding)  # type: ignore[no-untyped-call]
        return image
    return _laid_down(flat, points, size, (0, PADDING_MODE[padding], True))  # half the fixed cost


def _laid_down(
    values: Tensor, points: Tensor, size: Sequence[int], mode: tuple[int, int, bool]
) -> Tensor:
    shape = values.new_zeros(1).expand(*values.shape[:2], *size)  # only its shape is read
    return _gather_slopes(values, shape, points, mode, (True, False))[0]


class _Splat(torch.autograd.Function):
    """The derivative of `grid_sample` in its image, made differentiable in turn.

    <splat(v, p), g> = <v, gather(g, p)> is linear in v, so the derivative in v is the gather
    itself, and that in p is the gather's own.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, points: Tensor, size: tuple[int, ...], padding: str
    ) -> Tensor:
        ctx.save_for_backward(values, points)
        ctx.mode = (0, PADDING_MODE[padding], True)
        return _laid_down(values, points, size, ctx.mode)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, points = ctx.saved_tensors
        of_values, of_points = ctx.needs_input_grad[:2]
        sample = torch.grid_sampler_2d if points.shape[-1] == 2 else torch.grid_sampler_3d
        back = sample(slopes[0], points, *ctx.mode) if of_values else None
        moved = (
            _gather_slopes(values, slopes[0], points, ctx.mode, (False, True))[1]
            if of_points
            else None
        )
        return back, moved, None, None


def _gather_slopes(
    values: Tensor,
    image: Tensor,
    points: Tensor,
    mode: tuple[int, int, bool],
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """Return the derivatives of <values, gather(image, points)> in the image and in the points."""
    ops = torch.ops.aten
    derive = (
        ops.grid_sampler_2d_backward if points.shape[-1] == 2 else ops.grid_sampler_3d_backward
    ).default
    in_image, in_points = derive(values, image, points, *mode, wanted)
    return in_image, in_points


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
        work = full_precision(image)
        return _area_sample(work, sampling_grid.to(work.dtype)).to(image.dtype)


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


def _area_sample(image: Tensor, sampling_grid: Tensor) -> Tensor:
    weights = _level_weights(sampling_grid, image.shape[-2:])
    stages = pyramid(image, len(weights) - 1)
    grid = sampling_grid.expand(image.shape[0], -1, -1, -1)
    values = torch.zeros_like(image[:, :, :1, :1])
    for weight, stage in zip(weights, stages, strict=True):
        values = values + weight * gather(stage, grid)
    return values


@torch.no_grad()
def _level_weights(grid: Tensor, size: Sequence[int]) -> list[Tensor]:
    """Return how much each node reads of each level of the pyramid, (B, 1, n, n) each."""
    levels = (
        max(0, math.ceil(math.log2(max(size) / grid.shape[1]))) + 2
    )  # 2 more: areas shrunk up to 16 times
    shortest, last = min(size), 0
    while last < levels and shortest >= 5:  # as `pyramid` stops
        shortest, last = shortest // 2 + 1, last + 1
    level = _level(grid, size).clamp_max(last)
    return [(1 - (level - k).abs()).clamp_min(0) for k in range(last + 1)]


def _level(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Return each node's pyramid level, (B, 1, n, n): log2 of its side in source nodes."""
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
            f"an image of {d} dimensions needs positions (B, ..., {d}),"
            f" found {tuple(positions.shape)}"
        )
    return d
