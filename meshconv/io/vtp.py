"""VTK XML polygon files (.vtp): ascii, inline base64 and appended arrays, plain or
zlib-compressed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray
from meshconv.errors import (
    BadFormatError,
    BadHeaderError,
    SecurityError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io.decompress import FREE_SIZE, MAX_RATIO, inflate
from meshconv.io.raw_mesh import Fields, RawMesh, join_fields
from meshconv.io.source import Source
from meshconv.io.tokens import clip, scan
from meshconv.io.vtk_cells import Cells, polygons
from meshconv.io.vtp_bytes import Packed
from meshconv.io.xml_tree import Node, parse_xml

_TYPES = {
    "Int8": "i1",
    "UInt8": "u1",
    "Int16": "i2",
    "UInt16": "u2",
    "Int32": "i4",
    "UInt32": "u4",
    "Int64": "i8",
    "UInt64": "u8",
    "Float32": "f4",
    "Float64": "f8",
}
_KINDS = {"Verts": "verts", "Lines": "lines", "Polys": "polys", "Strips": "strips"}
_MAX_PIECES = 10_000
_MAX_BLOCKS = 1_000_000
_COST_OF_BLOCK = 500  # bytes of memory of a block, however small
_NARROW = 2  # bytes of a number that unfold to eight
_APPENDED = re.compile(rb"<AppendedData\b([^>]*)>\s*_")


@dataclass
class _File:
    """How the arrays of one file are packed."""

    order: str
    header: str
    compressed: bool
    appended: memoryview
    raw: bool
    source: Source


def read_vtp(source: Source) -> RawMesh:
    """Read a VTP file; several pieces become one mesh."""
    data, appended, raw = _cut_appended(source.data)
    root = parse_xml(data)
    if root.tag != "VTKFile":
        raise BadFormatError(f"XML of the kind {clip(root.tag)}, not VTKFile")
    kind = root.attributes.get("type", "")
    if kind != "PolyData":
        raise UnsupportedFormatError(f"VTKFile of type {clip(kind)}; only PolyData is read")
    file = _packing(root.attributes, appended, raw, source)
    body = root.first("PolyData")
    nodes = body.all("Piece") if body else []
    if len(nodes) > _MAX_PIECES:
        raise SecurityError(
            f"the VTP file has {len(nodes)} pieces, at most {_MAX_PIECES} are joined"
        )
    pieces = [_piece(piece, file, source.warnings) for piece in nodes]
    if not pieces:
        raise BadFormatError("the VTP file has no Piece")
    return pieces[0] if len(pieces) == 1 else _joined(pieces, source.warnings)


def _cut_appended(data: bytes) -> tuple[bytes, memoryview, bool]:
    """Return the XML without the appended block, the block, and whether it is raw bytes."""
    match = _APPENDED.match(data, max(0, data.find(b"<AppendedData")))
    if match is None:
        return data, memoryview(b""), False
    raw = re.search(rb"encoding\s*=\s*[\"']raw[\"']", match[1]) is not None
    block = memoryview(data)[match.end() :]
    if not raw:
        block = memoryview(b"".join(bytes(block).split()))
    return data[: match.start()] + b"</VTKFile>", block, raw


def _packing(attributes: dict[str, str], appended: memoryview, raw: bool, source: Source) -> _File:
    order = attributes.get("byte_order", "LittleEndian")
    header = attributes.get("header_type", "UInt32")
    compressor = attributes.get("compressor", "")
    if order not in ("LittleEndian", "BigEndian"):
        raise BadHeaderError(f"byte_order {clip(order)} is neither LittleEndian nor BigEndian")
    if header not in ("UInt32", "UInt64"):
        raise BadHeaderError(f"header_type {clip(header)} is neither UInt32 nor UInt64")
    if compressor not in ("", "vtkZLibDataCompressor"):
        raise UnsupportedFormatError(
            f"compressor {clip(compressor)}; only zlib is read", hint="save it without"
        )
    sign = "<" if order == "LittleEndian" else ">"
    return _File(sign, _TYPES[header], bool(compressor), appended, raw, source)


def _piece(node: Node, file: _File, warnings: list[str]) -> RawMesh:
    n = _attribute(node, "NumberOfPoints")
    points = node.first("Points")
    array = points.first("DataArray") if points else None
    if array is None and n:
        raise BadFormatError("the Piece has no Points")
    vertices = (
        _array(array, file, 3 * n, f"Points ({n} declared)", warnings).reshape(n, 3)
        if array and n
        else np.empty((0, 3))
    )
    cells = {}
    for tag, kind in _KINDS.items():
        count = _attribute(node, f"NumberOf{tag}")
        part = node.first(tag)
        if count and part is not None:
            cells[kind] = _cells(part, file, count, tag, warnings)
        elif count and tag in ("Polys", "Strips"):
            raise TruncatedError(f"the Piece declares {count} {tag}, but has none")
    total = sum(len(part.counts) for part in cells.values())
    points_of = _fields(node.first("PointData"), file, n, warnings)
    faces_of = _fields(node.first("CellData"), file, total, warnings)
    return polygons(_widened(vertices, np.float64, file), cells, points_of, faces_of, file.source)


def _cells(part: Node, file: _File, n: int, tag: str, warnings: list[str]) -> Cells:
    arrays = {array.attributes.get("Name", ""): array for array in part.all("DataArray")}
    if "connectivity" not in arrays or "offsets" not in arrays:
        raise BadFormatError(f"{tag} has no connectivity and offsets")
    offsets = _whole(arrays["offsets"], file, n, f"{tag} offsets", warnings)
    corners = _whole(
        arrays["connectivity"], file, int(offsets[-1]), f"{tag} connectivity", warnings
    )
    return Cells.from_offsets(corners, offsets)


def _whole(node: Node, file: _File, count: int, what: str, warnings: list[str]) -> IntArray:
    values = _array(node, file, count, what, warnings)
    if values.dtype.kind not in "iu":
        raise BadHeaderError(f"{what} of the type {clip(node.attributes['type'])}")
    return _widened(values, np.int64, file)


def _widened(values: NDArray[Any], kind: type[np.generic], file: _File) -> NDArray[Any]:
    """Return numbers in eight bytes each; those that the file packs closer count for what they
    become.
    """
    if values.itemsize <= _NARROW:
        file.source.spend(8 * values.size, "numbers of one or two bytes")
    return values.astype(kind)


def _fields(part: Node | None, file: _File, n: int, warnings: list[str]) -> Fields:
    out: Fields = {}
    if part is None:
        return out
    for array in part.all("DataArray"):
        name = array.attributes.get("Name", f"field_{len(out)}")
        if array.attributes.get("type") not in _TYPES:
            warnings.append(
                f"ignored field {clip(name)} of type {clip(array.attributes.get('type', ''))}"
            )
            continue
        columns = _attribute(array, "NumberOfComponents", 1)
        values = _array(array, file, n * columns, name, warnings)
        if name and name == part.attributes.get("Normals", "Normals" if columns == 3 else ""):
            name = "normals"
        if name in out:
            warnings.append(f"two fields are named {clip(name)}: the last is kept")
        out[name] = values.reshape(n, columns) if columns > 1 else values
    return out


def _attribute(node: Node, name: str, default: int = 0) -> int:
    text = node.attributes.get(name, str(default)).strip()
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadHeaderError(f"{name}={clip(text)} is not a possible count")
    return int(text)


def _array(node: Node, file: _File, count: int, what: str, warnings: list[str]) -> NDArray[Any]:
    """Return exactly `count` numbers of a DataArray; fewer are refused, more noted."""
    name = node.attributes.get("type", "")
    if name not in _TYPES:
        raise BadHeaderError(f"{what}: unknown type {clip(name)}")
    kind, form = np.dtype(file.order + _TYPES[name]), node.attributes.get("format", "ascii")
    if count < 0:
        raise BadFormatError(f"{what}: {count} numbers")
    if form == "ascii":
        values = _ascii(node.text, kind, what, count)
    elif form in ("binary", "appended"):
        raw = _bytes(node, file, form == "appended", what, count * kind.itemsize)
        if len(raw) % kind.itemsize:
            raise TruncatedError(f"{what}: {len(raw)} bytes are no whole number of {name}")
        values = np.frombuffer(raw, kind)
    else:
        raise BadHeaderError(f"{what}: format {clip(form)} is none of ascii, binary, appended")
    if len(values) < count:
        raise TruncatedError(f"{what}: expected {count} numbers, found {len(values)}")
    if len(values) > count:
        warnings.append(
            f"{what}: ignored {len(values) - count} numbers beyond the {count} declared"
        )
    return values[:count].astype(kind.newbyteorder("="))


def _ascii(text: str, kind: np.dtype[Any], what: str, count: int) -> NDArray[Any]:
    tokens = scan(text.encode())
    if len(tokens) < count:
        raise TruncatedError(f"{what}: expected {count} numbers, found {len(tokens)}")
    where = np.arange(len(tokens))
    if kind.kind in "iu":
        return tokens.integers(where, what, kind.str[1:])
    return tokens.numbers(where, what).astype(kind)


def _bytes(node: Node, file: _File, appended: bool, what: str, expected: int) -> bytes:
    """Return the unpacked bytes of a binary array."""
    if appended:
        reader = Packed(file.appended, _attribute(node, "offset"), what, raw=file.raw)
    else:
        reader = Packed(memoryview(b"".join(node.text.encode().split())), 0, what, raw=False)
    size, kind = int(file.header[1]), file.order + file.header
    if not file.compressed:
        (total,) = np.frombuffer(reader.peek(size), kind).tolist()
        file.source.spend(total if total < 1 << 62 else 0, what)
        return reader.take(size + total)[size:]
    blocks, _, _ = np.frombuffer(reader.peek(3 * size), kind).tolist()
    if blocks > reader.left // size or blocks > _MAX_BLOCKS:
        raise TruncatedError(
            f"{what}: expected {blocks} compressed blocks, found room for {reader.left // size}"
        )
    sizes = np.frombuffer(reader.take((3 + blocks) * size), kind)[3:].tolist()
    packed, out, at = reader.take(sum(sizes)), [], 0
    limit = max(FREE_SIZE, MAX_RATIO * len(packed))
    for k in sizes:
        file.source.spend(k + _COST_OF_BLOCK, what)
        out.append(inflate(packed[at : at + k], what, limit=limit)[0])
        file.source.spend(len(out[-1]), what)
        limit -= len(out[-1])
        at += k
    return b"".join(out)


def _joined(pieces: list[RawMesh], warnings: list[str]) -> RawMesh:
    """Return several pieces as one mesh; fields that all of them have are kept."""
    warnings.append(f"joined {len(pieces)} pieces into one surface")
    before = np.cumsum([0] + [len(piece.vertices) for piece in pieces])
    raw = RawMesh(
        np.concatenate([piece.vertices for piece in pieces]),
        np.concatenate([piece.corners + k for piece, k in zip(pieces, before, strict=False)]),
        np.concatenate([piece.counts for piece in pieces]),
    )
    raw.vertex_fields = join_fields([piece.vertex_fields for piece in pieces])
    raw.face_fields = join_fields([piece.face_fields for piece in pieces])
    return raw
