"""Low-pass filters in front of strides and behind their transposes, narrower scale by scale.

A strided convolution keeps every t-th response and folds what is too fine for that back into the
rest; where a smaller object's finer parts end up has nothing to do with the larger one's. A
Gaussian whose width follows the scale, as the kernels' does, takes the too fine parts out and
commutes with a change of size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_REACH = 4.5  # widths: the Gaussian there is 4e-5 of its middle


def blur_widths(
    stride: Sequence[int], sigma: float, scale_ratio: float, n_scales: int
) -> list[list[float]]:
    """Return the Gaussian's width by axis and scale, in voxels along the axis.

    With the kernel's own, sigma, it adds up to sigma times the stride: on the coarse grid a kernel
    then is as wide as one of stride 1 is on the fine grid.
    """
    first = [sigma * math.sqrt(t**2 - 1.0) for t in stride]
    return [[w * scale_ratio**s for s in range(n_scales)] for w in first]


def blurred(x: Tensor, widths: Sequence[Sequence[float]]) -> Tensor:
    """Return features (B, S, C, *N), each scale smoothed by its width along each axis; zeros
    outside.
    """
    for axis, per_scale in enumerate(widths, start=3):
        if per_scale[0] > 0:
            matrix = _gaussian(x.shape[axis], per_scale, x)
            along = x.movedim(axis, -1)
            shape = along.shape
            rows = along.flatten(2, -2)  # (B, S, C * other axes, n)
            x = torch.matmul(rows, matrix).view(shape).movedim(-1, axis)
    return x


def _gaussian(n: int, widths: Sequence[float], like: Tensor) -> Tensor:
    """Return the matrices (S, n, n) of Gaussians of total 1."""
    at = torch.arange(n, device=like.device)
    apart = (at[:, None] - at).abs()
    out = []
    for width in widths:
        reach = math.ceil(_REACH * width)
        total = math.fsum(math.exp(-(k**2) / (2 * width**2)) for k in range(-reach, reach + 1))
        bell = torch.exp(-(apart.to(torch.float32) ** 2) / (2 * width**2)) / total
        out.append(torch.where(apart <= reach, bell, 0.0))
    return torch.stack(out).to(like.dtype)
