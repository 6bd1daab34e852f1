"""Convolution and its transpose in one to three dimensions; kernels (outputs, inputs, *k)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def convolve(
    x: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    *,
    mode: str = "zeros",
) -> Tensor:
    """Return the convolution of x (B, C, *N), padded by `mode`."""
    if mode != "zeros":
        sides = [p for p in padding[::-1] for _ in range(2)]
        x, padding = functional.pad(x, sides, mode=mode), [0] * len(padding)
    return _CONV[x.ndim - 2](x, kernels, bias, stride, padding, dilation, groups)


def convolve_transposed(
    x: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
    *,
    extra: Sequence[int],
) -> Tensor:
    """Return the transposed convolution of x (B, C, *N), `extra` values longer on each axis."""
    apart = kernels.reshape(groups, -1, *kernels.shape[1:])
    weight = apart.transpose(1, 2).flatten(0, 1)  # torch wants (in, out)
    return _CONV_TRANSPOSE[x.ndim - 2](x, weight, bias, stride, padding, extra, groups, dilation)


def output_rest(
    x: Tensor,
    output_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    kernel_size: Sequence[int],
) -> list[int]:
    """Return how far an output size exceeds the least one of a transposed convolution."""
    axes = zip(x.shape[2:], stride, padding, kernel_size, strict=True)
    smallest = [(n - 1) * s - 2 * p + k for n, s, p, k in axes]
    return [m - low for m, low in zip(output_size, smallest, strict=True)]
