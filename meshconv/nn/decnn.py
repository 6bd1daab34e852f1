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

from meshconv._check import in_range, one_of, whole_number
from meshconv.errors import ArrayTypeError
from meshconv.nn.area_sample import averages, read
from meshconv.nn.backbone import Backbone, feature_count, made_backbone
from meshconv.nn.density_estimator import DensityEstimator, emphasis, every_other, with_places
from meshconv.nn.equalize import METHODS, equalizing_grid, normalize_density, smooth_upsample
from meshconv.nn.heads import (
    HEADS,
    added,
    class_counts,
    direct_heads,
    linear_heads,
    over_places,
    task_logits,
)
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
        Classes, or by task: tasks share backbone and density, and logits come as a dict.
    size : int
        Nodes per side of the density and the saliency; best that of the image.
    network_size : int
        Nodes per side of the equalized grid the backbone sees: coarser than the image saves cost.
    density : {'shared', 'task', 'sample', 'uniform'}
        One density for the population, one for each task (the backbone then runs once a task, on
        that task's grid), one for each sample, of the evidence in it (`EvidenceNetwork`, whose
        class logits are added), or none (a plain network at the same cost).
    ratio : float
        Largest / smallest density, at least 1.
    backbone : 'small', callable or nn.Module
        ``small``: 3 x 3 stages down to 5 x 5 nodes, or 9 x 9 if the head pools. A module takes (B,
        C, n, n), n = `network_size`, to features. A function: small stages and a probe to one.
    head : {'flatten', 'mean', 'mean+max'}
        What the heads see of features (B, F, ...). ``flatten``: all places, each with weights of
        its own; right where a place means the same in every image, as in a frame that registers
        well. ``mean``: their mean over places, here weighted by the density (global average
        pooling); right where images share no places. ``mean+max``: the largest value beside it, for
        what is small and may be anywhere.
    width : int
        Channels of the first stage of the small backbone.
    direct : bool
        Beside `head`, linear heads on the equalized image itself (zero at first). For surfaces in
        one frame, which a fixed displacement tells apart; not for pictures, nor with a density for
        each sample, where a node shows another place in each.
    emphasis : float, optional
        What the network sees of a place is multiplied by density ** emphasis (and scaled to mean
        square 1 over the nodes), at least 0. Noise in training and the decay of weights then count
        most where little is to be seen. By default 1; 0 for one density for each sample.
    coordinates : bool, optional
        Append where each node lies in the source as two channels. By default with ``flatten``
        unless the backbone is a module.
    density_nodes : int, optional
        Coarse nodes per side of the density; one for four nodes of `size`.
    dropout : float
        Before the heads.
    method, steps
        See `equalizing_grid`.
    seed : int, optional
        Of the initial weights; the global generator if None.
    device, dtype : as in `torch.nn.Conv2d`

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
        backbone: Backbone = "small",
        head: str = "flatten",
        width: int = 8,
        direct: bool = False,
        emphasis: float | None = None,
        coordinates: bool | None = None,
        density_nodes: int | None = None,
        dropout: float = 0.1,
        method: str = "moser",
        steps: int | None = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        one_of(density, DENSITIES, "density")
        self.in_channels = whole_number(in_channels, 1, "in_channels")
        self.size = grid_size(size)
        self.network_size = grid_size(network_size, "network_size")
        self.method, self.steps = one_of(method, METHODS, "method"), steps
        self.dropout = in_range(dropout, 0.0, 1.0, "dropout")
        self.head, flat = one_of(head, HEADS, "head"), head == "flatten"
        whole_number(width, 1, "width")
        small = not isinstance(backbone, nn.Module)
        self.coordinates = small and flat if coordinates is None else coordinates
        power = float(density != "sample") if emphasis is None else emphasis
        self.emphasis = in_range(power, 0.0, 4.0, "emphasis")
        self._several = not isinstance(n_classes, int)
        self._classes = class_counts(n_classes)
        self.tasks = tuple(self._classes)
        self.n_densities = len(self.tasks) if density == "task" else 1
        of: dict[str, Any] = {"nodes": density_nodes, "ratio": ratio, "count": self.n_densities}
        of["classes"] = (*self._classes.values(),) if density == "sample" else ()
        n, seen = self.network_size, in_channels + 2 * self.coordinates
        with seeded(seed):
            self.density = DensityEstimator(in_channels, size=size, places=self.coordinates, **of)
            probe = next(self.parameters()).new_zeros(1, seen, n, n)
            self.backbone = made_backbone(backbone, probe, width=width, coarsest=5 if flat else 9)
            self.heads = linear_heads(self._classes, feature_count(self.backbone, probe, head))
            self.direct = direct_heads(self._classes, in_channels * n**2) if direct else None
        self._flow_size = self.density.flow_size(n)
        self.density.requires_grad_(density != "uniform")
        self._settled = False
        self.register_buffer("log_area", torch.zeros_like(self.density.logits[:1]))
        self.to(device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Return logits (B, n_classes), or a dict of them by task, of images (B, C, N, N)."""
        seen, evidence = self.equalize_with_evidence(x)
        return added(self.classify(seen), evidence)

    def classify(self, equalized: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the logits of what `equalize` gave."""
        logits, direct = self.classify_apart(equalized)
        if direct:
            logits = [one + beside for one, beside in zip(logits, direct, strict=True)]
        return dict(zip(self.tasks, logits, strict=True)) if self._several else logits[0]

    def classify_apart(self, equalized: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return the logits of each task behind the backbone, and of the direct heads, if any."""
        seen, several = equalized.flatten(0, 1), self.n_densities > 1
        features = over_places(self.backbone(seen), self.head)
        features = functional.dropout(features, self.dropout, self.training)
        logits = task_logits(features, self.heads, several=several)
        if self.direct is None:
            return logits, []
        image = seen[:, : self.in_channels].flatten(1)
        return logits, task_logits(image, self.direct, several=several)

    @property
    def density_is_fixed(self) -> bool:
        """Whether the density learns nothing more."""
        return not self.density.logits.requires_grad

    def settle(self) -> bool:
        """Fix a density that all images share: seen once. False if each has its own."""
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
        """Return the images on the equalized grids of T densities, (B, T, C', n, n), emphasized:
        one a task if each has its own, else 1. Coordinates come behind the channels.
        """
        return self.equalize_with_evidence(x)[0]

    def equalize_with_evidence(self, x: Tensor) -> tuple[Tensor, Tensor | dict[str, Tensor] | None]:
        """Return `equalize`, and the logits of the evidence that each image's own density is made
        of, if it is: in training their loss, and nothing else, teaches the density where to look.
        """
        self._check(x)
        stages = averages(x, self.network_size)
        size = None if self.emphasis else self._flow_size  # else at the nodes of the flow alone
        density, evidence = self.density.with_evidence(x, stages, size=size)
        density = density.detach() if evidence is not None and self.training else density
        each, fields = (self.n_densities, -1), (self._grid(density), density)
        of_grid = zip(*(torch.unflatten(field, 0, each) for field in fields), strict=True)
        seen = torch.stack([self._through(stages, *pair) for pair in of_grid], dim=1).to(x.dtype)
        if evidence is None or not self._several:
            return seen, evidence
        by_task = torch.split_with_sizes(evidence, list(self._classes.values()), dim=1)
        return seen, dict(zip(self.tasks, by_task, strict=True))

    def _through(self, stages: list[Tensor], grid: Tensor, density: Tensor) -> Tensor:
        """Return (B, C', n, n): the images on one grid, or on one grid each."""
        shown = read(stages, grid) * emphasis(density, grid, self.emphasis)
        return with_places(shown, grid) if self.coordinates else shown

    def sampling_grid(self, x: Tensor) -> Tensor:
        """Return the sampling grid (1 or B, n, n, 2), or (T, n, n, 2) by task; one flow."""
        return self._grid(self.density.with_evidence(x, size=self._flow_size)[0])

    def _grid(self, attention: Tensor) -> Tensor:  # of the flow of attention times area
        attention = every_other(attention, self._flow_size)
        area = torch.exp(smooth_upsample(self.log_area, attention.shape[-1]))
        flow = normalize_density(attention * area.to(attention.dtype))
        return equalizing_grid(flow, method=self.method, steps=self.steps, size=self.network_size)

    def saliency(self, x: Tensor, *, task: str | None = None) -> Tensor:
        """Return the density of each image, (B, 1, size, size), mean 1: the room of each place.

        With one density for each task: that of `task`, the first one if None.
        """
        self._check(x)
        chosen, density = self._task(task), self.density(x)
        density = density[[chosen]] if self.n_densities > 1 else density
        return density.expand(x.shape[0], -1, -1, -1)

    def _task(self, task: str | None) -> int:
        return 0 if task is None else self.tasks.index(one_of(task, self.tasks, "task"))

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
        one = task is not None and self.n_densities > 1
        self.density.start_from(statistic, strength, self._task(task) if one else None)

    @torch.no_grad()
    def set_area(self, area: Any) -> None:
        """Set the area of *surface*, in any unit, that each node stands for, (N, N).

        Then equal attention is equal area of it. It multiplies the density in the flow, not in the
        saliency; a range of more than 10 to 1 on top of `ratio` needs more `steps`, see
        `density_error`. NaN, and what is not positive, counts as the smallest positive value.
        """
        positive = torch.as_tensor(area, dtype=torch.float32).clone()
        positive[~(positive > 0)] = torch.nan
        log_area = self.density.coarse(torch.log(positive), "area")
        self.log_area.copy_(log_area - log_area.mean())

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels or x.shape[2] != x.shape[3]:
            raise ArrayTypeError(
                f"images must be (B, {self.in_channels}, N, N), found {tuple(x.shape)}"
            )
