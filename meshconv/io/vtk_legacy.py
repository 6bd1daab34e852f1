"""Legacy VTK files (.vtk): polygons and strips of POLYDATA, text or binary, old and new (5.1) cell
layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import (
    BadFormatError,
    BadHeaderError,
    BadNumberError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.tokens import clip, scan
from meshconv.io.vtk_cells import Cells, polygons

_TYPES = {
    "unsigned_char": "u1",
    "char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "unsigned_long": "u8",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "vtkidtype": "i4",
    "vtktypeint64": "i8",
    "vtktypeuint64": "u8",
    "vtktypeint32": "i4",
    "vtktypeuint32": "u4",
    "vtktypeint8": "i1",
    "vtktypeuint8": "u1",
    "vtktypefloat32": "f4",
    "vtktypefloat64": "f8",
}
_CELLS = {"VERTICES": "verts", "LINES": "lines", "POLYGONS": "polys", "TRIANGLE_STRIPS": "strips"}
_VECTORS = {"VECTORS": 3, "NORMALS": 3, "TENSORS": 9, "TENSORS6": 6}


class _Body(Protocol):
    def words(self) -> tuple[list[str], int]:
        """Return the words of the next line that has any, and its number; none at the end."""

    def array(self, count: int, kind: str, what: str) -> NDArray[Any]:
        """Return the next `count` numbers."""

    def take(self, word: str) -> list[str]:
        """Return the words of the next line if it begins with `word`, else none, and stay before
        it.
        """


class _Cursor:
    _at = 0

    def words(self) -> tuple[list[str], int]:
        raise NotImplementedError

    def take(self, word: str) -> list[str]:
        before = self._at
        words, _ = self.words()
        if words and words[0].upper() == word:
            return words
        self._at = before
        return []


class _Text(_Cursor):
    def __init__(self, raw: bytes, first_line: int) -> None:
        self._tokens = scan(raw, first_line=first_line)

    def words(self) -> tuple[list[str], int]:
        if self._at >= len(self._tokens):
            return [], 0
        row = int(np.searchsorted(self._tokens.rows, self._at, side="right"))
        start, self._at = self._at, int(self._tokens.rows[row])
        return self._tokens.words(start, min(self._at, start + 64)), self._tokens.line_at(start)

    def array(self, count: int, kind: str, what: str) -> NDArray[Any]:
        found = len(self._tokens) - self._at
        if count > found:
            raise TruncatedError(f"expected {count} numbers of {what}, found {found}")
        where = np.arange(self._at, self._at + count)
        self._at += count
        if kind[0] in "iu":
            return self._tokens.integers(where, what)
        return self._tokens.numbers(where, what)


class _Binary(_Cursor):
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def words(self) -> tuple[list[str], int]:
        while self._at < len(self._data):
            end = self._data.find(b"\n", self._at, self._at + 4096)
            if end < 0:
                end = min(len(self._data), self._at + 4096)
            words = self._data[self._at : end].decode("utf-8", "replace").split()
            self._at = end + 1
            if words:
                return words, 0
        return [], 0

    def array(self, count: int, kind: str, what: str) -> NDArray[Any]:
        needed, found = count * int(kind[1]), len(self._data) - self._at
        if needed > found:
            raise TruncatedError(f"expected {needed} bytes of {what}, found {max(found, 0)}")
        out = np.frombuffer(self._data, ">" + kind, count, self._at)
        self._at += needed
        return out.astype(kind)


def read_vtk(source: Source) -> RawMesh:
    """Read a legacy VTK file that holds POLYDATA."""
    body, parts = _open(source.data), _Parts()
    while True:
        words, line = body.words()
        if not words:
            break
        try:
            parts.add(body, words)
        except (BadFormatError, TruncatedError) as error:
            if error.line is None and line:
                raise type(error)(error.message, line=line, hint=error.hint) from error
            raise
    return polygons(parts.vertices, parts.cells, parts.points, parts.faces, source.warnings)


@dataclass
class _Parts:
    """What the sections of a file have given so far; attributes belong to the last POINT_DATA or
    CELL_DATA.
    """

    vertices: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    cells: dict[str, Cells] = field(default_factory=dict)
    points: Fields = field(default_factory=dict)
    faces: Fields = field(default_factory=dict)
    current: Fields | None = None
    length: int = 0

    def add(self, body: _Body, words: list[str]) -> None:
        """Read the section that begins with the line `words`."""
        key = words[0].upper()
        if key == "POINTS":
            n = _count(words, 1)
            self.vertices = (
                body.array(3 * n, _kind(words, 2), "POINTS").astype(np.float64).reshape(n, 3)
            )
        elif key in _CELLS:
            self.cells[_CELLS[key]] = _cells(body, words)
        elif key in ("POINT_DATA", "CELL_DATA"):
            self.current, self.length = (
                self.points if key == "POINT_DATA" else self.faces,
                _count(words, 1),
            )
        elif key == "METADATA":
            _skip_metadata(body)
        elif self.current is not None:
            self.current.update(_attribute(body, words, self.length))
        elif key == "FIELD":
            self.points.update(_field(body, words))
        else:
            raise BadFormatError(f"{clip(' '.join(words))} is no part of POLYDATA")


def _open(data: bytes) -> _Body:
    """Check the four header lines and return the body after them."""
    head = re.match(
        rb"# vtk DataFile Version[ \t]+([\d.]+)[^\r\n]*(\r\n|\n|\r)[^\r\n]*(\r\n|\n|\r)", data
    )
    if head is None:
        raise BadHeaderError(
            "does not begin with '# vtk DataFile Version' and a title line", line=1
        )
    rest = re.compile(
        rb"\s*(\w+)[ \t]*(?:\r\n|\n|\r)\s*DATASET[ \t]+(\w+)[ \t]*(\r\n|\n|\r|$)", re.IGNORECASE
    )
    match = rest.match(data, head.end())
    if match is None:
        words = data[head.end() : head.end() + 80].decode("latin-1").split()[:4]
        raise BadHeaderError(
            f"expected ASCII or BINARY and DATASET, found {clip(' '.join(words))}", line=3
        )
    form, dataset = match[1].upper(), match[2].upper().decode()
    if form not in (b"ASCII", b"BINARY"):
        raise BadHeaderError(f"{clip(match[1].decode())} is neither ASCII nor BINARY", line=3)
    if dataset != "POLYDATA":
        raise UnsupportedFormatError(
            f"holds {clip(dataset)}; only POLYDATA is read", hint="extract the surface first"
        )
    if form == b"BINARY":
        return _Binary(data, match.end())
    lines = data[: match.end()].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
    return _Text(data[match.end() :], lines + 1)


def _count(words: list[str], k: int) -> int:
    text = words[k] if k < len(words) else ""
    if not re.fullmatch(r"\d{1,18}", text):
        raise BadHeaderError(f"{clip(' '.join(words))}: {clip(text)} is not a possible count")
    return int(text)


def _kind(words: list[str], k: int) -> str:
    kind = _TYPES.get(words[k].lower(), "") if k < len(words) else ""
    if not kind:
        raise BadHeaderError(f"{clip(' '.join(words))}: unknown type")
    return kind


def _cells(body: _Body, words: list[str]) -> Cells:
    """Return corners and counts of one kind of cell."""
    n, size = _count(words, 1), _count(words, 2)
    head = body.take("OFFSETS")
    if not head:
        return _counted(body.array(size, "i4", words[0]).astype(np.int64), n, words[0])
    offsets = body.array(n, _kind(head, 1), words[0] + " OFFSETS").astype(np.int64)
    head = body.take("CONNECTIVITY")
    if not head or (n and offsets[0] != 0):
        raise BadFormatError(f"{words[0]}: expected OFFSETS from 0, then CONNECTIVITY")
    corners = body.array(size, _kind(head, 1), words[0] + " CONNECTIVITY").astype(np.int64)
    return Cells.from_offsets(corners, offsets[1:])


def _counted(flat: IntArray, n: int, what: str) -> Cells:
    """Split count, corner, corner, ..., count, ... into corners and counts."""
    if n > len(flat):
        raise BadHeaderError(f"{what} declares {n} cells in {len(flat)} numbers")
    if n and len(flat) % n == 0 and (flat.reshape(n, -1)[:, 0] == len(flat) // n - 1).all():
        return Cells(flat.reshape(n, -1)[:, 1:].reshape(-1), np.full(n, len(flat) // n - 1))
    counts, at, values = [], 0, flat.tolist()
    keep = np.ones(len(flat), np.bool_)
    for cell in range(n):
        if at >= len(values) or not 0 <= values[at] < len(values) - at:
            raise BadNumberError(
                f"cell {cell} of {what} does not fit into the {len(flat)} numbers declared"
            )
        keep[at] = False
        counts.append(values[at])
        at += values[at] + 1
    keep[at:] = False
    return Cells(flat[keep], np.array(counts, np.int64))


def _attribute(body: _Body, words: list[str], n: int) -> Fields:
    """Return one named attribute of POINT_DATA or CELL_DATA."""
    key = words[0].upper()
    name = words[1] if len(words) > 1 else ""
    if key == "FIELD":
        return _field(body, words)
    if key == "SCALARS":
        kind, columns = _kind(words, 2), _count(words, 3) if len(words) > 3 else 1
        if not 1 <= columns <= 1000:
            raise BadHeaderError(f"{clip(' '.join(words))}: {columns} components")
        table, _ = body.words()
        if not table or table[0].upper() != "LOOKUP_TABLE":
            raise BadFormatError(f"SCALARS {clip(name)}: expected LOOKUP_TABLE")
        return {name: _shaped(body.array(n * columns, kind, name), n, columns)}
    if key == "COLOR_SCALARS":
        columns = _count(words, 2)
        kind = "f4" if isinstance(body, _Text) else "u1"
        return {"colors": _shaped(body.array(n * columns, kind, name), n, columns)}
    if key == "LOOKUP_TABLE":
        body.array(4 * _count(words, 2), "f4" if isinstance(body, _Text) else "u1", "LOOKUP_TABLE")
        return {}
    if key == "TEXTURE_COORDINATES":
        columns = _count(words, 2)
        return {"uv": _shaped(body.array(n * columns, _kind(words, 3), name), n, columns)}
    if key in _VECTORS:
        values = _shaped(body.array(n * _VECTORS[key], _kind(words, 2), name), n, _VECTORS[key])
        return {"normals" if key == "NORMALS" else name: values}
    raise BadFormatError(f"{clip(' '.join(words))} is no attribute that legacy VTK knows")


def _field(body: _Body, words: list[str]) -> Fields:
    out = {}
    for _ in range(_count(words, 2)):
        head, _line = body.words()
        if head and head[0].upper() == "METADATA":
            _skip_metadata(body)
            head, _line = body.words()
        if len(head) < 4:
            raise TruncatedError(f"FIELD {clip(' '.join(words[1:2]))} ends early")
        columns, rows = _count(head, 1), _count(head, 2)
        out[head[0]] = _shaped(body.array(rows * columns, _kind(head, 3), head[0]), rows, columns)
    return out


def _shaped(values: NDArray[Any], n: int, columns: int) -> NDArray[Any]:
    return values if columns == 1 else values.reshape(n, columns)


def _skip_metadata(body: _Body) -> None:
    """Pass over what VTK writes behind an array: INFORMATION n, and two lines for each."""
    words, _ = body.words()
    if words and words[0].upper() == "INFORMATION":
        for _ in range(2 * _count(words, 1)):
            body.words()
