"""`DECNN`: a classifier that learns where to look, and says where it looked.

A coarse, smooth, bounded density is learned; its equalizing map magnifies what matters, and the
density scales it; small convolutions and one linear map of all nodes do the rest. The density is
the saliency: the room each place gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import in_range, one_of
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.density_estimator import DensityEstimator, stage, with_places
from meshconv.nn.equalize import METHODS, equalizing_grid, normalize_density, smooth_upsample
from meshconv.nn.heads import (
    HEADS,
    class_counts,
    direct_heads,
    linear_heads,
    over_places,
    task_logits,
)
from meshconv.nn.sample import area_sample, gather
from meshconv.nn.seeding import seeded
from meshconv.resample.grid import grid_size

DENSITIES = ("shared", "task", "sample", "uniform")


class DECNN(nn.Module):
    """Density-equalizing convolutional network: class logits, and the density as saliency.

    image -> density -> equalizing map (one flow) -> image on a coarser equalized grid, times
    density -> backbone -> linear heads, which see what the backbone gives and, with `direct`, the
    equalized image itself

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    n_classes : int or mapping of str to int
        Classes, or classes of several tasks that share backbone and density: then logits come as a
        dict.
    size : int
        Nodes per side of the density and the saliency; best that of the image.
    network_size : int
        Nodes per side of the equalized grid the backbone sees. Coarser than the image is where this
        saves cost.
    density : {'shared', 'task', 'sample', 'uniform'}
        One density for the population, one for each task, one for each sample, or none (a plain
        network at the same cost). With one for each task the backbone runs once a task, each time
        on that task's grid.
    ratio : float
        Largest / smallest density, at least 1.
    backbone : 'small' or nn.Module
        ``small``: 3 x 3 stages down to 5 x 5 nodes, or 9 x 9 if the head pools. A module takes (B,
        C, n, n), n = `network_size`, to features of any shape; the heads are linear on them.
    head : {'flatten', 'mean', 'mean+max'}
        What the heads see of features (B, F, ...). ``flatten``: all places, each with weights of
        its own; right where a place means the same in every image, as in a frame that registers
        well. ``mean``: their mean over places, here weighted by the density (global average
        pooling); right where images share no places. ``mean+max``: the largest value beside it, for
        what is small and may be anywhere.
    width : int
        Channels of the first stage of the small backbone.
    direct : bool
        Beside `head`, linear heads on the equalized image itself, each node with weights of its own
        (zero at first). For groups of surfaces in one frame, which a fixed displacement tells
        apart; not for pictures, nor with a density for each sample, where a node shows another
        place in each.
    emphasis : float, optional
        What the network sees of a place is multiplied by density ** emphasis (and scaled to mean
        square 1 over the nodes), at least 0. Noise in training and the decay of weights then count
        most where little is to be seen. By default 1; 0 for one density for each sample, which has
        to be found first and finds less under it.
    coordinates : bool, optional
        Append where each node lies in the source as two channels. By default for ``small`` with
        ``flatten``.
    density_nodes : int, optional
        Coarse nodes per side of the density; one for four nodes of `size`.
    dropout : float
        Before the heads.
    method, steps
        See `equalizing_grid`.
    seed : int, optional
        Of the initial weights; the global generator if None.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If an option is out of range, or an image has other channels.

    References
    ----------
    Ip, Zhang and Lui, 2026, arXiv 2606.12869 (the idea; written from its abstract).

    Examples
    --------
    >>> model = DECNN(3, {"sex": 2, "syndrome": 5}, size=65, seed=0)
    >>> logits = model(torch.zeros(4, 3, 65, 65))
    >>> logits["syndrome"].shape, model.saliency(torch.zeros(4, 3, 65, 65)).shape
    (torch.Size([4, 5]), torch.Size([4, 1, 65, 65]))
    """

    log_area: Tensor

    def __init__(
        self,
        in_channels: int,
        n_classes: int | Mapping[str, int],
        *,
        size: int = 129,
        network_size: int = 33,
        density: str = "shared",
        ratio: float = 10.0,
        backbone: str | nn.Module = "small",
        head: str = "flatten",
        width: int = 16,
        direct: bool = False,
        emphasis: float | None = None,
        coordinates: bool | None = None,
        density_nodes: int | None = None,
        dropout: float = 0.1,
        method: str = "moser",
        steps: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        one_of(density, DENSITIES, "density")
        one_of(method, METHODS, "method")
        self.in_channels, self.size = in_channels, grid_size(size)
        self.network_size = grid_size(network_size, "network_size")
        self.method, self.steps, self.dropout = method, steps, dropout
        self.head = one_of(head, HEADS, "head")
        nodes = max(5, (self.size - 1) // 4 + 1) if density_nodes is None else density_nodes
        self.coordinates = (
            isinstance(backbone, str) and head == "flatten" if coordinates is None else coordinates
        )
        emphasis = float(density != "sample") if emphasis is None else emphasis
        self.emphasis = in_range(emphasis, 0.0, 4.0, "emphasis")
        self._several = not isinstance(n_classes, int)
        self._classes = class_counts(n_classes)
        self.tasks = tuple(self._classes)
        self.n_densities = len(self.tasks) if density == "task" else 1
        self.seen_channels = (
            self.n_densities * in_channels
        )  # of `equalize`, without the coordinates
        with seeded(seed):
            self.density = DensityEstimator(
                in_channels,
                size=self.size,
                nodes=nodes,
                ratio=ratio,
                count=self.n_densities,
                n_evidence=sum(self._classes.values()) if density == "sample" else 0,
            )
            seen = in_channels + 2 * self.coordinates
            self.backbone = _backbone(
                backbone, seen, width, self.network_size, 5 if head == "flatten" else 9
            )
            self.heads = linear_heads(self._classes, self._n_features())
            self.direct = (
                direct_heads(self._classes, in_channels * self.network_size**2) if direct else None
            )
        self.density.requires_grad_(density != "uniform")
        self._settled = False
        self.register_buffer("log_area", torch.zeros(1, 1, nodes, nodes))

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Return logits (B, n_classes), or a dict of them by task, of images (B, C, N, N)."""
        return self.classify(self.equalize(x))

    def classify(self, equalized: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the logits of what `equalize` gave."""
        seen, several = self._by_density(equalized), self.n_densities > 1
        features = functional.dropout(
            over_places(self.backbone(seen), self.head), self.dropout, self.training
        )
        logits = task_logits(features, self.heads, several=several)
        if self.direct is not None:
            beside = task_logits(
                seen[:, : self.in_channels].flatten(1), self.direct, several=several
            )
            logits = [one + direct for one, direct in zip(logits, beside, strict=True)]
        return dict(zip(self.tasks, logits, strict=True)) if self._several else logits[0]

    def _by_density(self, equalized: Tensor) -> Tensor:
        """Return (B T, C', n, n): what one backbone sees, image channels first, for each of the T
        densities.
        """
        if self.n_densities == 1:
            return equalized
        image, places = equalized[:, : self.seen_channels], equalized[:, self.seen_channels :]
        parts = [
            torch.stack(part.chunk(self.n_densities, dim=1), dim=1)
            for part in (image, places)
            if part.shape[1]
        ]
        return torch.cat(parts, dim=2).flatten(0, 1)

    def settle(self) -> bool:
        """Fix a density that all images share, so that `equalize` need be done only once; False if
        each has its own.
        """
        if self.density.network is None and self.density.logits.requires_grad:
            self.density.requires_grad_(False)
            self._settled = True
        return self.density.network is None

    def unsettle(self) -> None:
        """Undo `settle`; a density that was fixed otherwise stays so."""
        if self._settled:
            self.density.requires_grad_()
            self._settled = False

    def equalize(self, x: Tensor) -> Tensor:
        """Return the images on the equalized grid, (B, C, n, n), emphasized, with the coordinates
        if there are any.

        With one density for each of T tasks, the channels are those of the first task, then of the
        next; the coordinates come last.
        """
        return self.equalize_with_evidence(x)[0]

    def equalize_with_evidence(self, x: Tensor) -> tuple[Tensor, Tensor | dict[str, Tensor] | None]:
        """Return `equalize`, and the logits of the evidence that each image's own density is made
        of, if it is.

        The logits are as those of the network; their loss teaches the density where to look.
        """
        self._check(x)
        density, evidence = self.density.with_evidence(x)
        grid = self._grid(density)
        several = self.n_densities > 1
        pairs = (
            list(zip(torch.split(grid, 1), torch.split(density, 1), strict=True))
            if several
            else [(grid, density)]
        )
        warped = torch.cat(
            [area_sample(x, one) * self._emphasis(own, one).to(x.dtype) for one, own in pairs],
            dim=1,
        )
        for one, _ in pairs if self.coordinates else ():
            warped = with_places(warped, one)
        if evidence is None or not self._several:
            return warped, evidence
        by_task = torch.split_with_sizes(evidence, list(self._classes.values()), dim=1)
        return warped, dict(zip(self.tasks, by_task, strict=True))

    def _emphasis(self, density: Tensor, grid: Tensor) -> Tensor:
        """Return what each node of a grid is multiplied by, (1 or B, 1, n, n) float32, of mean
        square 1.
        """
        power = gather(density, grid) ** self.emphasis
        return power / power.square().mean(dim=(2, 3), keepdim=True).sqrt()

    def sampling_grid(self, x: Tensor) -> Tensor:
        """Return the sampling grid (1 or B, n, n, 2), or (T, n, n, 2) by task; one flow, of
        attention times area.
        """
        return self._grid(self.density(x))

    def _grid(self, attention: Tensor) -> Tensor:
        area = torch.exp(smooth_upsample(self.log_area, self.size))
        flow = normalize_density(attention * area.to(attention.dtype))
        return equalizing_grid(flow, method=self.method, steps=self.steps, size=self.network_size)

    def saliency(self, x: Tensor, *, task: str | None = None) -> Tensor:
        """Return the density of each image, (B, 1, size, size), mean 1: the room that each place
        gets.

        With one density for each task: that of `task`, the first one if None.
        """
        self._check(x)
        chosen = self._task(task)
        density: Tensor = self.density(x)
        if self.n_densities > 1:
            density = density[[chosen]]
        return density.expand(x.shape[0], -1, -1, -1)

    def _task(self, task: str | None) -> int:
        return 0 if task is None else self.tasks.index(one_of(task, self.tasks, "task"))

    @torch.no_grad()
    def init_density(
        self, statistic: Any, *, strength: float = 1.0, task: str | None = None
    ) -> None:
        """Start the shared density from a map of the population, e.g. the smoothed t-map of its
        images.

        Parameters
        ----------
        statistic : (N, N) Tensor or array
            Large where the groups differ. NaN (outside a mask) counts as the smallest value, inf as
            the largest. Scaled to logits in -4..4; a constant map gives zero.
        strength : float
            Factor of the logits: 0 starts flat. See `meshconv.stats.evidence.group_evidence`.
        task : str, optional
            Which of the densities, if each task has one; all if None.

        Raises
        ------
        ArrayTypeError
            If it is not a square of at least 2 x 2 with a finite value.
        """
        coarse = self.density.coarse(statistic, "statistic")
        low, high = coarse.min(), coarse.max()
        scaled = (coarse - low) / (high - low).clamp_min(torch.finfo(coarse.dtype).tiny)
        chosen = slice(None) if task is None or self.n_densities == 1 else self._task(task)
        self.density.logits[chosen] = (
            strength * (8 * scaled - 4) if high > low else torch.zeros_like(coarse)
        )

    @torch.no_grad()
    def set_area(self, area: Any) -> None:
        """Set the area of surface each node stands for, (N, N): then equal attention is equal area
        of *surface*.

        The population's mean area element, of any unit. It multiplies the density in the flow, not
        in the saliency; a range of more than 10 to 1 on top of `ratio` needs more `steps`, see
        `density_error`. NaN, and what is not positive, counts as the smallest positive value.
        """
        positive = torch.as_tensor(area, dtype=torch.float32).clone()
        positive[~(positive > 0)] = torch.nan
        log_area = self.density.coarse(torch.log(positive), "area")
        self.log_area.copy_(log_area - log_area.mean())

    def _n_features(self) -> int:
        """Return what a dry run of the backbone gives."""
        was, parameter, n = self.backbone.training, next(self.parameters()), self.network_size
        with torch.no_grad():
            probe = self.backbone.eval()(
                parameter.new_zeros(1, self.in_channels + 2 * self.coordinates, n, n)
            )
        self.backbone.train(was)
        if self.head != "flatten" and probe.ndim < 3:
            raise ArgumentError(
                f"head={self.head!r} needs features with places, found {tuple(probe.shape)}"
            )
        return over_places(probe, self.head).shape[1]

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels or x.shape[2] != x.shape[3]:
            raise ArrayTypeError(
                f"images must be (B, {self.in_channels}, N, N), found {tuple(x.shape)}"
            )


def _backbone(
    backbone: str | nn.Module, in_channels: int, width: int, nodes: int, coarsest: int
) -> nn.Module:
    if isinstance(backbone, nn.Module):
        return backbone
    one_of(backbone, ("small",), "backbone")
    stages = [stage(in_channels, width, stride=1)]
    channels = width
    while nodes > coarsest:  # 33 -> 17 -> 9 -> 5: nodes stay on the border
        stages.append(stage(channels, 2 * width, stride=2))
        channels, nodes = 2 * width, (nodes + 1) // 2
    return nn.Sequential(*stages)
