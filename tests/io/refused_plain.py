"""Files of plain formats that must be refused, with what the refusal must say."""

from __future__ import annotations

import gzip
import struct

import numpy as np
from small_files import FACES, FACET, OBJ, PLY, ROWS, STL, V4, swap

from meshconv import errors as e

# name of the file, its content, the error, what the message must say
PLAIN: list[tuple[str, str | bytes, type[Exception], tuple[str, ...]]] = [
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
    # 33 times as long as its file, of many short words: no bomb, but more memory than it may take
    (
        "a.obj.gz",
        gzip.compress(OBJ.encode() + b"f 1 2 3\n" * 3_000_000, 1, mtime=0) + bytes(600_000),
        e.SecurityError,
        ("take up to", "MiB of memory"),
    ),
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
    ("a.obj", OBJ + "call part.obj 1\n", e.UnsupportedFormatError, ("line 7", "call part.obj")),
    ("a.obj", "CALL part\n" + OBJ, e.UnsupportedFormatError, ("line 1", "another file")),
    ("a.obj", OBJ + "csh rm -r\n", e.SecurityError, ("line 7", "csh rm -r", "program")),
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
]
