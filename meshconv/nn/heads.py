"""The linear heads of a classifier of one task or several: on pooled or flattened features, and on the image itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError

HEADS = ("flatten", "mean", "mean+max")


def class_counts(n_classes: int | Mapping[str, int]) -> dict[str, int]:
    """Return the number of classes of each task; a single task is called ``label``.

    Raises
    ------
    ArgumentError
        If there is no task, one without a class, or one whose name is no Python variable's.
    """
    tasks = {"label": n_classes} if isinstance(n_classes, int) else dict(n_classes)
    if not tasks or min(tasks.values()) < 1 or not all(task.isidentifier() for task in tasks):
        raise ArgumentError(f"n_classes must be at least 1, tasks named like Python variables, found {n_classes!r}")
    return tasks


def over_places(features: Tensor, head: str) -> Tensor:
    """Return what linear heads see of features (B, F, ...): all places, their mean, or mean and largest, (B, F')."""
    if head == "flatten":
        return features.flatten(1)
    places = features.flatten(2)
    mean = places.mean(dim=2)
    return mean if head == "mean" else torch.cat([mean, places.amax(dim=2)], dim=1)


def linear_heads(classes: Mapping[str, int], n_features: int) -> nn.ModuleDict:
    """Return a linear head for each task."""
    # "to_" because exported programs cannot hold a module called "class"
    return nn.ModuleDict({f"to_{task}": nn.Linear(n_features, k) for task, k in classes.items()})


def direct_heads(classes: Mapping[str, int], n_inputs: int) -> nn.ModuleDict:
    """Return linear heads to stand beside others, zero at first, with one output less than classes: see `added`."""
    heads = nn.ModuleDict({f"to_{task}": _ImageByImage(n_inputs, k - 1, bias=False) for task, k in classes.items()})
    for weight in heads.parameters():
        nn.init.zeros_(weight)
    return heads


class _ImageByImage(nn.Linear):
    """A linear map whose result for an image does not depend on where it stands in the batch, not even by rounding."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(self.weight.expand(x.shape[0], -1, -1), x[:, :, None])[:, :, 0]


def task_logits(features: Tensor, heads: nn.ModuleDict, *, several: bool) -> list[Tensor]:
    """Return the logits of each task; `several`: features (B T, F) are by image, and in that by task."""
    step = len(heads) if several else 1
    return [head(features[k % step :: step]) for k, head in enumerate(heads.values())]


def added(logits: Tensor, direct: Tensor) -> Tensor:
    """Return logits (B, K) plus those of a direct head, (B, K - 1), which sum to zero over the classes."""
    return logits + torch.cat([-direct.sum(dim=1, keepdim=True), direct], dim=1)
