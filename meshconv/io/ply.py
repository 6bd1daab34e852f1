"""PLY (Stanford polygons), ascii and binary of both byte orders: header, and which property means
what.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from meshconv._check import FloatArray
from meshconv.errors import BadFormatError, BadHeaderError, TruncatedError, UnsupportedFormatError
from meshconv.io.ply_body import AsciiBody, BinaryBody, Column, Element, ListColumn, Property
from meshconv.io.ply_names import group_fields
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.strips import strip_triangles
from meshconv.io.tokens import Lines, clip

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float32": "f4",
    "float64": "f8",
}
_FORMATS = ("ascii", "binary_little_endian", "binary_big_endian")
_MAX_HEADER = 1 << 20
_OF_ITEM, _OF_CUT = 24, 48  # bytes of memory of an item of a strip, and of its end


@dataclass
class _Header:
    format: str
    elements: list[Element]
    size: int
    lines: int


def read_ply(source: Source) -> RawMesh:
    """Read a PLY file: elements ``vertex``, ``face`` and ``tristrips``; others are passed over."""
    header = _header(source.data)
    if header.format == "ascii":
        body: AsciiBody | BinaryBody = AsciiBody(source.data[header.size :], header.lines + 1)
    else:
        body = BinaryBody(source.data, header.size, big=header.format == "binary_big_endian")
    columns: dict[str, dict[str, Column | ListColumn]] = {}
    lines: dict[str, Lines | None] = {}
    for element in header.elements:
        columns[element.name], lines[element.name] = body.read(element)
    source.warnings += body.leftover()
    raw = _faces(columns, source)
    raw.vertices, raw.vertex_fields = _vertices(columns.get("vertex", {}), source.warnings)
    raw.vertex_line, raw.face_line = lines.get("vertex"), lines.get("face")
    return raw


def _header(data: bytes) -> _Header:
    """Return the format and the elements.

    Raises
    ------
    BadHeaderError
        Names the line and the word that is wrong.
    """
    end = re.search(rb"(?:\n|\r)end_header[ \t]*(\r\n|\n|\r|$)", data[:_MAX_HEADER])
    if not data.startswith(b"ply"):
        raise BadFormatError(
            f"no PLY content: begins with {clip(data[:16].decode('latin-1'))}, not 'ply'", line=1
        )
    if end is None:
        raise TruncatedError("the PLY header has no end_header line")
    lines = re.split(r"\r\n|\n|\r", data[: end.start()].decode("utf-8", "replace"))
    form, elements = "", []
    for number, text in enumerate(lines[1:], 2):
        words = text.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        try:
            if words[0] == "format":
                form = _format(words)
            elif words[0] == "element":
                elements.append(_element(words))
            elif words[0] == "property" and elements:
                _add_property(elements[-1], words)
            else:
                raise BadHeaderError(f"{clip(text)} is no PLY header line")
        except BadHeaderError as error:
            raise BadHeaderError(error.message, line=number, hint=error.hint) from None
    if not form:
        raise BadHeaderError("the PLY header has no format line")
    for element in elements:
        missing = {"x", "y", "z"} - {prop.name for prop in element.properties}
        if element.name == "vertex" and missing:
            raise BadHeaderError(
                f"the vertices have no property {', '.join(map(repr, sorted(missing)))}"
            )
    names = [element.name for element in elements]
    if len(set(names)) < len(names):
        raise BadHeaderError(f"an element is declared twice: {', '.join(names)[:80]}")
    # where lines end in CR, a LF is the first byte of data
    bare = end[1] == b"\r\n" and b"\n" not in data[: end.start()]
    return _Header(form, elements, end.end() - bare, len(lines) + 1)


def _format(words: list[str]) -> str:
    if len(words) < 2 or words[1] not in _FORMATS:
        raise BadHeaderError(f"format {clip(' '.join(words[1:]))} is none of {', '.join(_FORMATS)}")
    if len(words) != 3 or words[2] != "1.0":
        raise BadHeaderError(f"version {clip(' '.join(words[2:]))} is not 1.0")
    return words[1]


def _element(words: list[str]) -> Element:
    if len(words) != 3 or not re.fullmatch(r"[0-9]{1,18}", words[2]):
        raise BadHeaderError(f"{clip(' '.join(words))}: expected a name and a possible count")
    return Element(words[1], int(words[2]))


def _add_property(element: Element, words: list[str]) -> None:
    is_list = len(words) > 1 and words[1] == "list"
    if len(words) != (5 if is_list else 3):
        raise BadHeaderError(f"{clip(' '.join(words))}: expected a type and a name")
    for word in words[2:4] if is_list else words[1:2]:
        if word not in _TYPES:
            raise BadHeaderError(
                f"unknown type {clip(word)}", hint=f"known are {', '.join(list(_TYPES)[:8])}"
            )
    if words[-1] in element.names:
        raise BadHeaderError(f"property {clip(words[-1])} is declared twice")
    count = _TYPES[words[2]] if is_list else ""
    if count.startswith("f"):
        raise BadHeaderError(f"a list length of type {clip(words[2])}")
    element.names.add(words[-1])
    element.properties.append(Property(words[-1], _TYPES[words[-2]], count))


def _vertices(
    columns: dict[str, Column | ListColumn], warnings: list[str]
) -> tuple[FloatArray, Fields]:
    """Return positions (V, 3) float64 and the other vertex properties as fields."""
    scalars = {name: value for name, value in columns.items() if isinstance(value, np.ndarray)}
    missing = [axis for axis in "xyz" if axis not in scalars]
    if missing:
        raise BadHeaderError(f"the vertices have no property {', '.join(map(repr, missing))}")
    lists = [name for name in columns if name not in scalars]
    if lists:
        warnings.append(f"ignored list properties of the vertices: {', '.join(lists)[:80]}")
    vertices = np.empty((len(scalars["x"]), 3))
    for k, axis in enumerate("xyz"):
        vertices[:, k] = scalars.pop(axis)
    return vertices, group_fields(scalars)


def _faces(columns: dict[str, dict[str, Column | ListColumn]], source: Source) -> RawMesh:
    """Return the faces, with vertices still to be filled in."""
    face = columns.get("face", {})
    found = face.get("vertex_indices", face.get("vertex_index"))
    none = np.empty((0, 3))
    if found is None and "tristrips" in columns:
        return _strips(columns["tristrips"], source)
    if found is None:
        if len(face):
            raise BadHeaderError("the faces have no property 'vertex_indices'")
        return RawMesh(none, np.empty(0, np.int64), np.empty(0, np.int64))
    if not isinstance(found, ListColumn):
        raise BadHeaderError("the property 'vertex_indices' is not a list")
    raw = RawMesh(none, found.whole("vertex index"), found.counts)
    scalars = {name: value for name, value in face.items() if isinstance(value, np.ndarray)}
    raw.face_fields = group_fields(scalars)
    uv = face.get("texcoord")
    if isinstance(uv, ListColumn) and np.array_equal(uv.counts, 2 * found.counts):
        raw.corner_uv = uv.items.astype(np.float64).reshape(-1, 2)
        if not np.isfinite(raw.corner_uv).all():
            raw.corner_uv = None
            source.warnings.append("texture coordinates dropped: not finite")
    return raw


def _strips(columns: dict[str, Column | ListColumn], source: Source) -> RawMesh:
    """Return the triangles of Stanford's tristrips: -1 ends a strip."""
    found = columns.get("vertex_indices", columns.get("vertex_index"))
    if not isinstance(found, ListColumn):
        raise UnsupportedFormatError("tristrips without a list of vertex_indices")
    source.spend(_OF_ITEM * len(found.items), "tristrips")
    source.spend(_OF_CUT * int(np.count_nonzero(found.items == -1)), "tristrips")
    items = found.whole("vertex index")
    cut = np.flatnonzero(items == -1)
    ends = np.union1d(np.cumsum(found.counts), cut + 1)
    sizes = np.diff(ends, prepend=0)
    ended = np.isin(ends - 1, cut)
    faces = strip_triangles(items, ends - sizes, sizes - ended)
    source.warnings.append(f"unrolled {len(sizes)} tristrips into {len(faces)} triangles")
    return RawMesh.of_triangles(np.empty((0, 3)), faces)
