"""Geomview OFF as text: vertices, then faces, with colours, normals and texture coordinates in the
order that the letters of the keyword say (COFF, NOFF, CNOFF, STOFF; VCG's NCOFF).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import (
    BadHeaderError,
    EmptyMeshError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io import scanners
from meshconv.io.ragged import split_counted, spread
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.tokens import Tokens, clip, scan

MAGIC = re.compile(rb"(?:#[^\r\n]*+[\r\n]\s*+)*+((?:ST|C|N|4|n)*+)OFF(?=[\s\d#+-]|$)")
_WIDTHS = {"N": 3, "ST": 2}


@dataclass(frozen=True)
class _Counts:
    """What the header declares, and at which token and row the vertices begin."""

    vertices: int
    faces: int
    token: int
    row: int


def read_off(source: Source) -> RawMesh:
    """Read an OFF text file; ModelNet's, whose keyword is glued to the counts, too.

    Lines tell colours from the next face. A file without colours may have its lines broken
    anywhere.
    """
    tokens, letters = _header(source.data)
    counts = _counts(tokens)
    if counts.vertices == 0:
        raise EmptyMeshError("no vertices: the header declares 0")
    free = _free_of_lines(tokens, counts, letters)
    if free is not None:
        return free
    available = len(tokens.rows) - 1 - counts.row
    _check_rows(tokens, counts, available)
    vertices, fields = _vertices(tokens, counts, letters)
    warnings: list[str] = []
    extra = available - counts.vertices - counts.faces
    if extra:
        warnings.append(f"ignored {extra} lines after the last face")
    raw = _faces(tokens, counts.row + counts.vertices, counts.faces, vertices, warnings)
    raw.vertex_fields = fields
    raw.vertex_line = tokens.lines(tokens.rows[counts.row : counts.row + counts.vertices])
    return raw


def _header(data: bytes) -> tuple[Tokens, list[str]]:
    """Return the tokens after the keyword, and its letters in order."""
    start = len(data) - len(data.lstrip())
    match = MAGIC.match(data, start)
    if match is None:
        raise BadHeaderError(
            f"does not begin with OFF, but with {clip(data[:20].decode('latin-1'))}", line=1
        )
    letters = re.findall("ST|C|N|4|n", match[1].decode())
    if "4" in letters or "n" in letters:
        raise UnsupportedFormatError(
            f"{''.join(letters)}OFF: only surfaces in 3-space are read",
        )
    if len(set(letters)) < len(letters):
        raise BadHeaderError(f"{''.join(letters)}OFF names a kind of column twice")
    if data[match.end() : match.end() + 64].lstrip(b" \t").upper().startswith(b"BINARY"):
        raise UnsupportedFormatError(
            "binary OFF is not supported", hint="write it as text, or as PLY"
        )
    before = data[: match.end()].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    first_line = before.count(b"\n") + 1
    return scan(data[match.end() :], first_line=first_line, comment="#"), letters


def _counts(tokens: Tokens) -> _Counts:
    if not len(tokens):
        raise TruncatedError("ends after OFF: expected the numbers of vertices, faces and edges")
    in_row = int(tokens.rows[1])
    used = min(in_row, 3) if in_row > 1 else min(len(tokens), 3)  # one number a line: three lines
    words, line = tokens.words(0, used), tokens.line_at(0)
    if used < 2:
        raise BadHeaderError(
            f"expected 'vertices faces edges', found {clip(' '.join(words))}", line=line
        )
    for word in words:
        if not re.fullmatch(r"\+?[0-9]{1,18}", word):
            raise BadHeaderError(f"{clip(word)} is not a possible count", line=line)
    return _Counts(int(words[0]), int(words[1]), used, 1)


def _free_of_lines(tokens: Tokens, counts: _Counts, letters: list[str]) -> RawMesh | None:
    """Return the mesh of a file in which line ends mean nothing, or None if it is not one.

    It is one if its rows cannot be the vertices and faces, but its numbers are just as many as
    plain vertices and faces need.
    """
    rows = len(tokens.rows) - 1 - counts.row
    width = 3 + sum(_WIDTHS.get(letter, 4) for letter in letters)
    by_rows = int(tokens.rows[1]) == counts.token and rows >= counts.vertices + counts.faces
    if by_rows and _row_sizes(tokens, counts.row, counts.row + 1)[0] >= 3:
        return None
    start = counts.token + width * counts.vertices
    if counts.faces > len(tokens) - start:
        return None
    if (tokens.kind[start:] != scanners.INTEGER).any():
        return None
    flat = tokens.value[start:].astype(np.int64)
    sizes = np.empty(counts.faces, np.int64)
    bad, used = split_counted(flat, sizes)
    if bad >= 0 or used != len(flat):
        return None
    where: IntArray = np.arange(counts.token, start).reshape(counts.vertices, width)
    table = tokens.numbers(where, "coordinate")
    ends = np.cumsum(sizes + 1)
    raw = RawMesh(table[:, :3].copy(), flat[spread(ends - sizes, sizes)], sizes)
    raw.vertex_fields = _fields(table, letters)
    raw.vertex_line = tokens.lines(where[:, 0])
    return raw


def _row_sizes(tokens: Tokens, first: int, last: int) -> IntArray:
    return np.diff(tokens.rows[first : last + 1])


def _check_rows(tokens: Tokens, counts: _Counts, available: int) -> None:
    needed = counts.vertices + counts.faces
    if int(tokens.rows[1]) != counts.token:
        found = clip(" ".join(tokens.words(0, 6)))
        raise BadHeaderError(
            f"expected 'vertices faces edges', found {found}", line=tokens.line_at(0)
        )
    if needed > available:
        short = "vertex" if available < counts.vertices else "face"
        raise TruncatedError(
            f"the header declares {counts.vertices} vertices and {counts.faces} faces: expected"
            f" {needed} lines, found {available}; the {short} list ends early",
            line=tokens.line_at(len(tokens)),
        )


def _vertices(tokens: Tokens, counts: _Counts, letters: list[str]) -> tuple[FloatArray, Fields]:
    """Return positions and fields of rows of equal length."""
    row, n = counts.row, counts.vertices
    width = int(_row_sizes(tokens, row, row + 1)[0])
    least = 3 + sum(_WIDTHS.get(letter, 3) for letter in letters)
    if width < least:
        tokens.refuse_row(row, "vertex 0", least)
    tokens.check_row_sizes(slice(row, row + n), width, "vertex")
    where = tokens.rows[row : row + n, None] + np.arange(width)
    table = tokens.numbers(where, "coordinate")
    fields = _fields(table, letters)
    colors = fields.get("colors")
    if colors is not None and (tokens.kind[where[:, 3:]] == scanners.INTEGER).all():
        fields["colors"] = _bytes_if_fit(colors)
    return table[:, :3].copy(), fields


def _fields(table: FloatArray, letters: list[str]) -> Fields:
    """Return the columns behind x y z by the letters of the keyword; without letters, three or four
    are a colour.
    """
    extra = table.shape[1] - 3 - sum(_WIDTHS.get(letter, 0) for letter in letters)
    order = [letter for letter in ("N", "C") if letter in letters or (letter == "C" and extra)]
    if [letter for letter in letters if letter != "ST"] == ["N", "C"]:
        order.reverse()  # VCG's order of columns; Geomview's keyword is CN for normals first
    out: Fields = {}
    at = 3
    for letter in [*order, *(["ST"] if "ST" in letters else [])]:
        width = _WIDTHS.get(letter, extra)
        name = {"N": "normals", "ST": "uv"}.get(letter, "colors")
        if name != "colors" or width in (3, 4):
            out[name] = table[:, at : at + width].copy()
        at += width
    return out


def _bytes_if_fit(colors: FloatArray) -> NDArray[Any]:
    fit = len(colors) and colors.min() >= 0 and colors.max() <= 255
    return colors.astype(np.uint8) if fit else colors


def _faces(tokens: Tokens, row: int, n: int, vertices: FloatArray, warnings: list[str]) -> RawMesh:
    start, sizes = tokens.rows[row : row + n], _row_sizes(tokens, row, row + n)
    counts = tokens.integers(start, "number of corners")
    negative = np.flatnonzero(counts < 0)
    if len(negative):
        line = tokens.line_at(int(start[negative[0]]))
        raise BadHeaderError(f"face {negative[0]} has {counts[negative[0]]} corners", line=line)
    short = np.flatnonzero(sizes < counts + 1)
    if len(short):
        k = int(short[0])
        tokens.refuse_row(row + k, f"face {k}", int(counts[k]) + 1)
    corners = tokens.integers(spread(start + 1, counts), "vertex index")
    raw = RawMesh(vertices, corners, counts, warnings=warnings)
    raw.face_line = tokens.lines(start)
    extra = sizes - counts - 1
    if n and extra[0] in (3, 4) and (extra == extra[0]).all():
        where: IntArray = (start + counts + 1)[:, None] + np.arange(extra[0])
        colors = tokens.numbers(where, "colour")
        whole = (tokens.kind[where] == scanners.INTEGER).all()
        raw.face_fields["colors"] = _bytes_if_fit(colors) if whole else colors
    elif extra.any():
        warnings.append(
            f"ignored the colours of {int((extra > 0).sum())} faces: not all faces have one"
        )
    return raw
