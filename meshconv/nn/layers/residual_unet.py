"""The residual U-Net: its topology, whatever its convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.layers.scale_layers import (
    ScaleBatchNorm,
    ScaleBatchStatisticsNorm,
    ScaleDropout,
    ScaleInstanceNorm,
)

NORMS: dict[str, Callable[..., nn.Module]] = {
    "batch": ScaleBatchNorm,
    "instance": ScaleInstanceNorm,
    "batch, unbiased": ScaleBatchStatisticsNorm,
}


@dataclass(frozen=True)
class Kit:
    """The parts of a U-Net; ``conv(in, out, lifting=, kernel_size=, stride=, transposed=)``."""

    conv: Callable[..., nn.Module]
    dims: int
    kernel_size: int
    norm: Callable[[int], nn.Module]
    dropout: float

    def after(self, channels: int) -> nn.Sequential:
        """Return norm, dropout and activation, in this order."""
        return nn.Sequential(self.norm(channels), ScaleDropout(self.dropout), nn.SiLU())


class ResidualUnit(nn.Module):
    """Convolutions with norm, dropout and activation, plus a (convolved) copy of the input."""

    def __init__(
        self,
        kit: Kit,
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
        """Return both paths' sum."""
        return self.body(x) + self.shortcut(x)


class UNetLevel(nn.Module):
    """Down, the levels below, concatenate, up."""

    def __init__(
        self,
        kit: Kit,
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
        self.down = ResidualUnit(kit, inputs, here, stride=strides[0], depth=n_units, lifting=top)
        if len(strides) > 1:
            back = here
            self.below: nn.Module = UNetLevel(
                kit, here, here, channels[1:], strides[1:], n_units=n_units
            )
        else:
            back = below
            self.below = ResidualUnit(kit, here, below, depth=n_units)
        self.up = kit.conv(
            here + back,
            outputs,
            lifting=False,
            kernel_size=kit.kernel_size,
            stride=strides[0],
            transposed=True,
        )
        self.after = kit.after(outputs)
        self.refine = ResidualUnit(kit, outputs, outputs, depth=1, last_bare=top)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the input's size."""
        down = self.down(x)
        joined = torch.cat([down, self.below(down)], dim=1)
        up = self.up(joined, output_size=x.shape[-self.dims :])
        return self.refine(self.after(up))


def check_levels(channels: Sequence[int], strides: Sequence[int], dims: int) -> None:
    """Refuse levels that do not belong together."""
    if len(channels) < 2 or len(strides) != len(channels) - 1:
        raise ArgumentError(
            "channels needs two levels or more and strides one fewer,"
            f" found {len(channels)} and {len(strides)}"
        )
    if dims not in (2, 3):
        raise ArgumentError(f"dims must be 2 or 3, found {dims!r}")
