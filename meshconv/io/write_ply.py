"""Writers of PLY and STL, packed or as text."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from meshconv.errors import ArrayTypeError
from meshconv.io.ply_names import ESCAPED, GROUPS, RESERVED, group_fields
from meshconv.io.raw_mesh import Fields
from meshconv.io.write_text import mixed_rows
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


def escaped(fields: Fields) -> list[str]:
    """Return the names of the fields that a PLY file cannot hold under plain column names, because
    they would be taken for something else, such as ``x``.
    """
    bad = {name for name in fields if name in RESERVED or name.split() != [name]}
    while True:
        columns = {name: _names(name, fields[name]) for name in fields if name not in bad}
        used = Counter(column for names in columns.values() for column in names)
        back = group_fields({column: np.empty(0) for column in used})
        more = {
            name
            for name, names in columns.items()
            if name not in back
            or back[name].shape[1:] != fields[name].shape[1:]
            or any(used[column] > 1 for column in names)
        }.difference(GROUPS)
        if not more:
            return sorted(bad)
        bad |= more


def _names(name: str, value: NDArray[Any]) -> list[str]:
    """Return the plain column names of a field."""
    if value.ndim == 1:
        return [name]
    known = GROUPS.get(name, ((),))[0]
    return [
        known[k] if value.shape[1] <= len(known) else f"{name}_{k}" for k in range(value.shape[1])
    ]


def _columns(fields: Fields) -> dict[str, NDArray[Any]]:
    """Return fields as named columns: red, green, blue; nx, ny, nz; name_0, name_1, ..."""
    out: dict[str, NDArray[Any]] = {}
    other = set(escaped(fields))
    for name, given in fields.items():
        value = _typed(given, name)
        columns = [value] if value.ndim == 1 else list(value.T)
        names = _names(name, value)
        if name in other:
            ends = [""] if value.ndim == 1 else [str(k) for k in range(len(columns))]
            names = [f"{ESCAPED}{quote(name)}:{end}" for end in ends]
        out |= dict(zip(names, columns, strict=True))
    return out


def _typed(value: NDArray[Any], name: str) -> NDArray[Any]:
    """Return a field in a type that PLY has: 64-bit integers as 32-bit ones or as doubles."""
    if value.dtype.str[1:] in _PLY_TYPES:
        return value
    low, high = int(value.min()), int(value.max())
    for kind in ("i4", "u4"):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return value.astype(kind)
    if max(-low, high) <= 2**53:
        return value.astype(np.float64)
    raise ArrayTypeError(
        f"field {name!r} holds integers beyond 2^53, which PLY has no type for",
        hint="save as .vtp or .vtk",
    )


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
