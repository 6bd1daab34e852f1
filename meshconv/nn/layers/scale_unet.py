"""A residual U-Net with scale-equivariant layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.nn.layers.equivariance import network_error
from meshconv.nn.layers.residual_unet import NORMS, Kit, UNetLevel, check_levels
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import ScaleProjection, scale_argmax
from meshconv.nn.layers.scale_reference import our_name, reference_names


class ScaleEquivariantUNet(nn.Module):
    """Residual U-Net for objects of sizes never trained on: mean Dice +.09 over sizes .5 to 1.4, at
    sizes trained on +.02, at four times the time of a step.

    It answers to a smaller object as to a larger one, one scale further on. The first unit lifts
    the image to S scales, all others are scale-to-scale, and the end projects. Any input size: the
    way up takes its sizes from the way down. With ``family="multi"`` and 4 input channels it is the
    configuration of the paper: 75,555 parameters.

    *It pays* with few volumes and objects smaller than those trained on: hippocampi, 5 and 10
    volumes, both augmented to sizes .7 to 1, against a plain U-Net of as many parameters: mean Dice
    over sizes .5 to 1.4 is .09 +- .06 higher (5 seeds; .25 +- .21 at size .5, .18 +- .12 at .6,
    .08 +- .05 at 1.4). *It does not* for sizes that training has seen (.02 +- .02 at size 1), nor
    in time: 4 times a plain step. *To train it*: augment sizes all the same, AdamW at 5e-3 with a
    cosine; ``antialias=0`` where single voxels count. ``scale_ratio=0.8`` spans twice the range of
    sizes with as many scales (on volumes set aside +.03 and +.02, most of it at size .5); scale
    dropout and the largest instead of the mean scale gained nothing there (-.01, .00).

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
    norm : {"batch", "instance", "batch, unbiased"}
        The last as the published code: of the batch, in evaluation too.
    antialias : float in [0, 1], optional
        See `ScaleEquivariantConv`; by default 0.5, and 0 for ``"multi"``, the paper's networks.
    strided_padding : {"same", "valid"}
        ``"valid"``: strided layers see no zeros around the image, and give less; then only some
        input sizes fit (8 c + 21 for kernels of 5 and three strides of 2).
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
        strided_padding: str = "same",
        n_units: int = 2,
        dropout: float = 0.07,
        norm: str = "batch",
        projection: str = "mean",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_levels(channels, strides, dims)

        one_of(strided_padding, ("same", "valid"), "strided_padding")

        def conv(
            inputs: int, outputs: int, *, lifting: bool, stride: int = 1, **options: Any
        ) -> ScaleEquivariantConv:
            return ScaleEquivariantConv(
                inputs,
                outputs,
                stride=stride,
                padding="same" if stride == 1 else strided_padding,
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

    @classmethod
    def from_reference(
        cls,
        state: Mapping[str, Tensor],
        in_channels: int = 4,
        out_channels: int = 1,
        **options: Any,
    ) -> Self:
        """Return a network of the paper's configuration with weights of the published kind.

        These differ from ours in three ways: their basis functions have the axes in reverse order,
        strided layers have no padding, and batch norms use the batch's own unbiased variance.

        Parameters
        ----------
        state : mapping of str to Tensor
            Named as in MONAI's residual U-Net: ``model.0`` is the way down of a level,
            ``model.1.submodule`` the level below, ``model.2`` the way up; in a unit
            ``conv.unit0.conv``, its norm ``conv.unit0.adn.N``, and ``residual``; on the way up
            ``0.conv``, ``0.adn.N``, then a unit ``1``. See `reference_names`.
        options
            Of the constructor, such as `channels` and `dims`.

        Raises
        ------
        RuntimeError
            If names or shapes do not fit, as `load_state_dict` has it.
        """
        paper: dict[str, Any] = {
            "family": "multi",
            "norm": "batch, unbiased",
            "strided_padding": "valid",
        }
        net = cls(in_channels, out_channels, **paper, **options)
        for layer in net.modules():
            if isinstance(layer, ScaleEquivariantConv):
                layer.reverse_axes()
        names = reference_names(len(net.strides))
        net.load_state_dict({our_name(key, names): value for key, value in state.items()})
        return net

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
