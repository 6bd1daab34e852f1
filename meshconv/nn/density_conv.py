"""Images on the equalized square: warping by a density, back, and a convolution in between."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import ArrayTypeError
from meshconv.nn.area_sample import area_sample
from meshconv.nn.equalize import equalizing_grid


def warp(image: Any, density: Any, *, size: int | None = None, method: str = "moser") -> Tensor:
    """Return an image on the equalized square: each place magnified in proportion to the density.

    Averages over area where the image shrinks. NaN counts as outside: it takes no part in any
    average, and only nodes that show nothing else are NaN.

    Parameters
    ----------
    image : (B, C, N, N), (C, N, N) or (N, N) Tensor or array, or GeometryImage
        E.g. ``resampler.to_image(field)``.
    density : (B, 1, M, M), (1, M, M) or (M, M) Tensor or array
        Positive; on nodes of the same square, at any resolution.
    size : int, optional
        Nodes per side of the result; N.
    method : str
        See `equalizing_grid`.

    Returns
    -------
    warped : Tensor
        The image's axes, with `size` nodes per side.

    Examples
    --------
    >>> ramp = torch.linspace(0, 1, 33).expand(33, 33)
    >>> warped = warp(ramp, 1 + 4 * ramp)  # the right side gets the most room
    >>> bool(warped[16, 16] > 0.6)
    True
    """
    return _through(image, density, size, method, "backward")


def unwarp(image: Any, density: Any, *, size: int | None = None, method: str = "moser") -> Tensor:
    """Return an image on the equalized square brought back: the inverse of `warp`, same
    arguments.
    """
    return _through(image, density, size, method, "forward")


class DensityEqualizingConv2d(nn.Module):
    """Convolution on the equalized square: receptive fields are small where the density is high,
    wide elsewhere.

    y = unwarp(conv(warp(x))). A constant density gives `torch.nn.Conv2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, bias
        As in `torch.nn.Conv2d`; the kernel is odd and the padding keeps the size.
    size : int, optional
        Nodes per side of the equalized square; those of the input.
    unwarp : bool
        Bring the result back to the source square (default), or leave it on the equalized one.
    method : str
        See `equalizing_grid`.

    Examples
    --------
    >>> layer = DensityEqualizingConv2d(3, 8)
    >>> layer(torch.zeros(2, 3, 33, 33), torch.ones(1, 1, 33, 33)).shape
    torch.Size([2, 8, 33, 33])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        size: int | None = None,
        unwarp: bool = True,
        method: str = "moser",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias
        )
        self.size, self.unwarp, self.method = size, unwarp, method

    def forward(self, x: Tensor, density: Tensor) -> Tensor:
        """Return (B, O, N, N), or (B, O, size, size) if left on the equalized square.

        `x` is (B, C, N, N), `density` (B, 1, M, M) or (1, 1, M, M).
        """
        nodes = self.size or x.shape[-1]
        y: Tensor = self.conv(
            area_sample(x, equalizing_grid(density, size=nodes, method=self.method))
        )
        if not self.unwarp:
            return y
        there = equalizing_grid(density, size=x.shape[-1], method=self.method, direction="forward")
        return area_sample(y, there)

    def extra_repr(self) -> str:
        """Return the options, for `repr`."""
        return f"size={self.size}, unwarp={self.unwarp}, method={self.method!r}"


def _through(image: Any, density: Any, size: int | None, method: str, direction: str) -> Tensor:
    x = _four_axes(getattr(image, "channels", image), "image")
    rho = _four_axes(density, "density")
    if not x.is_floating_point() or not rho.is_floating_point():
        raise ArrayTypeError(
            f"image and density must be floating point, found {x.dtype} and {rho.dtype}"
        )
    if rho.shape[0] not in (1, x.shape[0]) and x.shape[0] != 1:
        raise ArrayTypeError(f"{x.shape[0]} images and {rho.shape[0]} densities do not match")
    grid = equalizing_grid(rho, size=size or x.shape[-1], method=method, direction=direction)
    x = x.expand(grid.shape[0], -1, -1, -1) if x.shape[0] == 1 else x
    inside = ~torch.isnan(x)
    out = area_sample(torch.nan_to_num(x, nan=0.0, posinf=None, neginf=None), grid)
    if not bool(inside.all()):
        share = area_sample(inside.to(x.dtype), grid)
        out = torch.where(share > 1e-6, out / share.clamp_min(1e-6), torch.nan)
    leading = max(getattr(image, "ndim", 3), getattr(density, "ndim", 2) if rho.shape[0] > 1 else 0)
    return out.reshape(out.shape[4 - leading :]) if leading < 4 else out


def _four_axes(array: Any, name: str) -> Tensor:
    tensor = array if isinstance(array, Tensor) else torch.tensor(array)
    if tensor.ndim not in (2, 3, 4):
        raise ArrayTypeError(f"{name} must have 2, 3 or 4 axes, found shape {tuple(tensor.shape)}")
    return tensor.reshape(*[1] * (4 - tensor.ndim), *tensor.shape)
