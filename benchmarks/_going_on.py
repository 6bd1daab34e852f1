"""Ways in which a density may go on learning from its first map, each from training scans alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import FloatArray, IntArray
from meshconv.benchmark.task import Task
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.resample.area_element import area_element
from meshconv.saliency.attribute import contributions
from meshconv.stats.evidence import find_evidence
from meshconv.stats.folds import grouped_folds, hold_out
from meshconv.train.config import Settings, TrainConfig
from meshconv.train.dataset import Standardizer
from meshconv.train.direct import solve_direct_heads
from meshconv.train.loop import predict_logits, train
from meshconv.train.network import new_network
from meshconv.train.stacking import Stack, best_stack, log_frequencies
from meshconv.train.turns import learn_in_turn

FIRST, UNIFORM, STEEPER = "first map", "uniform", "steeper"
FOLDS, FOLD_EPOCHS = 3, 30  # of the networks that judge scans they have not seen
_EXPLAINED = 40  # scans of a fold whose answers are explained
_STEEP = 2.0  # times the logits of the first map
Parts = dict[str, FloatArray]  # logits (n, K) by part of an ensemble


@dataclass(frozen=True, eq=False)
class Learned:
    """Networks, each under a density of its own, with their direct heads."""

    network: Ensemble
    standardizer: Standardizer

    def parts(self, images: Any) -> Parts:
        """Return the logits of each part, for images (n, C, N, N)."""
        x = self.standardizer(images)
        found = predict_logits(self.network, x, of=self.network.by_part)
        return {name: logits.double().numpy() for name, logits in found.items()}


def of_densities(names: Iterable[str]) -> list[str]:
    """Return the parts of networks under these densities."""
    return [part for name in names for part in (name, f"{name}, direct")]


@dataclass(frozen=True, eq=False)
class Start:
    """Where learning goes on from: training scans, and the first map of where they differ."""

    task: Task
    seed: int
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> IntArray:
        """Of the training scans."""
        return self.task.train.labels

    @cached_property
    def area(self) -> FloatArray:
        """Of surface, by node of the frame."""
        assert self.task.template is not None
        return area_element(self.task.template, self.task.size)

    def network(self, logits: Tensor | None) -> DECNN:
        """Return an untrained network under a density; a uniform one if None."""
        kind = UNIFORM if logits is None else "shared"
        settings = Settings.of({"density": kind, "seed": self.seed})
        shape = self.task.train.images.shape[1:]
        made = new_network(settings, shape, outputs=2, head="flatten", in_frame=True)
        assert isinstance(made, Ensemble)
        (one,) = made.networks.values()
        if logits is not None:
            one.density.logits.data.copy_(logits)
            one.set_area(self.area)
        return one

    def logits(self, where: FloatArray, strength: float = 1.0) -> Tensor:
        """Return coarse logits of a density that a map (N, N) gives."""
        one = self.network(torch.zeros(()))
        one.init_density(where, strength=strength)
        return one.density.logits.detach().clone()

    def learn(
        self,
        densities: Mapping[str, Tensor | None],
        rows: IntArray | None = None,
        **options: Any,
    ) -> Learned:
        """Return a network of each density, trained on all scans or some rows."""
        part = self.task.train if rows is None else self.task.train.take(rows)
        standardizer = Standardizer.fit(part.images)
        x, index = standardizer(part.images), part.labels
        network = Ensemble({of: self.network(one) for of, one in densities.items()}, apart=True)
        config = TrainConfig(seed=self.seed, **options)
        train(network, x, dict.fromkeys(densities, torch.from_numpy(index)), config=config)
        solve_direct_heads(network, [x], index, ("",) * len(index), config=config)
        return Learned(network, standardizer)

    @cached_property
    def first(self) -> Tensor:
        """Logits of the first map."""
        return self._evidence(np.arange(len(self.labels)))

    def _evidence(self, rows: IntArray) -> Tensor:
        part = self.task.train.take(rows)
        found = find_evidence(part.images, part.labels, seed=self.seed)
        return self.logits(found.map, found.strength)

    def timed(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is made, and note the CPU time that it took when it was made first."""
        start = time.process_time()
        made = make()
        self.seconds.setdefault(name, time.process_time() - start)
        return made

    @cached_property
    def unseen(self) -> Unseen:
        """What is said of scans by networks and maps that have not seen them."""
        return self.timed("folds", lambda: out_of_fold(self, None))


@dataclass(frozen=True, eq=False)
class Unseen:
    """What networks say of scans (n) that they have not seen."""

    parts: Parts
    fold: IntArray
    saliency: FloatArray  # (N, N): contributions to the true class, mean over standard error

    def stack(self, density: str, index: IntArray) -> Stack:
        """Return how much the networks of a density and the uniform one count, as `fit` learns."""
        logits, often = self._logits(density), log_frequencies(index, "balanced")
        return best_stack(logits, index, self.fold, often)

    def loss(self, density: str, index: IntArray) -> float:
        """Return the mean log loss of a density's networks with the uniform one."""
        return float(functional.cross_entropy(self._said(density, index), torch.from_numpy(index)))

    def errors(self, density: str, index: IntArray) -> FloatArray:
        """Return label less probability, (n,)."""
        return np.asarray(index - torch.softmax(self._said(density, index), dim=1)[:, 1].numpy())

    def _said(self, density: str, index: IntArray) -> Tensor:
        return torch.from_numpy(self.stack(density, index)(self._logits(density)))

    def _logits(self, density: str) -> FloatArray:
        return np.stack([self.parts[part] for part in of_densities((density, UNIFORM))])


