"""The body of a PLY file: every element as columns, from text or from bytes of either order."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv.errors import BadNumberError, TruncatedError
from meshconv.io import scanners
from meshconv.io.ragged import spread, take_counts, take_items, walk_rows
from meshconv.io.tokens import Lines, in_type, scan

Column = NDArray[np.generic]


@dataclass(frozen=True)
class Property:
    """One property: its NumPy type, and that of its length if it is a list (else '')."""

    name: str
    kind: str
    count: str


@dataclass(frozen=True)
class Element:
    """One element: how many rows, and what each holds."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class ListColumn:
    """A list property: the length of each row's list, and all items one after the other."""

    counts: IntArray
    items: NDArray[Any]

    def whole(self, what: str) -> IntArray:
        """Return the items as int64; fractions and infinities are refused."""
        if self.items.dtype.kind == "f":
            bad = np.flatnonzero(
                ~(np.abs(self.items) < 2.0**53) | (self.items != np.floor(self.items))
            )
            if len(bad):
                raise BadNumberError(f"{what} {self.items[bad[0]]} is not a whole number")
        # a uint64 too large turns negative, and is refused as such
        return self.items.astype(np.int64, copy=False)


class AsciiBody:
    """Rows of text, one for each element."""

    def __init__(self, raw: bytes, first_line: int) -> None:
        self._tokens = scan(raw, first_line=first_line)
        self._row = 0

    def read(self, element: Element) -> tuple[dict[str, Column | ListColumn], Lines | None]:
        """Return the columns of the next element and the line of each row."""
        tokens, n = self._tokens, element.count if element.properties else 0
        found = len(tokens.rows) - 1 - self._row
        if found < n:
            raise TruncatedError(
                f"the {element.name} list ends early: expected {n} lines, found {found}",
                line=tokens.line_at(len(tokens)),
                hint="the file is cut, or the header is wrong",
            )
        bounds = tokens.rows[self._row : self._row + n + 1]
        at, stop = bounds[:-1].copy(), bounds[1:]
        columns: dict[str, Column | ListColumn] = {}
        plain = not any(prop.count for prop in element.properties)
        if plain:
            self._check_room(element.name, at, stop, len(element.properties))
        for prop in element.properties:
            if not plain:
                self._check_room(element.name, at, stop, 1)
            if not prop.count:
                columns[prop.name] = self._cast(at, prop, element.name)
                at += 1
                continue
            counts = tokens.integers(at, f"{element.name} list length")
            negative = np.flatnonzero(counts < 0)
            if len(negative):
                line = tokens.line_at(int(at[negative[0]]))
                raise BadNumberError(
                    f"{element.name} {negative[0]} has a list of {counts[negative[0]]}", line=line
                )
            self._check_room(element.name, at, stop, counts + 1)
            columns[prop.name] = ListColumn(
                counts, self._cast(spread(at + 1, counts), prop, element.name)
            )
            at += counts + 1
        long = np.flatnonzero(at != stop)
        if len(long):
            k = int(long[0])
            tokens.refuse_row(self._row + k, f"{element.name} {k}", int(at[k] - bounds[k]))
        self._row += n
        return columns, tokens.lines(bounds[:-1])

    def _cast(self, where: IntArray, prop: Property, name: str) -> Column:
        """Return values in the property's type where they fit it, else as read."""
        what = f"{name} {prop.name}"
        if prop.kind[0] in "iu":
            whole = (self._tokens.kind[where] == scanners.INTEGER).all()
            if whole or prop.count:
                return in_type(self._tokens.integers(where, what), prop.kind)
            if prop.kind in ("i8", "u8") and (self._tokens.kind[where] != scanners.REAL).all():
                return self._tokens.integers(where, what, prop.kind)
        return in_type(self._tokens.numbers(where, what), prop.kind)

    def _check_room(self, name: str, at: IntArray, stop: IntArray, needed: IntArray | int) -> None:
        short = np.flatnonzero(stop - at < needed)
        if len(short):
            k = int(short[0])
            want = needed if isinstance(needed, int) else int(needed[k])
            used = int(at[k] - self._tokens.rows[self._row + k])
            self._tokens.refuse_row(self._row + k, f"{name} {k}", used + want)

    def leftover(self) -> list[str]:
        """Return a warning if there are rows after the last element."""
        extra = len(self._tokens.rows) - 1 - self._row
        return [f"ignored {extra} lines after the last element"] if extra else []


