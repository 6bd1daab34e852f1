"""Where the windows of a dynamic stride convolution go: a head that reads the input, and what
bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import in_range, one_of
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.windows import Window
from meshconv.nn.precision import free, without_autocast
from meshconv.nn.sample import full_precision

VARIANTS = ("offset", "monotone")
_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_POOL: dict[int, Callable[..., Tensor]] = {
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}
_MODE = {2: "bilinear", 3: "trilinear"}


class OffsetHead(nn.Module):
    """Input (B, C, *N) to (B, d, *n) with n <= `nodes` per side; zero at first.

    Averages the input to the coarse nodes, appends where each node lies, and convolves three times:
    every node sees nearly the whole input, which a window needs in order to be called from afar.
    """

    def __init__(
        self,
        in_channels: int,
        dims: int,
        *,
        nodes: int = 8,
        width: int = 16,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.dims, self.nodes = dims, nodes
        conv = partial(_CONV[dims], device=device, dtype=dtype)
        self.body = nn.Sequential(
            conv(in_channels + dims, width, 3, padding=1),
            nn.SiLU(),
            conv(width, width, 3, padding=2, dilation=2),
            nn.SiLU(),
        )
        self.last = conv(width, dims, 3, padding=2, dilation=2)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer at the nodes."""
        size = [min(self.nodes, n) for n in x.shape[2:]]
        along = [torch.linspace(-1, 1, n, dtype=x.dtype, device=x.device) for n in size]
        places = torch.stack(torch.meshgrid(*along, indexing="ij"))
        coarse = torch.cat(
            [_POOL[self.dims](x, size), places.expand(x.shape[0], *places.shape)], dim=1
        )
        out: Tensor = self.last(self.body(coarse))
        return out


class OffsetField(nn.Module):
    """Input (B, C, *N) to the displacement of each window (B, d, *out), bounded, in input pixels.

    Attributes
    ----------
    head : nn.Module
    edit : buffer (1, d, *nodes), zero at first
        Added to the head's answer: in sides of the input, or in g for 'monotone'. See
        `meshconv.nn.layers.focus`.
    """

    edit: Tensor

    def __init__(
        self,
        head: nn.Module,
        window: Window,
        dims: int,
        *,
        variant: str,
        max_offset: float | None,
        min_stride: float,
        nodes: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.variant = one_of(variant, VARIANTS, "variant")
        self.min_stride = in_range(min_stride, 0.0, 1.0, "min_stride")
        if nodes < 1 or (max_offset is not None and not 0 < max_offset < math.inf):
            raise ArgumentError(
                f"nodes and max_offset must be positive, found {nodes!r} and {max_offset!r}"
            )
        self.head, self.window, self.dims, self.max_offset = head, window, dims, max_offset
        self.register_buffer(
            "edit", torch.zeros(1, dims, *[nodes] * dims, device=device, dtype=dtype)
        )

    def extra_repr(self) -> str:
        """Return the options for printing."""
        return (
            f"variant={self.variant!r}, max_offset={self.max_offset},"
            f" min_stride={self.min_stride:g}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the displacements (B, d, *out), at least in single precision."""
        size = x.shape[2:]
        out = self.window.out_size(size)
        if min(out) < 1:
            raise ArrayTypeError(
                f"input {tuple(x.shape)} is smaller than one window of {self.window}"
            )
        with without_autocast(x):  # a displacement of 8 bits misses the pixel
            raw = full_precision(self.head(x.to(next(self.head.parameters(), x).dtype)))
            if raw.ndim != x.ndim or raw.shape[1] != self.dims:
                raise ArrayTypeError(
                    f"the head must give (B, {self.dims}, ...), found {tuple(raw.shape)}"
                )
            raw, edit = _resize(raw, out), _resize(self.edit.to(raw.dtype), out)
            axes = enumerate(zip(size, self.window.axes(self.dims), strict=True))
            along = [
                self._along(a, raw, edit, side, stride) for a, (side, (_, stride, _, _)) in axes
            ]
            return torch.stack(along, dim=1)

    def _along(self, axis: int, raw: Tensor, edit: Tensor, side: int, stride: int) -> Tensor:
        """Return the bounded displacements (B, *out) along one axis."""
        bound = side / 2 if self.max_offset is None else self.max_offset
        if self.variant == "monotone":
            return _monotone(raw[:, axis] + edit[:, axis], axis, stride, self.min_stride, bound)
        free = bound * torch.tanh((raw[:, axis] + side * edit[:, axis]) / bound)
        return _in_order(free, axis, stride, self.min_stride)


def _in_order(delta: Tensor, axis: int, stride: int, min_stride: float) -> Tensor:
    """Return displacements (B, *out) along one axis, shrunk where a local stride would be too
    short.
    """
    if delta.shape[axis + 1] == 1:
        return delta
    steepest = -delta.diff(dim=axis + 1).flatten(1).amin(dim=1)
    limit = (1 - min_stride) * stride
    return delta * (limit / steepest.clamp_min(limit)).reshape(-1, *[1] * (delta.ndim - 1))


def _monotone(g: Tensor, axis: int, stride: int, min_stride: float, bound: float) -> Tensor:
    """Return displacements (B, *out) along one axis whose local strides are positive and fill the
    span.

    The strides are t = softplus of the mean of g over the other axes, between neighbouring windows.
    """
    dim = axis + 1
    along = g.mean(dim=[k for k in range(1, g.ndim) if k != dim], keepdim=True)
    n = along.shape[dim]
    if n == 1:
        return torch.zeros_like(g)
    t = functional.softplus((along.narrow(dim, 1, n - 1) + along.narrow(dim, 0, n - 1)) / 2)
    first = t.narrow(dim, 0, 1)  # subtracted, so that equal strides give exactly zero
    mean = first + (t - first).mean(dim=dim, keepdim=True)
    longer = (1 - min_stride) * stride * (t - mean) / mean
    delta = torch.cat([torch.zeros_like(first), longer.cumsum(dim=dim)], dim=dim)
    largest = delta.abs().amax(dim=dim, keepdim=True).clamp_min(bound)
    return (delta * (bound / largest)).expand_as(g)  # a part of it stays monotone


def _resize(field: Tensor, size: Sequence[int]) -> Tensor:
    fits = not free([*field.shape, *size]) and tuple(field.shape[2:]) == tuple(size)
    if fits:
        return field
    return functional.interpolate(field, size=list(size), mode=_MODE[len(size)], align_corners=True)
