"""Dynamic stride convolution: the windows of a convolution move to where the input asks for them.

A *reconstruction from the abstract* of Zhang et al., 2024: the paper's text and code were not at
hand, so the formulas here are ours. Where windows land, and how to steer them: `landing_map`,
`focus`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.offset_field import OffsetField, OffsetHead
from meshconv.nn.layers.windows import (
    PerAxis,
    Window,
    nodes_for,
    response_grid,
    to_grid,
    window_corners,
)
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
    >>> x, weight = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
    >>> y = dynamic_stride_conv2d(x, weight, None, torch.zeros(1, 2, 4, 4), stride=2, padding=1)
    >>> torch.allclose(y, functional.conv2d(x, weight, stride=2, padding=1), atol=1e-6)
    True
    """
    window = Window(tuple(weight.shape[2:]), stride, padding, dilation)
    return _convolve(2, x, weight, bias, offset, window, groups)


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
    return _convolve(3, x, weight, bias, offset, window, groups)


def gather_windows(x: Tensor, offset: Tensor, window: Window) -> Tensor:
    """Return what each tap of each moved window sees, (B, C, K, *out), K = number of taps, in full
    precision.
    """
    size, axes = x.shape[2:], window.axes(x.ndim - 2)
    with torch.autocast(x.device.type, enabled=False):
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


def _convolve(
    dims: int,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    offset: Tensor,
    window: Window,
    groups: int,
) -> Tensor:
    _check_shapes(dims, x, weight, offset, window, groups)
    if _dense_is_cheaper(weight, window, groups):
        return _sampled_responses(x, weight, bias, offset, window, groups)
    taps = gather_windows(x, offset, window).to(x.dtype)
    flat = taps.reshape(
        x.shape[0], x.shape[1] * taps.shape[2], -1
    )  # one matrix product for all windows
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
    with torch.autocast(x.device.type, enabled=False):
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
            f"input and weight need {dims + 2} axes each, found {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ArrayTypeError(
            f"input {tuple(x.shape)} and weight {tuple(weight.shape)} do not fit with {groups} groups"
        )
    out = window.out_size(x.shape[2:])
    if min(out) < 1:
        raise ArrayTypeError(f"input {tuple(x.shape)} is smaller than one window of {window}")
    if tuple(offset.shape[1:]) != (dims, *out) or offset.shape[0] != x.shape[0]:
        raise ArrayTypeError(
            f"offset must be {(x.shape[0], dims, *out)} for input {tuple(x.shape)}, found {tuple(offset.shape)}"
        )


class _DynamicStrideConv(nn.Module):
    """What the layers share; the other base is torch's convolution, which holds weight, bias and
    geometry.
    """

    _dims: int
    weight: Tensor
    bias: Tensor | None
    groups: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        *,
        groups: int = 1,
        bias: bool = True,
        variant: str = "offset",
        max_offset: float | None = None,
        min_stride: float = 0.1,
        nodes: int = 8,
        head: nn.Module | None = None,
    ) -> None:
        window = Window(kernel_size, stride, padding, dilation)
        window.axes(
            self._dims
        )  # refuses what torch's convolution would accept, such as padding="same"
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self.window = window
        self.offsets = OffsetField(
            OffsetHead(in_channels, self._dims, nodes=nodes) if head is None else head,
            window,
            self._dims,
            variant=variant,
            max_offset=max_offset,
            min_stride=min_stride,
            nodes=nodes,
        )

    @classmethod
    def from_conv(cls, conv: nn.Conv2d | nn.Conv3d, **options: Any) -> Self:
        """Return a layer with the weights of a convolution (shared, not copied); at first it does
        the same.

        `options` are the keyword-only ones of the constructor.
        """
        if conv.padding_mode != "zeros":
            raise ArgumentError(
                f"only zero padding can be moved, found padding_mode={conv.padding_mode!r}"
            )
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            groups=conv.groups,
            bias=conv.bias is not None,
            **options,
        )
        layer.to(conv.weight)
        layer.weight, layer.bias = conv.weight, conv.bias
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the responses, (B, out_channels, ...), of the size torch's convolution gives."""
        if x.ndim != self._dims + 2:
            raise ArrayTypeError(f"input must have {self._dims + 2} axes, found {tuple(x.shape)}")
        return _convolve(
            self._dims, x, self.weight, self.bias, self.offsets(x), self.window, self.groups
        )


class DynamicStrideConv2d(_DynamicStrideConv, nn.Conv2d):
    """Convolution whose strides are learned from its input; it starts as the plain one, exactly.

    A small head reads the input coarsely and answers with one displacement per window. To see where
    the windows land: `meshconv.nn.layers.landing_map`; to steer them: `meshconv.nn.layers.focus`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        As in `torch.nn.Conv2d`; zero padding in numbers only.
    variant : {'offset', 'monotone'}
        ``offset``: each window has its own displacement; all of an axis are shrunk where one would
        overtake its neighbour. ``monotone``: each axis has its own strides t = softplus(g),
        cumulated and normalised to the span of the plain ones. First and last window stay,
        positions strictly increase, nothing can fold.
    max_offset : float, optional
        Bound on the displacement, in input pixels; half the input's side if None.
    min_stride : float
        Smallest local stride, as a share of the plain stride, 0..1: windows keep their order along
        each axis.
    nodes : int
        Nodes per side at which the head reads and answers; between them the displacement is linear.
    head : nn.Module, optional
        Instead of the built-in `OffsetHead`: (B, C, H, W) to (B, 2, h, w), resized to the windows.
        In pixels as (y, x), or g for 'monotone'. Zero its last layer to start as a plain
        convolution.

    Attributes
    ----------
    weight, bias : as in `torch.nn.Conv2d`, whose state dict fits
    offsets : OffsetField
        Input to displacements (B, 2, Ho, Wo) in input pixels.

    References
    ----------
    Zhang et al., 2024, Acta Electronica Sinica 52(10). *A reconstruction from its abstract*:
    offsets learned from the input change the strides; all details here are ours.

    Examples
    --------
    >>> layer = DynamicStrideConv2d(3, 8, 3, stride=2, padding=1)
    >>> x = torch.rand(1, 3, 20, 15)
    >>> layer(x).shape, bool(layer.offsets(x).any())
    (torch.Size([1, 8, 10, 8]), False)
    """

    _dims = 2


class DynamicStrideConv3d(_DynamicStrideConv, nn.Conv3d):
    """`DynamicStrideConv2d` of volumes; displacements (B, 3, Do, Ho, Wo) as (z, y, x)."""

    _dims = 3
