"""An ordinary network at several scales at once: its kernels carried from scale to scale.

All scales of an image stand side by side in the batch, (B S, C, *N), so that norms, poolings,
activations and heads take them as they are; only convolutions know which scale is which.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.layers.any_convolution import convolve
from meshconv.nn.layers.scale_kernels import kernel_basis
from meshconv.nn.layers.windows import Window


def scale_transfer(
    kernel_size: tuple[int, ...], n_scales: int, scale_ratio: float, sigma: float, family: str
) -> Tensor:
    """Return how a kernel's taps change from scale 0 to scale s, (S, K, K), float64.

    A kernel of k taps an axis is a sum of k Hermite functions an axis; at scale s it is the same
    sum of the narrower functions. At scale 0 that is the kernel itself, exactly.
    """
    axes = []
    for k in kernel_size:
        options: dict[str, Any] = {"scale_ratio": scale_ratio, "sigma": sigma, "n_basis": k}
        basis = kernel_basis(
            (k,), n_scales, family=family, spacing=(1.0,), dilated=False, **options
        )
        functions = basis.transpose(0, 1)  # (S, F, k)
        axes.append(torch.linalg.solve(functions[:1], functions))
        axes[-1][0] = torch.eye(k, device="cpu")  # numbers, on the meta device too
    whole = axes[0]
    for one in axes[1:]:
        size = whole.shape[1] * one.shape[1]
        whole = torch.einsum("sab,scd->sacbd", whole, one).reshape(n_scales, size, size)
    return whole


class _ScaledConv(nn.Module):
    """Mixed before torch's convolution, whose weights it has."""

    transfer: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the responses (B S, O, *M) of features (B S, I, *N): each scale's kernel on it."""
        conv: Any = self
        scales = len(self.transfer)
        kernels = torch.einsum("oik,skl->soil", conv.weight.flatten(2), self.transfer)
        kernels = kernels.reshape(-1, *conv.weight.shape[1:])
        bias = None if conv.bias is None else conv.bias.repeat(scales)
        axes = Window(conv.kernel_size, conv.stride, conv.padding, conv.dilation).axes(x.ndim - 2)
        y = convolve(
            x.reshape(x.shape[0] // scales, scales * x.shape[1], *x.shape[2:]),
            kernels,
            bias,
            conv.stride,
            [padding for _, _, padding, _ in axes],
            conv.dilation,
            scales * conv.groups,
            mode=conv.padding_mode,
        )
        return y.reshape(x.shape[0], conv.out_channels, *y.shape[2:])

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        conv: Any = self
        self.transfer = conv.exact_transfer.to(conv.weight)
        return self


class ScaledConv2d(_ScaledConv, nn.Conv2d):
    """An ordinary convolution of S scales; made by `scaled`."""


class ScaledConv3d(_ScaledConv, nn.Conv3d):
    """`ScaledConv2d` of volumes."""


def scaled(conv: nn.Conv2d | nn.Conv3d, name: str, **options: Any) -> nn.Module:
    """Return a convolution's form at several scales, with its weights (shared, not copied)."""
    if any(k % 2 == 0 for k in conv.kernel_size):
        raise ArgumentError(
            f"layer {name!r}, {conv}, needs an odd kernel: others have no middle to scale about"
        )
    kind = ScaledConv2d if isinstance(conv, nn.Conv2d) else ScaledConv3d
    made: Any = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
        device="meta",
    )
    made.exact_transfer = scale_transfer(conv.kernel_size, **options)
    made.weight, made.bias = conv.weight, conv.bias
    made.register_buffer("transfer", made.exact_transfer.to(conv.weight), persistent=False)
    return made.train(conv.training)


def mix_scales(model: nn.Module, n_scales: int) -> None:
    """Let a network of `scaled` convolutions take and give ordinary tensors, in place.

    Every input is repeated for each scale; outputs are summed over scales with the parameter
    ``scale_weights``, (S,), which starts with scale 0 alone.
    """
    like = next(model.parameters())
    first = torch.zeros(n_scales, device=like.device, dtype=like.dtype)
    first[0] = 1.0
    model.register_parameter("scale_weights", nn.Parameter(first))
    model.register_forward_pre_hook(_repeat)
    model.register_forward_hook(_mix)


def _repeat(model: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    scales = len(model.get_parameter("scale_weights"))
    return tuple(x.repeat_interleave(scales, dim=0) if isinstance(x, Tensor) else x for x in inputs)


def _mix(model: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
    return _mixed(output, model.get_parameter("scale_weights"))


def _mixed(output: Any, weights: Tensor) -> Any:
    if isinstance(output, Tensor):
        scales = len(weights)
        apart = output.reshape(output.shape[0] // scales, scales, *output.shape[1:])
        return torch.einsum("bs...,s->b...", apart, weights.to(apart.dtype))
    if isinstance(output, dict):
        return {key: _mixed(value, weights) for key, value in output.items()}
    if isinstance(output, list | tuple):
        return type(output)(_mixed(value, weights) for value in output)
    raise ArgumentError(f"outputs must be tensors, or lists or dicts of them, found {type(output)}")
