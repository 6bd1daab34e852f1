"""Train, validation and test parts, drawn by a seed, with what belongs together in one part."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv.errors import ArgumentError

PARTS = ("all", "train", "validation", "test")
_NOTHING = object()


def split_indices(
    n: int,
    shares: tuple[float, float],
    *,
    seed: int,
    groups: Sequence[Hashable] | NDArray[Any] | None = None,
) -> dict[str, IntArray]:
    """Return which of `n` items are in each of `PARTS`, sorted.

    Parameters
    ----------
    n : int
    shares : (float, float)
        Of train and validation; the rest is test.
    seed : int
    groups : sequence or array of n, optional
        Items of one group (a subject, a field of view) come into one part; the shares are then kept
        as far as whole groups allow.

    Raises
    ------
    ArgumentError
        If the shares are not positive with a sum below 1, `groups` has another length, or a part
        would be empty.

    Examples
    --------
    >>> parts = split_indices(10, (0.6, 0.2), seed=0, groups="aabbccddee")
    >>> [len(parts[name]) for name in PARTS]
    [10, 6, 2, 2]
    """
    if not (min(shares) > 0 and sum(shares) < 1):
        raise ArgumentError(f"shares must be positive and sum to less than 1, found {shares}")
    if groups is not None and len(groups) != n:
        raise ArgumentError(
            f"groups must have one entry for each of {n} items, found {len(groups)}"
        )
    of_item = numbered(range(n) if groups is None else groups)
    n_groups = int(of_item.max(initial=-1)) + 1
    order = np.random.default_rng([seed, 0]).permutation(n_groups)
    sizes = np.bincount(of_item)[order]
    middle = (np.cumsum(sizes) - sizes / 2) / max(n, 1)
    part_of_group = np.empty(n_groups, dtype=np.int64)
    part_of_group[order] = np.searchsorted(np.cumsum(shares), middle)
    part = part_of_group[of_item]
    for k, name in enumerate(PARTS[1:]):
        if not (part == k).any():
            raise ArgumentError(
                f"the {name} part of {n} items in {n_groups} groups is empty with shares {shares}",
                hint="more items or groups, or other shares",
            )
    return {
        "all": np.arange(n),
        **{name: np.flatnonzero(part == k) for k, name in enumerate(PARTS[1:])},
    }


def numbered(values: Iterable[Any], *, unknown: Hashable = _NOTHING) -> IntArray:
    """Number what is alike from 0 in the order in which it is first met; `unknown` ones are all
    different, (n,).

    >>> numbered(["ann", "bob", "", "ann", ""], unknown="").tolist()
    [0, 1, 2, 0, 3]
    """
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    alone = [("", k) if item == unknown else ("known", item) for k, item in enumerate(items)]
    number = {item: k for k, item in enumerate(dict.fromkeys(alone))}
    return np.array([number[item] for item in alone], dtype=np.int64)
