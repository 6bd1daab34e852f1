"""Convolution with displaced windows, as functions of input, weight and displacements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArrayTypeError
from meshconv.nn.layers.windows import (
    PerAxis,
    Window,
    nodes_for,
    response_grid,
    to_grid,
    window_corners,
)
from meshconv.nn.precision import without_autocast
from meshconv.nn.sample import full_precision, gather

_CONV: dict[int, Callable[..., Tensor]] = {2: functional.conv2d, 3: functional.conv3d}


def dynamic_stride_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    offset: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution whose window at p is moved, as a whole, by offset(p).

    y(p) = sum_k weight_k x~(stride p - padding + dilation k + offset(p)) + bias, with x~ the
    bilinear interpolation of x, zero outside (that of the image padded with zeros). The local
    stride is stride + offset(p+1) - offset(p); with a zero offset this is
    `torch.nn.functional.conv2d`.

    Parameters
    ----------
    x : (B, C, H, W) Tensor
    weight : (O, C / groups, h, w) Tensor
    bias : (O,) Tensor or None
    offset : (B, 2, Ho, Wo) Tensor
        In input pixels, (y, x); Ho and Wo as `conv2d` gives them.
    stride, padding, dilation, groups
        As in `torch.nn.functional.conv2d`.

    Returns
    -------
    y : (B, O, Ho, Wo) Tensor
        In the dtype `conv2d` gives, also under autocast; the sampling is in full precision.
        Differentiable in all tensors.

    Raises
    ------
    ArrayTypeError, ArgumentError
        If the shapes do not belong together, or an option is out of range.

    References
    ----------
    Zhang et al., 2024, Acta Electronica Sinica 52(10); reconstructed from its abstract.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
    >>> y = dynamic_stride_conv2d(x, weight, None, torch.zeros(1, 2, 4, 4), stride=2, padding=1)
    >>> torch.allclose(y, functional.conv2d(x, weight, stride=2, padding=1), atol=1e-6)
    True
    """
    window = Window(tuple(weight.shape[2:]), stride, padding, dilation)
    return moved_convolution(2, x, weight, bias, offset, window, groups)


def dynamic_stride_conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    offset: Tensor,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Tensor:
    """Return `dynamic_stride_conv2d` of volumes (B, C, D, H, W), with offset (B, 3, Do, Ho, Wo) as
    (z, y, x).
    """
    window = Window(tuple(weight.shape[2:]), stride, padding, dilation)
    return moved_convolution(3, x, weight, bias, offset, window, groups)


def gather_windows(x: Tensor, offset: Tensor, window: Window) -> Tensor:
    """Return what each tap of each moved window sees, (B, C, K, *out), K = number of taps, in full
    precision.
    """
    size, axes = x.shape[2:], window.axes(x.ndim - 2)
    with without_autocast(x):
        image = full_precision(x)
        corners = window_corners(offset.to(image.dtype), window)
        taps = itertools.product(*(range(0, k * d, d) for k, _, _, d in axes))
        shifts = corners.new_tensor(list(taps)).reshape(-1, *[1] * len(size), len(size))
        nodes = nodes_for(size)
        margins = [m for n, wide in zip(size, nodes, strict=True) for m in (wide - n, 0)][::-1]
        return gather(
            functional.pad(image, margins),
            to_grid(corners[:, None] + shifts, nodes),
            padding="zeros",
        )


def moved_convolution(
    dims: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    offset: Tensor,
    window: Window,
    groups: int,
) -> Tensor:
    """Return the responses of displaced windows by the cheaper of two equal ways."""
    _check_shapes(dims, x, weight, offset, window, groups)
    if _dense_is_cheaper(weight, window, groups):
        return _sampled_responses(x, weight, bias, offset, window, groups)
    taps = gather_windows(x, offset, window).to(x.dtype)
    flat = taps.flatten(3).flatten(1, 2)  # one matrix product for all windows
    y = functional.conv1d(flat, weight.reshape(weight.shape[0], -1, 1), bias, groups=groups)
    return y.reshape(*y.shape[:2], *offset.shape[2:])


def _dense_is_cheaper(weight: Tensor, window: Window, groups: int) -> bool:
    """Whether to convolve with stride 1 and sample the responses, instead of sampling every tap of
    every window.

    That takes the products of the windows that the stride skips, but only one sample of each
    response instead of one of each tap in each input channel. On a CPU a sample takes as long as
    about 128 products.
    """
    strides = [s for _, s, _, _ in window.axes(weight.ndim - 2)]
    taps = weight[0].numel() * groups
    return (math.prod(strides) - 1) * weight.numel() < 128 * (taps - weight.shape[0])


def _sampled_responses(
    x: Tensor, weight: Tensor, bias: Tensor | None, offset: Tensor, window: Window, groups: int
) -> Tensor:
    """Return the same as sampling each tap: a window moves rigidly, and its response is linear in
    the image.
    """
    size = x.shape[2:]
    axes = window.axes(len(size))
    reach, dilation = [d * (k - 1) for k, _, _, d in axes], [d for _, _, _, d in axes]
    responses = _CONV[len(size)](x, weight, None, 1, reach, dilation, groups)
    with without_autocast(x):
        dense = full_precision(responses)
        grid, nodes = response_grid(offset.to(dense.dtype), window, size)
        margins = [
            m for n, wide in zip(dense.shape[2:], nodes, strict=True) for m in (wide - n, 0)
        ][::-1]
        y = gather(functional.pad(dense, margins), grid, padding="zeros")
        if bias is not None:
            y = y + bias.to(y.dtype).reshape(-1, *[1] * len(size))
    return y.to(responses.dtype)


def _check_shapes(
    dims: int, x: Tensor, weight: Tensor, offset: Tensor, window: Window, groups: int
) -> None:
    if x.ndim != dims + 2 or weight.ndim != dims + 2:
        raise ArrayTypeError(
            f"input and weight need {dims + 2} axes each,"
            f" found {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ArrayTypeError(
            f"input {tuple(x.shape)} and weight {tuple(weight.shape)}"
            f" do not fit with {groups} groups"
        )
    out = window.out_size(x.shape[2:])
    if min(out) < 1:
        raise ArrayTypeError(f"input {tuple(x.shape)} is smaller than one window of {window}")
    if tuple(offset.shape[1:]) != (dims, *out) or offset.shape[0] != x.shape[0]:
        raise ArrayTypeError(
            f"offset must be {(x.shape[0], dims, *out)} for input {tuple(x.shape)},"
            f" found {tuple(offset.shape)}"
        )
