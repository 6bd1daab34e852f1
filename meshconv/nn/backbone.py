"""The convolutions behind the equalized grid: the small ones, or the user's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.density_estimator import stage
from meshconv.nn.heads import over_places

Backbone = str | nn.Module | Callable[[nn.Sequential, Tensor], nn.Module]


def made_backbone(backbone: Backbone, probe: Tensor, *, width: int, coarsest: int) -> nn.Module:
    """Return the user's module as it is, or for ``small`` 3 x 3 stages from the nodes per side of
    the probe (1, C, n, n) down to the coarsest, or what the user's function makes of these.
    """
    if isinstance(backbone, nn.Module):
        return backbone
    if isinstance(backbone, str):
        one_of(backbone, ("small",), "backbone")
    stages = [stage(probe.shape[1], width, stride=1)]
    channels, nodes = width, probe.shape[-1]
    while nodes > coarsest:  # 33 -> 17 -> 9 -> 5: nodes stay on the border
        stages.append(stage(channels, 2 * width, stride=2))
        channels, nodes = 2 * width, (nodes + 1) // 2
    small = nn.Sequential(*stages)
    return small if isinstance(backbone, str) else backbone(small, probe)


@torch.no_grad()
def feature_count(backbone: nn.Module, probe: Tensor, head: str) -> int:
    """Return how many features a head sees of a backbone, by a dry run.

    Raises
    ------
    ArgumentError
        If the features have no places, and the head needs them.
    """
    was = [(module, module.training) for module in backbone.modules()]
    features: Tensor = backbone.eval()(probe)
    for module, training in was:
        module.training = training
    if head != "flatten" and features.ndim < 3:
        raise ArgumentError(
            f"head={head!r} needs features with places, found {tuple(features.shape)}"
        )
    return over_places(features, head).shape[1]
