"""Writers of packed files: PLY, STL, GLB and glTF (PLY and STL also as text)."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv.io.raw_mesh import Fields
from meshconv.io.write_text import mixed_rows, unit_colors
from meshconv.mesh.surface import Surface

_PLY_TYPES = {
    "i1": "char",
    "u1": "uchar",
    "i2": "short",
    "u2": "ushort",
    "i4": "int",
    "u4": "uint",
    "f4": "float",
    "f8": "double",
}
_SPLIT = {
    "colors": ("red", "green", "blue", "alpha"),
    "normals": ("nx", "ny", "nz"),
    "uv": ("s", "t"),
}
_COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "f4": 5126}
_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


def ply_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return a PLY file: double coordinates, int indices, fields in their own type."""
    vertex = dict(zip("xyz", surface.vertices.T, strict=True)) | _columns(points)
    face = _columns(faces)
    head = [
        "ply",
        f"format {'binary_little_endian' if binary else 'ascii'} 1.0",
        "comment meshconv",
    ]
    head += [f"element vertex {surface.n_vertices}", *_properties(vertex)]
    head += [
        f"element face {surface.n_faces}",
        "property list uchar int vertex_indices",
        *_properties(face),
    ]
    start = ("\n".join([*head, "end_header"]) + "\n").encode()
    threes, index = np.full(surface.n_faces, 3, np.uint8), surface.faces.astype(np.int32)
    if not binary:
        rows = mixed_rows(list(vertex.values())) + mixed_rows([threes, index, *face.values()])
        return start + rows.encode()
    return (
        start + _packed(vertex).tobytes() + _packed({" n": threes, " v": index, **face}).tobytes()
    )


def _columns(fields: Fields) -> dict[str, NDArray[Any]]:
    """Return fields as named columns: red, green, blue; nx, ny, nz; name_0, name_1, ..."""
    out: dict[str, NDArray[Any]] = {}
    for name, given in fields.items():
        known_type = given.dtype.str[1:] in _PLY_TYPES  # PLY has no 64-bit integers
        value = given if known_type else given.astype(np.float64)
        if value.ndim == 1:
            out[name] = value
            continue
        known = _SPLIT.get(name, ())
        for k, column in enumerate(value.T):
            out[known[k] if value.shape[1] <= len(known) else f"{name}_{k}"] = column
    return out


def _properties(columns: dict[str, NDArray[Any]]) -> list[str]:
    return [
        f"property {_PLY_TYPES[column.dtype.str[1:]]} {name}" for name, column in columns.items()
    ]


def _packed(columns: dict[str, NDArray[Any]]) -> NDArray[Any]:
    layout: list[Any] = [
        (name, "<" + value.dtype.str[1:], value.shape[1:]) for name, value in columns.items()
    ]
    out = np.empty(len(next(iter(columns.values()))), np.dtype(layout))
    for name, value in columns.items():
        out[name] = value
    return out


def stl_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return an STL file; it has no shared vertices and no fields."""
    corners = surface.vertices[surface.faces]
    if not binary:
        one = (
            "facet normal %r %r %r\nouter loop\n" + 3 * "vertex %r %r %r\n" + "endloop\nendfacet\n"
        )
        rows = np.column_stack([surface.face_normals, corners.reshape(-1, 9)])
        body = (one * len(rows)) % tuple(rows.ravel().tolist())
        return f"solid meshconv\n{body}endsolid meshconv\n".encode()
    layout = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    out = np.zeros(surface.n_faces, layout)
    out["normal"], out["corners"] = surface.face_normals, corners
    return b"meshconv".ljust(80, b"\0") + struct.pack("<I", surface.n_faces) + out.tobytes()


def _gltf(surface: Surface, points: Fields) -> tuple[dict[str, Any], bytes]:
    """Return the JSON document and the buffer; positions are stored around the centre of the
    surface.
    """
    centre = (surface.vertices.min(axis=0) + surface.vertices.max(axis=0)) / 2
    blocks = [(surface.faces.astype("<u4").reshape(-1), "SCALAR", False)]
    positions = (surface.vertices - centre).astype("<f4")
    blocks.append((positions, "VEC3", False))
    attributes = {"POSITION": 1}
    for name, value in points.items():
        key, array, normalized = _attribute(name, value)
        attributes[key] = len(blocks)
        blocks.append((array, _SHAPES[1 if array.ndim == 1 else array.shape[1]], normalized))
    views, accessors, data = [], [], b""
    for k, (array, shape, normalized) in enumerate(blocks):
        rows = _aligned(array)
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": rows.nbytes})
        if k and rows.ndim == 2:
            views[-1]["byteStride"] = rows.strides[0]
        data += rows.tobytes()
        kind = array.dtype.str[1:]
        accessor = {
            "bufferView": k,
            "componentType": _COMPONENTS.get(kind, 5125),
            "count": len(array),
            "type": shape,
        }
        accessors.append(accessor | ({"normalized": True} if normalized else {}))
    accessors[1] |= {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    primitive = {"attributes": attributes, "indices": 0, "mode": 4}
    document = {
        "asset": {"version": "2.0", "generator": "meshconv"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": centre.tolist()}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    return document, data


def _attribute(name: str, value: NDArray[Any]) -> tuple[str, NDArray[Any], bool]:
    """Return the glTF name of a vertex field, the values as stored, and whether they are
    normalised.
    """
    if name == "colors":
        if value.dtype == np.uint8:
            return "COLOR_0", value, True
        return "COLOR_0", unit_colors(value).astype("<f4"), False
    known = {"normals": "NORMAL", "uv": "TEXCOORD_0"}
    return known.get(name, f"_{name}"), value.astype("<f4"), False


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Pad each row to a multiple of four bytes, as glTF asks for vertex attributes."""
    if array.dtype.itemsize % 4 == 0:
        return array
    wide = np.zeros((len(array), -(-array.shape[1] // 4) * 4), array.dtype)
    wide[:, : array.shape[1]] = array
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
