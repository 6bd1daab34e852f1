"""Wavefront OBJ: vertices with optional colours, polygons with optional texture and normal
indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import (
    BadFormatError,
    BadNumberError,
    IndexOutOfRangeError,
    SecurityError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io import scanners
from meshconv.io.raw_mesh import RawMesh
from meshconv.io.source import Source
from meshconv.io.tokens import Lines, Tokens, clip, code, scan

_STATEMENTS = (
    "v vt vn vp f fo l p g o s mg usemtl mtllib usemap maplib cstype deg bmat step curv curv2 surf"
    " parm trim hole scrv sp end con bevel c_interp d_interp lod shadow_obj trace_obj ctech stech"
    " call csh"
)
KEYWORDS = frozenset(_STATEMENTS.split())
_AT_ONCE = 1 << 20
_CODES = np.array(sorted(code(word) for word in KEYWORDS), np.uint64)
_UNKNOWN = 255  # a row that begins with none of them


def read_obj(source: Source) -> RawMesh:
    """Read an OBJ file; every group and object goes into one mesh, vertices stay in file order.

    Texture coordinates are kept per corner, so that a seam does not tear the surface. Material
    libraries are never opened.
    """
    tokens = scan(source.data, comment="#", continued=True)
    starts = tokens.rows[:-1]
    words = _statements(tokens, starts)
    rows = {word: _rows_of(words, word) for word in ("v", "vt", "vn", "mtllib", "f")}
    _refuse_calls(tokens, words)
    warnings = _note_unknown(tokens, words) + _note_libraries(tokens, rows["mtllib"], source)
    del words  # of every line: memory that the corners need now
    vertices, colors = _vertices(tokens, rows["v"], warnings)
    counts = tokens.rows[rows["f"] + 1]
    counts -= starts[rows["f"]]
    counts -= 1
    corners = _corners(tokens, tokens.rows[rows["f"]] + 1, counts)
    lines = tokens.lines(starts[rows["f"]])
    index = _Index(rows["f"], counts)
    used = _resolve(
        index.from_zero(corners[:, 0], rows["v"]), corners[:, 0], index, rows["v"], lines
    )
    raw = RawMesh(vertices, used, counts, warnings=warnings, face_line=lines)
    raw.vertex_line = tokens.lines(starts[rows["v"]])
    if colors is not None:
        raw.vertex_fields["colors"] = colors
    if corners.shape[1] == 3:
        texture = index.from_zero(corners[:, 1], rows["vt"])
        raw.corner_uv = _texture(tokens, rows["vt"], corners[:, 1], texture, warnings)
        normal = index.from_zero(corners[:, 2], rows["vn"])
        normals = _normals(tokens, rows["vn"], corners[:, 2], normal, used, len(vertices))
        if normals is not None:
            raw.vertex_fields["normals"] = normals
    return raw


@dataclass(frozen=True)
class _Index:
    """Which rows are faces, and how many corners each has."""

    rows: IntArray
    counts: IntArray

    def from_zero(self, index: IntArray, of: IntArray) -> IntArray:
        """Return OBJ indices of the rows `of` counted from 0; negative ones count back from those
        that stand before the face.
        """
        if index.min(initial=0) >= 0:
            return index - 1
        seen = np.repeat(np.searchsorted(of, self.rows), self.counts)
        return np.where(index < 0, index + seen, index - 1)


def _statements(tokens: Tokens, starts: IntArray) -> NDArray[np.uint8]:
    """Return which of the keywords each row begins with: a byte a row, for a file may be nothing
    but rows of two bytes.
    """
    out = np.empty(len(starts), np.uint8)
    for k in range(0, len(starts), _AT_ONCE):
        codes = tokens.codes(starts[k : k + _AT_ONCE])
        place = np.minimum(np.searchsorted(_CODES, codes), len(_CODES) - 1)
        out[k : k + _AT_ONCE] = np.where(_CODES[place] == codes, place, _UNKNOWN)
    out[out == np.searchsorted(_CODES, code("fo"))] = np.searchsorted(_CODES, code("f"))  # old
    return out


def _rows_of(words: NDArray[np.uint8], word: str) -> IntArray:
    """Return the rows that begin with a keyword, as narrow as they can be."""
    flags = words == np.searchsorted(_CODES, code(word))
    out: NDArray[Any] = np.empty(np.count_nonzero(flags) + 1, np.int32)
    if len(words) >= 2**31:
        out = out.astype(np.int64)
    scanners.true_places(flags, out)
    return out[:-1]


def _refuse_calls(tokens: Tokens, words: NDArray[np.uint8]) -> None:
    """Refuse lines that ask for another file, or for a program: the surface may lie there."""
    for word, error in (("call", UnsupportedFormatError), ("csh", SecurityError)):
        rows = _rows_of(words, word)
        if len(rows):
            start, stop = int(tokens.rows[rows[0]]), int(tokens.rows[rows[0] + 1])
            raise error(
                f"{clip(' '.join(tokens.words(start, min(stop, start + 5))))} asks for"
                f" {'another file' if word == 'call' else 'a program'}: not followed",
                line=tokens.line_at(start),
                hint="export the surface into one file",
            )


def _note_unknown(tokens: Tokens, words: NDArray[np.uint8]) -> list[str]:
    """Return a warning for rows that are no OBJ statement; refuse rows that could have been
    data.
    """
    flags = words == _UNKNOWN
    strange = int(np.count_nonzero(flags))
    if not strange:
        return []
    row = first = int(flags.argmax())
    lost = strange == len(words)
    data = np.zeros(len(words), np.bool_)
    scanners.rows_of_numbers(tokens.kind, tokens.rows, flags, data)
    if data.any() or lost:
        row = first if lost else int(data.argmax())
        start = int(tokens.rows[row])
        text = " ".join(tokens.words(start, min(int(tokens.rows[row + 1]), start + 5)))
        raise BadFormatError(f"{clip(text)} is no OBJ statement", line=tokens.line_at(start))
    start = int(tokens.rows[first])
    return [
        f"ignored {strange} lines that are no OBJ statement"
        f" (the first is {clip(tokens.text(start))}, line {tokens.line_at(start)})"
    ]


def _note_libraries(tokens: Tokens, rows: IntArray, source: Source) -> list[str]:
    """Return a warning for each material library that is missing or outside the folder; none is
    opened.
    """
    out = []
    for row in rows[:10]:
        start, stop = int(tokens.rows[row]) + 1, int(tokens.rows[row + 1])
        name = " ".join(tokens.words(start, stop))
        parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
        outside = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in parts
        if outside or "://" in name:
            out.append(
                f"material library {clip(name)} lies outside the folder: not opened (security)"
            )
        elif not source.beside(name):
            out.append(f"material library {clip(name)} not found: geometry only")
    return out


def _vertices(
    tokens: Tokens, rows: IntArray, warnings: list[str]
) -> tuple[FloatArray, FloatArray | None]:
    """Return positions (V, 3) and colours (V, 3) if every vertex has one."""
    sizes = np.diff(tokens.rows)[rows] - 1
    bad = np.flatnonzero((sizes < 3) | (sizes == 5) | (sizes > 7))
    if len(bad):
        last = rows[bad[0]] == len(tokens.rows) - 2 and sizes[bad[0]] < 3
        error = TruncatedError if last else BadFormatError
        line = tokens.line_at(int(tokens.rows[rows[bad[0]]]))
        raise error(
            f"vertex {bad[0]} has {sizes[bad[0]]} numbers, expected 3 (or 6 with a colour)",
            line=line,
        )
    start = tokens.rows[rows] + 1
    vertices = tokens.numbers(start[:, None] + np.arange(3), "coordinate")
    weighted = np.flatnonzero(sizes == 4)
    if len(weighted) and (tokens.numbers(start[weighted] + 3, "weight") != 1).any():
        warnings.append("weights of vertices ignored: only curves have a use for them")
    coloured = sizes >= 6
    if not coloured.any():
        return vertices, None
    if not coloured.all():
        warnings.append(
            f"only {coloured.sum()} of {len(rows)} vertices have a colour: colours dropped"
        )
        return vertices, None
    return vertices, tokens.numbers((start + 3)[:, None] + np.arange(3), "colour")


def _corners(tokens: Tokens, start: IntArray, counts: IntArray) -> IntArray:
    """Return vertex, texture and normal index of every corner as written, (C, 3); (C, 1) if the
    file has none but the first.
    """
    out = np.empty((int(counts.sum()), 3 if b"/" in tokens.raw else 1), np.int64)
    data = np.frombuffer(tokens.raw, np.uint8)
    bad, fault = scanners.scan_corners(data, tokens.begin, tokens.length, start, counts, out)
    if bad >= 0:
        line, text = tokens.line_at(bad), clip(tokens.text(bad))
        if fault == scanners.OVERFLOW:
            raise IndexOutOfRangeError(f"face index {text} is beyond any vertex", line=line)
        kind = "a fraction" if fault == scanners.FRACTION else "not an index"
        raise BadNumberError(f"face corner {text} is {kind}", line=line)
    return out


def _resolve(
    out: IntArray, index: IntArray, faces: _Index, vertices: IntArray, lines: Lines
) -> IntArray:
    """Return the vertex indices `out`, if all of them exist."""
    n = len(vertices)
    if _usable(out, n):
        return out
    bad = np.flatnonzero((out < 0) | (out >= n))
    if len(bad):
        face = int(np.searchsorted(np.cumsum(faces.counts), bad[0], side="right"))
        value, back = index[bad[0]], int(np.searchsorted(vertices, faces.rows[face]))
        allowed = f"-{back}..-1 (vertices so far)" if value < 0 else f"1..{n}"
        raise IndexOutOfRangeError(
            f"face {face} has the index {value}, allowed are {allowed}"
            f" ({len(bad)} bad indices in all)",
            line=lines[face],
            indices=[face],
            count=len(bad),
            hint="OBJ counts from 1" if value == 0 else "",
        )
    return out


def _texture(
    tokens: Tokens, rows: IntArray, index: IntArray, where: IntArray, warnings: list[str]
) -> FloatArray | None:
    """Return texture coordinates per corner (C, 2), or None if a corner has none."""
    given = index != scanners.MISSING
    if not len(rows) or not given.all():
        if given.any():
            warnings.append(
                f"only {given.sum()} of {len(index)} corners have a texture coordinate: dropped"
            )
        return None
    sizes = np.diff(tokens.rows)[rows] - 1
    if not _usable(where, len(rows)) or (sizes < 2).any():
        warnings.append("texture coordinates dropped: indices out of range or lines cut short")
        return None
    uv = tokens.numbers((tokens.rows[rows] + 1)[:, None] + np.arange(2), "texture coordinate")
    if not np.isfinite(uv).all():
        warnings.append("texture coordinates dropped: not finite")
        return None
    return uv[where]


def _normals(
    tokens: Tokens, rows: IntArray, index: IntArray, where: IntArray, corners: IntArray, n: int
) -> FloatArray | None:
    """Return normals per vertex (V, 3) if each vertex has its own; normals per corner are not
    kept.
    """
    if (
        len(rows) != n
        or (index == scanners.MISSING).any()
        or (np.diff(tokens.rows)[rows] != 4).any()
    ):
        return None
    if not np.array_equal(where, corners):
        return None
    return tokens.numbers((tokens.rows[rows] + 1)[:, None] + np.arange(3), "normal")


def _usable(index: IntArray, n: int) -> bool:
    return len(index) > 0 and bool(index.min() >= 0) and bool(index.max() < n)


def looks_like_obj(head: bytes) -> bool:
    """Tell whether the beginning of a file reads as OBJ: known keywords only, and a vertex or
    face.
    """
    lines = [line.split() for line in head.replace(b"\r", b"\n").split(b"\n")[:-1] or [head]]
    first = [line[0] for line in lines if line and not line[0].startswith(b"#")]
    known = {word.encode() for word in KEYWORDS}
    return bool(first) and all(word in known for word in first) and (b"v" in first or b"f" in first)
