"""Kernels at several scales, steered by one weight: built, and kept between evaluations."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from meshconv.nn.layers.same_numbers import same_numbers
from meshconv.nn.precision import valueless, without_autocast


class SteeredKernels(nn.Module):
    """Weights (O, I, F) or (O, I, T, F) on a basis (F, S, *k), and a bias (O,).

    Parameters
    ----------
    basis : (F, S, *k) float64 Tensor
        Kept as it is, so that a conversion of the module makes its buffer anew.
    shape : tuple of int
        Of the weight, without F.
    bias : bool
    one_for_all : bool
        All scales have the taps of the first.
    device, dtype
        Of weight, bias and buffer.
    """

    basis: Tensor

    def __init__(
        self,
        basis: Tensor,
        shape: tuple[int, ...],
        *,
        bias: bool,
        one_for_all: bool,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self._exact_basis, self._one_for_all = basis, one_for_all
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(*shape, len(basis), **factory))
        self.bias = nn.Parameter(torch.empty(shape[0], **factory)) if bias else None
        self.register_buffer("basis", basis.to(self.weight), persistent=False)
        self._cache: tuple[Tensor, Tensor, Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias uniformly within 1 / sqrt(fan in), as torch's convolutions do."""
        bound = 1.0 / math.sqrt(self.weight[0].numel())
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)

    def reverse_axes(self) -> None:
        """Take each basis function with its axes in reverse order from now on; sides are equal."""
        axes = range(self._exact_basis.ndim - 1, 1, -1)
        self._exact_basis = self._exact_basis.permute(0, 1, *axes).contiguous()
        self.basis, self._cache = self._exact_basis.to(self.weight), None

    def kernels(self) -> Tensor:
        """Return all kernels, (S, O, I, scale_size, *kernel_size), with 1 for scale_size when
        lifting.
        """
        weight = self.weight.unsqueeze(2) if self.weight.ndim == 3 else self.weight
        with without_autocast(weight):  # build in full precision, convolve in any
            basis = self.basis[:, :1] if self._one_for_all else self.basis
            kernels = torch.einsum("oitf,fs...->soit...", weight, basis)
        return kernels.expand(self.basis.shape[1], *kernels.shape[1:])

    def _kernels(self) -> Tensor:
        """Return `kernels`, kept between evaluations while weight and basis hold the same
        numbers.
        """
        learning = self.training or (torch.is_grad_enabled() and self.weight.requires_grad)
        if learning or valueless(self.weight):
            return self.kernels()
        now = self.weight.detach(), self.basis
        if self._cache is None or not all(map(same_numbers, self._cache[:2], now)):
            # tensors that any later mode may use
            with torch.inference_mode(False), torch.no_grad():
                self._cache = now[0].clone(), now[1].clone(), self.kernels()
        return self._cache[2]

    def train(self, mode: bool = True) -> Self:
        """Set the mode and drop the cached kernels."""
        self._cache = None
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Convert as any module, but make the basis anew: converted up it would keep its rounding,
        and from meta no numbers.
        """
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.basis, self._cache = self._exact_basis.to(self.weight), None
        return self
