"""A small valid square in every format, and what an attack is: a file name, its bytes, and what
must come of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

CORNERS = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
FACES = [[0, 1, 2], [0, 2, 3]]
SQUARE, REFUSED = "square", "refused"  # None: the square or a refusal
Attacks = Iterator[tuple[str, bytes, str | None]]

ROWS = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
LISTS = "3 0 1 2\n3 0 2 3\n"

# what Python, C or a spreadsheet takes for a number, and a mesh format does not
NO_NUMBERS = (
    "1_0 0x1 0x1p3 1e 1e+ 1d0 1,0 ١ １ ² ½ ∞ −1 +-1 --1 1.0.0 1f 1L 1e1e1 true None . e1 $1"
)
NOT_FINITE = "nan inf -inf NaN Infinity 1e400 -1e999 nan(ind) 1.#QNAN -1.#IND"
NO_INDEX = "1.5 1e0 1.0 0x1 1_0 ١ １ ² +-1 -- - + nan inf 99999999999999999999 1e999 "
NO_CORNER = "0 5 -5 1/ /1 1/1/1/1 1//1/ // / 1/x 1/1/x 1\\1 -9223372036854775808"
NO_COUNT = "-1 1.0 4e0 0x4 1_0 ٤ ４ + 99999999999999999999 nan 4,0 4.5 -0"


def obj() -> str:
    return "".join(f"v {row}\n" for row in ROWS.splitlines()) + "f 1 2 3\nf 1 3 4\n"


def ply_header(
    form: str, lists: str, *, vertices: Any = 4, faces: Any = 2, more: str = ""
) -> bytes:
    return (
        f"ply\nformat {form} 1.0\nelement vertex {vertices}\nproperty float x\nproperty float y\n"
        f"property float z\n{more}element face {faces}\n{lists}\nend_header\n"
    ).encode()


def ply_text(**head: Any) -> bytes:
    return (
        ply_header("ascii", "property list uchar int vertex_indices", **head)
        + (ROWS + LISTS).encode()
    )


def off() -> str:
    return f"OFF\n4 2 0\n{ROWS}{LISTS}"


def vtk() -> str:
    return (
        "# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 4 float\n"
        f"{ROWS}POLYGONS 2 8\n{LISTS}"
    )


def vtk_binary() -> bytes:
    cells = np.array([[3, *face] for face in FACES], ">i4").tobytes()
    return (
        b"# vtk DataFile Version 3.0\nt\nBINARY\nDATASET POLYDATA\nPOINTS 4 float\n"
        + np.array(CORNERS, ">f4").tobytes()
        + b"\nPOLYGONS 2 8\n"
        + cells
        + b"\n"
    )


def vtp(points: str = "", *, head: str = "", data: str = "", behind: str = "") -> str:
    points = points or f'<DataArray type="Float32" format="ascii">{ROWS}</DataArray>'
    return (
        f'<?xml version="1.0"?>\n{head}<VTKFile type="PolyData" byte_order="LittleEndian"'
        ' header_type="UInt64"><PolyData>'
        f'<Piece NumberOfPoints="4" NumberOfPolys="2">{data}<Points>{points}</Points><Polys>'
        '<DataArray type="Int32" Name="connectivity" format="ascii">0 1 2 0 2 3</DataArray>'
        '<DataArray type="Int32" Name="offsets" format="ascii">3 6</DataArray></Polys>'
        f"</Piece></PolyData>{behind}</VTKFile>"
    )


def stl() -> str:
    facet = "facet normal 0 0 1\nouter loop\n{}endloop\nendfacet\n"
    rows = ROWS.splitlines()
    loops = ["".join(f"vertex {rows[k]}\n" for k in face) for face in FACES]
    return "solid a\n" + "".join(facet.format(loop) for loop in loops) + "endsolid a\n"


def blob() -> bytes:
    return np.array(FACES, "<u4").tobytes() + np.array(CORNERS, "<f4").tobytes()


def document(**changes: Any) -> dict[str, Any]:
    root: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 1}, "indices": 0}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5125, "count": 6, "type": "SCALAR"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 24},
            {"buffer": 0, "byteOffset": 24, "byteLength": 48},
        ],
        "buffers": [{"byteLength": 72}],
    }
    return root | changes


def glb(root: Any, data: bytes | None = None) -> tuple[bytes, bytes]:
    """Return a GLB file and its binary chunk."""
    data = blob() if data is None else data
    text = root if isinstance(root, bytes) else json.dumps(root).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks, data
