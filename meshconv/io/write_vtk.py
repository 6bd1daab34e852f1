"""Writers of VTK's formats: XML (.vtp, inline base64 or ascii) and legacy (.vtk, binary or
ascii).
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from meshconv.io.raw_mesh import Fields
from meshconv.io.write_text import rows_text
from meshconv.mesh.surface import Surface

_XML = {
    "i1": "Int8",
    "u1": "UInt8",
    "i2": "Int16",
    "u2": "UInt16",
    "i4": "Int32",
    "u4": "UInt32",
    "i8": "Int64",
    "u8": "UInt64",
    "f4": "Float32",
    "f8": "Float64",
}
_LEGACY = {
    "i1": "char",
    "u1": "unsigned_char",
    "i2": "short",
    "u2": "unsigned_short",
    "i4": "int",
    "u4": "unsigned_int",
    "i8": "vtktypeint64",
    "u8": "vtktypeuint64",
    "f4": "float",
    "f8": "double",
}
_SAFE = "!#$&'()*+,/:;<=>?@[\\]^`{|}"  # all of ASCII but blanks, quotes and the percent sign


def vtp_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return a VTP file of one piece."""
    ends = np.arange(3, 3 * surface.n_faces + 1, 3)
    cells = _xml_array("connectivity", surface.faces.reshape(-1), binary) + _xml_array(
        "offsets", ends, binary
    )
    text = f"""<?xml version="1.0"?>
<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<PolyData><Piece NumberOfPoints="{surface.n_vertices}" NumberOfVerts="0" NumberOfLines="0" \
NumberOfStrips="0" NumberOfPolys="{surface.n_faces}">
<PointData{_normals(points)}>{_xml_fields(points, binary)}</PointData>
<CellData{_normals(faces)}>{_xml_fields(faces, binary)}</CellData>
<Points>{_xml_array("Points", surface.vertices, binary)}</Points>
<Polys>{cells}</Polys>
</Piece></PolyData></VTKFile>
"""
    return text.encode()


def _normals(fields: Fields) -> str:
    """Return the attribute that says which array holds normals, whatever others are called."""
    return f' Normals="{"normals" if "normals" in fields else ""}"'


def _xml_fields(fields: Fields, binary: bool) -> str:
    return "".join(_xml_array(name, value, binary) for name, value in fields.items())


def _xml_array(name: str, value: NDArray[Any], binary: bool) -> str:
    kind = value.dtype.str[1:]
    columns = value.shape[1] if value.ndim == 2 else 1
    head = f'<DataArray type="{_XML[kind]}" Name={quoteattr(name)} NumberOfComponents="{columns}"'
    if not binary:
        return f'{head} format="ascii">\n{rows_text(value)}</DataArray>\n'
    raw = np.ascontiguousarray(value, "<" + kind).tobytes()
    text = base64.b64encode(len(raw).to_bytes(8, "little") + raw).decode()
    return f'{head} format="binary">{text}</DataArray>\n'


def vtk_bytes(surface: Surface, points: Fields, faces: Fields, binary: bool) -> bytes:
    """Return a legacy VTK file."""
    n, f = surface.n_vertices, surface.n_faces
    cells = np.column_stack([np.full(f, 3), surface.faces]).astype(np.int32)
    form = "BINARY" if binary else "ASCII"
    out = f"# vtk DataFile Version 3.0\nmeshconv\n{form}\nDATASET POLYDATA\n".encode()
    out += f"POINTS {n} double\n".encode()
    out += _legacy_array(surface.vertices, binary)
    out += f"POLYGONS {f} {4 * f}\n".encode() + _legacy_array(cells, binary)
    for head, fields, count in (("POINT_DATA", points, n), ("CELL_DATA", faces, f)):
        if fields:
            out += f"{head} {count}\nFIELD FieldData {len(fields)}\n".encode()
        for name, value in fields.items():
            kind, columns = value.dtype.str[1:], value.shape[1] if value.ndim == 2 else 1
            out += f"{_word(name)} {columns} {count} {_LEGACY[kind]}\n".encode()
            out += _legacy_array(value, binary)
    return out


def _word(name: str) -> str:
    """Return a name as VTK writes it: blanks and the like as %20; no keyword of the format."""
    out = quote(name, safe=_SAFE)
    return f"%{ord(out[0]):02X}{out[1:]}" if out.upper() == "METADATA" else out


def _legacy_array(value: NDArray[Any], binary: bool) -> bytes:
    if not binary:
        return rows_text(value).encode()
    return np.ascontiguousarray(value, ">" + value.dtype.str[1:]).tobytes() + b"\n"
