"""Windows of a convolution that may be moved: their geometry, and their positions on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from meshconv.errors import ArgumentError
from meshconv.nn.precision import free

PerAxis = int | Sequence[int]


@dataclass(frozen=True)
class Window:
    """The geometry of a convolution or pooling: integers for all axes, or one per axis.

    Padding is 'valid', 'same' (an odd rest goes to the end, as in torch), or what stands on both
    sides.
    """

    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis | str = 0
    dilation: PerAxis = 1

    def axes(self, dims: int) -> list[tuple[int, int, int, int]]:
        """Return (kernel_size, stride, padding before the first pixel, dilation) of each axis."""
        kernel, stride, dilation = (
            self._column(name, dims, 1) for name in ("kernel_size", "stride", "dilation")
        )
        if self.padding == "same":
            padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        else:
            padding = (0,) * dims if self.padding == "valid" else self._column("padding", dims, 0)
        return list(zip(kernel, stride, padding, dilation, strict=True))

    def _column(self, name: str, dims: int, least: int) -> tuple[int, ...]:
        value = getattr(self, name)
        column = (value,) * dims if isinstance(value, int) else tuple(value)
        if len(column) != dims or not all(isinstance(v, int) and v >= least for v in column):
            raise ArgumentError(
                f"{name} must be at least {least}, one or {dims} of them, found {value!r}"
            )
        return column

    def out_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return how many windows there are along each axis."""
        axes = list(zip(size, self.axes(len(size)), strict=True))
        if self.padding == "same":
            return tuple((n - 1) // s + 1 for n, (_, s, _, _) in axes)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, (k, s, p, d) in axes)


def window_corners(offset: Tensor, window: Window) -> Tensor:
    """Return the position of the first tap of each window, (B, *out, d), in pixels, ordered as the
    axes.
    """
    out, axes = offset.shape[2:], window.axes(offset.shape[1])
    along = [
        torch.arange(n, device=offset.device) * s - p
        for n, (_, s, p, _) in zip(out, axes, strict=True)
    ]
    base = torch.stack(torch.meshgrid(*along, indexing="ij"), dim=-1)
    return base.to(offset.dtype) + offset.movedim(1, -1)


def response_grid(offset: Tensor, window: Window, size: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Return where windows lie among all windows of stride 1, as `meshconv.nn.sample` wants it, and
    on which nodes.

    On an axis of n pixels, n + dilation (k - 1) windows of stride 1 touch the image; the first of
    these nodes is the window that reaches it with its last tap. Beyond the windows the grid goes
    on, up to `nodes_for`.
    """
    axes = window.axes(len(size))
    nodes = nodes_for([n + d * (k - 1) for n, (k, _, _, d) in zip(size, axes, strict=True)])
    along = []
    for a, (wide, (k, s, p, d)) in enumerate(zip(nodes, axes, strict=True)):
        step = 2.0 / (wide - 1)
        n, first = offset.shape[2 + a], (d * (k - 1) - p) * step - 1
        counted = torch.arange(n, dtype=offset.dtype, device=offset.device)
        plain = counted * (s * step) + first
        along.append(
            torch.add(plain.view(-1, *[1] * (len(size) - 1 - a)), offset[:, a], alpha=step)
        )
    return torch.stack(along[::-1], dim=-1), nodes


def nodes_for(size: Sequence[int]) -> list[int]:
    """Return 2^m + 1 nodes, at least 3, for each side.

    On such a grid a pixel index to [-1, 1] and back is exact in floating point; on others a window
    that should lie on the pixels lies 1e-6 beside them. A program exported for any size takes the
    size itself.
    """
    return [n if free([n]) else 2 ** max(1, (int(n) - 2).bit_length()) + 1 for n in size]


def to_grid(positions: Tensor, nodes: Sequence[int]) -> Tensor:
    """Return pixel positions (..., d), ordered as the axes, as `meshconv.nn.sample` wants them."""
    along = zip(positions.unbind(-1), nodes, strict=True)
    return torch.stack([at * (2.0 / (n - 1)) - 1 for at, n in along][::-1], dim=-1)


def log_strides(offset: Tensor, window: Window) -> Tensor:
    """Return the logarithm of each window's local stride over the plain one, (B, d, *out).

    Along axis a that of the mean of the strides to both neighbours; 0 where windows do not move,
    below 0 where they crowd. It tells later layers how much they see magnified.
    """
    found = []
    for a, (_, stride, _, _) in enumerate(window.axes(offset.shape[1])):
        along = offset[:, a].movedim(a + 1, -1)
        if along.shape[-1] == 1:
            found.append(torch.zeros_like(offset[:, a]))
            continue
        t = 1.0 + along.diff(dim=-1) / stride
        t = (torch.cat([t[..., :1], t], dim=-1) + torch.cat([t, t[..., -1:]], dim=-1)) / 2
        found.append(torch.log(t.clamp_min(1e-3)).movedim(-1, a + 1))
    return torch.stack(found, dim=1)
