"""Text files as arrays of tokens: each with its line, its row, and its value if it is a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import BadFormatError, BadNumberError, IndexOutOfRangeError, TruncatedError
from meshconv.io import scanners

_NOT_FINITE = re.compile(
    r"[+-]?(nan|inf|infinity|nan\(.*\)|\d\.#(qnan|snan|ind|inf)\d*)", re.IGNORECASE
)
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_FORTRAN = re.compile(r"[+-]?[\d.]+[dD][+-]?\d+")


def clip(text: str, limit: int = 40) -> str:
    """Return `text` quoted, cut to a length that fits a message."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


@dataclass(frozen=True)
class Tokens:
    """Every token of a text in order: where it lies, its line, its value; rows are lines that hold
    tokens.
    """

    raw: bytes
    begin: IntArray
    length: NDArray[np.int32]
    line: NDArray[np.int32]
    value: FloatArray
    kind: NDArray[np.uint8]
    first: BoolArray

    @cached_property
    def rows(self) -> IntArray:
        """Token index at which each row begins, and the number of tokens as the last entry; (R +
        1,).
        """
        return np.append(np.flatnonzero(self.first), len(self.begin))

    def __len__(self) -> int:
        return len(self.begin)

    def text(self, token: int) -> str:
        """Return one token as text."""
        start = int(self.begin[token])
        return self.raw[start : start + int(self.length[token])].decode("utf-8", "replace")

    def words(self, start: int, stop: int) -> list[str]:
        """Return the tokens start..stop-1 as text; meant for short rows such as headers."""
        return [self.text(k) for k in range(start, min(stop, len(self)))]

    def line_at(self, token: int) -> int:
        """Return the line of a token, or of the last one if there is no such token."""
        return int(self.line[min(token, len(self) - 1)]) if len(self) else 1

    def numbers(self, where: IntArray, what: str) -> FloatArray:
        """Return the values of the tokens `where` (any shape); NaN and infinity are let through.

        Raises
        ------
        BadNumberError
            If one is no number; names its line and text.
        """
        values, kinds = self.value[where], self.kind[where]
        long, words = kinds == scanners.LONG, kinds == scanners.WORD
        if long.any():
            begin = self.begin[where[long]]
            ends = begin + self.length[where[long]]
            values[long] = [
                float(self.raw[a:b]) for a, b in zip(begin.tolist(), ends.tolist(), strict=True)
            ]
        if words.any():
            values[words] = [self._not_finite(k, what) for k in where[words].tolist()]
        return values

    def _not_finite(self, token: int, what: str) -> float:
        text = self.text(token).lower()
        if not _NOT_FINITE.fullmatch(text):
            self.refuse_number(token, what)
        if "nan" in text or "ind" in text:
            return float("nan")
        return float("-inf" if text[0] == "-" else "inf")

    def integers(self, where: IntArray, what: str) -> IntArray:
        """Return the values of the tokens `where` as int64; fractions, words and huge numbers are
        refused.
        """
        kinds = self.kind[where]
        bad = kinds != scanners.INTEGER
        if bad.any():
            token = int(where[bad].ravel()[0])
            text = self.text(token)
            if re.fullmatch(r"[+-]?\d+", text):
                raise IndexOutOfRangeError(
                    f"{what} {clip(text)} is beyond any index", line=self.line_at(token)
                )
            self.refuse_number(token, what, whole=True)
        return self.value[where].astype(np.int64)

    def refuse_number(self, token: int, what: str, *, whole: bool = False) -> NoReturn:
        """Raise the BadNumberError for a token that is no number (or no whole one)."""
        text = self.text(token)
        hint = "decimal comma? write a point" if _COMMA.fullmatch(text) else ""
        if _FORTRAN.fullmatch(text):
            hint = "Fortran exponent? write E, not D"
        kind = "a whole number" if whole else "a number"
        raise BadNumberError(
            f"{what}: {clip(text)} is not {kind}", line=self.line_at(token), hint=hint
        )

    def check_row_sizes(self, rows: slice, expected: int, what: str) -> None:
        """Refuse rows that do not hold exactly `expected` tokens; `what` names one row, as in
        'vertex'.
        """
        sizes = np.diff(self.rows[rows.start : rows.stop + 1])
        bad = np.flatnonzero(sizes != expected)
        if len(bad):
            self.refuse_row(rows.start + int(bad[0]), f"{what} {bad[0]}", expected)

    def refuse_row(self, row: int, name: str, expected: int | str) -> NoReturn:
        """Raise for a row of the wrong length: truncated if it is the last of the file, else
        malformed.
        """
        found = int(self.rows[row + 1] - self.rows[row])
        last = row == len(self.rows) - 2 and isinstance(expected, int) and found < expected
        error = TruncatedError if last else BadFormatError
        line = self.line_at(int(self.rows[row]))
        raise error(f"{name} has {found} values, expected {expected}", line=line)

    def codes(self, where: IntArray) -> NDArray[np.uint64]:
        """Return the first eight bytes of the tokens `where`, lower case, as one integer each; see
        `code`.
        """
        data = np.frombuffer(self.raw, np.uint8)
        begin, length = self.begin[where], self.length[where]
        out = np.zeros(len(where), np.uint64)
        for k in range(min(8, int(length.max(initial=0)))):
            long = length > k
            byte = data[begin[long] + k]
            byte = byte + np.uint8(32) * ((byte >= 65) & (byte <= 90))
            out[long] |= byte.astype(np.uint64) << np.uint64(8 * k)
        return out


def code(word: str) -> np.uint64:
    """Return the integer that `Tokens.codes` gives for a lower-case word."""
    return np.uint64(int.from_bytes(word.encode()[:8], "little"))


def scan(raw: bytes, *, first_line: int = 1, comment: str = "", continued: bool = False) -> Tokens:
    """Split a text into tokens; LF, CRLF and CR end lines, a backslash may continue one.

    Raises
    ------
    BadFormatError
        If there is a NUL byte: text has none; names its offset.
    """
    nul = raw.find(b"\0")
    if nul >= 0:
        raise BadFormatError(
            f"NUL byte at offset {nul} in a text file", hint="the file is damaged or binary"
        )
    data = np.frombuffer(raw, np.uint8)
    n = scanners.count_tokens(data)
    begin, length, line = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32)
    value, kind, first = np.empty(n), np.empty(n, np.uint8), np.empty(n, np.bool_)
    arrays: tuple[NDArray[Any], ...] = (begin, length, line, value, kind, first)
    used = scanners.scan_tokens(
        data, first_line, ord(comment) if comment else 0, continued, *arrays
    )
    return Tokens(raw, *(a[:used] for a in arrays))


def spread(starts: IntArray, counts: IntArray) -> IntArray:
    """Return the indices start, start+1, ... (count of them) for every start, one after the
    other.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - counts), counts)
