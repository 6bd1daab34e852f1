"""Train, validation and test parts, drawn by a seed, with what belongs together in one part."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from meshconv._check import IntArray
from meshconv.errors import ArgumentError

PARTS = ("all", "train", "validation", "test")


def split_indices(
    n: int, shares: tuple[float, float], *, seed: int, groups: Sequence[Hashable] | None = None
) -> dict[str, IntArray]:
    """Return which of `n` items are in each of `PARTS`, sorted.

    Parameters
    ----------
    n : int
    shares : (float, float)
        Of train and validation; the rest is test.
    seed : int
    groups : sequence of n, optional
        Items of one group (a subject, a field of view) come into one part; the shares are then kept as far as
        whole groups allow.

    Raises
    ------
    ArgumentError
        If the shares are not positive with a sum below 1, or `groups` has another length.

    Examples
    --------
    >>> parts = split_indices(10, (0.6, 0.2), seed=0, groups="aabbccddee")
    >>> [len(parts[name]) for name in PARTS]
    [10, 6, 2, 2]
    """
    if not (min(shares) > 0 and sum(shares) < 1):
        raise ArgumentError(f"shares must be positive and sum to less than 1, found {shares}")
    if groups is not None and len(groups) != n:
        raise ArgumentError(f"groups must have one entry for each of {n} items, found {len(groups)}")
    number = {group: k for k, group in enumerate(dict.fromkeys(groups or range(n)))}
    of_item = np.array([number[group] for group in (groups or range(n))], dtype=np.int64)
    order = np.random.default_rng([seed, 0]).permutation(len(number))
    sizes = np.bincount(of_item)[order]
    middle = (np.cumsum(sizes) - sizes / 2) / max(n, 1)
    part_of_group = np.empty(len(number), dtype=np.int64)
    part_of_group[order] = np.searchsorted(np.cumsum(shares), middle)
    part = part_of_group[of_item]
    return {"all": np.arange(n), **{name: np.flatnonzero(part == k) for k, name in enumerate(PARTS[1:])}}
