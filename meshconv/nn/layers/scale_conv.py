"""Scale-equivariant convolution in two and three dimensions, with kernels steered by a Hermite
basis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from meshconv._check import in_range, one_of
from meshconv.errors import ArrayTypeError
from meshconv.nn.layers.any_convolution import convolve, convolve_transposed, output_rest
from meshconv.nn.layers.equivariance import patch_error
from meshconv.nn.layers.scale_blur import blur_widths, blurred
from meshconv.nn.layers.scale_kernels import (
    check_options,
    dilations,
    kernel_basis,
    odd_kernel,
    per_axis,
    tap_offsets,
    voxel,
)
from meshconv.nn.layers.scale_layers import scale_windows
from meshconv.nn.layers.steered_kernels import SteeredKernels


class ScaleEquivariantConv(SteeredKernels):
    """Convolution that commutes with a change of size; it pays for sizes never trained on (U-Net:
    Dice +.09), not for those that were (+.02).

    A smaller object answers one scale further on. With L_r[f](x) = f(x/r), r = `scale_ratio`, and
    features (B, C, S, ...) over S scales sigma * r**s: (Phi L_r f)[s + 1] = L_r (Phi f)[s]. The
    kernel at scale s is ``weight . basis[:, s]``.

    When it pays, and how to train with it: see `ScaleEquivariantUNet`.

    - *lifting* (`scale_size` None): an image (B, I, *N) to (B, O, S, *M);
    - *scale to scale* (`scale_size` n >= 1): output scale s is the sum over i < n of x[:, :, s + i]
      convolved with kernel i at scale s; beyond the last scale the last one is repeated.

    Parameters
    ----------
    in_channels, out_channels : int
        I and O.
    kernel_size : int or sequence of int, odd
        k per axis, in voxels, at least 3; or 1 on every axis, which is one kernel for all scales.
    stride : int or sequence of int
        Over the spatial axes.
    padding : int, sequence of int, "same" or "valid"
        Values on each side; ``"same"`` is (k-1)/2, so the size becomes ceil(N / stride).
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
    antialias : float in [0, 1]
        With a stride, smooth before it (transposed: after it) by a Gaussian that follows the scale;
        at 1 kernel and Gaussian are `stride` times as wide as the kernel. At 0 strides fold fine
        detail back, differently for every size.
    groups : int
        As in `torch.nn.Conv3d`: each group of channels convolved by itself.
    bias : bool
        One number per output channel, shared over scales.
    padding_mode, device, dtype
        As in `torch.nn.Conv3d`; transposed, only ``"zeros"``.

    Attributes
    ----------
    weight : (O, I / groups, F) when lifting, else (O, I / groups, scale_size, F)
    bias : (O,) or None
    basis : buffer (F, S, *kernel_size), not in the state dict: made from the options

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

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 5,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = "same",
        *,
        dims: int = 3,
        n_scales: int = 4,
        scale_ratio: float = 0.9,
        sigma: float = 1.0,
        n_basis: int = 3,
        family: str = "matched",
        scale_size: int | None = None,
        transposed: bool = False,
        output_padding: int | Sequence[int] = 0,
        spacing: Sequence[float] | None = None,
        dilated: bool = False,
        antialias: float = 0.0,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        check_options(
            dims,
            scale_ratio,
            sigma,
            family,
            in_channels=in_channels,
            out_channels=out_channels,
            n_basis=n_basis,
            n_scales=n_scales,
            scale_size=1 if scale_size is None else scale_size,
            groups=groups,
        )
        kernel, sides = odd_kernel(kernel_size, dims), voxel(spacing, dims)
        basis = kernel_basis(
            kernel,
            n_scales,
            scale_ratio=scale_ratio,
            sigma=sigma,
            n_basis=n_basis,
            family=family,
            spacing=sides,
            dilated=dilated,
        )
        middle = () if scale_size is None else (scale_size,)
        shape = out_channels, in_channels // groups, *middle
        super().__init__(basis, shape, bias=bias, one_for_all=dilated, device=device, dtype=dtype)
        self.in_channels, self.out_channels, self.dims = in_channels, out_channels, dims
        self.n_scales, self.scale_ratio, self.scale_size = n_scales, scale_ratio, scale_size
        self.groups, self.transposed = groups, transposed
        self.kernel_size, self.spacing = kernel, sides
        self._set_padding(stride, padding, output_padding, padding_mode)
        same = self.padding == tuple(k // 2 for k in kernel)
        self.dilations = dilations(scale_ratio, n_scales, same) if dilated else (1,) * n_scales
        share = in_range(antialias, 0.0, 1.0, "antialias") * (not dilated)
        widths = blur_widths(self.stride, share * sigma, scale_ratio, n_scales)
        self.blur_widths = widths if share > 0 and max(self.stride) > 1 else None

    def _set_padding(
        self, stride: Any, padding: Any, output_padding: Any, padding_mode: str
    ) -> None:
        self.stride = per_axis(stride, self.dims, "stride")
        if isinstance(padding, str):
            share = {"same": 1, "valid": 0}[one_of(padding, ("same", "valid"), "padding")]
            self.padding = tuple(share * (k // 2) for k in self.kernel_size)
        else:
            self.padding = per_axis(padding, self.dims, "padding", least=0)
        self.output_padding = per_axis(output_padding, self.dims, "output_padding", least=0)
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        self.padding_mode = one_of(padding_mode, modes, "padding_mode")

    def extra_repr(self) -> str:
        """Return the shape of the layer for printing."""
        form = "lifting" if self.scale_size is None else f"scale_size={self.scale_size}"
        return f"{self.in_channels}, {self.out_channels}, {form}, basis={tuple(self.basis.shape)}"

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Return the responses (B, O, S, *M); a strided transposed form takes its `output_size`
        M.
        """
        self._check_input(x)
        kernels = self._kernels().flatten(2, 3)  # (S, O, I / groups * scale_size, *k)
        lifting, g, scales = self.scale_size is None, self.groups, self.n_scales
        folded = x if lifting else scale_windows(x, self.scale_size or 1)
        bias: Tensor | None = self.bias
        if self.blur_widths is not None:
            if self.transposed:
                bias = None
            else:
                folded, lifting = self._blurred(folded, lifting), False
        outer = g if lifting else 1  # output channels are by `outer`, then by scale
        if len(set(self.dilations)) == 1:  # all scales in one call
            kernels = kernels.reshape(scales, outer, -1, *kernels.shape[2:])
            kernels = kernels.transpose(0, 1).flatten(0, 2)
            if bias is not None:
                bias = bias.view(outer, 1, -1).expand(-1, scales, -1).flatten()
            y = self._convolve(folded, kernels, bias, 1, g if lifting else g * scales, output_size)
        else:
            parts = [folded] * scales if lifting else folded.chunk(scales, dim=1)
            each = zip(parts, kernels, self.dilations, strict=True)
            outs = [self._convolve(f, k, bias, d, g, output_size) for f, k, d in each]
            y, outer = torch.cat(outs, dim=1), 1
        shape = outer, scales, self.out_channels // outer, *y.shape[2:]
        y = y.reshape(y.shape[0], *shape).transpose(2, 3).flatten(1, 2)
        return y if self.blur_widths is None or not self.transposed else self._filled_in(y)

    def _blurred(self, folded: Tensor, lifting: bool) -> Tensor:
        """Return what each scale's kernels read, smoothed by that scale's width, (B, S I, *N)."""
        given = 1 if lifting else self.n_scales
        shape = folded.shape[0], given, folded.shape[1] // given, *folded.shape[2:]
        apart = folded.reshape(shape).expand(-1, self.n_scales, *[-1] * (self.dims + 1))
        return blurred(apart, self.blur_widths or ()).flatten(1, 2)

    def _filled_in(self, y: Tensor) -> Tensor:
        """Return transposed responses (B, O, S, *M) without the grid that their gaps leave."""
        y = blurred(y.transpose(1, 2), self.blur_widths or ()).transpose(1, 2)
        y = y * math.prod(self.stride)  # of the places between strides, only one held a value
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, *[1] * (y.ndim - 2))

    def _convolve(
        self,
        x: Tensor,
        kernels: Tensor,
        bias: Tensor | None,
        dilation: int,
        groups: int,
        output_size: Sequence[int] | None,
    ) -> Tensor:
        """Return the responses of kernels (all outputs, inputs of a group, *k), taps `dilation`
        apart.
        """
        padding = [dilation * p for p in self.padding]
        if self.dims == 3 and torch.is_grad_enabled():  # the gradient's fast layout: half the time
            x = x.contiguous(memory_format=torch.channels_last_3d)
        if not self.transposed:
            return convolve(
                x, kernels, bias, self.stride, padding, dilation, groups, mode=self.padding_mode
            )
        extra: Sequence[int] = self.output_padding
        if output_size is not None:
            extra = output_rest(x, output_size, self.stride, self.padding, self.kernel_size)
        return convolve_transposed(
            x, kernels, bias, self.stride, padding, dilation, groups, extra=extra
        )

    def _check_input(self, x: Tensor) -> None:
        middle = () if self.scale_size is None else (self.n_scales,)
        channels = (self.in_channels, *middle)
        if (
            x.ndim != 1 + len(channels) + self.dims
            or tuple(x.shape[1 : 1 + len(channels)]) != channels
        ):
            expected = ", ".join(map(str, ("B", *channels, *"DHW"[3 - self.dims :])))
            raise ArrayTypeError(f"input must be ({expected}), found {tuple(x.shape)}")

    @torch.no_grad()
    def equivariance_error(
        self, *, max_frequency: float = 0.6, n_points: int = 256, seed: int = 0
    ) -> float:
        """Return how far the layer is from commuting with one step of scale; 0 is exact.

        Patches of a smooth random field f (64 cosines per input channel, |w| <= `max_frequency`
        radians per finest voxel side) and of the same field reduced by r, at the same points: sum
        of |y_b[s+1] - y_a[s]|^2 over that of |y_a[s]|^2, without the bias. A scale-to-scale layer
        reads an independent field per scale. Computed in float64 from the kernels' frequency
        responses, which for cosines is the patch test itself.
        """
        steps = torch.tensor(self.dilations, dtype=torch.float64)[:, None, None]
        kernels = self.kernels().double().cpu().flatten(4)  # (S, O, I, T, k)
        return patch_error(
            kernels,
            steps * tap_offsets(self.kernel_size, self.spacing),
            self.scale_ratio,
            lifting=self.scale_size is None,
            max_frequency=max_frequency,
            n_points=n_points,
            seed=seed,
        )
