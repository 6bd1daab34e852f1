"""Level maps for content-adaptive downsampling: from edges, points, a density, a curvature, a
budget, or learned.

All return (B, 1, *S) int64 maps, constant on aligned blocks, ready for `AdaptiveNodes.from_image`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError, DensityError
from meshconv.nn.layers.adaptive_levels import MAX_LEVEL, MAX_POOL, aligned_levels, spread

_MEAN_TO: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}
_MAX_TO: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_max_pool1d,
    2: functional.adaptive_max_pool2d,
    3: functional.adaptive_max_pool3d,
}
_CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def edge_strength(image: Tensor) -> Tensor:
    """Return the gradient's magnitude, per pixel step, at its largest over the channels, (B, 1,
    *S).
    """
    gradient = torch.gradient(image, dim=list(range(2, image.ndim)))
    return torch.stack([g.square() for g in gradient]).sum(dim=0).sqrt().amax(dim=1, keepdim=True)


def levels_from_edges(
    image: Tensor,
    levels: int,
    *,
    threshold: float = 0.1,
    dilation: int = 1,
    size: Sequence[int] | None = None,
) -> Tensor:
    """Return level 0 near edges and up to `levels` away from them.

    Parameters
    ----------
    image : (B, C, *N) Tensor
    levels : int
        n, the coarsest level.
    threshold : float
        An edge has a gradient of at least this, in units of the image per pixel.
    dilation : int
        Pixels of the image by which edges are widened on every side.
    size : sequence of int, optional
        Sides S of the map, usually of the features; those of the image. A pixel is an edge if any
        in it is.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 8, 8)
    >>> image[..., 0, 0] = 1
    >>> levels_from_edges(image, 2)[0, 0, ::4, ::4].tolist()
    [[0, 2], [2, 2]]
    """
    _check_count(levels)
    edge = (edge_strength(image) >= threshold).to(torch.float32)
    dims = image.ndim - 2
    edge = MAX_POOL[dims](edge, 2 * dilation + 1, stride=1, padding=dilation)
    if size is not None:
        edge = _MAX_TO[dims](edge, tuple(size))
    return aligned_levels(levels * (edge == 0))


def levels_from_points(
    points: Tensor, levels: int, size: Sequence[int], *, radius: float
) -> Tensor:
    """Return level 0 within `radius` of a point (a landmark, say) and up to `levels` away from all.

    `points` are (B, P, d) in pixels of a map with the d sides `size`, row first; NaN where there is
    none.

    Examples
    --------
    >>> levels_from_points(torch.tensor([[[0.0, 1.0]]]), 1, (4, 4), radius=1.0)[0, 0, ::2, ::2].tolist()
    [[0, 0], [1, 1]]
    """
    _check_count(levels)
    if points.ndim != 3 or points.shape[2] != len(size):
        raise ArrayTypeError(f"points must be (B, P, {len(size)}), found {tuple(points.shape)}")
    pixels = torch.cartesian_prod(*(torch.arange(n, device=points.device) for n in size)).reshape(
        -1, len(size)
    )
    near = (torch.cdist(points, pixels.to(points.dtype)) <= radius).any(dim=1)
    return aligned_levels(levels * ~near.view(-1, 1, *size))


def levels_for_cost(
    score: Tensor, levels: int, cost: float, *, size: Sequence[int] | None = None
) -> Tensor:
    """Return the level map that spends a given number of nodes where the score is.

    From all-coarsest on, the block with the largest sum of the score is split next, until the nodes
    are spent: the nodes come to hold about equal shares of the score.

    Parameters
    ----------
    score : (B, 1, *N) Tensor
        Not negative; NaN counts as 0. Only proportions matter.
    levels : int
        n, the coarsest level.
    cost : float
        Nodes over pixels, from about 1 / 2**(n d) to 1; met from below to within 2**d - 1 nodes, in
        each sample.
    size : sequence of int, optional
        Sides S of the map; those of the score.

    Raises
    ------
    DensityError, ArgumentError
        If the score is negative or infinite, or the cost is out of reach.

    Examples
    --------
    >>> from meshconv.nn.layers.adaptive_levels import node_fraction
    >>> level = levels_for_cost(torch.rand(1, 1, 64, 64), 2, 0.3)
    >>> 0.298 < node_fraction(level).item() <= 0.3
    True
    """
    _check_count(levels)
    blocks = [_checked_score(score, size)]
    sides = blocks[0].shape[2:]
    price: list[Tensor] = []
    for _ in range(levels):
        price.append(_sum_blocks(torch.ones_like(blocks[-1])) - 1)
        blocks.append(_sum_blocks(blocks[-1]))
    budget = math.floor(cost * math.prod(sides) + 1e-9) - math.prod(blocks[-1].shape[2:])
    if budget < 0 or cost > 1:
        least = math.prod(blocks[-1].shape[2:]) / math.prod(sides)
        raise ArgumentError(
            f"cost must lie in [{least:.4g}, 1] for {levels} levels on {tuple(sides)}, found {cost!r}"
        )
    if levels == 0:
        return torch.zeros_like(blocks[0], dtype=torch.int64)
    # coarse first: a parent's sum is never below a child's, so with a stable sort parents are split
    # first
    order = torch.cat([b.flatten(1) for b in blocks[:0:-1]], dim=1).argsort(
        dim=1, descending=True, stable=True
    )
    paid = torch.cat([p.flatten(1) for p in price[::-1]], dim=1).gather(1, order).cumsum(dim=1)
    split = (
        torch.zeros_like(paid).scatter(1, order, (paid <= budget).to(paid.dtype)).to(torch.int64)
    )
    level = torch.full_like(blocks[0], levels, dtype=torch.int64)
    parts = torch.split(split, [b[0].numel() for b in blocks[:0:-1]], dim=1)
    for k, part in zip(range(levels, 0, -1), parts, strict=True):
        level -= spread(part.view(blocks[k].shape), sides, 2**k)
    return level


def levels_from_density(
    density: Tensor, levels: int, *, cost: float | None = None, size: Sequence[int] | None = None
) -> Tensor:
    """Return fine levels where a density is high: a DECNN's learned density, or a map's area
    distortion.

    Parameters
    ----------
    density : (B, 1, *N) Tensor
        Not negative; NaN counts as 0.
    levels : int
        n, the coarsest level.
    cost : float, optional
        See `levels_for_cost`. Without it a node's area is inverse to the density: level 0 at the
        maximum, one level more for every factor 2**d below it.
    size : sequence of int, optional
        Sides S of the map; those of the density.
    """
    if cost is not None:
        return levels_for_cost(density, levels, cost, size=size)
    _check_count(levels)
    rho = _checked_score(density, size)
    peak = rho.flatten(1).amax(dim=1).view(-1, *[1] * (rho.ndim - 1))
    steps = torch.log2(peak / rho) / (rho.ndim - 2)
    return aligned_levels(steps.nan_to_num(nan=0.0).clamp(0, levels).floor())


def levels_from_curvature(
    curvature: Tensor, levels: int, *, cost: float = 0.4375, size: Sequence[int] | None = None
) -> Tensor:
    """Return fine levels where the surface bends: `levels_for_cost` of the curvature's absolute
    value.

    `curvature` is (B, 1, *N), e.g. a channel of a geometry image; NaN outside the surface counts as
    flat.
    """
    return levels_for_cost(curvature.abs(), levels, cost, size=size)


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
        _check_count(levels)
        conv: Any = _CONV[dims]
        self.image = nn.Sequential(conv(in_channels, hidden, 3, padding=1), nn.ReLU())
        self.features = nn.Sequential(conv(hidden, hidden, 3, padding=1), nn.ReLU())
        self.score = conv(hidden, levels + 1, 1)
        self.levels, self.temperature, self.cost = levels, temperature, cost

    def forward(self, image: Tensor, size: Sequence[int] | None = None) -> LevelChoice:
        """Return the choice for an image (B, C, *N), on a map of sides `size` (the image's)."""
        x = self.image(image)
        size = tuple(x.shape[2:] if size is None else size)
        x = self.features(_MEAN_TO[x.ndim - 2](x, size))
        side = 2**self.levels
        coarse = tuple(-(-length // side) for length in size)
        logits = self.score(_MEAN_TO[x.ndim - 2](x, coarse)).float()
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


def _check_count(levels: int) -> None:
    if not 0 <= levels <= MAX_LEVEL:
        raise ArgumentError(f"levels must lie in [0, {MAX_LEVEL}], found {levels!r}")


def _checked_score(score: Tensor, size: Sequence[int] | None) -> Tensor:
    if not 3 <= score.ndim <= 5 or score.shape[1] != 1 or not score.is_floating_point():
        raise ArrayTypeError(
            f"score must be (B, 1, *N) floating point, found {tuple(score.shape)} {score.dtype}"
        )
    values = torch.where(score.isnan(), 0.0, score.detach()).double()
    bad = torch.nonzero(~torch.isfinite(values) | (values < 0))
    if len(bad):
        raise DensityError(
            f"score is {values[tuple(bad[0])].item()} at {bad[0].tolist()}; it must be finite and not negative",
            count=len(bad),
        )
    return values if size is None else _MEAN_TO[values.ndim - 2](values, tuple(size))


def _sum_blocks(x: Tensor) -> Tensor:
    """Return the sums over blocks of two along every axis; the last block is cut where a side is
    odd.
    """
    for axis in range(2, x.ndim):
        x = functional.pad(x, [0, 0] * (x.ndim - 1 - axis) + [0, x.shape[axis] % 2])
        x = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :]).sum(dim=axis + 1)
    return x
