"""`DECNN`'s small backbone with the layers that adapt: functions for its option `backbone`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from meshconv.nn.layers.adaptive_budget import levels_for_cost
from meshconv.nn.layers.adaptive_masks import edge_strength
from meshconv.nn.layers.conversion import coarsest, convert

_COST = 0.3  # nodes of the adaptive one over those of the grid
_FLOOR = 0.1  # share of the mean edge that every node has, so that a flat image is split evenly


def dynamic_stride(small: nn.Sequential, _probe: Tensor) -> nn.Module:
    """Return the stages with strides that choose where their windows land."""
    return convert(small, "dynamic_stride")


def adaptive(small: nn.Sequential, _probe: Tensor) -> nn.Module:
    """Return the stages on .3 of the nodes, those at the edges of what they see; features at the
    places, and as many, as those of the small network.
    """
    stages = [str(k) for k in range(len(small))]
    levels = len(small) - 1
    made = convert(small, "adaptive", stages=stages, mask=_AtEdges(levels))
    pool = nn.AvgPool2d(2**levels, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(made, pool)


def recalibration(small: nn.Sequential, probe: Tensor) -> nn.Module:
    """Return the stages with an attention over pixels after each norm."""
    return convert(small, "recalibration", example=probe, block=nn.Sequential)


def scale_equivariant(small: nn.Sequential, _probe: Tensor) -> nn.Module:
    """Return the stages at three scales at once, their mean at first; three times the cost."""
    made = convert(small, "scale_equivariant")
    weights = made.get_parameter("scale_weights")
    nn.init.constant_(weights, 1 / len(weights))
    return made


ADAPTED: dict[str, Callable[[nn.Sequential, Tensor], nn.Module]] = {
    "dynamic_stride": dynamic_stride,
    "adaptive": adaptive,
    "recalibration": recalibration,
    "scale_equivariant": scale_equivariant,
}


class _AtEdges(nn.Module):
    """The level map that spends the nodes at edges."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, image: Tensor, size: Sequence[int]) -> Tensor:
        if image.is_meta:
            return coarsest(image, size)
        edges = edge_strength(image.detach())
        floor = _FLOOR * edges.mean(dim=(2, 3), keepdim=True) + torch.finfo(edges.dtype).tiny
        least = 1 / 4**self.levels + 2.0 / max(size)  # blocks cut by the border cost a node too
        cost = min(1.0, max(_COST, least))
        return levels_for_cost(edges + floor, self.levels, cost, size=size)
