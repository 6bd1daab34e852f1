"""glTF 2.0 and its binary form GLB: the triangles of the default scene, with node transforms and
default morph weights applied.
"""

from __future__ import annotations

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
from meshconv.io.gltf_accessors import Document
from meshconv.io.gltf_nodes import placed_meshes
from meshconv.io.gltf_primitives import parts_of
from meshconv.io.json_text import parse_json
from meshconv.io.raw_mesh import Fields, RawMesh, join_fields
from meshconv.io.source import Source
from meshconv.io.tokens import clip

_JSON, _BIN = 0x4E4F534A, 0x004E4942
# extensions that a reader may pass over without another surface coming out
_HARMLESS = (
    "KHR_materials_",
    "KHR_texture_",
    "EXT_texture_",
    "MSFT_texture_",
    "KHR_lights_",
    "EXT_lights_",
    "KHR_xmp",
    "KHR_mesh_quantization",
    "KHR_animation_pointer",
)


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
    chunks = _chunks(memoryview(data)[:length])
    if not chunks or chunks[0][0] != _JSON:
        raise BadHeaderError("the first GLB chunk is not JSON")
    binary = chunks[1][1] if len(chunks) > 1 and chunks[1][0] == _BIN else None
    return _scene(Document(_parse(bytes(chunks[0][1])), source, binary))


def _chunks(data: memoryview) -> list[tuple[int, memoryview]]:
    out: list[tuple[int, memoryview]] = []
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
    out = parse_json(data)
    if not isinstance(out.get("asset"), dict):
        raise BadFormatError("JSON, but no glTF: it has no 'asset'")
    if not str(out["asset"].get("version", "")).startswith("2."):
        raise UnsupportedFormatError(
            f"glTF version {clip(str(out['asset'].get('version')), 20)}; only 2.x is read"
        )
    return out


def _scene(document: Document) -> RawMesh:
    """Return all triangles of the scene as one mesh."""
    _refuse_unknown(document.root.get("extensionsRequired", []))
    warnings, source = document.source.warnings, document.source
    placed: list[tuple[FloatArray, IntArray, Fields]] = []
    skipped = 0
    for one in placed_meshes(document):
        parts, others = parts_of(document, one.mesh, one.weights)
        skipped += others
        for vertices, faces, fields in parts:
            source.spend(vertices.nbytes + faces.nbytes, "the scene")
            placed.append(_placed(vertices, faces, fields, one.matrix))
    if skipped and not placed:
        raise NoFacesError(f"no faces: {skipped} primitives of points or lines")
    if skipped:
        warnings.append(f"skipped {skipped} primitives of points or lines")
    return _joined(placed, warnings)


def _refuse_unknown(required: object) -> None:
    names = [str(name) for name in required] if isinstance(required, list) else [str(required)]
    unknown = [name for name in names if not name.startswith(_HARMLESS)]
    if unknown:
        packed = any("compression" in name for name in unknown)
        raise UnsupportedFormatError(
            f"needs the extension {clip(', '.join(unknown), 80)}",
            hint="export without mesh compression" if packed else "export without it",
        )


def _placed(
    vertices: FloatArray, faces: IntArray, fields: Fields, matrix: FloatArray
) -> tuple[FloatArray, IntArray, Fields]:
    """Return a part in the coordinates of the scene; a mirroring transform turns the faces
    round.
    """
    linear = matrix[:3, :3]
    if np.array_equal(linear, np.eye(3)):
        moved = matrix[:3, 3]
        return (vertices + moved if moved.any() else vertices), faces, fields
    determinant = float(np.linalg.det(linear))
    if "normals" in fields and determinant != 0:
        normals = fields["normals"] @ np.linalg.inv(linear)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        fields["normals"] = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    placed = vertices @ linear.T + matrix[:3, 3]
    return placed, faces[:, ::-1] if determinant < 0 else faces, fields


def _joined(parts: list[tuple[FloatArray, IntArray, Fields]], warnings: list[str]) -> RawMesh:
    if not parts:
        return RawMesh(np.empty((0, 3)), np.empty(0, np.int64), np.empty(0, np.int64))
    for vertices, faces, _ in parts:
        flat = faces.reshape(-1)
        beyond = np.flatnonzero((flat < 0) | (flat >= len(vertices)))
        if len(beyond):  # must be seen before the parts are joined, where it might be legal
            face, value = int(beyond[0]) // 3, flat[beyond[0]]
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
