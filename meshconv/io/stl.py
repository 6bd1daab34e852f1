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
from meshconv.io.tokens import Tokens, clip, code, scan

_HEADER, _RECORD = 84, 50
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_PATTERN = ["facet", "normal", "outer", "loop", "vertex", "vertex", "vertex", "endloop", "endfacet"]


def is_binary_stl(data: bytes) -> bool:
    """Tell whether the size is exactly that of the triangles the header declares."""
    return len(data) > _HEADER and len(data) == _HEADER + _RECORD * _declared(data)


def read_stl(source: Source) -> RawMesh:
    """Read an STL file of either kind; corners with exactly equal coordinates become one vertex."""
    head = source.data[:4096].lower()
    if (
        not is_binary_stl(source.data)
        and head.lstrip().startswith(b"solid")
        and _reads_as_text(head)
    ):
        points, lines = _ascii(source.data)
    else:
        points, lines = _binary(source), None
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise NonFiniteError(
            f"vertex {bad[0] % 3} of facet {bad[0] // 3} is {points[bad[0]].tolist()},"
            f" {len(bad)} corners are not finite",
            count=len(bad),
            indices=(bad[:10] // 3).tolist(),
            line=None if lines is None else int(lines[bad[0]]),
            hint="remove these facets",
        )
    vertices, label = weld(points)
    return RawMesh.of_triangles(vertices, label.reshape(-1, 3))


def weld(points: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct points in order of first appearance, (V, 3), and which each became."""
    points = np.ascontiguousarray(points) + 0.0  # -0 becomes 0
    table = np.full(1 << max(4, (2 * len(points)).bit_length()), -1, np.int64)
    label, origin = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    n = scanners.weld_rows(points.view(np.uint64), table, label, origin)
    return points[origin[:n]], label


def _declared(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, 80)[0])


def _reads_as_text(head: bytes) -> bool:
    return b"facet" in head or b"endsolid" in head or (b"\0" not in head and len(head) < _HEADER)


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


def _ascii(data: bytes) -> tuple[FloatArray, IntArray]:
    """Return all corners (3F, 3) and their lines; the order of keywords is checked facet by
    facet.
    """
    tokens = scan(data)
    starts = tokens.codes(tokens.rows[:-1])
    begun, ended = starts == code("solid"), starts == code("endsolid")
    named: BoolArray = begun | ended
    row = np.cumsum(tokens.first) - 1
    words = np.flatnonzero((tokens.kind == scanners.WORD) & ~named[row])
    codes = tokens.codes(words)
    known = np.isin(codes, [code(word) for word in _PATTERN])
    words, codes = (
        words[known],
        codes[known],
    )  # the rest stands where numbers belong, and fails there
    expected = np.tile([code(word) for word in _PATTERN], len(codes) // 9 + 1)[: len(codes)]
    wrong = np.flatnonzero(codes != expected)
    if len(wrong):
        k = int(wrong[0])
        raise BadFormatError(
            f"facet {k // 9}: found {clip(tokens.text(int(words[k])))} where {_PATTERN[k % 9]!r} belongs",
            line=tokens.line_at(int(words[k])),
        )
    if len(codes) % 9 or ended.sum() < max(1, begun.sum()):
        raise TruncatedError(
            f"facet {len(codes) // 9} ends early: no endsolid", line=tokens.line_at(len(tokens))
        )
    if not len(words):
        raise NoFacesError("no faces: no facet in this STL")
    where = words[codes == code("vertex")]
    _check_gaps(tokens, words, codes)
    points = tokens.numbers(where[:, None] + np.arange(1, 4), "coordinate")
    return points, tokens.line[where].astype(np.int64)


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
