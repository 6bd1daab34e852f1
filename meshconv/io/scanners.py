"""Compiled scanners: tokens with numbers and line numbers, OBJ corners, ragged binary rows, exact
welding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

WORD, INTEGER, REAL, LONG = (
    0,
    1,
    2,
    3,
)  # LONG: a number with too many digits for the quick exact path
BAD_INDEX, FRACTION, OVERFLOW = 1, 2, 3
MISSING = np.iinfo(np.int64).min

_POWERS = 10.0 ** np.arange(23)  # exact in float64


@njit(cache=True)
def count_tokens(data: NDArray[Any]) -> int:
    """Return an upper bound of the number of tokens: the runs of non-blank bytes."""
    total, inside = 0, False
    for c in data:
        blank = c <= 32
        if inside and blank:
            inside = False
        elif not inside and not blank:
            inside = True
            total += 1
    return total


@njit(cache=True)
def _divided(mantissa: Any, power: int) -> float:
    """Return mantissa / 10**power rounded right, or NaN where double-double arithmetic cannot
    decide.
    """
    divisor, high = _POWERS[power], float(mantissa)
    low = float(np.int64(mantissa - np.uint64(high)))
    quotient = high / divisor
    a, b = _halves(quotient)
    c, d = _halves(divisor)
    product = quotient * divisor
    error = (
        (a * c - product) + a * d + b * c
    ) + b * d  # quotient * divisor = product + error, Dekker 1971
    rest = ((high - product) - error + low) / divisor
    below, above = quotient + rest * (1 - 1e-14), quotient + rest * (1 + 1e-14)
    return below if below == above else np.nan


@njit(cache=True)
def _halves(x: float) -> tuple[float, float]:
    big = 134217729.0 * x
    high = big - (big - x)
    return high, x - high


@njit(cache=True)
def _number(data: NDArray[Any], i: int, stop: int) -> tuple[float, int]:
    """Return the value and kind of the token data[i:stop]; right to the last bit, else LONG or
    WORD.
    """
    negative = data[i] == 45
    if negative or data[i] == 43:
        i += 1
    mantissa, digits, significant, exponent, real = np.uint64(0), 0, 0, 0, False
    while i < stop:
        c = data[i]
        if 48 <= c <= 57:
            digits += 1
            if significant > 0 or c != 48:
                significant += 1
            if significant <= 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(c - 48)
            if real:
                exponent -= 1
        elif c == 46 and not real:
            real = True
        else:
            break
        i += 1
    if digits == 0:
        return 0.0, WORD
    if i < stop and (data[i] == 101 or data[i] == 69):
        real = True
        i += 1
        down = i < stop and data[i] == 45
        if down or (i < stop and data[i] == 43):
            i += 1
        if i == stop:
            return 0.0, WORD
        power = 0
        while i < stop and 48 <= data[i] <= 57:
            power = min(power * 10 + (data[i] - 48), 100000)
            i += 1
        exponent += -power if down else power
    if i < stop:
        return 0.0, WORD
    value, kind = float(mantissa), REAL if real else INTEGER
    if significant > 15:
        value = (
            _divided(mantissa, -exponent)
            if real and significant <= 19 and -22 <= exponent < 0
            else np.nan
        )
    elif abs(exponent) <= 22:
        value = value * _POWERS[exponent] if exponent >= 0 else value / _POWERS[-exponent]
    else:
        value = np.nan
    if np.isnan(value):
        return 0.0, LONG
    return -value if negative else value, kind


@njit(cache=True)
def scan_tokens(
    data: NDArray[Any],
    line: int,
    comment: int,
    continued: bool,
    begin: NDArray[Any],
    length: NDArray[Any],
    lines: NDArray[Any],
    value: NDArray[Any],
    kind: NDArray[Any],
    first: NDArray[Any],
) -> int:
    """Fill the arrays with every token of `data`; return how many there are. `first` marks row
    starts.
    """
    i, n, k, new_row = 0, len(data), 0, True
    while i < n:
        c = data[i]
        if c in (10, 13):
            i += 2 if c == 13 and i + 1 < n and data[i + 1] == 10 else 1
            line += 1
            new_row = True
        elif c <= 32:
            i += 1
        elif c == comment:
            while i < n and data[i] != 10 and data[i] != 13:
                i += 1
        elif continued and c == 92 and i + 1 < n and (data[i + 1] == 10 or data[i + 1] == 13):
            i += 3 if data[i + 1] == 13 and i + 2 < n and data[i + 2] == 10 else 2
            line += 1
        else:
            start = i
            while i < n and data[i] > 32:
                if (
                    continued
                    and data[i] == 92
                    and i + 1 < n
                    and (data[i + 1] == 10 or data[i + 1] == 13)
                ):
                    break
                i += 1
            begin[k], length[k], lines[k], first[k] = start, i - start, line, new_row
            value[k], kind[k] = _number(data, start, i)
            new_row = False
            k += 1
    return k


@njit(cache=True)
def scan_corners(
    data: NDArray[Any], begin: NDArray[Any], length: NDArray[Any], out: NDArray[Any]
) -> tuple[int, int]:
    """Read OBJ corners ``v``, ``v/vt``, ``v//vn``, ``v/vt/vn`` into out (T, 3).

    Return the first bad token and its fault, or (-1, 0).
    """
    for t in range(len(begin)):
        i, stop, part = begin[t], begin[t] + length[t], 0
        out[t, 0] = out[t, 1] = out[t, 2] = MISSING
        while i <= stop:
            negative, digits, number = False, 0, np.int64(0)
            if i < stop and (data[i] == 45 or data[i] == 43):
                negative = data[i] == 45
                i += 1
                if i == stop or data[i] == 47:
                    return t, BAD_INDEX
            while i < stop and 48 <= data[i] <= 57:
                digits += 1
                number = number * 10 + (data[i] - 48)
                i += 1
                if digits > 18:
                    return t, OVERFLOW
            if i < stop and data[i] != 47:
                return t, FRACTION if data[i] == 46 else BAD_INDEX
            if digits > 0:
                out[t, part] = -number if negative else number
            elif part == 0:
                return t, BAD_INDEX
            i += 1
            part += 1
            if part == 3 and i <= stop:
                return t, BAD_INDEX
    return -1, 0


@njit(cache=True)
def walk_rows(
    data: NDArray[Any],
    start: int,
    big: bool,
    count_size: NDArray[Any],
    signed: NDArray[Any],
    item_size: NDArray[Any],
    starts: NDArray[Any],
) -> int:
    """Fill `starts` (n+1,) with the byte offsets of ragged rows; return the row that does not fit,
    or -1.

    Property p is a list with counts of count_size[p] bytes, or a scalar if count_size[p] is 0.
    """
    at, n = start, len(data)
    for row in range(len(starts) - 1):
        starts[row] = at
        for p in range(len(item_size)):
            many, size = np.int64(1), count_size[p]
            if size > 0:
                if at + size > n:
                    return row
                many = np.int64(0)
                for k in range(size):
                    many = many * 256 + data[at + k if big else at + size - 1 - k]
                if signed[p] and many >= np.int64(1) << (8 * size - 1):
                    return row
                at += size
            if many > (n - at) // item_size[p]:
                return row
            at += many * item_size[p]
    starts[len(starts) - 1] = at
    return -1


@njit(cache=True)
def weld_rows(
    rows: NDArray[Any], table: NDArray[Any], label: NDArray[Any], origin: NDArray[Any]
) -> int:
    """Number equal rows (n, 3) uint64 in order of first appearance; return how many differ.

    `table` is the hash table: a power of two entries, all -1. `origin` gets the first row of each
    number.
    """
    mask, found = np.uint64(len(table) - 1), 0
    for i in range(len(rows)):
        h = rows[i, 0] * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(29)) ^ rows[i, 1]) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(32)) ^ rows[i, 2]) * np.uint64(0x94D049BB133111EB)
        slot = (h ^ (h >> np.uint64(31))) & mask
        while True:
            k = table[slot]
            if k < 0:
                table[slot] = found
                origin[found] = i
                label[i] = found
                found += 1
                break
            j = origin[k]
            if rows[j, 0] == rows[i, 0] and rows[j, 1] == rows[i, 1] and rows[j, 2] == rows[i, 2]:
                label[i] = k
                break
            slot = (slot + np.uint64(1)) & mask
    return found
