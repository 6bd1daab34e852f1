"""A square of two triangles as a valid file of every format, for tests to change."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
from attack_parts import document

V4 = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
OBJ = V4 + "f 1 2 3\nf 1 3 4\n"
PLY = "ply\nformat ascii 1.0\nelement vertex 4\n"
PLY += "property float x\nproperty float y\nproperty float z\n"
PLY += "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
ROWS = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
FACES = "3 0 1 2\n3 0 2 3\n"
OFF = f"OFF\n4 2 0\n{ROWS}{FACES}"
VTK = (
    "# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 4 float\n"
    + ROWS
    + "POLYGONS 2 8\n"
    + FACES
)
VTP = (
    '<?xml version="1.0"?>\n<VTKFile type="PolyData" byte_order="LittleEndian"><PolyData>'
    '<Piece NumberOfPoints="4" NumberOfPolys="2">'
    '<Points><DataArray type="Float32" NumberOfComponents="3" format="ascii">'
    f"{ROWS}</DataArray></Points>"
    '<Polys><DataArray type="Int32" Name="connectivity" format="ascii">0 1 2 0 2 3</DataArray>'
    '<DataArray type="Int32" Name="offsets" format="ascii">3 6</DataArray></Polys>'
    "</Piece></PolyData></VTKFile>\n"
)
_RECORD = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0)
STL = bytes(80) + struct.pack("<I", 2) + 2 * _RECORD
FACET = (
    "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 1 0\nendloop\nendfacet\n"
)
BUFFER = np.array([0, 1, 2, 0, 2, 3], "<u4").tobytes() + np.array(ROWS.split(), "<f4").tobytes()


def gltf(uri: str | None = None, **changes: object) -> bytes:
    """Return a small glTF document with some of its top-level entries replaced."""
    uri = uri or "data:;base64," + base64.b64encode(BUFFER).decode()
    root = document(buffers=[{"byteLength": 72, "uri": uri}])
    return json.dumps(root | changes).encode()


def swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
