"""The training loop: read it from top to bottom.

Everything random in epoch e comes from generators seeded by (seed, e), so a run that is resumed
after any epoch is, on the CPU, the unbroken run bit for bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError, SolverError
from meshconv.train.config import TrainConfig
from meshconv.train.labels import (
    ByTask,
    Labels,
    check_classes,
    checked_labels,
    class_weights,
    loss,
    strata,
)
from meshconv.train.optimizer import new_optimizer, set_rate
from meshconv.train.progress import Progress, State, restore, store
from meshconv.train.two_stage import TwoStage, seen_once, two_stages
from meshconv.train.variation import class_variation, noisy

Augment = Callable[[Tensor, torch.Generator], Tensor]


def train(
    model: nn.Module,
    images: Tensor,
    labels: Labels,
    *,
    config: TrainConfig,
    names: Sequence[str] = (),
    validation: tuple[Tensor, Labels] | None = None,
    augment: Augment | None = None,
    checkpoint: str | PathLike[str] | None = None,
    identity: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train a model that gives logits (B, K) of images (B, C, N, N); it is left with the best
    weights.

    Parameters
    ----------
    model : nn.Module
        On the device on which to train.
    images : (n, C, N, N) float32 Tensor
        Standardized; on any device.
    labels : (n,) int64 Tensor, or a mapping of task to such
        0..K-1. With several tasks the model gives logits by task, and their losses are added.
    config : TrainConfig
    names : sequence of n str, optional
        Of the scans, for messages.
    validation : (images, labels), optional
        What early stopping looks at.
    augment : callable, optional
        Called with each batch and a generator, before noise is added.
    checkpoint : str or PathLike, optional
        Written after every epoch; if it is there already, the run goes on from it.
    identity : mapping, optional
        JSON values that must agree for a checkpoint to be taken up: classes, grid, version.
    on_epoch : callable, optional
        Called after every epoch.

    Raises
    ------
    SolverError
        If a loss is not finite; names epoch, batch and scans. The last checkpoint is a good one.
    CheckpointError
        If the checkpoint is damaged or of another run; names the differences.
    ArgumentError
        If `patience` is set without a validation set, labels are not 0..K-1 of the network, or
        tasks are others.
    ArrayTypeError
        If labels are not one int64 an image.
    """
    if config.patience and validation is None:
        raise ArgumentError("patience needs a validation set", hint="patience=0, or give one")
    run = _Run.of(model, images, checked_labels(labels, images), config, names, augment)
    held = None if validation is None else (validation[0], checked_labels(*validation[::-1]))
    run.look.unsettle()  # what an earlier run settled
    head = {**run.head(), **(identity or {})}
    if held is not None:
        head["validation"] = _digest(held[0], *held[1].values())
    progress = Progress()
    if checkpoint is not None and Path(checkpoint).exists():
        progress = restore(checkpoint, model, run.optimizer, head)
    seen: Tensor | None = None  # by a density that is fixed: worked out once
    while progress.epoch < config.epochs and not _out_of_patience(progress, config):
        seen = run.settled(progress.epoch) if seen is None else seen
        progress.losses.append(_one_epoch(run, seen, progress.epoch))
        if held is not None:
            progress.validation_losses.append(_held_out_loss(run, *held, progress.epoch))
        if held is None or progress.validation_losses[-1] <= min(progress.validation_losses):
            progress.best_epoch, progress.best = progress.epoch - 1, _copied(model)
        if checkpoint is not None:
            store(checkpoint, model, run.optimizer, progress, head)
        if on_epoch is not None:
            on_epoch(progress)
    model.load_state_dict(progress.best)
    model.eval()
    return progress


@dataclass(frozen=True, eq=False)
class _Run:
    """What all epochs share."""

    model: nn.Module
    look: TwoStage  # the model, by its two stages
    optimizer: torch.optim.Optimizer
    images: Tensor
    tasks: ByTask
    strata: Tensor
    weights: ByTask
    config: TrainConfig
    names: Sequence[str]
    augment: Augment | None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        images: Tensor,
        tasks: ByTask,
        config: TrainConfig,
        names: Sequence[str],
        augment: Augment | None,
    ) -> _Run:
        look, optimizer = two_stages(model), new_optimizer(model, config)
        weights = class_weights(tasks, config)
        return cls(
            model, look, optimizer, images, tasks, strata(tasks), weights, config, names, augment
        )

    def head(self) -> dict[str, Any]:
        """Return what it is a run of, as JSON values."""
        data = _digest(self.images, *self.tasks.values())
        return {"train": self.config.as_dict(), "data": data}

    def settled(self, epoch: int) -> Tensor | None:
        """Return what is seen of the images, once that stays as it is: under a fixed density that
        they share, with no augmentation before it.
        """
        fixed = epoch >= self.config.density_epochs or self.look.density_is_fixed
        if not fixed or not self.look.settle() or self.augment is not None:
            return None
        return seen_once(self.look, self.images, _device(self.model))

    def named(self, batch: Tensor) -> list[Any]:
        """Return the names of a batch's images, their numbers if they have none."""
        return [self.names[int(k)] for k in batch] if len(self.names) else batch.tolist()


