"""A residual U-Net of ordinary convolutions: the opponent of the scale-equivariant one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.nn.layers.residual_unet import NORMS, Kit, UNetLevel, check_levels


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
        check_levels(channels, strides, dims)

        def conv(inputs: int, outputs: int, **options: Any) -> _PlainConv:
            return _PlainConv(inputs, outputs, dims=dims, **options)

        kit = Kit(conv, dims, kernel_size, NORMS[one_of(norm, tuple(NORMS), "norm")], dropout)
        self.net = UNetLevel(
            kit, in_channels, out_channels, channels, strides, n_units=n_units, top=True
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, out_channels, *N) of an image (B, in_channels, *N) of any size."""
        return self.net(x)
