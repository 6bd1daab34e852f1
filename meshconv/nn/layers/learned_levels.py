"""Level maps that a small network chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError
from meshconv.nn.layers.adaptive_budget import MEAN_TO, check_count, levels_for_cost
from meshconv.nn.layers.adaptive_levels import spread

_CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class LevelChoice(NamedTuple):
    """A level map with its one-hot gates.

    Attributes
    ----------
    level : (B, 1, *S) int64
    gates : (B, n + 1, *S) float
        1 at the pixel's level, 0 elsewhere; in training its gradient is the soft sample's.
    """

    level: Tensor
    gates: Tensor

    @property
    def fraction_low(self) -> Tensor:
        """Mean of level / n: the share of pixels downsampled, for n = 1; differentiable in
        training.
        """
        n = self.gates.shape[1] - 1
        steps = torch.arange(n + 1, device=self.gates.device, dtype=self.gates.dtype) / n
        return self.gates.transpose(1, -1).mul(steps).sum(dim=-1).mean()


class LearnedLevels(nn.Module):
    """A small convolutional head that chooses the level of every aligned block of 2**n pixels.

    In training a straight-through Gumbel-softmax sample; in evaluation the most probable level, or,
    with `cost`, the budgeted map of the probability of being fine. Evaluation draws nothing.

    Parameters
    ----------
    in_channels : int
        Of the image.
    levels : int
        n.
    hidden : int
        Channels of the head.
    temperature : float
        Of the Gumbel-softmax.
    cost : float, optional
        Nodes over pixels to spend in evaluation, see `levels_for_cost`.
    dims : int
        Axes of the image.
    """

    def __init__(
        self,
        in_channels: int,
        levels: int = 1,
        *,
        hidden: int = 16,
        temperature: float = 1.0,
        cost: float | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        if levels < 1:
            raise ArgumentError(f"there must be a level to choose, found levels={levels!r}")
        check_count(levels)
        conv: Any = _CONV[dims]
        self.image = nn.Sequential(conv(in_channels, hidden, 3, padding=1), nn.ReLU())
        self.features = nn.Sequential(conv(hidden, hidden, 3, padding=1), nn.ReLU())
        self.score = conv(hidden, levels + 1, 1)
        self.levels, self.temperature, self.cost = levels, temperature, cost

    def forward(self, image: Tensor, size: Sequence[int] | None = None) -> LevelChoice:
        """Return the choice for an image (B, C, *N), on a map of sides `size` (the image's)."""
        x = self.image(image)
        size = tuple(x.shape[2:] if size is None else size)
        x = self.features(MEAN_TO[x.ndim - 2](x, size))
        side = 2**self.levels
        coarse = tuple(-(-length // side) for length in size)
        logits = self.score(MEAN_TO[x.ndim - 2](x, coarse)).float()
        if self.training:
            gates = functional.gumbel_softmax(logits, self.temperature, hard=True, dim=1)
        elif self.cost is None:
            gates = _one_hot(logits.argmax(dim=1, keepdim=True), self.levels)
        else:
            fine = logits.softmax(dim=1)[:, :1]
            level = levels_for_cost(spread(fine, size, side), self.levels, self.cost)
            return LevelChoice(level, _one_hot(level, self.levels))
        gates = spread(gates, size, side)
        return LevelChoice(gates.argmax(dim=1, keepdim=True), gates)


def cost_penalty(fraction_low: Tensor, target: float = 0.5) -> Tensor:
    """Return (fraction_low - target)**2, to be added to the task's loss."""
    return (fraction_low - target).square()


def _one_hot(level: Tensor, levels: int) -> Tensor:
    return torch.cat([level == k for k in range(levels + 1)], dim=1).to(torch.float32)