def out_of_fold(start: Start, given: Tensor | None) -> Unseen:
    """Return what is said out of fold under a density that is given, or each fold's own first map
    and a steeper one.
    """
    index = start.labels
    parts, fold = Parts(), np.zeros(len(index), dtype=np.int64)
    explained = []
    splits = grouped_folds(index, ("",) * len(index), folds=FOLDS, seed=start.seed)
    for k, (rows, held) in enumerate(splits):
        own = start._evidence(rows) if given is None else given
        densities: dict[str, Tensor | None] = {UNIFORM: None, FIRST: own}
        densities |= {STEEPER: _STEEP * own} if given is None else {}
        learned = start.learn(densities, rows, epochs=FOLD_EPOCHS)
        for name, logits in learned.parts(start.task.train.images[held]).items():
            parts.setdefault(name, np.zeros((len(index), 2)))[held] = logits
        fold[held] = k
        some = held[:_EXPLAINED] if given is None else held[:1]
        x, known = learned.standardizer(start.task.train.images[some]), index[some]
        network = learned.network.networks[FIRST]
        explained.append(contributions(network, x, target=torch.from_numpy(known)))
    each = np.concatenate(explained)
    spread = each.std(axis=0) / np.sqrt(len(each))
    return Unseen(parts, fold, each.mean(axis=0) / np.maximum(spread, spread.mean()))


def evidence_of_errors(start: Start, density: Tensor, unseen: Unseen) -> Tensor:
    """Return the density with what still goes along with errors, as sure as that is."""
    errors = unseen.errors(FIRST, start.labels)
    found = find_evidence(start.task.train.images, errors, seed=start.seed)
    if not found.strength:
        return density
    added = start.logits(found.map)
    return torch.maximum(density, found.strength * added + (1 - found.strength) * density)


def saliency_of_unseen(start: Start) -> Tensor:
    """Return the geometric mean of the first density and the saliency of scans held out."""
    where = np.maximum(start.unseen.saliency, 0.0)
    return (start.first + start.logits(where)) / 2


def steeper(start: Start) -> Tensor:
    """Return the first map or a steeper one, by the loss on scans held out."""
    losses = [start.unseen.loss(name, start.labels) for name in (FIRST, STEEPER)]
    return start.first * (_STEEP if losses[1] < losses[0] else 1.0)


def of_other_scans(start: Start) -> Tensor:
    """Return a density that learned by the loss of scans from which the weights did not learn: the
    option `density_turns` of the package.
    """
    images = Standardizer.fit(start.task.train.images)(start.task.train.images)
    network, index = start.network(start.first), torch.from_numpy(start.labels)
    halves = hold_out(start.labels, share=0.5, seed=start.seed)
    config = TrainConfig(seed=start.seed, density_turns=20)
    learn_in_turn(network, images, index, halves, config=config)
    return network.density.logits.detach().clone()


def by_leave_one_out(start: Start, *, steps: int = 10, rate: float = 0.15) -> Tensor:
    """Return a density that climbed the correlation of labels with what kernel ridge regression on
    the equalized images says of each scan without it, in closed form.

    Weights of a linear kernel, one of small places and one of pairs of these, and the penalty,
    climb with it. Chapelle et al., 2002, doi:10.1023/A:1012450327387.
    """
    x = Standardizer.fit(start.task.train.images)(start.task.train.images)
    network, n = start.network(start.first), len(start.labels)
    density = network.density.logits
    y = torch.from_numpy(start.labels - start.labels.mean()).float()
    free = torch.tensor([0.0, 0.0, 0.0, -2.0], requires_grad=True)
    groups = [{"params": [density], "lr": rate}, {"params": [free], "lr": 0.1}]
    optimizer = torch.optim.Adam(groups, betas=(0.8, 0.99))
    centred = torch.eye(n) - 1 / n
    for _ in range(steps):
        kernels = centred @ _kernels(network.equalize(x)[:, 0, : network.in_channels]) @ centred
        kernels = kernels / kernels.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
        total = torch.tensordot(torch.softmax(free[:3], 0), kernels, 1)
        inverse = torch.linalg.inv(total + free[3].exp() * torch.eye(n) + 1 / n)
        said = y - inverse @ y / inverse.diagonal()
        optimizer.zero_grad()
        (-torch.dot(said, y) / (said.norm() * y.norm())).backward()
        optimizer.step()
    return density.detach().clone()


def _kernels(seen: Tensor) -> Tensor:
    """Return three kernels (3, n, n) of images (n, C, m, m)."""
    flat = seen.flatten(1)
    small = functional.unfold(seen, 3, stride=2).permute(2, 0, 1)
    size = small.square().sum(dim=2)
    far = (size[:, :, None] + size[:, None] - 2 * small @ small.mT).clamp_min(0)
    near = torch.exp(-far / (2 * far.detach().mean())).mean(dim=0)
    near = near - near.detach().min()
    return torch.stack([flat @ flat.T, near, (near / near.detach().mean()) ** 2])
