"""A density that goes on learning from where it starts: by scans from which the weights behind it
do not learn.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from meshconv._check import IntArray
from meshconv.nn.decnn import DECNN
from meshconv.train.config import TrainConfig
from meshconv.train.labels import ByTask, Labels, by_task, class_weights, loss, strata
from meshconv.train.ranks import Ranks
from meshconv.train.run import device_of
from meshconv.train.two_stage import Images, seen_once, two_stages
from meshconv.train.variation import class_variation, noisy

_RATE, _MOMENTA = 0.05, (0.5, 0.99)  # of the density's logits, Adam
_WEIGHTS_ALONE = 2  # turns: weights that know nothing say nothing of where to look
_MOST = 256  # images of each half in a turn


def learn_in_turn(
    network: DECNN,
    images: Images,
    labels: Labels,
    halves: tuple[IntArray, IntArray],
    *,
    config: TrainConfig,
    sample_weight: Tensor | None = None,
) -> None:
    """Let a density that all images share go on learning from where it is; the weights stay.

    Weights learn from one half of the images, the density by the loss of the other half, in turn,
    ``config.density_turns`` times; then the same with the halves exchanged. What stays is the mean
    of both logits. By the loss of the images that the weights learn from, a density gains nothing:
    these are told apart wherever it looks.

    Parameters
    ----------
    network : DECNN
        Untrained. A density that is each image's own is left as it is.
    images : (n, C, N, N) float32 Tensor, or an object that gives the rows asked for as one
        Standardized.
    labels : (n,) Tensor, or mapping of task to such
        As `meshconv.train.loop.train` takes them.
    halves : two (m,) int64
        Rows, no subject in both.
    config : TrainConfig
    sample_weight : (n,) float32 Tensor, optional
        How much each image weighs in the loss.

    References
    ----------
    Liu, Simonyan, Yang, 2019, DARTS: differentiable architecture search, arXiv 1806.09055 (first
    order).
    """
    if not config.density_turns or network.density.network is not None:
        return
    one, other = (torch.from_numpy(half) for half in halves)
    half = _Half(images, by_task(labels), config, sample_weight)

    def learned() -> Tensor:
        return (half.density(network, one, other) + half.density(network, other, one)) / 2

    network.density.logits.data.copy_(Ranks.here().from_first(learned))


class _Half:
    """One half of the images teaches the weights, another the density."""

    def __init__(
        self, images: Images, tasks: ByTask, config: TrainConfig, sample_weight: Tensor | None
    ) -> None:
        self.images, self.tasks, self.config = images, tasks, config
        self.sample_weight = sample_weight
        self.weights = class_weights(tasks, config)
        self.generator = torch.Generator()

    def density(self, network: DECNN, own: Tensor, other: Tensor) -> Tensor:
        """Return the logits that `other` teaches while the weights learn from `own`."""
        self.generator.manual_seed(self.config.seed)
        model = copy.deepcopy(network).train()
        logits = model.density.logits.requires_grad_()
        free = [one for one in model.parameters() if one is not logits]
        rate, decay = self.config.learning_rate, self.config.weight_decay
        of_weights = torch.optim.AdamW(free, lr=rate, weight_decay=decay)
        of_density = torch.optim.Adam([logits], lr=_RATE, betas=_MOMENTA)
        device = device_of(network)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.config.seed)  # dropout
            for turn in range(self.config.density_turns):
                self._teach(model, of_weights, own)
                if turn >= _WEIGHTS_ALONE:
                    self._lead(model, of_density, other)
        return logits.detach()

    def _teach(self, model: DECNN, optimizer: torch.optim.Optimizer, rows: Tensor) -> None:
        """Let the weights learn one epoch under the density as it is."""
        some, config, device = self._some(rows), self.config, device_of(model)
        seen = seen_once(two_stages(model), self.images[some], device).to(device)
        among = strata({name: of[some] for name, of in self.tasks.items()})
        for batch in self._batches(len(some)):
            x, n, generator = seen[batch], len(batch), self.generator
            if config.variation:
                scale = config.variation
                x = x + class_variation(seen, among, n, scale=scale, generator=generator)
            x = noisy(x, model.in_channels, noise=config.noise, generator=generator)
            optimizer.zero_grad()
            torch.autograd.backward(self._loss(model, x, some[batch]))
            optimizer.step()

    def _lead(self, model: DECNN, optimizer: torch.optim.Optimizer, rows: Tensor) -> None:
        """Let the density learn one epoch before the weights as they are."""
        some, logits = self._some(rows), model.density.logits
        for batch in self._batches(len(some)):
            seen = model.equalize(self.images[some[batch]].to(device_of(model)))
            (logits.grad,) = torch.autograd.grad(self._loss(model, seen, some[batch]), logits)
            optimizer.step()

    def _some(self, rows: Tensor) -> Tensor:
        return rows[torch.randperm(len(rows), generator=self.generator)[:_MOST]]

    def _batches(self, n: int) -> Iterator[Tensor]:
        order = torch.randperm(n, generator=self.generator)
        yield from order.tensor_split(-(-n // self.config.batch_size))

    def _loss(self, model: DECNN, seen: Tensor, rows: Tensor) -> Tensor:
        own = {task: values[rows] for task, values in self.tasks.items()}
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        how: dict[str, Any] = {"smoothing": self.config.label_smoothing, "sample_weight": weight}
        return loss(model.classify(seen), own, self.weights, **how)
