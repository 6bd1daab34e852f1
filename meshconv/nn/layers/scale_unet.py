"""A residual U-Net with scale-equivariant layers, and its peer with ordinary ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import (
    ScaleBatchNorm,
    ScaleDropout,
    ScaleInstanceNorm,
    ScaleProjection,
    scale_argmax,
)

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": ScaleBatchNorm,
    "instance": ScaleInstanceNorm,
}


@dataclass(frozen=True)
class _Kit:
    """The parts of a U-Net; ``conv(in, out, lifting=, kernel_size=, stride=, transposed=)``."""

    conv: Callable[..., nn.Module]
    dims: int
    kernel_size: int
    norm: Callable[[int], nn.Module]
    dropout: float

    def after(self, channels: int) -> nn.Sequential:
        """Return norm, dropout and activation, in this order."""
        return nn.Sequential(self.norm(channels), ScaleDropout(self.dropout), nn.SiLU())


class _ResidualUnit(nn.Module):
    """Convolutions with norm, dropout and activation, plus a (convolved) copy of the input."""

    def __init__(
        self,
        kit: _Kit,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        depth: int,
        last_bare: bool = False,
        lifting: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            first = i == 0
            layers.append(
                kit.conv(
                    inputs if first else outputs,
                    outputs,
                    lifting=lifting and first,
                    kernel_size=kit.kernel_size,
                    stride=stride if first else 1,
                )
            )
            if not (last_bare and i == depth - 1):
                layers.append(kit.after(outputs))
        self.body = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs or lifting:
            size = kit.kernel_size if stride != 1 else 1
            self.shortcut = kit.conv(
                inputs, outputs, lifting=lifting, kernel_size=size, stride=stride
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class _Level(nn.Module):
    """Down, the levels below, concatenate, up."""

    def __init__(
        self,
        kit: _Kit,
        inputs: int,
        outputs: int,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        n_units: int,
        top: bool = False,
    ) -> None:
        super().__init__()
        here, below = channels[0], channels[1]
        self.dims = kit.dims
        self.down = _ResidualUnit(kit, inputs, here, stride=strides[0], depth=n_units, lifting=top)
        if len(strides) > 1:
            back = here
            self.below: nn.Module = _Level(
                kit, here, here, channels[1:], strides[1:], n_units=n_units
            )
        else:
            back = below
            self.below = _ResidualUnit(kit, here, below, depth=n_units)
        self.up = kit.conv(
            here + back,
            outputs,
            lifting=False,
            kernel_size=kit.kernel_size,
            stride=strides[0],
            transposed=True,
        )
        self.after = kit.after(outputs)
        self.refine = _ResidualUnit(kit, outputs, outputs, depth=1, last_bare=top)

    def forward(self, x: Tensor) -> Tensor:
        down = self.down(x)
        joined = torch.cat([down, self.below(down)], dim=1)
        up = self.up(joined, output_size=x.shape[-self.dims :])
        return self.refine(self.after(up))


class _PlainConv(nn.Module):
    """An ordinary convolution with the interface of the scale-equivariant one."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        dims: int,
        kernel_size: int,
        stride: int = 1,
        transposed: bool = False,
        lifting: bool = False,
    ) -> None:
        super().__init__()
        table: dict[int, Any] = {
            2: (nn.Conv2d, nn.ConvTranspose2d),
            3: (nn.Conv3d, nn.ConvTranspose3d),
        }
        self.dims, self.transposed = dims, transposed
        self.conv = table[dims][transposed](
            inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2
        )

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return (
            self.conv(x, output_size=list(output_size)) if output_size is not None else self.conv(x)
        )


class PlainUNet(nn.Module):
    """Residual U-Net of ordinary convolutions, layer for layer the peer of `ScaleEquivariantUNet`.

    Parameters
    ----------
    in_channels, out_channels : int
    channels, strides : sequences of int
        Channels of each level, and the stride between neighbouring levels (one fewer).
    kernel_size : int, odd
    dims : {2, 3}
    n_units : int
        Convolutions in each unit on the way down.
    dropout : float
    norm : {"batch", "instance"}
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
        n_units: int = 2,
        dropout: float = 0.07,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        _check_levels(channels, strides, dims)

        def conv(inputs: int, outputs: int, **options: Any) -> _PlainConv:
            return _PlainConv(inputs, outputs, dims=dims, **options)

        kit = _Kit(conv, dims, kernel_size, _NORMS[one_of(norm, tuple(_NORMS), "norm")], dropout)
        self.net = _Level(
            kit, in_channels, out_channels, channels, strides, n_units=n_units, top=True
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, out_channels, *N) of an image (B, in_channels, *N) of any size."""
        return self.net(x)


class ScaleEquivariantUNet(nn.Module):
    """Residual U-Net that answers to a smaller object as to a larger one, one scale further on.

    The first unit lifts the image to S scales, all others are scale-to-scale, and the end projects.
    Any input size: the way up takes its sizes from the way down. With ``family="multi"`` and 4
    input channels it is the configuration of the paper: 75,555 parameters.

    Parameters
    ----------
    in_channels, out_channels, channels, strides, kernel_size, dims, n_units, dropout, norm
        As in `PlainUNet`.
    n_scales, scale_ratio, n_basis, family, scale_size, spacing, dilated
        As in `ScaleEquivariantConv`.
    projection : {"mean", "max"}

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
        n_basis: int = 3,
        family: str = "matched",
        scale_size: int = 1,
        spacing: Sequence[float] | None = None,
        dilated: bool = False,
        n_units: int = 2,
        dropout: float = 0.07,
        norm: str = "batch",
        projection: str = "mean",
    ) -> None:
        super().__init__()
        _check_levels(channels, strides, dims)

        def conv(
            inputs: int, outputs: int, *, lifting: bool, **options: Any
        ) -> ScaleEquivariantConv:
            return ScaleEquivariantConv(
                inputs,
                outputs,
                dims=dims,
                n_scales=n_scales,
                scale_ratio=scale_ratio,
                n_basis=n_basis,
                family=family,
                scale_size=None if lifting else scale_size,
                spacing=spacing,
                dilated=dilated,
                **options,
            )

        kit = _Kit(conv, dims, kernel_size, _NORMS[one_of(norm, tuple(_NORMS), "norm")], dropout)
        self.net = _Level(
            kit, in_channels, out_channels, channels, strides, n_units=n_units, top=True
        )
        self.project = ScaleProjection(projection)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, out_channels, *N) of an image (B, in_channels, *N) of any size."""
        return self.project(self.net(x))

    def scale_map(self, x: Tensor) -> Tensor:
        """Return the scale index that answers most strongly, int64 (B, *N); see `scale_argmax`."""
        return scale_argmax(self.net(x))

    def equivariance_error(self, **options: Any) -> float:
        """Return the largest `ScaleEquivariantConv.equivariance_error` of the layers."""
        layers = [m for m in self.modules() if isinstance(m, ScaleEquivariantConv)]
        return max(layer.equivariance_error(**options) for layer in layers)


def _check_levels(channels: Sequence[int], strides: Sequence[int], dims: int) -> None:
    if len(channels) < 2 or len(strides) != len(channels) - 1:
        raise ArgumentError(
            f"channels needs two levels or more and strides one fewer, found {len(channels)} and {len(strides)}"
        )
    if dims not in (2, 3):
        raise ArgumentError(f"dims must be 2 or 3, found {dims!r}")
