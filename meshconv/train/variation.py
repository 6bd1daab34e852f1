"""New training images made of those that are there: noise, and differences within a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def class_variation(
    images: Tensor, strata: Tensor, n: int, *, scale: float, generator: torch.Generator
) -> Tensor:
    """Return n random multiples of differences between two images of one stratum.

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
    factor = torch.randn(n, *[1] * (images.ndim - 1), generator=generator).to(images)
    return scale * factor / math.sqrt(2) * (images[order[first]] - images[order[second]])


def noisy(
    seen: Tensor, channels: int | None, *, noise: float, generator: torch.Generator
) -> Tensor:
    """Return what a network sees, (B, ..., C, n, n), with noise on its first channels (all if
    None).
    """
    if not noise:
        return seen
    image = seen[..., :channels, :, :]
    added = torch.randn(image.shape, generator=generator).to(seen)
    return torch.cat([image + noise * added, seen[..., image.shape[-3] :, :, :]], dim=-3)
