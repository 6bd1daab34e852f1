"""The linear heads of a classifier of one task or several: on pooled or flattened features, and on
the image itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError

HEADS = ("flatten", "mean", "mean+max")
_FEW = (
    6 * 33**2
)  # inputs of a `DirectHead` up to which nothing is scaled: six channels on 33 x 33 nodes


def class_counts(n_classes: int | Mapping[str, int]) -> dict[str, int]:
    """Return the number of classes of each task; a single task is called ``label``.

    Raises
    ------
    ArgumentError
        If there is no task, one without a class, or one whose name is no Python variable's.
    """
    tasks = {"label": n_classes} if isinstance(n_classes, int) else dict(n_classes)
    if not tasks or min(tasks.values()) < 1 or not all(task.isidentifier() for task in tasks):
        raise ArgumentError(
            f"n_classes must be at least 1, tasks named like Python variables, found {n_classes!r}"
        )
    return tasks


def over_places(features: Tensor, head: str) -> Tensor:
    """Return what linear heads see of features (B, F, ...): all places, their mean, or mean and
    largest, (B, F').
    """
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
    """Return a `DirectHead` for each task."""
    return nn.ModuleDict({f"to_{task}": DirectHead(n_inputs, k) for task, k in classes.items()})


class DirectHead(nn.Module):
    """Logits (B, K), linear in images (B, D) and zero at first, to be added to others, or `set`.

    They sum to zero over the classes, since only differences count: K - 1 weights an input, on the
    axes of a simplex on which the classes are alike. A single output is a value, with a weight an
    input. Many inputs are scaled down, so that a step of Adam, which moves each weight as far,
    moves the logits no further than with few. Images are taken one by one, so that the order of a
    batch changes no result, not even by rounding.
    """

    contrast: Tensor
    level: Tensor

    def __init__(self, n_inputs: int, n_classes: int) -> None:
        super().__init__()
        self.scale = min(1.0, _FEW / n_inputs)
        self.weight = nn.Parameter(torch.zeros(max(n_classes - 1, 1), n_inputs))
        self.register_buffer("contrast", _simplex(n_classes), persistent=False)
        self.register_buffer("level", torch.zeros(len(self.weight)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        along = torch.bmm(self.weight.expand(x.shape[0], -1, -1), x[:, :, None])[:, :, 0]
        along = self.scale * along + self.level.to(along.dtype)
        return functional.linear(along, self.contrast.to(along.dtype))

    @torch.no_grad()
    def set(self, weights: Tensor, level: Tensor) -> None:
        """Give images the places ``x @ weights + level`` on the axes of `contrast`, (D, K - 1) and
        (K - 1,).
        """
        self.weight.copy_(weights.T / self.scale)
        self.level.copy_(level)


def _simplex(k: int) -> Tensor:
    """Return the corners (k, k - 1) of a regular simplex around 0 with sides of length 2: 1 and -1
    for two; 1 for one, which is compared with nothing.
    """
    if k == 1:
        return torch.ones(1, 1)
    below = torch.tril(torch.ones(k, k))[: k - 1]  # row j: j + 1 ones
    step = torch.arange(1.0, k)[:, None]
    axes = torch.where(torch.arange(k) == step, -step, below)
    return (axes / torch.sqrt((step**2 + step) / 2)).T.contiguous()


def task_logits(features: Tensor, heads: nn.ModuleDict, *, several: bool) -> list[Tensor]:
    """Return the logits of each task; `several`: features (B T, F) are by image, and in that by
    task.
    """
    step = len(heads) if several else 1
    return [head(features[k % step :: step]) for k, head in enumerate(heads.values())]


def added(
    logits: Tensor | dict[str, Tensor], more: Tensor | dict[str, Tensor] | None
) -> Tensor | dict[str, Tensor]:
    """Return the sum of two logits, of one task or by task, in the dtype of the first. Of a
    measure, one value, the first alone: evidence for classes adds up, but two estimates of a
    measure would be twice as much.
    """
    if more is None:
        return logits
    if isinstance(logits, Tensor):
        measure = logits.shape[1] == 1
        return logits if measure else logits + cast(Tensor, more).to(logits.dtype)
    other = cast(dict[str, Tensor], more)
    return {task: cast(Tensor, added(one, other[task])) for task, one in logits.items()}
