"""`DensityEstimator`: the learned part of the density, coarse logits for a population or for each image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshconv.nn.equalize import bounded_density
from meshconv.nn.sample import area_sample, full_precision, node_grid
from meshconv.resample.grid import grid_size


class DensityEstimator(nn.Module):
    """A bounded smooth density on the square: one for the population, or one for each sample.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    size : int
        Nodes per side of the density.
    per_sample : bool
        Add, to the shared logits, those that a small convolutional network reads from the image. It starts
        at zero.
    nodes : int
        Coarse nodes per side that carry the logits.
    ratio : float
        Largest / smallest density.
    count : int
        How many densities: one for all, or one for each task.
    """

    logits: Tensor

    def __init__(
        self,
        in_channels: int,
        *,
        size: int,
        per_sample: bool = False,
        nodes: int = 17,
        ratio: float = 10.0,
        count: int = 1,
    ) -> None:
        super().__init__()
        self.size, self.nodes, self.ratio = grid_size(size), grid_size(nodes, "density_nodes"), ratio
        self.logits = nn.Parameter(torch.zeros(count, 1, nodes, nodes))
        self.network: nn.Sequential | None = None
        if per_sample:
            last = nn.Conv2d(16, 1, 3, padding=1)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
            self.network = nn.Sequential(stage(in_channels + 2, 16), stage(16, 16), last)

    def forward(self, x: Tensor) -> Tensor:
        """Return the density (1, T or B, 1, size, size), mean 1, of images (B, C, N, N)."""
        logits = self.logits
        if self.network is not None:
            coarse = area_sample(x, node_grid(self.nodes, full_precision(x)))
            logits = logits + self.network(with_places(coarse, node_grid(self.nodes, x)))
        return bounded_density(logits, ratio=self.ratio, size=self.size)


def stage(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution, batch norm and SiLU; nodes stay on the border at stride 2."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.SiLU())


def with_places(image: Tensor, grid: Tensor) -> Tensor:
    """Return the image with the grid's x and y as two more channels."""
    places = grid.permute(0, 3, 1, 2).expand(image.shape[0], -1, -1, -1)
    return torch.cat([image, places.to(image.dtype)], dim=1)
