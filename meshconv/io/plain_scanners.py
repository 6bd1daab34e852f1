"""The scanners of text once more, without a compiler: for a file so small that loading one would
take longer.
"""

from __future__ import annotations

import re
from array import array
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEW_ROW, PASSED_OVER, WHOLE, REAL, OTHER = range(1, 6)


def count_tokens(data: NDArray[Any]) -> int:
    """Return the number of runs of non-blank bytes."""
    inside = data > 32
    return int(np.count_nonzero(inside[1:] & ~inside[:-1]) + np.count_nonzero(inside[:1]))


@cache
def pattern(comment: int, continued: bool) -> re.Pattern[bytes]:
    """Return what finds ends of lines, what is passed over, and tokens; numbers of so few digits
    that they are exact are told from the others.
    """
    joint = rb"\\(?:\r\n|\r|\n)"
    passed = joint if continued else rb"(?!)"
    if comment:
        passed += rb"|" + re.escape(bytes([comment])) + rb"[^\r\n]*+"
    end = rb"(?![^\0- ])"
    whole, real = rb"[+-]?\d{1,15}", rb"[+-]?(?=[\d.]{2,16}(?:[\0- ]|$))(?:\d++\.\d*+|\.\d++)"
    other = rb"(?:(?!\\[\r\n])[^\0- ])++" if continued else rb"[^\0- ]++"
    parts = (rb"[\r\n]++", passed, whole + end, real + end, other)
    return re.compile(b"|".join(b"(" + part + b")" for part in parts))


def tokens(
    data: NDArray[Any], comment: int, continued: bool
) -> tuple[array[int], array[int], array[float], bytearray, bytearray]:
    """Return begin, end, value, which part of the pattern it is, and whether a row begins, for
    every token.
    """
    begin, end, value = array("q"), array("q"), array("d")
    part, first, new_row = bytearray(), bytearray(), 1
    for match in pattern(comment, continued).finditer(data.tobytes()):
        what = match.lastindex or OTHER
        if what == NEW_ROW:
            new_row = 1
        elif what != PASSED_OVER:
            begin.append(match.start())
            end.append(match.end())
            value.append(0.0 if what == OTHER else float(match.group()))
            part.append(what)
            first.append(new_row)
            new_row = 0
    return begin, end, value, part, first


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
    out[:] = 0
    for k in range(8):
        there = np.flatnonzero(length[where] > k)
        byte = data[begin[where[there]] + k].astype(np.uint64)
        byte += np.uint64(32) * ((byte >= 65) & (byte <= 90)).astype(np.uint64)
        out[there] |= byte << np.uint64(8 * k)


def true_places(flags: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the places of the true flags to `out`, and their number behind."""
    out[:-1] = np.flatnonzero(flags)
    out[-1] = len(flags)
