"""The training loop: read it from top to bottom.

Everything random in epoch e comes from generators seeded by (seed, e), so a run that is resumed
after any epoch is, on the CPU, the unbroken run bit for bit.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError, SolverError
from meshconv.nn.decnn import DECNN
from meshconv.train.config import TrainConfig
from meshconv.train.progress import Progress, State, restore, store

Labels = Tensor | Mapping[str, Tensor]  # of one task, or of several by name


def train(
    model: nn.Module,
    images: Tensor,
    labels: Labels,
    *,
    config: TrainConfig,
    names: Sequence[str] = (),
    validation: tuple[Tensor, Labels] | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
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
    tasks = _by_task(labels, images)
    if isinstance(model, DECNN):
        model.unsettle()  # by an earlier run
    optimizer = _optimizer(model, config)
    progress = Progress()
    head = {"train": config.as_dict(), "data": _digest(images, *tasks.values()), **(identity or {})}
    if validation is not None:
        held = _by_task(validation[1], validation[0])
        head["validation"] = _digest(validation[0], *held.values())
    if checkpoint is not None and Path(checkpoint).exists():
        progress = restore(checkpoint, model, optimizer, head)
    weights = {task: _class_weights(values, config) for task, values in tasks.items()}
    settled: Tensor | None = None
    while progress.epoch < config.epochs and not _out_of_patience(progress, config):
        epoch = progress.epoch
        if settled is None and isinstance(model, DECNN) and _density_done(model, epoch, config):
            settled = _settled(model, images if augment is None else None)
        seen = (images, False) if settled is None else (settled, True)
        with _seeded(config.seed, epoch, _device(model)) as generator:
            loss = _train_epoch(
                model, optimizer, seen, tasks, weights, config, epoch, generator, augment, names
            )
        progress.losses.append(loss)
        if validation is not None:
            progress.validation_losses.append(
                _loss(predict_logits(model, validation[0]), held, weights, 0.0).item()
            )
            if not math.isfinite(progress.validation_losses[-1]):
                raise SolverError(
                    f"the loss on the validation set is {progress.validation_losses[-1]} in epoch {epoch}",
                    hint="look for images that are not finite",
                )
        if validation is None or progress.validation_losses[-1] <= min(progress.validation_losses):
            progress.best_epoch, progress.best = epoch, _copied(model)
        if checkpoint is not None:
            store(checkpoint, model, optimizer, progress, head)
        if on_epoch is not None:
            on_epoch(progress)
    model.load_state_dict(progress.best)
    model.eval()
    return progress


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    seen: tuple[Tensor, bool],
    tasks: State,
    weights: State,
    config: TrainConfig,
    epoch: int,
    generator: torch.Generator,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None,
    names: Sequence[str],
) -> float:
    model.train()
    images, settled = seen
    device, total, strata = _device(model), 0.0, _strata(tasks)
    order = torch.randperm(len(strata), generator=generator)
    batches = order.tensor_split(math.ceil(len(order) / config.batch_size))
    for k, batch in enumerate(batches):
        _set_rate(optimizer, config, epoch + k / len(batches))
        x = images[batch]
        if augment is not None:
            x = augment(x, generator)
        if config.variation:
            x = x + _variation(images, strata, len(batch), config.variation, generator)
        with torch.autocast(
            device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"
        ):
            logits, evidence = _logits(model, x.to(device), settled, config.noise, generator)
        if k == 0:
            _check_classes(logits, tasks)
        target = {task: values[batch] for task, values in tasks.items()}
        loss = _loss(logits, target, weights, config.label_smoothing)
        if evidence is not None:
            loss = loss + config.evidence * _loss(evidence, target, weights, config.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            raise _not_finite(
                value, epoch, k, [names[int(j)] for j in batch] if len(names) else batch.tolist()
            )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += value * len(batch)
    return total / len(order)


def _density_done(model: DECNN, epoch: int, config: TrainConfig) -> bool:
    return epoch >= config.density_epochs or not model.density.logits.requires_grad


@torch.no_grad()
def _settled(model: DECNN, images: Tensor | None, *, batch_size: int = 64) -> Tensor | None:
    """Fix a shared density and return the images on the equalized grid.

    None where each image has a density of its own, or there are none that stay as they are.
    """
    if not model.settle() or images is None:
        return None
    device = _device(model)
    return torch.cat(
        [
            model.equalize(part.to(device)).to(images.device)
            for part in torch.split(images, batch_size)
        ]
    )


def _logits(
    model: nn.Module, x: Tensor, settled: bool, noise: float, generator: torch.Generator
) -> tuple[Tensor | State, Tensor | State | None]:
    """Return the logits of a batch, noise added to what the network sees (a DECNN: on the equalized
    grid).

    And those of the evidence of each image's own density, if there is one.
    """
    n_channels, evidence = x.shape[1], None
    classify: Callable[[Tensor], Any] = model
    if isinstance(model, DECNN):
        n_channels, classify = model.seen_channels, model.classify  # no noise on the coordinates
        x, evidence = (x, None) if settled else model.equalize_with_evidence(x)
    if noise:
        added = torch.randn((len(x), n_channels, *x.shape[2:]), generator=generator).to(x)
        x = torch.cat([x[:, :n_channels] + noise * added, x[:, n_channels:]], dim=1)
    return classify(x), evidence


def _variation(
    images: Tensor, labels: Tensor, n: int, scale: float, generator: torch.Generator
) -> Tensor:
    """Return n random multiples of differences between two images of one class."""
    order = torch.argsort(labels.cpu(), stable=True)
    first = torch.randint(len(labels), (n,), generator=generator)  # places in the order by class
    count = torch.bincount(labels.cpu())
    start = (count.cumsum(0) - count)[labels.cpu()[order[first]]]
    among = count[labels.cpu()[order[first]]]
    second = start + (torch.rand(n, generator=generator) * among).long().minimum(among - 1)
    share = scale * torch.randn(n, 1, 1, 1, generator=generator).to(images) / math.sqrt(2)
    return share * (images[order[first]] - images[order[second]])


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


def _named(values: Tensor | Mapping[str, Tensor]) -> State:
    """Return values by task; a single task has no name."""
    return {"": values} if isinstance(values, Tensor) else dict(values)


def _by_task(labels: Labels, images: Tensor) -> State:
    """Return the labels by task, checked."""
    tasks = _named(labels)
    if not len(images) or not tasks:
        raise ArgumentError(f"there is nothing to learn: {len(images)} images, {len(tasks)} tasks")
    for task, values in tasks.items():
        name = f"labels of {task!r}" if task else "labels"
        if values.dtype != torch.int64 or values.shape != images.shape[:1]:
            raise ArrayTypeError(
                f"{name} must be ({len(images)},) int64, one an image, found {tuple(values.shape)} {values.dtype}"
            )
        if int(values.min()) < 0:
            raise ArgumentError(f"{name} must be 0..K-1, found {int(values.min())}")
    return tasks


def _check_classes(logits: Tensor | State, tasks: State) -> None:
    """Refuse labels that the network has no class for, and tasks that it does not have."""
    by_task = _named(logits)
    if set(by_task) != set(tasks):
        raise ArgumentError(
            f"the network has tasks {sorted(by_task)}, the labels are of {sorted(tasks)}"
        )
    for task, values in tasks.items():
        top, k = int(values.max()), by_task[task].shape[1]
        if top >= k:
            raise ArgumentError(
                f"the network has {k} classes{f' of {task!r}' if task else ''}, found label {top}"
            )


def _strata(tasks: State) -> Tensor:
    """Number the combinations of labels: images of one stratum are alike in every task."""
    together = torch.stack([values.cpu() for values in tasks.values()])
    return torch.unique(together, dim=1, return_inverse=True)[1]


def _loss(logits: Tensor | State, tasks: State, weights: State, smoothing: float) -> Tensor:
    losses = [
        functional.cross_entropy(
            z.float(),
            tasks[task].to(z.device),
            weight=weights[task].to(z.device),
            label_smoothing=smoothing,
        )
        for task, z in _named(logits).items()
    ]
    return torch.stack(losses).sum()


def _class_weights(labels: Tensor, config: TrainConfig) -> Tensor:
    count = torch.bincount(labels.cpu()).float()
    if config.class_weights == "none":
        return torch.ones_like(count)
    return len(labels) / (len(count) * count.clamp_min(1))


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; what has one axis (biases, norms) and the density are not pulled towards zero."""
    named = list(
        model.named_parameters()
    )  # fixed ones too, so that a checkpoint fits whatever is fixed now
    free = [p for name, p in named if p.ndim < 2 or name.startswith("density.")]
    pulled = [p for name, p in named if not (p.ndim < 2 or name.startswith("density."))]
    groups = [
        {"params": pulled, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate
    )


def _set_rate(optimizer: torch.optim.Optimizer, config: TrainConfig, epoch: float) -> None:
    """Linear over the first epoch, then a cosine down to zero: a function of the epoch, so nothing
    to store.
    """
    warm = min(1.0, 0.1 + 0.9 * epoch)
    rate = config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    for group in optimizer.param_groups:
        group["lr"] = rate


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
