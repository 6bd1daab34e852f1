"""The body of a legacy VTK file, read from front to back: lines of words, and blocks of numbers as
text or bytes.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv.errors import BadHeaderError, TruncatedError
from meshconv.io.tokens import clip, count_lines, in_type, scan

_TYPES = {
    "unsigned_char": "u1",
    "char": "i1",
    "signed_char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "unsigned_long": "u8",
    "long": "i8",
    "unsigned_long_long": "u8",
    "long_long": "i8",
    "float": "f4",
    "double": "f8",
    "vtkidtype": "i4",
    "vtktypeint64": "i8",
    "vtktypeuint64": "u8",
    "vtktypeint32": "i4",
    "vtktypeuint32": "u4",
    "vtktypeint16": "i2",
    "vtktypeuint16": "u2",
    "vtktypeint8": "i1",
    "vtktypeuint8": "u1",
    "vtktypefloat32": "f4",
    "vtktypefloat64": "f8",
}
BIT, TEXTS = "bit", ("string", "utf8_string")
_LONGEST = 4096
_END = re.compile(rb"\r\n|\n|\r")


def count_of(words: list[str], k: int) -> int:
    """Return word k of a line as a count."""
    text = words[k] if k < len(words) else ""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadHeaderError(f"{clip(' '.join(words))}: {clip(text)} is not a possible count")
    return int(text)


def kind_of(words: list[str], k: int) -> str:
    """Return the NumPy type that word k of a line names; ``bit`` and ``string`` as they are."""
    word = words[k].lower() if k < len(words) else ""
    if word == BIT or word in TEXTS:
        return word
    if word not in _TYPES:
        raise BadHeaderError(f"{clip(' '.join(words))}: unknown type")
    return _TYPES[word]


def name_of(words: list[str], k: int) -> str:
    """Return word k of a line as a name; VTK writes blanks and quotes in it as %20 and so on."""
    return unquote(words[k]) if k < len(words) else ""


class Cursor:
    """A place in the body; the bytes before it have been read."""

    def __init__(self, data: bytes, at: int, *, text: bool) -> None:
        self._data, self._at, self._text, self._start = data, at, text, at
        first = count_lines(data[:at]) + 1 if text else 0
        self._tokens = scan(data[at:], first_line=first) if text else None

    @property
    def place(self) -> int:
        """The byte that is read next."""
        return self._at

    def line_at(self, place: int) -> int | None:
        """Return the line of a byte, in text."""
        return count_lines(self._data[:place]) + 1 if self._text else None

    def raw_line(self) -> bytes | None:
        """Return the next line without its end, or None at the end of the file."""
        if self._at >= len(self._data):
            return None
        match = _END.search(self._data, self._at, self._at + _LONGEST)
        end, behind = match.span() if match else (self._at + _LONGEST, self._at + _LONGEST)
        line = self._data[self._at : end]
        self._at = behind
        return line

    def words(self) -> list[str]:
        """Return the words of the next line that has any; none at the end of the file."""
        while (line := self.raw_line()) is not None:
            if line.strip():
                return line.decode("utf-8", "replace").split()
        return []

    def take(self, *keys: str) -> list[str]:
        """Return the words of the next line if it begins with one of `keys`, else none, and stay
        before it.
        """
        before = self._at
        words = self.words()
        if words and words[0].upper() in keys:
            return words
        self._at = before
        return []

    def skip_block(self) -> None:
        """Pass over the lines up to the next blank one."""
        while (line := self.raw_line()) is not None and line.strip():
            pass

    def array(self, count: int, kind: str, what: str) -> NDArray[Any]:
        """Return the next `count` numbers."""
        if kind in TEXTS:
            raise BadHeaderError(f"{what} is text, where numbers belong")
        if self._text:
            return self._numbers(count, "u1" if kind == BIT else kind, what)
        if kind == BIT:
            packed = self._bytes(-(-count // 8), what)
            return np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
        size = int(kind[1])
        return np.frombuffer(self._bytes(count * size, what), ">" + kind).astype(kind)

    def _numbers(self, count: int, kind: str, what: str) -> NDArray[Any]:
        tokens = self._tokens
        if tokens is None:
            raise BadHeaderError(f"{what} is no text")
        here = tokens.begin.dtype.type(self._at - self._start)  # else all of `begin` is converted
        first = int(np.searchsorted(tokens.begin, here))
        if count > len(tokens) - first:
            raise TruncatedError(f"expected {count} numbers of {what}, found {len(tokens) - first}")
        where: IntArray = np.arange(first, first + count)
        if count:
            last = first + count - 1
            self._at = self._start + int(tokens.begin[last]) + int(tokens.length[last])
        if kind[0] in "iu":
            return tokens.integers(where, what, kind)
        return in_type(tokens.numbers(where, what), kind)

    def _bytes(self, size: int, what: str) -> bytes:
        found = len(self._data) - self._at
        if size > found:
            raise TruncatedError(f"expected {size} bytes of {what}, found {max(found, 0)}")
        self._at += size
        return self._data[self._at - size : self._at]

    def skip_texts(self, count: int, what: str) -> None:
        """Pass over `count` strings: lines in text, with their length before each in bytes."""
        if count > len(self._data) - self._at:
            self.refuse_texts(count, what)
        for _ in range(count):
            if self._text:
                if self.raw_line() is None:
                    self.refuse_texts(count, what)
                continue
            first = self._bytes(1, what)[0]
            more = {3: 0, 2: 1, 1: 3, 0: 7}[first >> 6]
            rest = int.from_bytes(self._bytes(more, what), "big")
            self._bytes(((first & 63) << (8 * more)) | rest, what)

    def refuse_texts(self, count: int, what: str) -> NoReturn:
        """Raise for strings that are not there."""
        raise TruncatedError(f"expected {count} strings of {what}, the file ends before")
