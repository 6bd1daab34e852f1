"""The training loop: read it from top to bottom.

Everything random in epoch e comes from generators seeded by (seed, e), so a run that is resumed
after any epoch is, on the CPU, the unbroken run bit for bit. Several processes (`Ranks`) run it
side by side, each on a share of every batch; the first writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError, SolverError
from meshconv.train.config import TrainConfig
from meshconv.train.labels import ByTask, Labels, by_task, checked_labels, loss
from meshconv.train.optimizer import set_rate
from meshconv.train.progress import Progress, State, restore, store
from meshconv.train.run import Augment, Run, device_of, digest
from meshconv.train.two_stage import Images

_ALIKE = 4  # convolutions on the CPU round alike in batches of any multiple of this many


def train(
    model: nn.Module,
    images: Images,
    labels: Labels,
    *,
    config: TrainConfig,
    sample_weight: Tensor | None = None,
    names: Sequence[str] = (),
    validation: tuple[Images, Labels] | None = None,
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
    images : (n, C, N, N) float32 Tensor, or an object that gives the rows asked for as one
        Standardized; on any device.
    labels : (n,) int64 or float32 Tensor, or a mapping of task to such
        Classes 0..K-1, or a measure, of which the model gives one value, (B, 1), best standardized.
        With several tasks the model gives outputs by task, and their losses are added.
    config : TrainConfig
    sample_weight : (n,) float32 Tensor, optional
        How much each image weighs in the loss.
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
        If labels are not one int64 or float32 an image.
    """
    if config.patience and validation is None:
        raise ArgumentError("patience needs a validation set", hint="patience=0, or give one")
    tasks = checked_labels(labels, images)
    run = Run.of(model, images, tasks, config, sample_weight, names, augment)
    held = None if validation is None else (validation[0], checked_labels(*validation[::-1]))
    run.look.unsettle()  # what an earlier run settled
    head = {**run.head(), **(identity or {})}
    if held is not None:
        head["validation"] = digest(held[0], *held[1].values())
    progress = _taken_up(run, checkpoint, head)
    seen: Tensor | None = None  # by a density that is fixed: worked out once
    while progress.epoch < config.epochs and not _out_of_patience(progress, config):
        seen = run.settled(progress.epoch) if seen is None else seen
        progress.losses.append(_one_epoch(run, seen, progress.epoch))
        if held is not None:
            progress.validation_losses.append(_held_out_loss(run, *held, progress.epoch))
        if held is None or progress.validation_losses[-1] <= min(progress.validation_losses):
            progress.best_epoch, progress.best = progress.epoch - 1, _copied(model)
        if checkpoint is not None and run.ranks.leads:
            store(checkpoint, model, run.optimizer, progress, head)
        if on_epoch is not None:
            on_epoch(progress)
    model.load_state_dict(progress.best)
    model.eval()
    return progress


def _one_epoch(run: Run, seen: Tensor | None, epoch: int) -> float:
    """Train one epoch, and return its mean loss."""
    run.model.train()
    n, total = len(run.images), 0.0
    with _seeded(run.config.seed, epoch, device_of(run.model)) as generator:
        order = torch.randperm(n, generator=generator)
        batches = order.tensor_split(math.ceil(n / run.config.batch_size))
        for k, batch in enumerate(batches):
            set_rate(run.optimizer, run.config, epoch + k / len(batches))
            share = run.ranks.share(len(batch))
            x = run.batch(seen, batch, share, generator)
            with run.ranks.as_one(share):
                found = run.loss(x, batch, share, settled=seen is not None, generator=generator)
            value = run.ranks.summed(found).item()
            if not math.isfinite(value):
                raise _not_finite(value, epoch, k, run.named(batch))
            run.optimizer.zero_grad()
            torch.autograd.backward(found)
            run.ranks.sum_gradients(run.model)
            run.optimizer.step()
            total += value * len(batch)
    return total / n


def _held_out_loss(run: Run, images: Images, tasks: ByTask, epoch: int) -> float:
    """Return the loss of images that are not learned from, made up as that of those that are."""

    def said(x: Tensor) -> dict[Any, Tensor]:
        seen, evidence = run.look.equalize_with_evidence(x)
        each = {"": run.look.classify(seen)} | ({} if evidence is None else {"led": evidence})
        return {(of, task): z for of, own in each.items() for task, z in by_task(own).items()}

    def measured() -> float:
        found, total = predict_logits(run.model, images, of=said), 0.0
        for of, share in (("", 1.0), ("led", run.config.evidence)):
            logits = {task: z for (one, task), z in found.items() if one == of}
            total += share * loss(logits, tasks, run.weights).item() if logits else 0.0
        return total

    found = run.ranks.from_first(measured)
    if not math.isfinite(found):
        raise SolverError(
            f"the loss on the validation set is {found} in epoch {epoch - 1}",
            hint="look for images that are not finite",
        )
    return found


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    images: Images,
    *,
    batch_size: int = 64,
    of: Callable[[Tensor], Any] | None = None,
) -> Any:
    """Return the logits (n, K) of images (n, C, N, N), on the CPU (by task, if the model has
    several): what the model gives of a batch, or `of`.

    The model is in evaluation mode after it. What is said of an image does not depend on how many
    others are asked about.
    """
    model.eval()
    device, said = device_of(model), of or model

    def logits(x: Tensor) -> Any:
        last = x[-1:].expand(-len(x) % _ALIKE, *x.shape[1:])
        whole = torch.cat([x, last]).to(device)
        found = said(whole)
        if isinstance(found, Tensor):
            return found[: len(x)].float().cpu()
        return {task: part[: len(x)].float().cpu() for task, part in found.items()}

    starts = range(0, max(len(images), 1), batch_size)
    parts = [logits(images[k : k + batch_size]) for k in starts]
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    return {task: torch.cat([part[task] for part in parts]) for task in parts[0]}


def _taken_up(
    run: Run, checkpoint: str | PathLike[str] | None, head: Mapping[str, Any]
) -> Progress:
    """Return how far the run has come, and bring every rank's model and optimizer to there."""

    def restored() -> tuple[Progress, dict[str, Any]]:
        found = Progress()
        if checkpoint is not None and Path(checkpoint).exists():
            found = restore(checkpoint, run.model, run.optimizer, head)
        return found, run.optimizer.state_dict()

    progress, state = run.ranks.from_first(restored)
    run.ranks.copy_from_first(run.model)
    if not run.ranks.leads:
        run.optimizer.load_state_dict(state)
    return progress


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


def _copied(model: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