def _one_epoch(run: _Run, seen: Tensor | None, epoch: int) -> float:
    """Train one epoch, and return its mean loss."""
    run.model.train()
    n, total = len(run.images), 0.0
    with _seeded(run.config.seed, epoch, _device(run.model)) as generator:
        order = torch.randperm(n, generator=generator)
        batches = order.tensor_split(math.ceil(n / run.config.batch_size))
        for k, batch in enumerate(batches):
            set_rate(run.optimizer, run.config, epoch + k / len(batches))
            x = _batch(run, seen, batch, generator)
            found = _loss_of_batch(run, x, batch, settled=seen is not None, generator=generator)
            value = found.item()
            if not math.isfinite(value):
                raise _not_finite(value, epoch, k, run.named(batch))
            run.optimizer.zero_grad()
            torch.autograd.backward(found)
            run.optimizer.step()
            total += value * len(batch)
    return total / n


def _batch(run: _Run, seen: Tensor | None, batch: Tensor, generator: torch.Generator) -> Tensor:
    """Return a batch of images, or of what is seen of them, varied."""
    images, scale = run.images if seen is None else seen, run.config.variation
    x = images[batch] if run.augment is None else run.augment(images[batch], generator)
    if scale:
        x = x + class_variation(images, run.strata, len(batch), scale=scale, generator=generator)
    return x.to(_device(run.model))


def _loss_of_batch(
    run: _Run, x: Tensor, batch: Tensor, *, settled: bool, generator: torch.Generator
) -> Tensor:
    """Return the loss of a batch, with that of the evidence of each image's own density, if there
    is one.
    """
    config, look = run.config, run.look
    bfloat16 = config.precision == "bfloat16"
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        seen, evidence = (x, None) if settled else look.equalize_with_evidence(x)
        seen = noisy(seen, look.in_channels, noise=config.noise, generator=generator)
        logits = look.classify(seen)
    check_classes(logits, run.tasks)
    target = {task: values[batch] for task, values in run.tasks.items()}
    found = loss(logits, target, run.weights, smoothing=config.label_smoothing)
    if evidence is None:
        return found
    led = loss(evidence, target, run.weights, smoothing=config.label_smoothing)
    return found + config.evidence * led


def _held_out_loss(run: _Run, images: Tensor, tasks: ByTask, epoch: int) -> float:
    found = loss(predict_logits(run.model, images), tasks, run.weights).item()
    if not math.isfinite(found):
        raise SolverError(
            f"the loss on the validation set is {found} in epoch {epoch - 1}",
            hint="look for images that are not finite",
        )
    return found


@torch.no_grad()
def predict_logits(model: nn.Module, images: Tensor, *, batch_size: int = 64) -> Any:
    """Return the logits (n, K) of images (n, C, N, N), on the CPU (by task, if the model has
    several).

    The model is in evaluation mode after it.
    """
    model.eval()
    device = _device(model)
    parts = [model(part.to(device)) for part in torch.split(images, batch_size)]
    if isinstance(parts[0], Tensor):
        return torch.cat([part.float().cpu() for part in parts])
    return {task: torch.cat([part[task].float().cpu() for part in parts]) for task in parts[0]}


def _out_of_patience(progress: Progress, config: TrainConfig) -> bool:
    return 0 < config.patience <= progress.epoch - 1 - progress.best_epoch


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """Give a generator of this epoch's own, seed what draws globally (dropout), and put the latter
    back after.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mixed)
        yield torch.Generator().manual_seed(mixed)


def _not_finite(value: float, epoch: int, batch: int, names: list[Any]) -> SolverError:
    listed = ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
    return SolverError(
        f"the loss is {value} in epoch {epoch}, batch {batch} (scans {listed})",
        indices=names,
        count=len(names),
        hint="a smaller learning_rate, or look at these scans",
    )


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _copied(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _digest(images: Tensor, *labels: Tensor) -> str:
    total = hashlib.sha256(str(tuple(images.shape)).encode())
    for tensor in (images, *labels):
        total.update(tensor.detach().cpu().contiguous().numpy().data)
    return total.hexdigest()[:16]
