"""New training images made of those that are there: noise, and differences within a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from meshconv.train.ranks import Share
from meshconv.train.two_stage import Images


def class_variation(
    images: Images,
    strata: Tensor,
    n: int,
    *,
    scale: float,
    generator: torch.Generator,
    rows: slice = slice(None),
) -> Tensor:
    """Return n random multiples of differences between two images of one stratum; of them some
    rows.

    What is added has `scale` times the standard deviation of the images within their stratum: a
    difference of two has twice their variance, which the factor of each halves.
    """
    number = strata.cpu()
    order = torch.argsort(number, stable=True)
    first = torch.randint(len(number), (n,), generator=generator)  # places in the order by stratum
    count = torch.bincount(number)
    own = number[order[first]]
    start, among = (count.cumsum(0) - count)[own], count[own]
    second = start + (torch.rand(n, generator=generator) * among).long().minimum(among - 1)
    factor = torch.randn(n, *[1] * (images.ndim - 1), generator=generator)
    one, other = (images[order[place[rows]]] for place in (first, second))
    return scale * factor[rows].to(one) / math.sqrt(2) * (one - other)


def noisy(
    seen: Tensor,
    channels: int | None,
    *,
    noise: float,
    generator: torch.Generator,
    share: Share | None = None,
) -> Tensor:
    """Return what a network sees, (B, ..., C, n, n), with noise on its first channels (all if
    None); drawn for the whole batch, if it is a share of one.
    """
    if not noise:
        return seen
    image = seen[..., :channels, :, :]
    rows, whole = (slice(None), len(seen)) if share is None else (share.rows, share.whole)
    added = torch.randn((whole, *image.shape[1:]), generator=generator)[rows].to(seen)
    return torch.cat([image + noise * added, seen[..., image.shape[-3] :, :, :]], dim=-3)
