"""Level maps: how many times each pixel is downsampled, constant on aligned blocks of 2**level
pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError

MAX_POOL: dict[int, Callable[..., Any]] = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}
MAX_LEVEL = 15


def node_fraction(level: Tensor) -> Tensor:
    """Return each map's nodes over its pixels, (B,): the cost of a layer on the nodes over the
    dense layer's.

    Examples
    --------
    >>> node_fraction(torch.ones(1, 1, 4, 4)).item()
    0.25
    """
    dims = level.ndim - 2
    first = torch.ones_like(level, dtype=torch.bool)
    within = (1 << level.to(torch.int64)) - 1
    for axis, side in enumerate(level.shape[2:]):
        along = torch.arange(side, device=level.device).view(-1, *[1] * (dims - axis - 1))
        first &= (along & within) == 0
    return first.flatten(1).double().mean(dim=1)


def aligned_levels(level: Tensor) -> Tensor:
    """Return the coarsest levels <= the given ones that are constant on aligned blocks of 2**level
    pixels.

    Parameters
    ----------
    level : (B, 1, *S) Tensor
        Integers from 0 to 15, any pattern.

    Returns
    -------
    aligned : (B, 1, *S) int64 Tensor
        The largest k with level >= k all over the pixel's aligned block of 2**k. No pixel gets
        coarser.

    Examples
    --------
    >>> aligned_levels(torch.tensor([[[[1, 1, 1, 0], [1, 1, 1, 1]]]])).tolist()
    [[[[1, 1, 0, 0], [1, 1, 0, 0]]]]
    """
    level = _as_levels(level)
    out = torch.zeros_like(level)
    lowest = -level.to(torch.float32)
    for k in range(1, coarsest(level) + 1):
        lowest = MAX_POOL[level.ndim - 2](lowest, 2, stride=2, ceil_mode=True)
        out += spread(-lowest >= k, level.shape[2:], 2**k)
    return out


def coarsest(level: Tensor) -> int:
    """Return the largest of some levels; 0 of an empty batch."""
    return int(level.max()) if len(level) else 0


def spread(blocks: Tensor, size: Iterable[int], side: int) -> Tensor:
    """Return one value per block (B, C, *blocks) repeated over its pixels (B, C, *size)."""
    for axis, length in enumerate(size, start=2):
        blocks = blocks.index_select(axis, torch.arange(length, device=blocks.device) // side)
    return blocks


def _as_levels(level: Tensor) -> Tensor:
    if not 3 <= level.ndim <= 5 or level.shape[1] != 1 or 0 in level.shape[2:]:
        raise ArrayTypeError(
            f"levels must be (B, 1) and one to three axes, found {tuple(level.shape)}"
        )
    if level.is_meta:
        raise ArgumentError(
            "levels on the meta device have no values, and nodes are where they say",
            hint="pass level= as a number or on the CPU; the image may be on meta",
        )
    whole = level.to(torch.int64)
    bad = (whole != level) | (whole < 0) | (whole > MAX_LEVEL)
    if bool(bad.any()):
        first = torch.nonzero(bad)[0].tolist()
        raise ArgumentError(
            f"levels must be integers from 0 to {MAX_LEVEL},"
            f" found {level[tuple(first)].item()} at {first}"
        )
    return whole


def checked_levels(x: Tensor, level: Tensor) -> Tensor:
    """Return the levels (B, 1, *S) of an image (B, C, *S), or say why they are none."""
    if (
        x.ndim != level.ndim
        or level.shape[2:] != x.shape[2:]
        or level.shape[0] not in (1, x.shape[0])
    ):
        raise ArrayTypeError(
            f"levels of shape {tuple(level.shape)} do not belong to an image {tuple(x.shape)}"
        )
    whole = _as_levels(level)
    differs = torch.nonzero(aligned_levels(whole) != whole)
    if len(differs):
        raise ArgumentError(
            f"level {whole[tuple(differs[0])].item()} at {differs[0].tolist()} is not constant"
            f" on its aligned block ({len(differs)} such pixels)",
            hint="use aligned_levels(level)",
        )
    return whole.expand(x.shape[0], -1, *whole.shape[2:])
