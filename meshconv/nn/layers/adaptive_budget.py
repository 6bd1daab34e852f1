"""Level maps that spend a given number of nodes, and where a score is highest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError, DensityError
from meshconv.nn.layers.adaptive_levels import MAX_LEVEL, spread

MEAN_TO: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


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
    check_count(levels)
    blocks = [checked_score(score, size)]
    sides = blocks[0].shape[2:]
    price: list[Tensor] = []
    for _ in range(levels):
        price.append(_sum_blocks(torch.ones_like(blocks[-1])) - 1)
        blocks.append(_sum_blocks(blocks[-1]))
    budget = math.floor(cost * math.prod(sides) + 1e-9) - math.prod(blocks[-1].shape[2:])
    if budget < 0 or cost > 1:
        least = math.prod(blocks[-1].shape[2:]) / math.prod(sides)
        raise ArgumentError(
            f"cost must lie in [{least:.4g}, 1] for {levels} levels on {tuple(sides)},"
            f" found {cost!r}"
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
    parts = torch.split(split, [math.prod(b.shape[2:]) for b in blocks[:0:-1]], dim=1)
    for k, part in zip(range(levels, 0, -1), parts, strict=True):
        level -= spread(part.view(blocks[k].shape), sides, 2**k)
    return level


def check_count(levels: int) -> None:
    """Refuse a coarsest level that is out of range."""
    if not 0 <= levels <= MAX_LEVEL:
        raise ArgumentError(f"levels must lie in [0, {MAX_LEVEL}], found {levels!r}")


def checked_score(score: Tensor, size: Sequence[int] | None) -> Tensor:
    """Return the score in double precision, averaged to `size`; NaN is 0."""
    if not 3 <= score.ndim <= 5 or score.shape[1] != 1 or not score.is_floating_point():
        raise ArrayTypeError(
            f"score must be (B, 1, *N) floating point, found {tuple(score.shape)} {score.dtype}"
        )
    values = torch.where(score.isnan(), 0.0, score.detach()).double()
    bad = torch.nonzero(~torch.isfinite(values) | (values < 0))
    if len(bad):
        raise DensityError(
            f"score is {values[tuple(bad[0])].item()} at {bad[0].tolist()};"
            " it must be finite and not negative",
            count=len(bad),
        )
    return values if size is None else MEAN_TO[values.ndim - 2](values, tuple(size))


def _sum_blocks(x: Tensor) -> Tensor:
    """Return the sums over blocks of two along every axis; the last block is cut where a side is
    odd.
    """
    for axis in range(2, x.ndim):
        x = functional.pad(x, [0, 0] * (x.ndim - 1 - axis) + [0, x.shape[axis] % 2])
        x = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        x = x.sum(dim=axis + 1)
    return x
