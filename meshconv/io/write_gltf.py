"""Writers of glTF and GLB: positions in single precision, around the centre of the surface."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.io.raw_mesh import Fields
from meshconv.io.single_precision import centre_of, single
from meshconv.mesh.surface import Surface

_COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "f4": 5126}
_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


def _gltf(surface: Surface, points: Fields) -> tuple[dict[str, Any], bytes]:
    """Return the JSON document and the buffer; positions are stored around the centre of the
    surface.
    """
    centre = centre_of(surface)
    positions = single(surface, centre).astype("<f4")
    buffer = _Buffer()
    indices = buffer.add(surface.faces.astype("<u4").reshape(-1))
    attributes = {"POSITION": buffer.add(positions)}
    for name, value in points.items():
        key, array, normalized = _attribute(name, value)
        attributes[key] = buffer.add(array, normalized=normalized)
    low, high = positions.min(axis=0).tolist(), positions.max(axis=0).tolist()
    buffer.accessors[attributes["POSITION"]] |= {"min": low, "max": high}
    primitive = {"attributes": attributes, "indices": indices, "mode": 4}
    document = {
        "asset": {"version": "2.0", "generator": "meshconv"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": centre.tolist()}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return document, bytes(buffer.data)


class _Buffer:
    """Arrays one after the other, each with its view and accessor."""

    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.data = bytearray()

    def add(self, array: NDArray[Any], *, normalized: bool = False) -> int:
        """Append an array; return the number of its accessor."""
        rows = _aligned(array)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": rows.nbytes}
        self.views.append(view | ({"byteStride": rows.strides[0]} if rows.ndim == 2 else {}))
        accessor = {
            "bufferView": len(self.accessors),
            "componentType": _COMPONENTS.get(array.dtype.str[1:], 5125),
            "count": len(array),
            "type": _SHAPES[1 if array.ndim == 1 else array.shape[1]],
        }
        self.accessors.append(accessor | ({"normalized": True} if normalized else {}))
        self.data += rows.tobytes()
        return len(self.accessors) - 1


def _attribute(name: str, value: NDArray[Any]) -> tuple[str, NDArray[Any], bool]:
    """Return the glTF name of a vertex field, the values as stored, and whether they are
    normalised.
    """
    if name == "colors":
        if value.dtype.kind in "iu":
            return "COLOR_0", value.astype(np.uint8), True
        return "COLOR_0", value.astype("<f4"), False
    known = {"normals": "NORMAL", "uv": "TEXCOORD_0"}
    if name not in known and value.dtype.str[1:] in _COMPONENTS:
        return f"_{name}", value, False
    return known.get(name, f"_{name}"), value.astype("<f4"), False


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Pad each row to a multiple of four bytes, as glTF asks for vertex attributes."""
    if array.dtype.itemsize % 4 == 0:
        return array
    rows = array.reshape(len(array), -1)
    columns, step = rows.shape[1], 4 // array.dtype.itemsize
    wide = np.zeros((len(rows), -(-columns // step) * step), array.dtype)
    wide[:, :columns] = rows
    return wide


def glb_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return a GLB file: the JSON document and its buffer in one."""
    document, data = _gltf(surface, points)
    text = json.dumps(document, separators=(",", ":")).encode()
    text, data = text.ljust(-(-len(text) // 4) * 4, b" "), data.ljust(-(-len(data) // 4) * 4, b"\0")
    chunks = (
        struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(data), b"BIN\0")
        + data
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def gltf_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return a glTF text file with its buffer inside."""
    document, data = _gltf(surface, points)
    address = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    document["buffers"][0]["uri"] = address
    return json.dumps(document).encode()
