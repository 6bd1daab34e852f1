"""Published networks on raw meshes, see `meshconv.benchmark.raw_recipes`.

A fifth of the training scans, of other subjects, chooses the epoch. Training ends early once the
others are known and the best epoch is long past.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from zlib import crc32

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import FloatArray
from meshconv.benchmark.raw_recipes import RECIPES, Recipe
from meshconv.benchmark.task import Part, Task, UnfitTaskError
from meshconv.benchmark.trained import Trained
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface
from meshconv.nn.seeding import seeded
from meshconv.stats.folds import hold_out

_KNOWN, _LONG = 0.95, 0.3  # share of the training scans; of the epochs


def raw_network(name: str, task: Task, seed: int, epochs: int, *, posed: bool = False) -> Trained:
    """Fit a network of `RECIPES` on the scans themselves, for so many epochs at most.

    Parameters
    ----------
    name : str
    task, seed, epochs
        As of every model.
    posed : bool
        Whether every scan is turned at random, and training scans anew in every epoch.

    Raises
    ------
    UnfitTaskError
        If the data set has images only.
    """
    recipe, start = RECIPES[name], time.process_time()
    scans, labels = _prepared(task.train, name), torch.from_numpy(task.train.labels)
    learn, held = hold_out(task.train.labels, task.train.subjects, share=0.2, seed=seed)
    scans = [_turned(scan) for scan in scans] if posed else scans
    model = recipe.build(len(task.classes), seed)
    with seeded(seed):
        fit = _Fit(model, recipe, posed, [scans[k] for k in learn], labels[learn])
        best = fit.to_the_end([scans[k] for k in held], labels[held], epochs)
    seconds = time.process_time() - start

    def probabilities(part: Part) -> FloatArray:
        some = _prepared(part, name)
        logits = fit.answers([_turned(scan) for scan in some] if posed else some)
        return np.asarray(logits.double().softmax(dim=1).numpy())

    return Trained(
        probabilities,
        sum(p.numel() for p in model.parameters()),
        fit.epochs,
        seconds,
        chosen_epoch=best,
        last_train_accuracy=fit.known,
    )


@dataclass
class _Fit:
    """A network on its way."""

    model: nn.Module
    recipe: Recipe
    posed: bool
    scans: list[Any]
    labels: Tensor
    epochs: int = 0
    known: float = 0.0

    def to_the_end(self, held: list[Any], truth: Tensor, most: int) -> int:
        """Train; leave the weights of the epoch that is best on what is held out, return which."""
        optimizer = self.optimizer()
        fall = partial(_at, self.recipe.schedule, most)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, fall)
        best, kept, at = math.inf, copy.deepcopy(self.model.state_dict()), 0
        for self.epochs in range(1, most + 1):
            on_the_way = self.one_epoch(optimizer)
            rate.step()
            loss = float(functional.cross_entropy(self.answers(held), truth))
            if loss < best:
                best, kept, at = loss, copy.deepcopy(self.model.state_dict()), self.epochs
            if on_the_way >= _KNOWN and self.epochs - at > _LONG * most:
                break
        found = self.answers(self.scans).argmax(dim=1)
        self.known = float((found == self.labels).double().mean())
        self.model.load_state_dict(kept)
        return at

    @property
    def batch_size(self) -> int:
        """Of few scans less, or running means of the norms never catch up; with norms over four
        scans, of all they see in the last layers, not even twenty scans were learned.
        """
        return min(self.recipe.batch_size, max(8, len(self.scans) // 8))

    def optimizer(self) -> torch.optim.Optimizer:
        """Return the published one; its rate is to the batch as there, or small ones diverge."""
        found = self.recipe.optimizer(self.model.parameters())
        for group in found.param_groups:
            group["lr"] *= self.batch_size / self.recipe.published_batch
        return found

    def one_epoch(self, optimizer: torch.optim.Optimizer) -> float:
        """Return the share of right answers on the way."""
        self.model.train()
        right, size = 0, self.batch_size
        for rows in torch.split(torch.randperm(len(self.scans)), size):
            if len(rows) == 1 < size:
                continue  # a batch norm needs two
            some = [self.recipe.varied(self.scans[k]) for k in rows.tolist()]
            some = (
                [_turned(scan, torch.randint(2**31, ())) for scan in some] if self.posed else some
            )
            logits = self.recipe.judge(self.model, some)
            truth = self.labels[rows]
            loss = functional.cross_entropy(logits, truth, label_smoothing=self.recipe.smoothing)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            right += int((logits.argmax(dim=1) == truth).sum())
        return right / len(self.scans)

    def answers(self, scans: list[Any]) -> Tensor:
        """Return logits (n, n_classes) of scans as they are."""
        self.model.eval()
        size = max(16, self.recipe.batch_size)
        with torch.no_grad():
            parts = [scans[k : k + size] for k in range(0, len(scans), size)]
            return torch.cat([self.recipe.judge(self.model, part) for part in parts])


def _at(schedule: Callable[[float], float], epochs: int, epoch: int) -> float:
    return schedule(epoch / epochs)


def _prepared(part: Part, name: str) -> list[Any]:
    if part.scans is None:
        raise UnfitTaskError("this data set has images only; networks on meshes need scans")
    population = part.scans()
    if len(population) != len(part.labels):
        raise ArgumentError(f"{len(population)} scans, but {len(part.labels)} labels")
    return [_made(RECIPES[name].prepare, population[k].surface) for k in range(len(population))]


@lru_cache(maxsize=4096)
def _made(prepare: Callable[[Surface], Any], surface: Surface) -> Any:
    return prepare(surface)


def _turned(scan: tuple[Any, ...], seed: Tensor | None = None) -> tuple[Any, ...]:
    """Turn places, all ways alike; without a seed the same way every time, by what is turned."""
    places = scan[0]
    if places.shape[1] != 3:
        return scan  # they do not say where a vertex is
    number = crc32(places.numpy().tobytes()) if seed is None else int(seed)
    turn = torch.from_numpy(Rotation.random(rng=number).as_matrix().astype(np.float32))
    return (places @ turn.T, *scan[1:])
