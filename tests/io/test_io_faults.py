"""One file for each fault a user meets: read right with a warning, or refused by name, line and
value.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from meshconv import errors as e
from meshconv.io import MeshFile, as_surface, load, read

V4 = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
OBJ = V4 + "f 1 2 3\nf 1 3 4\n"
PLY = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
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
    '<?xml version="1.0"?>\n<VTKFile type="PolyData" byte_order="LittleEndian"><PolyData><Piece NumberOfPoints="4"'
    ' NumberOfPolys="2"><Points><DataArray type="Float32" NumberOfComponents="3" format="ascii">'
    f'{ROWS}</DataArray></Points><Polys><DataArray type="Int32" Name="connectivity" format="ascii">0 1 2 0 2 3'
    '</DataArray><DataArray type="Int32" Name="offsets" format="ascii">3 6</DataArray></Polys></Piece></PolyData>'
    "</VTKFile>\n"
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
    root: dict[str, object] = {
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
        "buffers": [{"byteLength": 72, "uri": uri}],
    }
    return json.dumps(root | changes).encode()


def swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


BOMB = b"<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>"

# name of the file, its content, the error, what the message must say
REFUSED: list[tuple[str, str | bytes, type[Exception], tuple[str, ...]]] = [
    # whole files
    ("a.obj", b"", e.EmptyFileError, ("empty", "0 bytes")),
    ("a.obj", "# nothing\n\n  \n", e.EmptyMeshError, ("no vertices",)),
    ("a.obj", "<!DOCTYPE html><html>not found</html>", e.BadFormatError, ("OBJ", "HTML")),
    (
        "a.ply",
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
        e.BadFormatError,
        ("git-lfs",),
    ),
    ("a.obj", gzip.compress(OBJ.encode(), mtime=0), e.BadFormatError, ("OBJ", "gzip")),
    ("a.stl", b"\x89PNG\r\n\x1a\n" + bytes(50), e.BadFormatError, ("PNG",)),
    ("a.obj", np.random.default_rng(0).bytes(999), e.BadFormatError, ("obj",)),
    ("a.obj", b"PK\x03\x04" + bytes(99), e.SecurityError, ("ZIP",)),
    ("a.xyzq", OBJ, e.UnsupportedFormatError, (".xyzq", ".obj", "format='obj'")),
    ("noextension", PLY + ROWS + FACES, e.UnsupportedFormatError, ("no extension", "PLY")),
    ("a.obj", OBJ.encode().replace(b"f 1 3", b"\0" * 64), e.BadFormatError, ("NUL", "offset 40")),
    ("a.obj", b"\xff\xfe" + OBJ.encode("utf-16-le")[:-1], e.BadFormatError, ("UTF-16",)),
    ("a.obj.gz", gzip.compress(OBJ.encode(), mtime=0)[:-12], e.TruncatedError, ("gzip",)),
    ("a.obj.gz", gzip.compress(bytes(40_000_000), mtime=0), e.SecurityError, ("bomb",)),
    ("a.obj.gz", gzip.compress(b"", mtime=0), e.EmptyFileError, ("empty",)),
    # OBJ
    ("a.obj", swap(OBJ, "v 1 0 0", "v 1,5 0 0"), e.BadNumberError, ("line 2", "'1,5'", "comma")),
    ("a.obj", swap(OBJ, "v 1 0 0", "v one 0 0"), e.BadNumberError, ("line 2", "'one'")),
    (
        "a.obj",
        swap(OBJ, "v 1 0 0", "v 1.0D+00 0 0"),
        e.BadNumberError,
        ("line 2", "1.0D+00", "Fortran"),
    ),
    ("a.obj", swap(OBJ, "f 1 2", "f 0 2"), e.IndexOutOfRangeError, ("line 5", "index 0", "1..4")),
    ("a.obj", swap(OBJ, "f 1 2", "f 9 2"), e.IndexOutOfRangeError, ("line 5", "9", "1..4")),
    ("a.obj", swap(OBJ, "f 1 2", "f -5 2"), e.IndexOutOfRangeError, ("line 5", "-5", "-4..-1")),
    (
        "a.obj",
        swap(OBJ, "f 1 2", "f 99999999999999999999 2"),
        e.IndexOutOfRangeError,
        ("line 5", "99999999999999"),
    ),
    ("a.obj", swap(OBJ, "f 1 2", "f 1.5 2"), e.BadNumberError, ("line 5", "1.5", "fraction")),
    ("a.obj", swap(OBJ, "f 1 2", "f a 2"), e.BadNumberError, ("line 5", "'a'")),
    ("a.obj", V4[:-3], e.TruncatedError, ("line 4", "vertex 3")),
    ("a.obj", V4, e.NoFacesError, ("point cloud of 4 points",)),
    ("a.obj", V4 + "l 1 2 3\np 4\n", e.NoFacesError, ("no faces",)),
    ("a.obj", V4 + "f 1 2\nf 1\n", e.NoFacesError, ("fewer than 3",)),
    ("a.obj", V4 + "f 1 1 2\n", e.NoFacesError, ("repeated",)),
    ("a.obj", swap(OBJ, "v 1 0 0", "v nan 0 0"), e.NonFiniteError, ("line 2", "vertex 1", "nan")),
    ("a.obj", swap(OBJ, "v 1 0 0", "v 1e999 0 0"), e.NonFiniteError, ("line 2", "vertex 1", "inf")),
    ("a.obj", swap(OBJ, "v 1 0 0", "v 1 0"), e.BadFormatError, ("line 2", "2 numbers")),
    ("a.obj", swap(OBJ, "v 1 0 0", "w 1 0 0"), e.BadFormatError, ("line 2", "w 1 0 0")),
    # PLY
    ("a.ply", swap(PLY, "4", "-4") + ROWS + FACES, e.BadHeaderError, ("line 3", "-4")),
    ("a.ply", swap(PLY, "4", "9" * 25) + ROWS + FACES, e.BadHeaderError, ("line 3", "999")),
    (
        "a.ply",
        swap(PLY, "4", "2000000000") + ROWS + FACES,
        e.TruncatedError,
        ("vertex", "2000000000"),
    ),
    ("a.ply", swap(PLY, "property float z\n", "") + ROWS + FACES, e.BadHeaderError, ("'z'",)),
    ("a.ply", swap(PLY, "float y", "quux y") + ROWS + FACES, e.BadHeaderError, ("line 5", "quux")),
    (
        "a.ply",
        swap(PLY, "ascii", "binary_middle_endian") + ROWS,
        e.BadHeaderError,
        ("line 2", "binary_middle_endian"),
    ),
    ("a.ply", PLY + ROWS + "3 0 1 2\n", e.TruncatedError, ("face", "expected 2", "found 1")),
    ("a.ply", PLY + ROWS + "3 0 1 2\n3 0 2", e.TruncatedError, ("face 1", "line 15")),
    ("a.ply", PLY + swap(ROWS, "1 1 0", "1 1") + FACES, e.BadFormatError, ("vertex 2", "line 12")),
    (
        "a.ply",
        PLY + ROWS + "3 0 1 2\n3 0 1 4\n",
        e.IndexOutOfRangeError,
        ("face 1", "4", "0..3", "line 15"),
    ),
    ("a.ply", PLY + ROWS + "3 0 1 2\n-3 0 1 3\n", e.BadNumberError, ("face 1", "-3", "line 15")),
    ("a.ply", PLY + ROWS + "3 0 1 2\n4294967295 0 1\n", e.TruncatedError, ("face 1", "4294967296")),
    (
        "a.ply",
        swap(PLY, "ascii", "binary_little_endian") + "x" * 20,
        e.TruncatedError,
        ("48 bytes", "found 20"),
    ),
    (
        "a.ply",
        swap(PLY, "ascii", "binary_big_endian").encode() + bytes(48),
        e.TruncatedError,
        ("face", "found 0"),
    ),
    ("a.ply", swap(PLY, "end_header\n", "") + ROWS, e.TruncatedError, ("end_header",)),
    # STL
    ("a.stl", STL[:-1], e.TruncatedError, ("2 triangles", "expected 184 bytes", "found 183")),
    (
        "a.stl",
        STL[:80] + struct.pack("<I", 2_000_000_000) + STL[84:],
        e.TruncatedError,
        ("2000000000",),
    ),
    (
        "a.stl",
        STL[:80] + struct.pack("<I", 1) + STL[84:],
        e.BadFormatError,
        ("1 triangles", "holds 2"),
    ),
    ("a.stl", bytes(84), e.NoFacesError, ("no faces", "0 triangles")),
    ("a.stl", "solid a\nendsolid a\n", e.NoFacesError, ("no facet",)),
    ("a.stl", "solid a\n" + FACET, e.TruncatedError, ("endsolid",)),
    ("a.stl", f"solid a\n{FACET}endsolid a\nsolid b\n" + FACET, e.TruncatedError, ("endsolid",)),
    ("a.stl", "solid a\n" + FACET + FACET[:60], e.TruncatedError, ("facet 1", "line")),
    (
        "a.stl",
        swap(f"solid\n{FACET}endsolid", "vertex 1 0 0", "vertex 1 0"),
        e.BadFormatError,
        ("facet 0", "line 5"),
    ),
    (
        "a.stl",
        swap(f"solid\n{FACET}endsolid", "vertex 1 0 0", "vertex 1 nan 0"),
        e.NonFiniteError,
        ("line 5", "nan"),
    ),
    (
        "a.stl",
        swap(f"solid\n{FACET}endsolid", "vertex 1 0 0", "vertex 1 x 0"),
        e.BadNumberError,
        ("line 5", "'x'"),
    ),
    # OFF
    ("a.off", swap(OFF, "OFF", "4OFF"), e.UnsupportedFormatError, ("4OFF",)),
    ("a.off", swap(OFF, "4 2 0", "-4 2 0"), e.BadHeaderError, ("line 2", "-4")),
    ("a.off", swap(OFF, "4 2 0", "1000000000 2 0"), e.TruncatedError, ("1000000000",)),
    ("a.off", swap(OFF, "4 2 0", "4"), e.BadHeaderError, ("line 2",)),
    ("a.off", swap(OFF, "3 0 1 2", "3 0 1 -2"), e.IndexOutOfRangeError, ("line 7", "-2")),
    ("a.off", swap(OFF, "3 0 1 2", "3 0 1.5 2"), e.BadNumberError, ("line 7", "1.5")),
    ("a.off", swap(OFF, "3 0 1 2", "9 0 1 2"), e.BadFormatError, ("line 7", "face 0")),
    ("a.off", swap(OFF, "4 2 0", "0 0 0"), e.EmptyMeshError, ("no vertices",)),
    ("a.off", "OFF BINARY\n", e.UnsupportedFormatError, ("binary",)),
    ("a.off", "4 2 0\n" + ROWS, e.BadHeaderError, ("OFF",)),
    # VTK
    (
        "a.vtk",
        swap(VTK, "POLYDATA", "STRUCTURED_GRID"),
        e.UnsupportedFormatError,
        ("STRUCTURED_GRID",),
    ),
    ("a.vtk", swap(VTK, "POINTS 4", "POINTS 400000000"), e.TruncatedError, ("1200000000",)),
    ("a.vtk", swap(VTK, "POINTS 4", "POINTS -4"), e.BadHeaderError, ("line 5", "-4")),
    ("a.vtk", swap(VTK, "3 0 2 3", "3 0 2 -3"), e.IndexOutOfRangeError, ("face 1", "-3")),
    ("a.vtk", swap(VTK, "3 0 2 3", "9 0 2 3"), e.BadNumberError, ("cell 1",)),
    ("a.vtk", VTK[: VTK.index("POLYGONS")], e.NoFacesError, ("point cloud of 4",)),
    ("a.vtk", VTK[:-4], e.TruncatedError, ("POLYGONS",)),
    # VTP
    ("a.vtp", swap(VTP, "<VTKFile", BOMB.decode() + "<VTKFile"), e.SecurityError, ("entity",)),
    (
        "a.vtp",
        swap(VTP, 'NumberOfPoints="4"', 'NumberOfPoints="1000000000"'),
        e.TruncatedError,
        ("1000000000",),
    ),
    ("a.vtp", swap(VTP, "PolyData", "ImageData"), e.UnsupportedFormatError, ("ImageData",)),
    (
        "a.vtp",
        swap(VTP, "0 1 2 0 2 3", "0 1 2 0 2 99999"),
        e.IndexOutOfRangeError,
        ("99999", "face 1"),
    ),
    ("a.vtp", swap(VTP, "3 6</Data", "6 3</Data"), e.BadFormatError, ("offsets",)),
    (
        "a.vtp",
        swap(VTP, '"1.0"', '"1.0" encoding="shift_jis"'),
        e.BadFormatError,
        ("XML", "encoding"),
    ),
    (
        "a.vtp",
        '<VTKFile type="PolyData"><PolyData>' + "<Piece/>" * 20_000 + "</PolyData></VTKFile>",
        e.SecurityError,
        ("20000 pieces",),
    ),
    ("a.vtp", VTP[:-60], e.BadFormatError, ("XML", "line")),
    (
        "a.vtp",
        swap(VTP, "<Points>", "<x>" * 100 + "</x>" * 100 + "<Points>"),
        e.BadFormatError,
        ("nested",),
    ),
    (
        "a.vtp",
        swap(VTP, "<VTKFile", "<VTKFile compressor='vtkLZ4DataCompressor'"),
        e.UnsupportedFormatError,
        ("LZ4",),
    ),
    # glTF
    ("a.gltf", b'{"asset": ' + b"[" * 100_000, e.BadFormatError, ("JSON", "nested")),
    ("a.gltf", gltf()[:-9], e.BadFormatError, ("JSON",)),
    ("a.gltf", gltf("missing.bin"), e.MissingFileError, ("missing.bin",)),
    (
        "a.gltf",
        gltf(meshes=[{"primitives": [{"attributes": {"POSITION": 1}, "mode": 1}]}]),
        e.NoFacesError,
        ("lines",),
    ),
    (
        "a.gltf",
        gltf(
            accessors=[
                {"bufferView": 0, "componentType": 5125, "count": 6, "type": "SCALAR"},
                {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC3"},
            ]
        ),
        e.IndexOutOfRangeError,
        ("face 1", "index 3", "0..2"),
    ),
    ("a.gltf", gltf("."), e.FolderError, ("'.'", "folder")),
    ("a.gltf", gltf("\ud800"), e.BadFormatError, ("ud800", "buffer")),
    (
        "a.gltf",
        gltf(accessors=[{"count": 6, "componentType": [], "type": "SCALAR", "bufferView": 0}] * 2),
        e.BadHeaderError,
        ("componentType", "[]"),
    ),
    (
        "a.gltf",
        gltf(accessors=[{"count": 6, "componentType": 5125, "type": "SCALAR"}] * 2),
        e.UnsupportedFormatError,
        ("Draco",),
    ),
    ("a.gltf", gltf("../outside.bin"), e.SecurityError, ("outside.bin",)),
    ("a.gltf", gltf("/etc/passwd"), e.SecurityError, ("passwd",)),
    ("a.gltf", gltf("%2e%2e/outside.bin"), e.SecurityError, ("outside.bin",)),
    ("a.gltf", gltf("http://localhost/a.bin"), e.SecurityError, ("http",)),
    ("a.gltf", gltf("file:///etc/passwd"), e.SecurityError, ("file:",)),
    ("a.gltf", gltf(nodes=[{"mesh": 0, "children": [0]}]), e.BadFormatError, ("twice",)),
    ("a.gltf", gltf(scene=7), e.IndexOutOfRangeError, ("scenes 7",)),
    ("a.gltf", gltf(nodes=[{"mesh": 0, "scale": [1, "x", 1]}]), e.BadFormatError, ("scale",)),
    (
        "a.gltf",
        gltf(extensionsRequired=["KHR_draco_mesh_compression"]),
        e.UnsupportedFormatError,
        ("draco",),
    ),
    (
        "a.gltf",
        gltf(buffers=[{"byteLength": 72, "uri": "data:;base64,AAAA"}]),
        e.TruncatedError,
        ("expected 72",),
    ),
    (
        "a.gltf",
        gltf(nodes=[{"mesh": 0}] * 20_000, scenes=[{"nodes": list(range(20_000))}]),
        e.SecurityError,
        ("nodes",),
    ),
    (
        "a.glb",
        struct.pack("<4sII", b"glTF", 2, 99999) + bytes(20),
        e.TruncatedError,
        ("expected 99999", "found 32"),
    ),
    (
        "a.glb",
        struct.pack("<4sII", b"glTF", 1, 32) + bytes(20),
        e.UnsupportedFormatError,
        ("version 1",),
    ),
]

# wordings by which inner exceptions of other libraries betray themselves
LEAKY = re.compile(
    r"cannot reshape|could not convert string|invalid literal|buffer (is )?(smaller|size)|unpack|inhomogeneous|"
    r"setting an array|out of bounds|zero-size array|at least one array|broadcast|dimension|not aligned|dtype",
    re.IGNORECASE,
)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(("name", "content", "error", "words"), REFUSED)
def test_refused_by_name_place_and_value(
    tmp_path: Path,
    name: str,
    content: str | bytes,
    error: type[e.MeshConvError],
    words: tuple[str, ...],
) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(error) as caught:
        load(path)
    text = str(caught.value)
    assert caught.value.path == str(path) and str(path) in text
    assert [word for word in words if word not in text] == []
    assert not LEAKY.search(text)


BOM = b"\xef\xbb\xbf"
UV = V4 + "vt 0 0\nvt 1 0\nvt 1 1\nvt .5 .5\nf 1/1 2/2 3/3\nf 1/4 3/3 4/1\n"
SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
# name, content, what the warnings must say (nothing: there must be none)
ACCEPTED: list[tuple[str, str | bytes, tuple[str, ...]]] = [
    ("a.obj", OBJ, ()),
    ("a.obj", BOM + OBJ.encode(), ()),
    ("a.obj", OBJ.replace("\n", "\r\n"), ()),
    ("a.obj", OBJ.replace("\n", "\r"), ()),
    ("a.obj", "# exported\r\n" * 60 + OBJ.replace("\n", "\r\n"), ()),
    ("a.obj", "# exported\n\n\n" * 60 + OBJ, ()),
    ("a.obj", b"# caf\xe9\ng \xfcber\n" + OBJ.encode(), ()),
    ("ö ü 'x'.OBJ", OBJ, ()),
    ("a.obj", b"\xff\xfe" + OBJ.encode("utf-16-le"), ("UTF-16",)),
    ("a.obj", OBJ.encode("utf-16-be"), ("UTF-16",)),
    ("a.obj", swap(OBJ, "f 1 2 3", "f 1 \\\n 2 \\\r\n 3"), ()),
    ("a.obj", V4 + "f -4 -3 -2\nf -4 -2 -1\n", ()),
    ("a.obj", "f 1 2 3\nf 1 3 4\n" + V4, ()),
    ("a.obj", UV, ()),
    ("a.obj", OBJ.replace(" 0\n", " 0 .1 .2 .3\n"), ()),
    ("a.obj", V4 + "vn 0 0 1\nvn 0 1 0\nf 1//1 2//1 3//1\nf 1//2 3//2 4//2\n", ()),
    ("a.obj", "mtllib gone.mtl\n" + OBJ, ("gone.mtl", "not found")),
    ("a.obj", "mtllib ../../etc/passwd\n" + OBJ, ("passwd", "not opened")),
    ("a.obj", V4 + "f 1 2 3 4\n", ("1 quads",)),
    ("a.obj", OBJ + "f 1 2\n", ("dropped 1", "2 vertices", "line 7")),
    ("a.obj", OBJ + "f 1 2 2\n", ("dropped 1", "repeated")),
    ("a.obj", OBJ + "v nan 0 0\n", ("dropped 1", "not finite")),
    ("a.obj", OBJ.replace(" 0\n", " 0 nan .2 .3\n"), ("colors", "dropped")),
    ("a.obj", OBJ + "hello there\n", ("1 lines", "'hello'", "line 7")),
    ("a.obj", PLY + ROWS + FACES, ("content is PLY",)),
    ("a.ply", OBJ, ("content is OBJ",)),
    ("a.stl", OFF, ("content is OFF",)),
    ("a.obj.gz", gzip.compress(OBJ.encode(), mtime=0), ()),
    ("a.obj.gz", OBJ, ("not compressed",)),
    ("a.ply", PLY + ROWS + FACES, ()),
    ("a.ply", (PLY + ROWS + FACES).replace("\n", "\r\n"), ()),
    ("a.ply", PLY + ROWS + FACES + "7 7\n", ("ignored 1 lines",)),
    (
        "a.ply",
        swap(PLY, "element face 2", "element face 4") + ROWS + FACES + "2 0 1\n1 0\n",
        ("dropped 2",),
    ),
    ("a.ply", swap(PLY, "element face 2", "element face 1") + ROWS + "4 0 1 2 3\n", ("1 quads",)),
    ("a.off", OFF, ()),
    ("a.off", swap(OFF, "OFF\n", "# by hand\nOFF # yes\n\n"), ()),
    ("a.off", swap(OFF, "OFF\n", "OFF "), ()),
    ("a.off", OFF.replace("\n", "\r"), ()),
    ("a.vtk", VTK, ()),
    ("a.vtk", VTK.replace("\n", "\r\n"), ()),
    ("a.vtp", VTP, ()),
    ("a.vtp", BOM + VTP.encode(), ()),
    ("a.vtp", swap(VTP, '"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"), ("UTF-16",)),
    ("a.gltf", gltf(), ()),
    ("a.gltf", gltf(scenes=[]), ()),
]


@pytest.mark.parametrize(("name", "content", "words"), ACCEPTED)
def test_read_right_with_a_warning_where_due(
    tmp_path: Path, name: str, content: str | bytes, words: tuple[str, ...]
) -> None:
    path = put(tmp_path, name, content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        surface = load(path)
    assert surface.vertices.tolist() == SQUARE
    assert surface.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    text = " ".join(str(one.message) for one in caught)
    assert [word for word in words if word not in text] == []
    assert bool(caught) == bool(words)
    assert all(
        issubclass(one.category, e.LoadWarning) and path.name in str(one.message) for one in caught
    )


def test_fields_and_corner_uv_follow_their_faces(tmp_path: Path) -> None:
    found = read(put(tmp_path, "a.obj", UV + "f 1/1 2/2\nf 1/1 1/1 2/2\n"))
    assert isinstance(found, MeshFile) and found.corner_uv is not None
    assert found.corner_uv.tolist() == [[[0, 0], [1, 0], [1, 1]], [[0.5, 0.5], [1, 1], [0, 0]]]
    text = PLY.replace("face 2", "face 3").replace("end_header", "property uchar part\nend_header")
    found = read(put(tmp_path, "a.ply", text + ROWS + "2 0 1 7\n4 0 1 2 3 8\n3 0 1 2 9\n"))
    assert found.face_fields["part"].tolist() == [8, 8, 9]
    extra = "v nan 0 0 9 9 9\n" + "".join(
        f"v {x} {y} 0 {x} {y} 1\n" for x, y in ((0, 0), (1, 0), (1, 1))
    )
    found = read(put(tmp_path, "b.obj", extra + "f 2 3 4\n"))
    assert found.vertex_fields["colors"].tolist() == [[0, 0, 1], [1, 0, 1], [1, 1, 1]]


def test_binary_ply_may_begin_with_a_line_feed(tmp_path: Path) -> None:
    first = np.frombuffer(b"\x0a\0\x80\x3f", "<f4")[0]
    points = np.array([[first, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "<f4")
    body = points.tobytes() + b"".join(
        b"\3" + np.array(t, "<i4").tobytes() for t in ([0, 1, 2], [0, 2, 3])
    )
    for end in ("\n", "\r", "\r\n"):
        header = swap(PLY, "ascii", "binary_little_endian").replace("\n", end).encode()
        assert load(put(tmp_path, "a.ply", header + body)).vertices.tolist() == points.tolist()


def test_missing_folder_and_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.obj"):
        load(tmp_path / "none.obj")
    with pytest.raises(FileNotFoundError):
        load("bad\0name.obj")
    with pytest.raises(IsADirectoryError) as folder:
        load(tmp_path)
    assert folder.value.path == str(tmp_path)
    path = put(tmp_path, "a.obj", OBJ)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError) as forbidden:
        load(path)
    assert isinstance(forbidden.value, e.MeshIOError) and forbidden.value.path == str(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.obj")
    with pytest.raises(e.UnsupportedFormatError, match="regular file"):
        load(tmp_path / "pipe.obj")


def test_zip_members_are_never_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../evil.obj", OBJ)
    with pytest.raises(e.SecurityError, match="ZIP"):
        load(tmp_path / "a.zip")
    assert not (tmp_path.parent.parent / "evil.obj").exists()


def test_outside_buffer_opens_only_when_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    put(tmp_path, "outside.bin", BUFFER)
    path = put(folder, "a.gltf", gltf("../outside.bin"))
    with pytest.raises(e.SecurityError):
        load(path)
    assert read(path, on_security="allow").surface.n_faces == 2
    put(folder, "b.bin", BUFFER)
    assert load(put(folder, "b.gltf", gltf("b.bin"))).n_faces == 2
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(e.SecurityError):
        load(put(folder, "c.gltf", gltf("link.bin")))


def test_node_transforms_and_mirrors(tmp_path: Path) -> None:
    turn = {
        "mesh": 0,
        "translation": [1, 2, 3],
        "rotation": [0, 0, 2**-0.5, 2**-0.5],
        "scale": [2, 2, 2],
    }
    surface = load(put(tmp_path, "a.gltf", gltf(nodes=[turn])))
    np.testing.assert_allclose(
        surface.vertices[1], [1, 4, 3], atol=1e-12
    )  # (1,0,0) doubled, a quarter turn, moved
    mirror = load(put(tmp_path, "a.gltf", gltf(nodes=[{"mesh": 0, "scale": [-1, 1, 1]}])))
    np.testing.assert_allclose(
        mirror.face_normals, [[0, 0, 1], [0, 0, 1]]
    )  # turned round, so still outward
    nodes = [{"mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}]
    with pytest.warns(e.LoadWarning, match="joined 2"):
        both = load(put(tmp_path, "a.gltf", gltf(nodes=nodes, scenes=[{"nodes": [0, 1]}])))
    assert both.n_vertices == 8 and both.faces.max() == 7


def test_stl_corners_are_welded_in_order(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, -0.0, 0], [1, 1, 0], [0, 1, 0]], "<f4")
    records = b"".join(
        struct.pack("<3f", 0, 0, 1) + c.tobytes() + b"\0\0" for c in corners.reshape(2, 3, 3)
    )
    header = b"solid it looks like text".ljust(80) + struct.pack("<I", 2)
    surface = load(put(tmp_path, "a.stl", header + records))
    assert surface.vertices.tolist() == SQUARE and surface.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    with pytest.warns(e.LoadWarning, match="3 bytes"):
        assert load(put(tmp_path, "a.stl", header + records + b"abc")) == surface
    text = f"SOLID\n{FACET}ENDSOLID\nsolid facet two\n{FACET.upper()}endsolid facet two\n"
    assert load(put(tmp_path, "b.stl", text)).n_faces == 2


def test_concave_polygons_keep_their_area(tmp_path: Path) -> None:
    arrow = [[0, 0], [4, 0], [4, 4], [3, 1]]  # reflex at the last corner
    comb = [
        [0, 0],
        [7, 0],
        [7, 3],
        [6, 3],
        [6, 1],
        [5, 1],
        [5, 3],
        [4, 3],
        [4, 1],
        [3, 1],
        [3, 3],
        [0, 3],
    ]
    for corners in (arrow, comb):
        for k in range(len(corners)):
            polygon = np.roll(np.array(corners, float), k, axis=0)
            x, y = polygon.T
            area = 0.5 * np.abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
            text = "".join(f"v {a} {b} {a}\n" for a, b in polygon)
            text += "f " + " ".join(str(i + 1) for i in range(len(corners))) + "\n"
            with pytest.warns(e.LoadWarning, match="split"):
                surface = load(put(tmp_path, "a.obj", text))
            assert surface.n_faces == len(corners) - 2
            assert surface.area == pytest.approx(area * 2**0.5, rel=1e-12)  # tilted by 45 degrees
            assert (surface.face_normals @ surface.face_normals[0] > 0.999).all()


def test_polygons_of_any_size_are_split(tmp_path: Path) -> None:
    for size in ("1e308", "1e-308", "1"):
        text = "".join(f"v {x}{size} {y}{size} 0\n" for x, y in ("  ", "- ", "--", " -"))
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", e.LoadWarning)
            assert load(put(tmp_path, "a.obj", text + "f 1 2 3 4\n")).faces.tolist() == [
                [0, 1, 2],
                [0, 2, 3],
            ]


def test_big_concave_polygon_is_refused_not_waited_for(tmp_path: Path) -> None:
    n = 60_000
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = 1 + 0.5 * (np.arange(n) % 2)
    rows = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle])
    text = (
        "".join(f"v {x} {y} {z}\n" for x, y, z in rows.tolist())
        + "f "
        + " ".join(map(str, range(1, n + 1)))
    )
    with pytest.raises(e.BadFormatError, match="60000 corners"):
        load(put(tmp_path, "a.obj", text))


def test_tangled_polygon_is_refused_not_waited_for(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((3000, 2))
    text = "".join(f"v {x} {y} 0\n" for x, y in rows.tolist())
    text += 4 * ("f " + " ".join(map(str, range(1, 3001))) + "\n")
    with pytest.raises(e.BadFormatError, match="intricate"):
        load(put(tmp_path, "a.obj", text))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_as_surface_accepts_every_form_and_never_changes_it(tmp_path: Path) -> None:
    import pyvista
    import torch
    import trimesh
    from torch_geometric.data import Data

    surface = load(put(tmp_path, "a.obj", OBJ))
    assert as_surface(surface) is surface
    assert as_surface(str(tmp_path / "a.obj")) == surface
    vertices, faces = (
        np.array(SQUARE, np.float32, order="F"),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    )
    assert as_surface((vertices, faces)) == surface and vertices.flags.writeable
    for other in (surface.to_trimesh(), surface.to_pyvista(), surface.to_torch_geometric()):
        assert as_surface(other) == surface
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(np.repeat(rng.random((5, 3)), 2, axis=0))  # duplicates must stay
    mesh = trimesh.Trimesh(shuffled, [[0, 1, 2], [7, 8, 9]], process=False)
    poly = pyvista.PolyData(shuffled, faces=[3, 0, 1, 2, 4, 6, 7, 8, 9])
    data = Data(pos=torch.as_tensor(shuffled), face=torch.tensor([[0, 7], [1, 8], [2, 9]]))
    before = poly.faces.copy()
    for other in (mesh, poly, data):
        np.testing.assert_array_equal(
            as_surface(other).vertices, shuffled.astype(as_surface(other).vertices.dtype)
        )
    np.testing.assert_array_equal(poly.faces, before)
    for wrong in (3, None, {"vertices": 1}, (1, 2, 3), object()):
        with pytest.raises(TypeError):
            as_surface(wrong)


def test_given_corpus_of_broken_files(bad_meshes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    first = str(
        bad_meshes / "files" / "ctl_disc.obj"
    )  # read before the runner forks, so that all is compiled once
    code = "import runpy, sys; from meshconv.io import load; load(sys.argv[1]); del sys.argv[:2];"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    runner = [str(bad_meshes / "run_corpus.py"), "meshconv.io:load", "--json", str(out)]
    command = [sys.executable, "-c", code, first, *runner]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for name, result in json.loads(out.read_text())["meshconv.io:load"].items():
        assert result["verdict"] in ("PASS", "PASSW"), (name, result)
        assert result["status"] == "ok" or result["names_file"], (name, result)