class BinaryBody:
    """Packed rows; counts are compared with the bytes that are there before anything is
    allocated.
    """

    def __init__(self, data: bytes, start: int, *, big: bool) -> None:
        self._data = np.frombuffer(data, np.uint8)
        self._at, self._big = start, big

    def read(self, element: Element) -> tuple[dict[str, Column | ListColumn], None]:
        """Return the columns of the next element."""
        if not element.properties:
            return {}, None
        least = sum(_size(prop.count or prop.kind) for prop in element.properties)
        self._check_room(element, least * element.count)
        if not element.count:
            return {p.name: self._empty(p) for p in element.properties}, None
        return self._equal_rows(element) or self._ragged_rows(element), None

    def _check_room(self, element: Element, needed: int) -> None:
        found = len(self._data) - self._at
        if needed > found:
            raise TruncatedError(
                f"the header declares {element.count} rows of {element.name}: expected {needed}"
                f" bytes for the {element.name} list, found {found}",
                hint="the file is cut, or the header is wrong",
            )

    def _type(self, kind: str) -> np.dtype[Any]:
        return np.dtype((">" if self._big else "<") + kind)

    def _empty(self, prop: Property) -> Column | ListColumn:
        none: NDArray[Any] = np.empty(0, prop.kind)
        return ListColumn(np.empty(0, np.int64), none) if prop.count else none

    def _equal_rows(self, element: Element) -> dict[str, Column | ListColumn] | None:
        """Return the columns if every list is as long as in the first row (pure triangles), else
        None.
        """
        layout: list[tuple[Any, ...]] = []
        lengths: list[tuple[str, int]] = []
        at = self._at
        for k, prop in enumerate(element.properties):
            if not prop.count:
                layout.append((f"item{k}", self._type(prop.kind)))
                at += _size(prop.kind)
                continue
            raw = self._data[at : at + _size(prop.count)]
            if len(raw) < _size(prop.count):
                return None
            length = int(raw.view(self._type(prop.count))[0])
            if not 0 <= length * _size(prop.kind) <= len(self._data) - at:
                return None  # before a row type of that length is made
            layout += [
                (f"count{k}", self._type(prop.count)),
                (f"item{k}", self._type(prop.kind), (length,)),
            ]
            lengths.append((f"count{k}", length))
            at += _size(prop.count) + length * _size(prop.kind)
        size = at - self._at
        if self._at + size * element.count > len(self._data):
            return None
        rows = np.frombuffer(self._data, np.dtype(layout), element.count, self._at)
        if any((rows[name] != length).any() for name, length in lengths):
            return None
        self._at += size * element.count
        return {prop.name: _column(rows, k, prop) for k, prop in enumerate(element.properties)}

    def _ragged_rows(self, element: Element) -> dict[str, Column | ListColumn]:
        """Return the columns of rows whose lists differ in length."""
        props = element.properties
        count_size = np.array([_size(p.count) if p.count else 0 for p in props])
        signed = np.array([p.count.startswith("i") for p in props])
        item_size = np.array([_size(p.kind) for p in props])
        at = np.empty(element.count, np.int64)
        bad, end = walk_rows(self._data, self._at, self._big, count_size, signed, item_size, at)
        if bad >= 0:
            raise TruncatedError(
                f"{element.name} {bad}: its list does not fit into the"
                f" {len(self._data) - at[bad]} bytes left",
                indices=[bad],
                hint="the file is cut or damaged",
            )
        self._at = end
        columns: dict[str, Column | ListColumn] = {}
        one = np.ones(1, np.int64)
        for prop in props:
            if not prop.count:
                columns[prop.name] = self._items(at, one, len(at), prop.kind)
                continue
            counts = np.empty(len(at), np.int64)
            take_counts(self._data, at, _size(prop.count), self._big, counts)
            columns[prop.name] = ListColumn(
                counts, self._items(at, counts, int(counts.sum()), prop.kind)
            )
        return columns

    def _items(self, at: IntArray, counts: IntArray, total: int, kind: str) -> NDArray[Any]:
        """Take items of every row, whose places `at` move on."""
        out = np.empty(total, kind)
        swap = self._big == (sys.byteorder == "little")
        take_items(self._data, at, counts, _size(kind), swap, out.view(np.uint8))
        return out

    def leftover(self) -> list[str]:
        """Return a warning if there are bytes after the last element."""
        extra = len(self._data) - self._at
        return [f"ignored {extra} bytes after the last element"] if extra else []


def _column(rows: NDArray[Any], k: int, prop: Property) -> Column | ListColumn:
    items = rows[f"item{k}"]
    if not prop.count:
        return items.astype(prop.kind)
    kind = np.int64 if prop.kind[0] in "iu" and prop.kind != "u8" else prop.kind
    return ListColumn(
        np.full(len(rows), items.shape[1]), np.ascontiguousarray(items, kind).reshape(-1)
    )


def _size(kind: str) -> int:
    return int(kind[1])
