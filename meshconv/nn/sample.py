"""One bilinear gather and its exact adjoint, in two and three dimensions.

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


def _dimension(d: int, positions: Tensor) -> int:
    if d not in (2, 3) or positions.shape[-1] != d:
        raise ArrayTypeError(
            f"an image of {d} dimensions needs positions (B, ..., {d}),"
            f" found {tuple(positions.shape)}"
        )
    return d
