"""Scale-equivariant convolution in two and three dimensions, with kernels steered by a Hermite
basis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.equivariance import patch_error
from meshconv.nn.layers.hermite import FAMILIES, hermite_basis
from meshconv.nn.layers.same_numbers import same_numbers

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


class ScaleEquivariantConv(nn.Module):
    """Convolution that commutes with a change of size: a smaller object answers one scale further
    on.

    With L_r[f](x) = f(x/r), r = `scale_ratio`, and features (B, C, S, ...) over S scales sigma *
    r**s: (Phi L_r f)[s + 1] = L_r (Phi f)[s]. The kernel at scale s is ``weight . basis[:, s]``.

    - *lifting* (`scale_size` None): an image (B, I, *N) to (B, O, S, *M);
    - *scale to scale* (`scale_size` n >= 1): output scale s is the sum over i < n of x[:, :, s + i]
      convolved with kernel i at scale s; beyond the last scale the last one is repeated.

    Parameters
    ----------
    in_channels, out_channels : int
        I and O.
    kernel_size : int or sequence of int, odd
        k per axis, in voxels, at least 3; or 1 on every axis, which is one kernel for all scales.
    dims : {1, 2, 3}
        Number of spatial axes.
    n_scales, scale_ratio, sigma : int, float in (0, 1), float
        S scales sigma * scale_ratio**s, s = 0..S-1, in units of the finest voxel side.
    n_basis : int
        Functions per axis (orders 0..n_basis-1); F = n_basis**dims in all.
    family : {"matched", "single", "multi"}
        ``"single"`` samples the Hermite functions at the voxels; ``"multi"`` is the basis of the
        paper's experiments (total order <= 4, not closed under axis swaps); ``"matched"`` has the
        functions of ``"single"`` with taps fitted to their frequency response, some hundred times
        closer to equivariant.
    scale_size : int, optional
        Number of neighbouring scales read; None for the lifting form.
    stride : int or sequence of int
        Over the spatial axes.
    padding : int, sequence of int or "same"
        Zeros on each side; ``"same"`` is (k-1)/2, so the size becomes ceil(N / stride).
    transposed : bool
        Use the transposed convolution, which undoes the size change of `stride`.
    output_padding : int or sequence of int
        As in `torch.nn.ConvTranspose3d`; `forward`'s `output_size` overrides it.
    spacing : sequence of float, optional
        Voxel sides along the axes, in any unit; only their ratios matter, the finest is 1. The
        functions of ``"matched"`` are stretched along voxels longer than 1.43 sigma, to a width of
        .7 voxels at the first scale.
    dilated : bool
        For 1 / scale_ratio an integer n: the same taps at every scale, n**(S-1-s) voxels apart at
        scale s, of width `sigma` at the finest. Error exactly 0: an image subsampled by n answers
        one scale further on.
    bias : bool
        One number per output channel, shared over scales.

    Attributes
    ----------
    weight : (O, I, F) when lifting, else (O, I, scale_size, F)
    bias : (O,) or None
    basis : buffer (F, S, *kernel_size)

    Raises
    ------
    ArgumentError, ArrayTypeError
        For options out of range, and input of another shape.

    References
    ----------
    Wimmer, Golkov, Dang, Zaiss, Maier, Cremers, 2023. Scale-equivariant deep learning for 3D data.
    Sosnovik, Szmaja, Smeulders, 2020. Scale-equivariant steerable networks.

    Examples
    --------
    >>> lift = ScaleEquivariantConv(1, 2, dims=2)
    >>> conv = ScaleEquivariantConv(2, 3, dims=2, scale_size=2, stride=2)
    >>> conv(lift(torch.zeros(1, 1, 9, 12))).shape
    torch.Size([1, 3, 4, 5, 6])
    >>> conv.equivariance_error() < 5e-5
    True
    """

    basis: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | Sequence[int] = 5,
        dims: int = 3,
        n_scales: int = 4,
        scale_ratio: float = 0.9,
        sigma: float = 1.0,
        n_basis: int = 3,
        family: str = "matched",
        scale_size: int | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = "same",
        transposed: bool = False,
        output_padding: int | Sequence[int] = 0,
        spacing: Sequence[float] | None = None,
        dilated: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        _check_options(
            dims,
            scale_ratio,
            sigma,
            family,
            in_channels=in_channels,
            out_channels=out_channels,
            n_basis=n_basis,
            n_scales=n_scales,
            scale_size=1 if scale_size is None else scale_size,
        )
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, dims
        self.n_scales, self.scale_ratio, self.scale_size = n_scales, scale_ratio, scale_size
        self.transposed = transposed
        self.kernel_size = _per_axis(kernel_size, dims, "kernel_size")
        pointwise = math.prod(self.kernel_size) == 1
        if any(k % 2 == 0 or (k == 1 and not pointwise) for k in self.kernel_size):
            raise ArgumentError(
                f"kernel_size must be odd, and 1 on all axes or none, found {kernel_size!r}"
            )
        self.stride = _per_axis(stride, dims, "stride")
        same = tuple(k // 2 for k in self.kernel_size)
        self.padding = same if padding == "same" else _per_axis(padding, dims, "padding", least=0)
        self.output_padding = _per_axis(output_padding, dims, "output_padding", least=0)
        self.spacing = _voxel(spacing, dims)
        self.dilations = (
            _dilations(scale_ratio, n_scales, self.padding == same) if dilated else (1,) * n_scales
        )
        sigmas = sigma * np.power(
            scale_ratio, np.arange(1 if dilated else n_scales, dtype=np.float64)
        )
        if pointwise:
            basis = torch.ones(1, 1, *self.kernel_size)
        else:
            basis = hermite_basis(self.kernel_size, sigmas, n_basis, family, self.spacing)
        basis = basis.expand(-1, n_scales, *self.kernel_size).contiguous()
        self.register_buffer("basis", basis.to(torch.get_default_dtype()))
        middle = () if scale_size is None else (scale_size,)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *middle, len(basis)))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self._cache: tuple[Tensor, Tensor, Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias uniformly within 1 / sqrt(fan in), as torch's convolutions do."""
        bound = 1.0 / math.sqrt(self.weight[0].numel())
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        """Return the shape of the layer for printing."""
        form = "lifting" if self.scale_size is None else f"scale_size={self.scale_size}"
        return f"{self.in_channels}, {self.out_channels}, {form}, basis={tuple(self.basis.shape)}"

    def kernels(self) -> Tensor:
        """Return all kernels, (S, O, I, scale_size, *kernel_size), with 1 for scale_size when
        lifting.
        """
        weight = self.weight.unsqueeze(2) if self.scale_size is None else self.weight
        with torch.autocast(
            weight.device.type, enabled=False
        ):  # build in full precision, convolve in any
            basis = (
                self.basis if len(set(self.dilations)) == 1 else self.basis[:, :1]
            )  # dilated: one for all
            kernels = torch.einsum("oitf,fs...->soit...", weight, basis)
        return kernels.expand(self.n_scales, *kernels.shape[1:])

    def _kernels(self) -> Tensor:
        """Return `kernels`, kept between evaluations while weight and basis hold the same
        numbers.
        """
        learning = self.training or (torch.is_grad_enabled() and self.weight.requires_grad)
        if learning or torch.compiler.is_compiling():
            return self.kernels()
        now = self.weight.detach(), self.basis
        if self._cache is None or not all(map(same_numbers, self._cache[:2], now)):
            with (
                torch.inference_mode(False),
                torch.no_grad(),
            ):  # tensors that any later mode may use
                self._cache = now[0].clone(), now[1].clone(), self.kernels()
        return self._cache[2]

    def train(self, mode: bool = True) -> ScaleEquivariantConv:
        """Set the mode and drop the cached kernels."""
        self._cache = None
        return super().train(mode)

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the responses (B, O, S, *M); a strided transposed form takes its `output_size`
        M.
        """
        self._check_input(x)
        kernels = self._kernels().flatten(2, 3)  # (S, O, I * scale_size, *k)
        folded, groups = (x, 1) if self.scale_size is None else (self._windows(x), self.n_scales)
        if len(set(self.dilations)) == 1:  # all scales in one call
            bias = None if self.bias is None else self.bias.repeat(self.n_scales)
            y = self._convolve(folded, kernels, bias, 1, groups, output_size)
        else:
            parts = [folded] * self.n_scales if groups == 1 else folded.chunk(groups, dim=1)
            each = zip(parts, kernels, self.dilations, strict=True)
            y = torch.cat(
                [self._convolve(f, k[None], self.bias, d, 1, output_size) for f, k, d in each],
                dim=1,
            )
        return y.reshape(y.shape[0], self.n_scales, self.out_channels, *y.shape[2:]).transpose(1, 2)

    def _convolve(
        self,
        x: Tensor,
        kernels: Tensor,
        bias: Tensor | None,
        dilation: int,
        groups: int,
        output_size: Sequence[int] | None,
    ) -> Tensor:
        """Return all scales' responses, (B, S O, *M), of kernels (S, O, I, *k) with taps `dilation`
        apart.
        """
        padding = [dilation * p for p in self.padding]
        if (
            self.dims == 3 and torch.is_grad_enabled()
        ):  # the gradient's fast layout: half the time of a step
            x = x.contiguous(memory_format=torch.channels_last_3d)
        if not self.transposed:
            return _CONV[self.dims](
                x, kernels.flatten(0, 1), bias, self.stride, padding, dilation, groups
            )
        grouped = kernels.flatten(0, 1)[None] if groups == 1 else kernels
        weight = grouped.transpose(1, 2).flatten(0, 1)  # torch wants (in, out)
        extra = self.output_padding if output_size is None else self._output_padding(x, output_size)
        return _CONV_TRANSPOSE[self.dims](
            x, weight, bias, self.stride, padding, extra, groups, dilation
        )

    def _windows(self, x: Tensor) -> Tensor:
        """Fold (B, I, S, *N) to (B, S * I * scale_size, *N): for each output scale, the scales it
        reads.
        """
        n = self.scale_size or 1
        x = torch.cat([x, x[:, :, -1:].expand(-1, -1, n - 1, *x.shape[3:])], dim=2) if n > 1 else x
        return x.unfold(2, n, 1).movedim(-1, 3).transpose(1, 2).flatten(1, 3)

    def _output_padding(self, x: Tensor, output_size: Sequence[int]) -> list[int]:
        smallest = [
            (n - 1) * s - 2 * p + k
            for n, s, p, k in zip(
                x.shape[-self.dims :], self.stride, self.padding, self.kernel_size, strict=True
            )
        ]
        return [m - low for m, low in zip(output_size, smallest, strict=True)]

    def _check_input(self, x: Tensor) -> None:
        middle = () if self.scale_size is None else (self.n_scales,)
        if x.ndim != 2 + len(middle) + self.dims or (
            *x.shape[1:2],
            *x.shape[2 : 2 + len(middle)],
        ) != (
            self.in_channels,
            *middle,
        ):
            expected = ", ".join(
                map(str, ("B", self.in_channels, *middle, *"DHW"[3 - self.dims :]))
            )
            raise ArrayTypeError(f"input must be ({expected}), found {tuple(x.shape)}")

    @torch.no_grad()
    def equivariance_error(
        self, *, max_frequency: float = 0.6, n_points: int = 256, seed: int = 0
    ) -> float:
        """Return how far the layer is from commuting with one step of scale; 0 is exact.

        Patches of a smooth random field f (64 cosines per input channel, |w| <= `max_frequency`
        radians per finest voxel side) and of the same field reduced by r, at the same points: sum
        of
        |y_b[s+1] - y_a[s]|^2 over that of |y_a[s]|^2, without the bias. A scale-to-scale layer reads an
        independent field per scale.
        Computed in float64 from the kernels' frequency responses, which for cosines is the patch
        test itself.
        """
        steps = torch.tensor(self.dilations, dtype=torch.float64)[:, None, None]
        kernels = self.kernels().double().cpu().flatten(4)  # (S, O, I, T, k)
        return patch_error(
            kernels,
            steps * self._offsets(),
            self.scale_ratio,
            lifting=self.scale_size is None,
            max_frequency=max_frequency,
            n_points=n_points,
            seed=seed,
        )

    def _offsets(self) -> Tensor:
        axes = [
            torch.arange(-(k // 2), k // 2 + 1, dtype=torch.float64) * h
            for k, h in zip(self.kernel_size, self.spacing, strict=True)
        ]
        return torch.cartesian_prod(*axes).reshape(-1, self.dims)


def _check_options(dims: int, scale_ratio: float, sigma: float, family: str, **counts: int) -> None:
    if dims not in _CONV:
        raise ArgumentError(f"dims must be 1, 2 or 3, found {dims!r}")
    if not 0 < scale_ratio < 1 or sigma <= 0:
        raise ArgumentError(
            f"need 0 < scale_ratio < 1 and sigma > 0, found {scale_ratio!r} and {sigma!r}"
        )
    one_of(family, FAMILIES, "family")
    for name, count in counts.items():
        _per_axis(count, 1, name)


def _per_axis(value: Any, dims: int, name: str, least: int = 1) -> tuple[int, ...]:
    out = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(out) != dims or not all(isinstance(v, int) and v >= least for v in out):
        axes = f", or one per axis ({dims})" if dims > 1 else ""
        raise ArgumentError(f"{name} must be an integer >= {least}{axes}, found {value!r}")
    return out


def _dilations(scale_ratio: float, n_scales: int, same: bool) -> tuple[int, ...]:
    """Return each scale's distance between taps, in voxels."""
    step = round(1.0 / scale_ratio)
    if abs(step * scale_ratio - 1.0) > 1e-9 or not same:
        raise ArgumentError(
            f"dilated kernels need 1 / scale_ratio to be an integer and padding 'same', found {scale_ratio!r}"
            f" and padding {'same' if same else 'of its own'}"
        )
    return tuple(step ** (n_scales - 1 - s) for s in range(n_scales))


def _voxel(spacing: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    if spacing is None:
        return (1.0,) * dims
    if len(spacing) != dims or not all(0 < h < math.inf for h in spacing):
        raise ArgumentError(f"spacing must be {dims} positive lengths, found {spacing!r}")
    return tuple(float(h) / min(spacing) for h in spacing)
