"""The convolutions behind the equalized grid: the small ones, or the user's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.density_estimator import stage
from meshconv.nn.heads import over_places


def made_backbone(
    backbone: str | nn.Module, in_channels: int, *, width: int, sides: tuple[int, int]
) -> nn.Module:
    """Return the user's module as it is, or for ``small`` 3 x 3 stages from so many nodes per side
    down to so few.
    """
    if isinstance(backbone, nn.Module):
        return backbone
    one_of(backbone, ("small",), "backbone")
    stages = [stage(in_channels, width, stride=1)]
    channels, (nodes, coarsest) = width, sides
    while nodes > coarsest:  # 33 -> 17 -> 9 -> 5: nodes stay on the border
        stages.append(stage(channels, 2 * width, stride=2))
        channels, nodes = 2 * width, (nodes + 1) // 2
    return nn.Sequential(*stages)


@torch.no_grad()
def feature_count(backbone: nn.Module, probe: Tensor, head: str) -> int:
    """Return how many features a head sees of a backbone, by a dry run.

    Raises
    ------
    ArgumentError
        If the features have no places, and the head needs them.
    """
    was = backbone.training
    features: Tensor = backbone.eval()(probe)
    backbone.train(was)
    if head != "flatten" and features.ndim < 3:
        raise ArgumentError(
            f"head={head!r} needs features with places, found {tuple(features.shape)}"
        )
    return over_places(features, head).shape[1]
