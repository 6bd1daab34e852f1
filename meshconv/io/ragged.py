"""Lists of different lengths one after the other: in arrays of numbers, and in packed bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv._compiled import compiled


def spread(starts: IntArray, counts: IntArray) -> IntArray:
    """Return the indices start, start+1, ... (count of them) for every start, one after the other,
    as narrow as the starts.
    """
    out = np.empty(int(counts.sum()), starts.dtype)
    _spread(starts, counts, out)
    return out


def _plain_spread(starts: NDArray[Any], counts: NDArray[Any], out: NDArray[Any]) -> None:
    before = np.cumsum(counts) - counts
    np.add(np.repeat(starts - before, counts), np.arange(len(out)), out=out)


@compiled(plain=_plain_spread, small=np.inf)
def _spread(starts: NDArray[Any], counts: NDArray[Any], out: NDArray[Any]) -> None:
    at = 0
    for k in range(len(starts)):
        for j in range(counts[k]):
            out[at] = starts[k] + j
            at += 1


@compiled(small=300_000)
def split_counted(flat: NDArray[Any], counts: NDArray[Any]) -> tuple[int, Any]:
    """Fill `counts` (n,) from lists that each begin with their length: count, item, item, count ...

    Return the first list that does not fit (or -1), and how many numbers were read.
    """
    at = np.int64(0)
    for k in range(len(counts)):
        if at >= len(flat) or flat[at] < 0 or flat[at] > len(flat) - at - 1:
            return k, at
        counts[k] = flat[at]
        at += np.int64(flat[at]) + 1
    return -1, at


@compiled(by=6)
def walk_rows(
    data: NDArray[Any],
    start: int,
    big: bool,
    count_size: NDArray[Any],
    signed: NDArray[Any],
    item_size: NDArray[Any],
    starts: NDArray[Any],
) -> tuple[int, int]:
    """Fill `starts` (n,) with the byte offsets of packed rows; return the row that does not fit, or
    -1, and where the last one ends.

    Property p is a list with counts of count_size[p] bytes, or a scalar if count_size[p] is 0.
    """
    at, n = start, len(data)
    for row in range(len(starts)):
        starts[row] = at
        for p in range(len(item_size)):
            many, size = np.int64(1), count_size[p]
            if size > 0:
                if at + size > n:
                    return row, at
                many = _count(data, at, size, big, signed[p])
                at += size
            if many < 0 or many > (n - at) // item_size[p]:
                return row, at
            at += many * item_size[p]
    return -1, at


@compiled(small=np.inf)
def _count(data: NDArray[Any], at: int, size: int, big: bool, signed: bool) -> Any:
    """Return a list's length, -1 if it is negative or beyond any file."""
    many = np.int64(0)
    for k in range(size):
        byte = np.int64(data[at + k if big else at + size - 1 - k])
        if k == 0 and byte >= 128 and (signed or size == 8):
            return -1
        many = many * 256 + byte
    return many


@compiled(by=1)
def take_counts(
    data: NDArray[Any], at: NDArray[Any], size: int, big: bool, counts: NDArray[Any]
) -> None:
    """Read one list length in every row, and move `at` behind it."""
    for row in range(len(at)):
        counts[row] = _count(data, at[row], size, big, False)
        at[row] += size


@compiled(by=1)
def take_items(
    data: NDArray[Any],
    at: NDArray[Any],
    counts: NDArray[Any],
    size: int,
    swap: bool,
    out: NDArray[Any],
) -> None:
    """Copy `counts` (n,) or (1,) items of `size` bytes from every row to `out`, the bytes of each
    turned round if `swap`, and move `at` behind them.
    """
    to = 0
    for row in range(len(at)):
        many = counts[row] if len(counts) == len(at) else counts[0]
        for k in range(many * size):
            byte = k // size * size + size - 1 - k % size if swap else k
            out[to + byte] = data[at[row] + k]
        to += many * size
        at[row] += many * size
