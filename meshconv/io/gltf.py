"""glTF 2.0 and its binary form GLB: the triangles of the default scene, with node transforms
applied.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import (
    BadFormatError,
    BadHeaderError,
    IndexOutOfRangeError,
    NoFacesError,
    TruncatedError,
    UnsupportedFormatError,
)
from meshconv.io.gltf_accessors import Document, number_of
from meshconv.io.gltf_nodes import placed_meshes
from meshconv.io.raw_mesh import Fields, RawMesh
from meshconv.io.source import Source
from meshconv.io.strips import strip_triangles, without_repeats
from meshconv.io.vtp import join_fields

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_MAX_DEPTH = 200
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_Primitive = tuple[IntArray, dict[str, Any]]  # triangles and attributes
_NAMES = {"COLOR_0": "colors", "TEXCOORD_0": "uv"}


def read_glb(source: Source) -> RawMesh:
    """Read a GLB file: a header, a JSON chunk and at most one binary chunk."""
    data = source.data
    if len(data) < 20:
        raise TruncatedError(f"expected at least 20 bytes of GLB header, found {len(data)}")
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != b"glTF":
        raise BadFormatError("no GLB content: does not begin with 'glTF'")
    if version != 2:
        raise UnsupportedFormatError(f"glTF version {version}; only 2 is read")
    if length > len(data):
        raise TruncatedError(
            f"the GLB header declares expected {length} bytes, found {len(data)}",
            hint="the file is cut",
        )
    if length < len(data):
        source.warnings.append(f"ignored {len(data) - length} bytes after the GLB data")
    chunks = _chunks(data[:length])
    if not chunks or chunks[0][0] != _JSON:
        raise BadHeaderError("the first GLB chunk is not JSON")
    binary = chunks[1][1] if len(chunks) > 1 and chunks[1][0] == _BIN else None
    return _scene(Document(_parse(chunks[0][1]), source, binary))


def _chunks(data: bytes) -> list[tuple[int, bytes]]:
    out: list[tuple[int, bytes]] = []
    at = 12
    while at + 8 <= len(data):
        size, kind = struct.unpack_from("<II", data, at)
        if size > len(data) - at - 8:
            raise TruncatedError(
                f"GLB chunk {len(out)}: expected {size} bytes, found {len(data) - at - 8}"
            )
        out.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    return out


def read_gltf(source: Source) -> RawMesh:
    """Read a glTF text file; buffers are read from data: addresses and files of the same folder
    only.
    """
    return _scene(Document(_parse(source.data), source, None))


def _parse(data: bytes) -> dict[str, Any]:
    """Return the JSON object; its nesting is measured before it is parsed."""
    text = np.frombuffer(data, np.uint8)
    step = ((text == 91) | (text == 123)).astype(np.int32) - ((text == 93) | (text == 125))
    deepest = int(np.cumsum(step).max(initial=0))
    if deepest > _MAX_DEPTH:
        raise BadFormatError(f"JSON nested {deepest} deep, more than {_MAX_DEPTH}")
    try:
        out = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadFormatError(f"the JSON is not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise BadFormatError(
            f"damaged JSON: {error.msg}", line=error.lineno, hint="the file is cut or damaged"
        ) from error
    except ValueError as error:
        raise BadFormatError("the JSON holds a number of thousands of digits") from error
    if not isinstance(out, dict) or not isinstance(out.get("asset"), dict):
        raise BadFormatError("JSON, but no glTF: it has no 'asset'")
    if not str(out["asset"].get("version", "")).startswith("2."):
        raise UnsupportedFormatError(
            f"glTF version {str(out['asset'].get('version'))[:20]!r}; only 2.x is read"
        )
    return out


def _refuse_constant(name: str) -> None:
    raise BadFormatError(f"the JSON holds {name}, which is no JSON number")


def _scene(document: Document) -> RawMesh:
    """Return all triangles of the scene as one mesh."""
    _refuse_compressed(document.root.get("extensionsRequired"))
    warnings = document.source.warnings
    parts: list[tuple[FloatArray, IntArray, Fields]] = []
    total, allowed, skipped = (
        0,
        max(1_000_000, len(document.source.data), document.external_size),
        0,
    )
    for mesh, matrix in placed_meshes(document):
        groups, others = _by_positions(document, mesh)
        skipped += others
        for position, members in groups.items():
            vertices = document.array(position, "VEC3", "POSITION").astype(np.float64)
            total += len(vertices) + sum(len(faces) for faces, _ in members)
            document.check_total(total, allowed)
            faces = np.concatenate([faces for faces, _ in members])
            parts.append(
                _placed(vertices, faces, _fields(document, members[0][1], len(vertices)), matrix)
            )
    if skipped and not parts:
        raise NoFacesError(f"no faces: {skipped} primitives of points or lines")
    if skipped:
        warnings.append(f"skipped {skipped} primitives of points or lines")
    return _joined(parts, warnings)


def _refuse_compressed(required: object) -> None:
    packed = (
        [str(name) for name in required if "compression" in str(name)]
        if isinstance(required, list)
        else []
    )
    if packed:
        raise UnsupportedFormatError(
            f"needs {', '.join(packed)[:80]}", hint="export without mesh compression"
        )


def _by_positions(
    document: Document, mesh: dict[str, Any]
) -> tuple[dict[int, list[_Primitive]], int]:
    """Return the primitives of a mesh by the vertices they share, and how many are points or
    lines.
    """
    groups: dict[int, list[_Primitive]] = {}
    others = 0
    for primitive in document.items(mesh, "primitives"):
        mode = number_of(primitive, "mode", _TRIANGLES)
        attributes = document.table(primitive, "attributes")
        if mode not in (_TRIANGLES, _STRIP, _FAN) or "POSITION" not in attributes:
            others += 1
            continue
        position = number_of(attributes, "POSITION")
        faces = _faces(document, primitive, mode, document.accessor(position)["count"])
        groups.setdefault(position, []).append((faces, attributes))
    return groups, others


def _faces(document: Document, primitive: dict[str, Any], mode: int, n: int) -> IntArray:
    """Return the triangles (F, 3) of one primitive."""
    if "indices" in primitive:
        index = document.array(number_of(primitive, "indices"), "SCALAR", "indices")
        if index.dtype.kind == "f":
            raise BadHeaderError("indices of a floating type")
        index = index.astype(np.int64)
    else:
        index = np.arange(n)
    if mode == _STRIP:
        return without_repeats(strip_triangles(index, np.array([0]), np.array([len(index)])))
    if mode == _FAN:
        rest = np.stack([index[1:-1], index[2:]], axis=1)
        return np.column_stack([np.broadcast_to(index[:1], len(rest)), rest])
    if len(index) % 3:
        raise TruncatedError(f"{len(index)} indices are no whole number of triangles")
    return index.reshape(-1, 3)


def _fields(document: Document, attributes: dict[str, Any], n: int) -> Fields:
    out: Fields = {}
    for name in attributes:
        if name in _NAMES or name == "NORMAL" or name.startswith("_"):
            values = document.array(number_of(attributes, name), "", name)
            if len(values) == n:
                out[_NAMES.get(name, "normals" if name == "NORMAL" else name[1:])] = values
    return out


def _placed(
    vertices: FloatArray, faces: IntArray, fields: Fields, matrix: FloatArray
) -> tuple[FloatArray, IntArray, Fields]:
    """Return a part in the coordinates of the scene; a mirroring transform turns the faces
    round.
    """
    if np.array_equal(matrix, np.eye(4)):
        return vertices, faces, fields
    linear = matrix[:3, :3]
    determinant = float(np.linalg.det(linear))
    if "normals" in fields and determinant != 0:
        normals = fields["normals"] @ np.linalg.inv(linear)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        fields["normals"] = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    placed = vertices if np.array_equal(linear, np.eye(3)) else vertices @ linear.T
    return placed + matrix[:3, 3], faces[:, ::-1] if determinant < 0 else faces, fields


def _joined(parts: list[tuple[FloatArray, IntArray, Fields]], warnings: list[str]) -> RawMesh:
    if not parts:
        return RawMesh(
            np.empty((0, 3)), np.empty(0, np.int64), np.empty(0, np.int64), warnings=warnings
        )
    for vertices, faces, _ in parts:
        beyond = np.flatnonzero(faces.reshape(-1) >= len(vertices))
        if len(beyond):  # must be seen before the parts are joined, where it might be legal
            face, value = int(beyond[0]) // 3, faces.reshape(-1)[beyond[0]]
            raise IndexOutOfRangeError(
                f"face {face} of a mesh has the index {value}, allowed are 0..{len(vertices) - 1}"
                f" ({len(beyond)} bad in all)",
                indices=[face],
                count=len(beyond),
            )
    if len(parts) == 1:
        return RawMesh.of_triangles(parts[0][0], parts[0][1], vertex_fields=parts[0][2])
    warnings.append(f"joined {len(parts)} meshes into one surface")
    before = np.cumsum([0] + [len(vertices) for vertices, _, _ in parts])
    faces = np.concatenate([faces + k for (_, faces, _), k in zip(parts, before, strict=False)])
    fields = join_fields([fields for _, _, fields in parts])
    return RawMesh.of_triangles(
        np.concatenate([v for v, _, _ in parts]), faces, vertex_fields=fields
    )
