"""A residual U-Net with scale-equivariant layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.nn.layers.equivariance import network_error
from meshconv.nn.layers.residual_unet import NORMS, Kit, UNetLevel, check_levels
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import ScaleProjection, scale_argmax


class ScaleEquivariantUNet(nn.Module):
    """Residual U-Net that answers to a smaller object as to a larger one, one scale further on.

    The first unit lifts the image to S scales, all others are scale-to-scale, and the end projects.
    Any input size: the way up takes its sizes from the way down. With ``family="multi"`` and 4
    input channels it is the configuration of the paper: 75,555 parameters.

    Parameters
    ----------
    in_channels, out_channels : int
    channels, strides : sequences of int
        Channels of each level, and the stride between neighbouring levels (one fewer).
    kernel_size : int, odd
    dims : {2, 3}
    n_scales, scale_ratio, sigma, n_basis, family, scale_size, spacing, dilated
        As in `ScaleEquivariantConv`.
    n_units : int
        Convolutions in each unit on the way down.
    dropout : float
    norm : {"batch", "instance"}
    antialias : float in [0, 1], optional
        See `ScaleEquivariantConv`; by default 0.5, and 0 for ``"multi"``, the paper's networks.
    projection : {"mean", "max"}
    device, dtype
        As in `torch.nn.Conv3d`.

    References
    ----------
    Wimmer, Golkov, Dang, Zaiss, Maier, Cremers, 2023. Scale-equivariant deep learning for 3D data.

    Examples
    --------
    >>> net = ScaleEquivariantUNet(4, 1, family="multi")
    >>> sum(p.numel() for p in net.parameters())
    75555
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int] = (4, 8, 16, 32),
        strides: Sequence[int] = (2, 2, 2),
        kernel_size: int = 5,
        dims: int = 3,
        n_scales: int = 4,
        scale_ratio: float = 0.9,
        sigma: float = 1.0,
        n_basis: int = 3,
        family: str = "matched",
        scale_size: int = 1,
        spacing: Sequence[float] | None = None,
        dilated: bool = False,
        antialias: float | None = None,
        n_units: int = 2,
        dropout: float = 0.07,
        norm: str = "batch",
        projection: str = "mean",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_levels(channels, strides, dims)

        def conv(
            inputs: int, outputs: int, *, lifting: bool, **options: Any
        ) -> ScaleEquivariantConv:
            return ScaleEquivariantConv(
                inputs,
                outputs,
                dims=dims,
                n_scales=n_scales,
                scale_ratio=scale_ratio,
                sigma=sigma,
                n_basis=n_basis,
                family=family,
                scale_size=None if lifting else scale_size,
                spacing=spacing,
                dilated=dilated,
                antialias=0.5 * (family != "multi") if antialias is None else antialias,
                device=device,
                dtype=dtype,
                **options,
            )

        norms = partial(NORMS[one_of(norm, tuple(NORMS), "norm")], device=device, dtype=dtype)
        kit = Kit(conv, dims, kernel_size, norms, dropout)
        self.net = UNetLevel(
            kit, in_channels, out_channels, channels, strides, n_units=n_units, top=True
        )
        self.project = ScaleProjection(projection)
        self.in_channels, self.dims, self.scale_ratio = in_channels, dims, scale_ratio
        self.strides = tuple(strides)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, out_channels, *N) of an image (B, in_channels, *N) of any size."""
        return self.project(self.net(x))

    def scale_map(self, x: Tensor) -> Tensor:
        """Return the scale index that answers most strongly, int64 (B, *N); see `scale_argmax`."""
        return scale_argmax(self.net(x))

    @torch.no_grad()
    def equivariance_error(
        self,
        of: str = "network",
        *,
        max_frequency: float = 0.6,
        n_points: int | None = None,
        seed: int = 0,
    ) -> float:
        """Return how far the network is from commuting with one step of scale; 0 is exact.

        Parameters
        ----------
        of : {"network", "layers"}
            The features before the projection, in evaluation mode, with strides, norms,
            activations and skips; or the largest `ScaleEquivariantConv.equivariance_error`, which
            is blind to what strides fold back.
        max_frequency : float
            Of the test images, radians per voxel.
        n_points : int, optional
            Places compared: 4, or 256 of each layer.
        seed : int

        Returns
        -------
        error : float
            Squared change over squared features.
        """
        options: dict[str, Any] = {"max_frequency": max_frequency, "seed": seed}
        if one_of(of, ("network", "layers"), "of") == "layers":
            layers = [m for m in self.modules() if isinstance(m, ScaleEquivariantConv)]
            options["n_points"] = 256 if n_points is None else n_points
            return max(layer.equivariance_error(**options) for layer in layers)
        modes = {module: module.training for module in self.modules()}
        like = next(self.parameters())
        try:
            self.eval()
            return network_error(
                lambda image: self.net(image.to(like)),
                self.in_channels,
                self.dims,
                self.scale_ratio,
                period=math.prod(self.strides),
                n_points=4 if n_points is None else n_points,
                **options,
            )
        finally:
            for module, mode in modes.items():
                module.training = mode
