"""Files of OFF, VTK and glTF that must be refused, with what the refusal must say."""

from __future__ import annotations

import struct

from small_files import OFF, ROWS, VTK, VTP, gltf, swap

from meshconv import errors as e

BOMB = b"<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>"
# name of the file, its content, the error, what the message must say
STRUCTURED: list[tuple[str, str | bytes, type[Exception], tuple[str, ...]]] = [
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
