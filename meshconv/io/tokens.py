"""Text files as arrays of tokens: each with its line, its row, and its value if it is a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.errors import BadFormatError, BadNumberError, IndexOutOfRangeError, TruncatedError
from meshconv.io import scanners

_NOT_FINITE = re.compile(
    r"[+-]?(nan|inf|infinity|nan\(.*\)|\d\.#(qnan|snan|ind|inf)\d*)", re.IGNORECASE
)
_AT_ONCE, _MANY = 1 << 16, 1 << 20  # tokens looked at together
_WHOLE = re.compile(rb"[+-]?[0-9]+")
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_FORTRAN = re.compile(r"[+-]?[\d.]+[dD][+-]?\d+")


def count_lines(text: bytes) -> int:
    """Return how many line ends a text has: LF, CRLF and CR."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def clip(text: str, limit: int = 40) -> str:
    """Return `text` quoted, cut to a length that fits a message."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


@dataclass(frozen=True)
class Lines:
    """The lines in which some tokens stand; looked up only when one has to be named."""

    raw: bytes
    first_line: int
    begin: NDArray[Any]

    def __getitem__(self, k: int) -> int:
        return self.first_line + count_lines(self.raw[: int(self.begin[k])])


@dataclass(frozen=True)
class Tokens:
    """Every token of a text in order: where it lies, and its value; rows are lines that hold
    tokens.
    """

    raw: bytes
    first_line: int
    begin: NDArray[np.int32] | IntArray
    length: NDArray[np.int32]
    value: FloatArray
    kind: NDArray[np.uint8]
    first: BoolArray

    @cached_property
    def rows(self) -> IntArray:
        """Token index at which each row begins, and the number of tokens as the last entry; (R +
        1,). As narrow as `begin`, for a file may be nothing but short rows.
        """
        out: NDArray[Any] = np.empty(np.count_nonzero(self.first) + 1, self.begin.dtype)
        scanners.true_places(self.first, out)
        return out

    def __len__(self) -> int:
        return len(self.begin)

    def text(self, token: int) -> str:
        """Return one token as text."""
        start = int(self.begin[token])
        return self.raw[start : start + int(self.length[token])].decode("utf-8", "replace")

    def words(self, start: int, stop: int) -> list[str]:
        """Return the tokens start..stop-1 as text; meant for short rows such as headers."""
        return [self.text(k) for k in range(start, min(stop, len(self)))]

    def lines(self, where: IntArray) -> Lines:
        """Return where to look up the lines of the tokens `where`, without keeping the others."""
        return Lines(self.raw, self.first_line, self.begin[where])

    def line_at(self, token: int) -> int:
        """Return the line of a token, or of the last one if there is no such token."""
        if not len(self):
            return self.first_line
        return Lines(self.raw, self.first_line, self.begin)[min(token, len(self) - 1)]

    def numbers(self, where: IntArray, what: str) -> FloatArray:
        """Return the values of the tokens `where` (any shape); NaN and infinity are let through.

        Raises
        ------
        BadNumberError
            If one is no number; names its line and text.
        """
        values, kinds = self.value[where], self.kind[where]
        long = kinds == scanners.LONG
        if long.any():
            texts = self._texts(where[long])
            values[long] = np.fromiter((float(text) for text in texts), np.float64)
        words = kinds == scanners.WORD
        if words.any():
            values[words] = self._not_finite(where[words], what)
        return values

    def _texts(self, where: IntArray) -> Iterator[bytes]:
        for some in np.split(where, range(_AT_ONCE, len(where), _AT_ONCE)):
            begin = self.begin[some]
            ends = begin + self.length[some]
            for a, b in zip(begin.tolist(), ends.tolist(), strict=True):
                yield self.raw[a:b]

    def _not_finite(self, where: IntArray, what: str) -> FloatArray:
        """Return NaN or an infinity for each word that says so; refuse others."""
        known: dict[bytes, float] = {}
        out = np.empty(len(where))
        for k, text in enumerate(self._texts(where)):
            if text not in known:
                word = text.decode("ascii", "replace").lower()
                if len(word) > 40 or not _NOT_FINITE.fullmatch(word):
                    self.refuse_number(int(where[k]), what)
                infinite = -np.inf if word[0] == "-" else np.inf
                known[text] = np.nan if "nan" in word or "ind" in word else infinite
            out[k] = known[text]
        return out

    def integers(self, where: IntArray, what: str, dtype: str = "i8") -> NDArray[Any]:
        """Return the values of the tokens `where` as whole numbers of `dtype`; fractions, words and
        what lies beyond it are refused.
        """
        out: NDArray[Any] = np.empty(where.shape, dtype)
        flat, to = where.reshape(-1), out.reshape(-1)
        for k in range(0, len(flat), _MANY):  # in parts, for the whole is held more than once
            to[k : k + _MANY] = self._integers(flat[k : k + _MANY], what, dtype)
        return out

    def _integers(self, where: IntArray, what: str, dtype: str) -> NDArray[Any]:
        limits, odd = np.iinfo(dtype), self.kind[where] != scanners.INTEGER
        out = self.value[where].astype(np.int64)
        beyond = np.flatnonzero((out < limits.min) | (out > limits.max))
        if len(beyond):
            self._refuse_beyond(int(where[beyond[0]]), what, dtype)
        out = out.astype(dtype, copy=False)
        if odd.any():
            tokens = where[odd]
            texts = self._texts(tokens)
            whole = [self._whole(k, text, what) for k, text in zip(tokens, texts, strict=True)]
            for token, number in zip(tokens, whole, strict=True):
                if not limits.min <= number <= limits.max:
                    self._refuse_beyond(int(token), what, dtype)
            out[odd] = np.array(whole, dtype)
        return out

    def _whole(self, token: int, text: bytes, what: str) -> int:
        if not _WHOLE.fullmatch(text):
            self.refuse_number(int(token), what, whole=True)
        return int(text) if len(text) < 40 else 1 << 99

    def _refuse_beyond(self, token: int, what: str, dtype: str) -> NoReturn:
        limits = np.iinfo(dtype)
        raise IndexOutOfRangeError(
            f"{what} {clip(self.text(token))} is beyond {limits.min}..{limits.max}",
            line=self.line_at(token),
        )

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
        out = np.empty(len(where), np.uint64)
        data = np.frombuffer(self.raw, np.uint8)
        scanners.word_codes(data, self.begin, self.length, where, out)
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
    begin = np.empty(n, np.int32 if len(raw) < 2**31 else np.int64)
    length, value, kind = np.empty(n, np.int32), np.empty(n), np.empty(n, np.uint8)
    first = np.empty(n, np.bool_)
    arrays: tuple[NDArray[Any], ...] = (begin, length, value, kind, first)
    used = scanners.scan_tokens(data, ord(comment) if comment else 0, continued, *arrays)
    return Tokens(raw, first_line, *(a[:used] for a in arrays))


def in_type(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return values that were read from text in the type that the file declares, where they fit."""
    if values.dtype == np.dtype(kind):
        return values
    if len(values) and values.dtype.kind == kind[0] == "i":
        limits = np.iinfo(kind)
        fit = limits.min <= values.min() and values.max() <= limits.max
        return values.astype(kind) if fit else values
    with np.errstate(invalid="ignore", over="ignore"):
        cast = values.astype(kind)
        same = np.array_equal(cast.astype(values.dtype), values, equal_nan=kind[0] == "f")
    return cast if same else values
