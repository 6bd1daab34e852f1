"""STL, binary and ascii: triangles without shared vertices, welded where corners are exactly
equal.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import BadFormatError, NoFacesError, NonFiniteError, TruncatedError
from meshconv.io import scanners
from meshconv.io.raw_mesh import RawMesh
from meshconv.io.source import Source
from meshconv.io.stl_weld import note_soup, weld
from meshconv.io.tokens import Lines, Tokens, clip, code, scan

_HEADER, _RECORD = 84, 50
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_PATTERN = ["facet", "normal", "outer", "loop", "vertex", "vertex", "vertex", "endloop", "endfacet"]
_TWO_WORDS = ("loop", "facet", "solid")  # after "end"


def is_binary_stl(data: bytes) -> bool:
    """Tell whether the size is exactly that of the triangles the header declares."""
    return len(data) > _HEADER and len(data) == _HEADER + _RECORD * _declared(data)


def read_stl(source: Source) -> RawMesh:
    """Read an STL file of either kind; corners with exactly equal coordinates become one vertex."""
    if is_binary_stl(source.data) or not _is_text(source.data):
        points, lines = _binary(source), None
    else:
        points, lines = _ascii(source.data)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise NonFiniteError(
            f"vertex {bad[0] % 3} of facet {bad[0] // 3} is {points[bad[0]].tolist()},"
            f" {len(bad)} corners are not finite",
            count=len(bad),
            indices=(bad[:10] // 3).tolist(),
            line=None if lines is None else lines[int(bad[0])],
            hint="remove these facets",
        )
    vertices, label = weld(points)
    faces = label.reshape(-1, 3)
    note_soup(vertices, faces, source.warnings)
    return RawMesh.of_triangles(vertices, faces)


def _declared(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, 80)[0])


def _is_text(data: bytes) -> bool:
    """Tell whether it begins as text does, and no NUL is near: every binary triangle has some."""
    return data[:64].lstrip()[:5].lower() == b"solid" and b"\0" not in data[:512]


def _binary(source: Source) -> FloatArray:
    data = source.data
    if len(data) < _HEADER:
        raise TruncatedError(f"expected at least {_HEADER} bytes of STL header, found {len(data)}")
    n = _declared(data)
    needed, found = _HEADER + _RECORD * n, len(data)
    if found < needed:
        raise TruncatedError(
            f"the header declares {n} triangles: expected {needed} bytes, found {found}"
            f" (room for {(found - _HEADER) // _RECORD})",
            hint="the file is cut, or it is no STL",
        )
    extra = found - needed
    if extra and extra % _RECORD == 0:
        raise BadFormatError(
            f"the header declares {n} triangles, the file holds {(found - _HEADER) // _RECORD}",
            hint="write the file again: half a surface may be hidden",
        )
    if n == 0:
        raise NoFacesError("no faces: the header declares 0 triangles")
    if extra:
        source.warnings.append(f"ignored {extra} bytes after {n} triangles")
    records = np.frombuffer(data, _TRIANGLE, n, _HEADER)
    return records["corners"].reshape(-1, 3).astype(np.float64)


def _ascii(data: bytes) -> tuple[FloatArray, Lines]:
    """Return all corners (3F, 3) and their lines; the order of keywords is checked facet by
    facet.
    """
    tokens = scan(data)
    words = np.flatnonzero(tokens.kind == scanners.WORD)
    words, codes = _joined_ends(words, tokens.codes(words))
    words, codes, begun, ended = _without_names(tokens, words, codes)
    known = np.isin(codes, [code(word) for word in _PATTERN])
    words, codes = words[known], codes[known]  # the rest is a NaN, or stands where numbers belong
    expected = np.tile([code(word) for word in _PATTERN], len(codes) // 9 + 1)[: len(codes)]
    wrong = np.flatnonzero(codes != expected)
    if len(wrong):
        k = int(wrong[0])
        raise BadFormatError(
            f"facet {k // 9}: found {clip(tokens.text(int(words[k])))} where {_PATTERN[k % 9]!r}"
            " belongs",
            line=tokens.line_at(int(words[k])),
        )
    if len(codes) % 9 or ended < max(1, begun):
        raise TruncatedError(
            f"facet {len(codes) // 9} ends early: no endsolid", line=tokens.line_at(len(tokens))
        )
    if not len(words):
        raise NoFacesError("no faces: no facet in this STL")
    where = words[codes == code("vertex")]
    _check_gaps(tokens, words, codes)
    points = tokens.numbers(where[:, None] + np.arange(1, 4), "coordinate")
    return points, tokens.lines(where)


def _joined_ends(words: IntArray, codes: NDArray[np.uint64]) -> tuple[IntArray, NDArray[np.uint64]]:
    """Read ``end loop`` as ``endloop``, and so on."""
    end = np.flatnonzero((codes[:-1] == code("end")) & (words[1:] == words[:-1] + 1))
    codes = codes.copy()
    drop = np.zeros(len(codes), np.bool_)
    for word in _TWO_WORDS:
        second = end[codes[end + 1] == code(word)]
        codes[second] = code("end" + word)
        drop[second + 1] = True
    return words[~drop], codes[~drop]


def _without_names(
    tokens: Tokens, words: IntArray, codes: NDArray[np.uint64]
) -> tuple[IntArray, NDArray[np.uint64], int, int]:
    """Return the words without solid, endsolid and the names after them, and how many there were.

    A name is the rest of its line, but ends where ``facet normal`` or, after solid, ``endsolid``
    follows: all may stand on one line.
    """
    facet = (codes[:-1] == code("facet")) & (codes[1:] == code("normal"))
    facet &= words[1:] == words[:-1] + 1
    starts, ends = np.flatnonzero(facet), np.flatnonzero(codes == code("endsolid"))
    marks = np.flatnonzero((codes == code("solid")) | (codes == code("endsolid")))
    row_end = np.searchsorted(
        words, tokens.rows[np.searchsorted(tokens.rows, words[marks], side="right")]
    )
    keep: BoolArray = np.ones(len(words), np.bool_)
    begun = ended = behind = 0
    for mark, stop in zip(marks.tolist(), row_end.tolist(), strict=True):
        if mark < behind:  # a word of a name
            continue
        is_end = codes[mark] == code("endsolid")
        begun, ended = begun + (not is_end), ended + is_end
        behind = min(stop, _next(starts, mark), stop if is_end else _next(ends, mark))
        keep[mark:behind] = False
    return words[keep], codes[keep], begun, ended


def _next(places: IntArray, after: int) -> int:
    k = int(np.searchsorted(places, after, side="right"))
    return int(places[k]) if k < len(places) else 1 << 62


def _check_gaps(tokens: Tokens, words: IntArray, codes: NDArray[np.uint64]) -> None:
    """Refuse a vertex with more or fewer than three coordinates."""
    at = np.flatnonzero(codes == code("vertex"))
    gaps = words[at + 1] - words[at] - 1
    bad = np.flatnonzero(gaps != 3)
    if len(bad):
        line = tokens.line_at(int(words[at[bad[0]]]))
        raise BadFormatError(
            f"vertex {bad[0] % 3} of facet {bad[0] // 3} has {gaps[bad[0]]} coordinates", line=line
        )
