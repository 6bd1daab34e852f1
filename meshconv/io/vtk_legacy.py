"""Legacy VTK files (.vtk): polygons and strips of POLYDATA, text or binary, old and new (5.1) cell
layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

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
from meshconv.io.ragged import split_counted
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.tokens import clip
from meshconv.io.vtk_cells import Cells, polygons
from meshconv.io.vtk_cursor import BIT, TEXTS, Cursor, count_of, kind_of, name_of

_CELLS = {"VERTICES": "verts", "LINES": "lines", "POLYGONS": "polys", "TRIANGLE_STRIPS": "strips"}
_VECTORS = {"VECTORS": 3, "NORMALS": 3, "TENSORS": 9, "TENSORS6": 6}
_IDS = ("GLOBAL_IDS", "PEDIGREE_IDS", "EDGE_FLAGS")


def read_vtk(source: Source) -> RawMesh:
    """Read a legacy VTK file that holds POLYDATA."""
    body, text = _open(source.data)
    parts = _Parts(text, source.warnings)
    while True:
        words = body.words()
        if not words:
            break
        behind = body.place
        try:
            parts.add(body, words)
        except (BadFormatError, TruncatedError) as error:
            if error.line is None:
                line = body.line_at(behind - 1)
                raise type(error)(error.message, line=line, hint=error.hint) from error
            raise
    vertices = np.empty((0, 3)) if parts.vertices is None else parts.vertices
    return polygons(vertices, parts.cells, parts.points, parts.faces, source)


def _open(data: bytes) -> tuple[Cursor, bool]:
    """Check the four header lines; return the body after them, and whether it is text."""
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
    text = form == b"ASCII"
    return Cursor(data, match.end(), text=text), text


@dataclass
class _Parts:
    """What the sections of a file have given so far; attributes belong to the last POINT_DATA or
    CELL_DATA.
    """

    text: bool
    warnings: list[str]
    vertices: FloatArray | None = None
    cells: dict[str, Cells] = field(default_factory=dict)
    points: Fields = field(default_factory=dict)
    faces: Fields = field(default_factory=dict)
    current: Fields | None = None
    length: int = 0

    def add(self, body: Cursor, words: list[str]) -> None:
        """Read the section that begins with the line `words`."""
        key = words[0].upper()
        if key == "POINTS":
            if self.vertices is not None:
                raise BadFormatError("POINTS stand there twice")
            n, kind = count_of(words, 1), kind_of(words, 2)
            if kind == BIT:
                raise BadHeaderError("POINTS of the type 'bit'")
            rows = body.array(3 * n, kind, "POINTS")
            self.vertices = rows.astype(np.float64).reshape(n, 3)
        elif key in _CELLS:
            if _CELLS[key] in self.cells:
                raise BadFormatError(f"{key} stand there twice")
            self.cells[_CELLS[key]] = _cells(body, words)
        elif key in ("POINT_DATA", "CELL_DATA"):
            self.current = self.points if key == "POINT_DATA" else self.faces
            self.length = count_of(words, 1)
        elif key == "METADATA":
            body.skip_block()
        elif key == "FIELD":  # before POINT_DATA, it is of the whole data set
            found = self._field(body, words)
            self._keep({} if self.current is None else found)
        elif self.current is not None:
            self._keep(self._attribute(body, words))
        else:
            raise BadFormatError(f"{clip(' '.join(words))} is no part of POLYDATA")

    def _keep(self, found: Fields) -> None:
        if self.current is None:
            return
        twice = sorted({*found} & {*self.current})
        if twice:
            self.warnings.append(f"two fields are named {clip(', '.join(twice))}: the last is kept")
        self.current.update(found)

    def _attribute(self, body: Cursor, words: list[str]) -> Fields:
        """Return one named attribute of POINT_DATA or CELL_DATA."""
        key, name, n = words[0].upper(), name_of(words, 1), self.length
        byte = "f4" if self.text else "u1"
        if key == "SCALARS":
            columns = count_of(words, 3) if len(words) > 3 else 1
            if not 1 <= columns <= 1000:
                raise BadHeaderError(f"{clip(' '.join(words))}: {columns} components")
            body.take("LOOKUP_TABLE")
            return self._values(body, n, columns, kind_of(words, 2), name)
        if key == "COLOR_SCALARS":
            return {"colors": _shaped(body.array(n * count_of(words, 2), byte, name), n)}
        if key == "LOOKUP_TABLE":
            body.array(4 * count_of(words, 2), byte, key)
            return {}
        if key == "TEXTURE_COORDINATES":
            values = body.array(n * count_of(words, 2), kind_of(words, 3), name)
            return {"uv": _shaped(values, n)}
        if key in _IDS:
            return self._values(body, n, 1, kind_of(words, 2), name)
        if key in _VECTORS:
            values = _shaped(body.array(n * _VECTORS[key], kind_of(words, 2), name), n)
            return {"normals" if key == "NORMALS" else name: values}
        raise BadFormatError(f"{clip(' '.join(words))} is no attribute that legacy VTK knows")

    def _field(self, body: Cursor, words: list[str]) -> Fields:
        out: Fields = {}
        for _ in range(count_of(words, 2)):
            while body.take("METADATA"):
                body.skip_block()
            head = body.words()
            if len(head) < 4:
                raise TruncatedError(f"FIELD {clip(' '.join(words[1:2]))} ends early")
            columns, rows, kind = count_of(head, 1), count_of(head, 2), kind_of(head, 3)
            out.update(self._values(body, rows, columns, kind, name_of(head, 0)))
        return out

    def _values(self, body: Cursor, n: int, columns: int, kind: str, name: str) -> Fields:
        if kind in TEXTS:
            body.skip_texts(n * columns, name)
            if self.current is not None:
                self.warnings.append(f"ignored the text field {clip(name)}")
            return {}
        values = body.array(n * columns, kind, name)
        return {name: values if columns == 1 else _shaped(values, n)}


def _shaped(values: NDArray[Any], n: int) -> NDArray[Any]:
    return values.reshape(n, len(values) // n if n else 0)


def _cells(body: Cursor, words: list[str]) -> Cells:
    """Return corners and counts of one kind of cell."""
    n, size = count_of(words, 1), count_of(words, 2)
    head = body.take("OFFSETS")
    if not head:
        return _counted(body.array(size, "i4", words[0]).astype(np.int64), n, words[0])
    offsets = _whole(body, n, head, words[0] + " OFFSETS")
    head = body.take("CONNECTIVITY")
    if not head or (n and offsets[0] != 0):
        raise BadFormatError(f"{words[0]}: expected OFFSETS from 0, then CONNECTIVITY")
    corners = _whole(body, size, head, words[0] + " CONNECTIVITY")
    if n and offsets[-1] != size:
        raise BadFormatError(f"{words[0]}: the OFFSETS end at {offsets[-1]} of {size} corners")
    return Cells.from_offsets(corners, offsets[1:])


def _whole(body: Cursor, count: int, head: list[str], what: str) -> IntArray:
    kind = kind_of(head, 1)
    if kind[0] not in "iu":
        raise BadHeaderError(f"{what} of the type {clip(head[1])}")
    return body.array(count, kind, what).astype(np.int64)


def _counted(flat: IntArray, n: int, what: str) -> Cells:
    """Split count, corner, corner, ..., count, ... into corners and counts."""
    if n > len(flat):
        raise BadHeaderError(f"{what} declares {n} cells in {len(flat)} numbers")
    counts = np.empty(n, np.int64)
    bad, used = split_counted(flat, counts)
    if bad >= 0:
        raise BadNumberError(
            f"cell {bad} of {what} does not fit into the {len(flat)} numbers declared"
        )
    if used != len(flat):
        raise BadHeaderError(
            f"{what} declares {n} cells in {len(flat)} numbers, but they use {used}",
            hint="half a surface may be hidden: write the file again",
        )
    keep = np.ones(len(flat), np.bool_)
    keep[np.cumsum(counts + 1) - counts - 1] = False
    return Cells(flat[keep], counts)
