"""Geomview OFF: text rows of vertices, then of faces; with colours and normals (COFF, NOFF,
STOFF).
"""

from __future__ import annotations

import re

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import BadHeaderError, EmptyMeshError, TruncatedError, UnsupportedFormatError
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.tokens import Tokens, clip, scan, spread

MAGIC = re.compile(rb"(?:#[^\r\n]*[\r\n]\s*)*(ST)?(C)?(N)?(4)?(n)?OFF(?=\s|$)")


def read_off(source: Source) -> RawMesh:
    """Read an OFF, COFF, NOFF or STOFF text file."""
    tokens, row, kind = _header(source.data)
    n_vertices, n_faces = _counts(tokens, row)
    row += 1
    available = len(tokens.rows) - 1 - row
    if n_vertices == 0:
        raise EmptyMeshError("no vertices: the header declares 0")
    if n_vertices + n_faces > available:
        short = "vertex" if available < n_vertices else "face"
        raise TruncatedError(
            f"the header declares {n_vertices} vertices and {n_faces} faces: expected {n_vertices + n_faces}"
            f" lines, found {available}; the {short} list ends early",
            line=tokens.line_at(len(tokens)),
        )
    vertices, fields = _vertices(tokens, row, n_vertices, kind)
    warnings: list[str] = []
    if available > n_vertices + n_faces:
        warnings.append(f"ignored {available - n_vertices - n_faces} lines after the last face")
    raw = _faces(tokens, row + n_vertices, n_faces, vertices, warnings)
    raw.vertex_fields = fields
    raw.vertex_line = tokens.line[tokens.rows[row : row + n_vertices]].astype(np.int64)
    return raw


def _header(data: bytes) -> tuple[Tokens, int, str]:
    """Return the tokens after the keyword, the row of the counts, and the kind of OFF."""
    match = MAGIC.match(data.lstrip())
    if match is None:
        raise BadHeaderError(
            f"does not begin with OFF, but with {clip(data[:20].decode('latin-1'))}", line=1
        )
    if match[4] or match[5]:
        raise UnsupportedFormatError(
            f"{match[0].decode().split()[-1]}: only surfaces in 3-space are read"
        )
    start = len(data) - len(data.lstrip()) + match.end()
    rest = data[start:]
    if rest[:64].lstrip(b" \t").upper().startswith(b"BINARY"):
        raise UnsupportedFormatError(
            "binary OFF is not supported", hint="write it as text, or as PLY"
        )
    before = data[:start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    tokens = scan(rest, first_line=before.count(b"\n") + 1, comment="#")
    return tokens, 0, "".join((part or b"").decode() for part in match.groups())


def _counts(tokens: Tokens, row: int) -> tuple[int, int]:
    if row >= len(tokens.rows) - 1:
        raise TruncatedError("ends after OFF: expected the numbers of vertices, faces and edges")
    start, stop = int(tokens.rows[row]), int(tokens.rows[row + 1])
    words, line = tokens.words(start, min(stop, start + 4)), tokens.line_at(start)
    if len(words) not in (2, 3):
        raise BadHeaderError(
            f"expected 'vertices faces edges', found {clip(' '.join(words))}", line=line
        )
    for word in words:
        if not re.fullmatch(r"\+?\d{1,18}", word):
            raise BadHeaderError(f"{clip(word)} is not a possible count", line=line)
    return int(words[0]), int(words[1])


def _vertices(tokens: Tokens, row: int, n: int, kind: str) -> tuple[FloatArray, Fields]:
    """Return positions and fields; columns are x y z, normal, colour, texture coordinates."""
    width = int(tokens.rows[row + 1] - tokens.rows[row])
    least = 3 + 3 * ("N" in kind) + 3 * ("C" in kind) + 2 * ("ST" in kind)
    if width < least:
        tokens.refuse_row(row, "vertex 0", least)
    tokens.check_row_sizes(slice(row, row + n), width, "vertex")
    start = tokens.rows[row : row + n]
    table = tokens.numbers(start[:, None] + np.arange(width), "coordinate")
    fields: Fields = {}
    at = 3
    if "N" in kind:
        fields["normals"], at = table[:, at : at + 3].copy(), at + 3
    stop = width - 2 * ("ST" in kind)
    if stop - at in (3, 4):
        fields["colors"] = table[:, at:stop].copy()
    if "ST" in kind:
        fields["uv"] = table[:, stop:].copy()
    return table[:, :3].copy(), fields


def _faces(tokens: Tokens, row: int, n: int, vertices: FloatArray, warnings: list[str]) -> RawMesh:
    start, sizes = tokens.rows[row : row + n], np.diff(tokens.rows[row : row + n + 1])
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
    raw.face_line = tokens.line[start].astype(np.int64)
    extra = sizes - counts - 1
    if n and extra[0] in (3, 4) and (extra == extra[0]).all():
        where: IntArray = (start + counts + 1)[:, None] + np.arange(extra[0])
        raw.face_fields["colors"] = tokens.numbers(where, "colour")
    elif extra.any():
        warnings.append(
            f"ignored the colours of {int((extra > 0).sum())} faces: not all faces have one"
        )
    return raw
