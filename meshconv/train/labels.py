"""Labels of one task or of several: checked against the images and the network, weighed, and
scored.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.sample import full_precision
from meshconv.train.config import TrainConfig
from meshconv.train.two_stage import Images

Labels = Tensor | Mapping[str, Tensor]  # of one task, or of several by name
ByTask = dict[str, Tensor]


def by_task(values: Labels) -> ByTask:
    """Return values by task; a single task has no name."""
    return {"": values} if isinstance(values, Tensor) else dict(values)


def checked_labels(labels: Labels, images: Images) -> ByTask:
    """Return the labels by task.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If there is no image or no task, labels are not one int64 an image, or one is negative.
    """
    tasks = by_task(labels)
    if not len(images) or not tasks:
        raise ArgumentError(f"there is nothing to learn: {len(images)} images, {len(tasks)} tasks")
    for task, values in tasks.items():
        name = f"labels of {task!r}" if task else "labels"
        if values.dtype != torch.int64 or tuple(values.shape) != (len(images),):
            raise ArrayTypeError(
                f"{name} must be ({len(images)},) int64, one an image,"
                f" found {tuple(values.shape)} {values.dtype}"
            )
        if int(values.min()) < 0:
            raise ArgumentError(f"{name} must be 0..K-1, found {int(values.min())}")
    return tasks


def check_classes(logits: Labels, tasks: ByTask) -> None:
    """Refuse labels that the network has no class for, and tasks that it does not have."""
    known = by_task(logits)
    if set(known) != set(tasks):
        raise ArgumentError(
            f"the network has tasks {sorted(known)}, the labels are of {sorted(tasks)}"
        )
    for task, values in tasks.items():
        top, k = int(values.max()), known[task].shape[1]
        if top >= k:
            raise ArgumentError(
                f"the network has {k} classes{f' of {task!r}' if task else ''}, found label {top}"
            )


def strata(tasks: ByTask) -> Tensor:
    """Number the combinations of labels: images of one stratum are alike in every task."""
    together = torch.stack([values.cpu() for values in tasks.values()])
    return torch.unique(together, dim=1, return_inverse=True)[1]


def class_weights(tasks: ByTask, config: TrainConfig) -> ByTask:
    """Return the weight of each class of each task: 1, or so that all classes weigh alike."""
    weights = {}
    for task, labels in tasks.items():
        count = torch.bincount(labels.cpu()).float()
        even = len(labels) / (len(count) * count.clamp_min(1))
        weights[task] = torch.ones_like(count) if config.class_weights == "none" else even
    return weights


def loss(
    logits: Labels,
    tasks: ByTask,
    weights: ByTask,
    *,
    smoothing: float = 0.0,
    parts: Mapping[str, float] | None = None,
) -> Tensor:
    """Return the cross entropy, summed over the tasks; times the part of a batch that these are of
    each task, see `parts_of`.
    """
    losses = [
        functional.cross_entropy(
            full_precision(z),
            tasks[task].to(z.device),
            weight=weights[task].to(full_precision(z)),
            label_smoothing=smoothing,
        )
        * (1.0 if parts is None else parts[task])
        for task, z in by_task(logits).items()
    ]
    return torch.stack(losses).sum()


def parts_of(whole: ByTask, weights: ByTask, rows: slice) -> dict[str, float]:
    """Return what some rows of a batch weigh of the whole, by task: exactly 1 if they are all.

    >>> labels, weights = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 3.0])
    >>> parts_of({"": labels}, {"": weights}, slice(0, 3))
    {'': 0.625}
    """
    found = {}
    for task, labels in whole.items():
        each = weights[task][labels.cpu()].double()
        found[task] = float(each[rows].sum() / each.sum())
    return found
