"""`DensityEstimator`: the learned part of the density, coarse logits for a population or for each
image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.errors import ArrayTypeError
from meshconv.nn.area_sample import area_sample, averages
from meshconv.nn.equalize import bounded_density
from meshconv.nn.sample import full_precision, gather, node_grid
from meshconv.resample.grid import grid_size

_GAIN = 3.0  # logits of the density for a share of the evidence e times as large
_LEAST = 1e-3  # share of the evidence below which places are alike
_SHARPNESS = 1 / 3  # of the soft maximum over places: 0 would be their mean


class DensityEstimator(nn.Module):
    """A bounded smooth density on the square: one for the population, for each task, or for each
    sample.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    size : int
        Nodes per side of the density.
    nodes : int, optional
        Coarse nodes per side that carry the logits; one for four of `size`, at least 5.
    ratio : float
        Largest / smallest density.
    count : int
        How many densities: one for all, or one for each task.
    classes : sequence of int
        If any, each image has a density of its own: to the logits are added those of an
        `EvidenceNetwork` for these numbers of classes, one a task.
    places : bool
        See there.
    """

    logits: Tensor
    missing: Tensor  # what logits would have more, had what they start from been certain

    def __init__(
        self,
        in_channels: int,
        *,
        size: int,
        nodes: int | None = None,
        ratio: float = 10.0,
        count: int = 1,
        classes: Sequence[int] = (),
        places: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.ratio = grid_size(size), ratio
        nodes = max(5, (self.size - 1) // 4 + 1) if nodes is None else nodes
        self.nodes = n = grid_size(nodes, "density_nodes")
        self.logits = nn.Parameter(torch.zeros(count, 1, n, n))
        self.register_buffer("missing", torch.zeros(count, 1, n, n), persistent=False)
        self.network = EvidenceNetwork(in_channels, classes, n, places=places) if classes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the density (1, T or B, 1, size, size), mean 1, of images (B, C, N, N)."""
        return self.with_evidence(x)[0]

    def flow_size(self, network_size: int) -> int:
        """Return nodes per side on which a flow sees all there is to the density: two for each
        coarse one, and no fewer than are carried along.

        On 65 of 129 nodes it takes a quarter of the time, and the density that 33 nodes are
        delivered with is off by .022, not .017.
        """
        cells, least = self.size - 1, max(2 * (self.nodes - 1), network_size - 1)
        while cells % 2 == 0 and cells // 2 >= least:
            cells //= 2
        return cells + 1

    def with_evidence(
        self, x: Tensor, stages: list[Tensor] | None = None, *, size: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the density, and the class logits (B, K) of the evidence it is made of, if it
        is.

        `stages` are `averages` of the images, if there are any; `size` other nodes per side.
        """
        logits, classes = self.logits, None
        if self.network is not None:
            own, classes = self.network(x, stages)
            logits = logits + own
        return bounded_density(logits, ratio=self.ratio, size=size or self.size), classes

    @torch.no_grad()
    def start_from(self, statistic: Any, strength: float, which: int | None) -> None:
        """Set the logits, of one density or of all, by a map: -4..4 over its range, times
        `strength`.
        """
        coarse = self.coarse(statistic, "statistic")
        low, high = coarse.min(), coarse.max()
        scaled = (coarse - low) / (high - low).clamp_min(torch.finfo(coarse.dtype).tiny)
        rows = slice(None) if which is None else which
        whole = 8 * scaled - 4 if high > low else torch.zeros_like(coarse)
        self.logits[rows] = strength * whole
        self.missing[rows] = (1 - strength) * whole

    @torch.no_grad()
    def doubt(self) -> Tensor:
        """Return how many times as dense each place would be, (count, 1, size, size), had the map
        that the density started from been certain; 1 without a map.
        """
        as_if = bounded_density(self.logits + self.missing, ratio=self.ratio, size=self.size)
        return as_if / bounded_density(self.logits, ratio=self.ratio, size=self.size)

    def coarse(self, values: Any, name: str) -> Tensor:
        """Return a map (1, 1, nodes, nodes) averaged from (N, N); NaN is the smallest value, inf
        the largest.

        Raises
        ------
        ArrayTypeError
            If it is not a square of at least 2 x 2 with a finite value; `name` says which.
        """
        array = torch.as_tensor(values, dtype=torch.float32, device=self.logits.device)
        if array.ndim in (3, 4) and array.shape[:-2].numel() == 1:
            array = array.reshape(array.shape[-2:])
        finite = torch.isfinite(array)
        if (
            array.ndim != 2
            or array.shape[0] != array.shape[1]
            or array.shape[0] < 2
            or not finite.any()
        ):
            raise ArrayTypeError(
                f"{name} must be (N, N) with a finite value, found {tuple(array.shape)}"
            )
        filled = torch.where(finite, array, array[finite].min())
        filled = torch.where(array == torch.inf, array[finite].max(), filled)
        return area_sample(filled[None, None], node_grid(self.nodes, filled))


class EvidenceNetwork(nn.Module):
    """Where an image holds evidence for its class: a small network whose class maps say which
    share of the answer comes from which place, and what the answer is.

    A class has as much evidence as the soft maximum of its map over places, so that one place that
    no other class has is enough; this is asked for the class itself, in a loss of its own. The
    share of a place in it, the slope of the soft maximum, makes the density. What a classifier
    behind the density would pay for is no good guide: it moves places that are found already.

    Parameters
    ----------
    in_channels : int
    classes : sequence of int
        Of each task.
    nodes : int
        Of the density. The image is read at four times their resolution, by first stages of few
        channels, since what is small is lost in averages.
    places : bool
        Whether the network knows where in the image it is: where a place means the same in all.
    width : int
        Channels of the second stage.

    References
    ----------
    Zhou et al., 2016, doi:10.1109/CVPR.2016.319 (class maps from pooled evidence). Pinheiro and
    Collobert, 2015, doi:10.1109/CVPR.2015.7298780, eq. (3) (the soft maximum over places).
    """

    def __init__(
        self,
        in_channels: int,
        classes: Sequence[int],
        nodes: int,
        *,
        places: bool,
        width: int = 16,
    ) -> None:
        super().__init__()
        self.classes, self.nodes, self.places = tuple(classes), nodes, places
        narrow, wide = 3 * width // 4, 3 * width // 2
        self.features = nn.Sequential(
            stage(in_channels + 2 * places, narrow, stride=2),
            stage(narrow, width, stride=2),
            stage(width, wide),
            stage(wide, wide),
        )
        self.evidence = nn.Conv2d(wide, sum(self.classes), 1)

    def forward(self, x: Tensor, stages: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return the logits of the density (B, 1, nodes, nodes), and of the classes (B, K)."""
        n = 4 * self.nodes - 3
        there = [one for one in stages or averages(x, n) if one.shape[-1] == n]
        seen = (there or [area_sample(x, node_grid(n, full_precision(x)))])[0].to(x.dtype)
        placed = with_places(seen, node_grid(n, x)) if self.places else seen
        # channels last: four fifths of the time of these convolutions on a CPU
        features = self.features(placed.contiguous(memory_format=torch.channels_last))
        evidence = _SHARPNESS * full_precision(self.evidence(features))
        soft = torch.logsumexp(evidence.flatten(2), dim=2) / _SHARPNESS
        return _GAIN * torch.log(self._share(evidence, soft) + _LEAST), soft

    def _share(self, evidence: Tensor, soft: Tensor) -> Tensor:
        """Return what part of the answer comes from each place (B, 1, nodes, nodes), mean 1: of
        each class as probable as it is, the tasks alike.
        """
        each = (evidence.shape[-2] * evidence.shape[-1]) * evidence.flatten(2).softmax(dim=2)
        of_task = torch.split_with_sizes(soft, list(self.classes), dim=1)
        probable = torch.cat([logits.softmax(dim=1) for logits in of_task], dim=1)
        # no matrix product: autocast would make it of 8 bits
        share = (probable[..., None] * each).sum(dim=1) / len(self.classes)
        return share.view_as(evidence[:, :1])


def every_other(field: Tensor, size: int) -> Tensor:
    """Return a field (B, C, N, N) on those of its nodes that make `size` per side."""
    step = (field.shape[-1] - 1) // (size - 1)
    return field[..., ::step, ::step]


def emphasis(density: Tensor, grid: Tensor, power: float) -> Tensor:
    """Return what each node of a grid is multiplied by, (1 or B, 1, n, n) float32: a power of its
    density, of mean square 1.
    """
    if power == 0:
        return torch.ones_like(grid[:1, None, :, :, 0])
    factor = gather(density, grid) ** power
    return factor / factor.square().mean(dim=(2, 3), keepdim=True).sqrt()


def stage(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution, batch norm and SiLU; nodes stay on the border at stride 2."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.SiLU())


def with_places(image: Tensor, grid: Tensor) -> Tensor:
    """Return the image with the grid's x and y as two more channels."""
    places = grid.permute(0, 3, 1, 2).expand(image.shape[0], -1, -1, -1)
    return torch.cat([image, places.to(image.dtype)], dim=1)
