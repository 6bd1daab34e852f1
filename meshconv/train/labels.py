"""What is learned of one task or of several, classes or measures: checked against the images and
the network, weighed, and scored.
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

_ALIKE = 8  # images of about the same measures that are one stratum


def by_task(values: Labels) -> ByTask:
    """Return values by task; a single task has no name."""
    return {"": values} if isinstance(values, Tensor) else dict(values)


def checked_labels(labels: Labels, images: Images) -> ByTask:
    """Return the labels by task: whole numbers are classes, floating ones are measures.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If there is no image or no task, labels are neither one int64 nor one float32 an image, a
        class is negative, or a measure is not finite.
    """
    tasks = by_task(labels)
    if not len(images) or not tasks:
        raise ArgumentError(f"there is nothing to learn: {len(images)} images, {len(tasks)} tasks")
    for task, values in tasks.items():
        name = f"labels of {task!r}" if task else "labels"
        known = values.dtype in (torch.int64, torch.float32)
        if not known or tuple(values.shape) != (len(images),):
            raise ArrayTypeError(
                f"{name} must be ({len(images)},) int64, one an image,"
                f" found {tuple(values.shape)} {values.dtype}",
                hint="float32 for measures",
            )
        if not torch.isfinite(values).all():
            raise ArgumentError(f"{name} must be finite")
        if not values.is_floating_point() and int(values.min()) < 0:
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
        k, of = known[task].shape[1], f" of {task!r}" if task else ""
        if values.is_floating_point():
            if k != 1:
                raise ArrayTypeError(
                    f"the network has {k} classes{of}, the labels are float32, a measure"
                )
        elif int(values.max()) >= k:
            raise ArgumentError(f"the network has {k} classes{of}, found label {int(values.max())}")


def strata(tasks: ByTask) -> Tensor:
    """Number the combinations of labels: images of one stratum are alike in every task.

    Measures are alike if about as many images lie below them.
    """
    measures = [values for values in tasks.values() if values.is_floating_point()]
    parts = [values.cpu() for values in tasks.values() if not values.is_floating_point()]
    if measures:
        n = len(measures[0])
        bins = max(1, int((n / _ALIKE) ** (1 / len(measures))))
        ranks = [torch.argsort(torch.argsort(values.cpu(), stable=True)) for values in measures]
        parts += [rank * bins // n for rank in ranks]
    return torch.unique(torch.stack(parts), dim=1, return_inverse=True)[1]


def class_weights(tasks: ByTask, config: TrainConfig) -> ByTask:
    """Return the weight of each class of each task: 1, as asked for, or so that all classes weigh
    alike; nothing of a measure.
    """
    weights, asked = {}, config.class_weight
    for task, labels in tasks.items():
        if labels.is_floating_point():
            continue
        count = torch.bincount(labels.cpu()).float()
        if isinstance(asked, Mapping):
            given = [float(asked.get(k, 1.0)) for k in range(len(count))]
            weights[task] = torch.tensor(given)
        elif asked is None:
            weights[task] = torch.ones_like(count)
        else:
            weights[task] = len(labels) / (len(count) * count.clamp_min(1))
    return weights


def loss(
    logits: Labels,
    tasks: ByTask,
    weights: ByTask,
    *,
    smoothing: float = 0.0,
    sample_weight: Tensor | None = None,
    parts: Mapping[str, float] | None = None,
) -> Tensor:
    """Return the loss, summed over the tasks: cross entropy of classes, half the mean square of
    measures; of images, the mean by their weight; times the part of a batch that these are of each
    task, see `parts_of`.
    """
    losses = []
    for task, z in by_task(logits).items():
        outputs, target = full_precision(z), tasks[task].to(z.device)
        if target.is_floating_point():
            each = (outputs[:, 0] - target.to(outputs)) ** 2 / 2
        else:
            of_class = weights[task].to(outputs)
            each = functional.cross_entropy(
                outputs, target, of_class, label_smoothing=smoothing, reduction="none"
            )
        weight = _row_weights(target, weights.get(task), sample_weight).to(each)
        own = each if sample_weight is None else each * sample_weight.to(each)
        total = weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)  # of no weight: a loss of 0
        losses.append(own.sum() / total * (1.0 if parts is None else parts[task]))
    return torch.stack(losses).sum()


def _row_weights(labels: Tensor, of_class: Tensor | None, sample_weight: Tensor | None) -> Tensor:
    """Return what each image weighs, (n,)."""
    rows = labels.cpu()
    each = torch.ones(len(rows)) if of_class is None else of_class.cpu()[rows]
    return each if sample_weight is None else each * sample_weight.cpu()


def parts_of(
    whole: ByTask, weights: ByTask, rows: slice, sample_weight: Tensor | None = None
) -> dict[str, float]:
    """Return what some rows of a batch weigh of the whole, by task: exactly 1 if they are all.

    >>> labels, weights = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 3.0])
    >>> parts_of({"": labels}, {"": weights}, slice(0, 3))
    {'': 0.625}
    """
    found = {}
    for task, labels in whole.items():
        each = _row_weights(labels, weights.get(task), sample_weight).double()
        found[task] = float(each[rows].sum() / each.sum())
    return found
