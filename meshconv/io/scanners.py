"""Compiled scanners of text: tokens with their values, and the corners of OBJ faces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._compiled import compiled
from meshconv.io import plain_scanners as plain

WORD, INTEGER, REAL, LONG = 0, 1, 2, 3  # LONG: too many digits for the quick exact path
BAD_INDEX, FRACTION, OVERFLOW = 1, 2, 3
MISSING = np.iinfo(np.int64).min

_POWERS = 10.0 ** np.arange(23)  # exact in float64
_TEXT, _ROWS = 1 << 22, 40_000  # bytes, corners: read without a compiler in half a second


@compiled(plain=plain.count_tokens, small=_TEXT)
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


@compiled(small=np.inf)
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


@compiled(small=np.inf)
def _halves(x: float) -> tuple[float, float]:
    big = 134217729.0 * x
    high = big - (big - x)
    return high, x - high


@compiled(small=np.inf)
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


def _plain_tokens(data: NDArray[Any], comment: int, continued: bool, *out: NDArray[Any]) -> int:
    """Do what `scan_tokens` does; only numbers of many digits take the slow way."""
    begin, length, value, kind, first = out
    start, end, values, parts, rows = plain.tokens(data, comment, continued)
    k = len(start)
    begin[:k], value[:k], first[:k] = start, values, np.frombuffer(rows, np.bool_)
    length[:k] = np.asarray(end) - np.asarray(start)
    part = np.frombuffer(parts, np.uint8)
    kind[:k] = np.where(part == plain.WHOLE, INTEGER, REAL)
    for j in np.flatnonzero(part == plain.OTHER).tolist():
        value[j], kind[j] = _number(data, start[j], end[j])
    return k


@compiled(plain=_plain_tokens, small=_TEXT)
def scan_tokens(
    data: NDArray[Any],
    comment: int,
    continued: bool,
    begin: NDArray[Any],
    length: NDArray[Any],
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
            new_row = True
        elif c <= 32:
            i += 1
        elif c == comment:
            while i < n and data[i] != 10 and data[i] != 13:
                i += 1
        elif continued and c == 92 and i + 1 < n and (data[i + 1] == 10 or data[i + 1] == 13):
            i += 3 if data[i + 1] == 13 and i + 2 < n and data[i + 2] == 10 else 2
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
            begin[k], length[k], first[k] = start, i - start, new_row
            value[k], kind[k] = _number(data, start, i)
            new_row = False
            k += 1
    return k


@compiled(by=3, small=_ROWS)
def scan_corners(
    data: NDArray[Any],
    begin: NDArray[Any],
    length: NDArray[Any],
    start: NDArray[Any],
    counts: NDArray[Any],
    out: NDArray[Any],
) -> tuple[int, int]:
    """Read OBJ corners ``v``, ``v/vt``, ``v//vn``, ``v/vt/vn`` into out (C, 3), or the first of the
    three only into out (C, 1).

    Face f has the tokens start[f] to start[f] + counts[f] - 1. Return the first bad token and its
    fault, or (-1, 0).
    """
    corner = 0
    for face in range(len(start)):
        for token in range(start[face], start[face] + counts[face]):
            fault = _corner(data, begin[token], begin[token] + length[token], out[corner])
            if fault > 0:
                return token, fault
            corner += 1
    return -1, 0


@compiled(small=np.inf)
def _corner(data: NDArray[Any], i: int, stop: int, out: NDArray[Any]) -> int:
    """Read one corner, data[i:stop]; return its fault, or 0."""
    part = 0
    out[:] = MISSING
    while i <= stop:
        negative, digits, number = False, 0, np.int64(0)
        if i < stop and (data[i] == 45 or data[i] == 43):
            negative = data[i] == 45
            i += 1
            if i == stop or data[i] == 47:
                return BAD_INDEX
        while i < stop and 48 <= data[i] <= 57:
            digits += 1
            number = number * 10 + (data[i] - 48)
            i += 1
            if digits > 18:
                return OVERFLOW
        if i < stop and data[i] != 47:
            return FRACTION if data[i] == 46 else BAD_INDEX
        if digits > 0 and part < len(out):
            out[part] = -number if negative else number
        elif digits == 0 and part == 0:
            return BAD_INDEX
        i += 1
        part += 1
        if part == 3 and i <= stop:
            return BAD_INDEX
    return 0


@compiled(plain=plain.word_codes, by=3, small=np.inf)
def word_codes(
    data: NDArray[Any],
    begin: NDArray[Any],
    length: NDArray[Any],
    where: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Pack the first eight bytes of the tokens `where`, capitals made small, into one integer
    each.
    """
    for k in range(len(where)):
        code, start = np.uint64(0), begin[where[k]]
        for j in range(min(8, length[where[k]])):
            byte = np.uint64(data[start + j])
            if 65 <= byte <= 90:
                byte += np.uint64(32)
            code |= byte << np.uint64(8 * j)
        out[k] = code


@compiled(plain=plain.true_places, small=np.inf)
def true_places(flags: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the places of the true flags to `out`, and their number behind."""
    found = 0
    for k in range(len(flags)):
        if flags[k]:
            out[found] = k
            found += 1
    out[found] = len(flags)


@compiled(small=_TEXT)
def rows_of_numbers(
    kind: NDArray[Any], rows: NDArray[Any], chosen: NDArray[Any], out: NDArray[Any]
) -> None:
    """Mark the chosen rows that begin with a number or hold two of them."""
    for k in range(len(chosen)):
        if chosen[k]:
            many = 0
            for token in range(rows[k], rows[k + 1]):
                many += kind[token] != WORD
            out[k] = many >= 2 or kind[rows[k]] != WORD


@compiled(small=1 << 20)
def json_shape(data: NDArray[Any]) -> tuple[int, int]:
    """Return how deep JSON is nested, and how many values it holds at least; strings are passed
    over.
    """
    depth, deepest, values, inside, k = 0, 0, 0, False, 0
    while k < len(data):
        c = data[k]
        if c == 34:
            inside = not inside
        elif inside:
            k += c == 92
        elif c in (91, 123):
            depth += 1
            deepest = max(deepest, depth)
            values += 1
        elif c in (93, 125):
            depth -= 1
        elif c == 44:
            values += 1
        k += 1
    return deepest, values
