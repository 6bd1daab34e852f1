"""Attacks on the reader of legacy VTK."""

from __future__ import annotations

import numpy as np
from attack_parts import (
    CORNERS,
    FACES,
    LISTS,
    NO_COUNT,
    REFUSED,
    ROWS,
    SQUARE,
    Attacks,
    vtk,
    vtk_binary,
)


def many_fields(n: int, rows: int = 4) -> str:
    """Return so many fields, each of its own name."""
    numbers = "1 2 3 4\n" if rows else ""
    names = "".join(f"q{k} 1 {rows} char\n{numbers}" for k in range(n))
    return f"POINT_DATA 4\nFIELD f {n}\n{names}"


def vtk_attacks() -> Attacks:
    good, packed = vtk(), vtk_binary()
    yield "vtk_good.vtk", good.encode(), SQUARE
    yield "vtk_good_binary.vtk", packed, SQUARE
    huge = 10**17
    for name, more, expected in (
        ("information", f"METADATA\nINFORMATION {huge}\n\n", SQUARE),
        ("components", f"METADATA\nCOMPONENT_NAMES\nX\nINFORMATION {huge}\nNAME\n", SQUARE),
        ("metadata_often", "METADATA\n\n" * 100_000, SQUARE),
        ("fields", f"POINT_DATA 4\nFIELD f {huge}\n", REFUSED),
        ("field_rows", f"POINT_DATA 4\nFIELD f 1\nq 1 {huge} float\n", REFUSED),
        ("field_columns", f"POINT_DATA 4\nFIELD f 1\nq {huge} {huge} float\n", REFUSED),
        ("field_empty_columns", f"POINT_DATA 4\nFIELD f 1\nq 0 {huge} float\n", SQUARE),
        ("empty_fields", "POINT_DATA 4\nFIELD f 50000\n" + "q 0 0 float\n" * 50_000, SQUARE),
        ("many_fields", many_fields(20_000), SQUARE),
        ("many_wrong_fields", many_fields(50_000, rows=0), SQUARE),
        ("points_twice", f"POINTS 4 float\n{ROWS}", REFUSED),
        ("polygons_twice", f"POLYGONS 2 8\n{LISTS}", REFUSED),
        ("strings", f"POINT_DATA 4\nFIELD f 1\nq 1 {huge} string\n", REFUSED),
        ("bits", f"POINT_DATA 4\nFIELD f 1\nq 1 {huge} bit\n", REFUSED),
        ("scalars", f"POINT_DATA {huge}\nSCALARS q float\nLOOKUP_TABLE default\n", REFUSED),
        ("components_0", "POINT_DATA 4\nSCALARS q float 0\nLOOKUP_TABLE default\n", REFUSED),
        ("components_many", f"POINT_DATA 4\nSCALARS q float {huge}\nLOOKUP_TABLE d\n", REFUSED),
        ("table", f"POINT_DATA 4\nLOOKUP_TABLE q {huge}\n", REFUSED),
        ("colors", f"POINT_DATA 4\nCOLOR_SCALARS q {huge}\n", REFUSED),
        ("texture", f"POINT_DATA 4\nTEXTURE_COORDINATES q {huge} float\n", REFUSED),
        ("tensors", f"POINT_DATA {huge}\nTENSORS q float\n", REFUSED),
        ("variant", "POINT_DATA 4\nFIELD f 1\nq 1 4 variant\n", REFUSED),
        ("ids_of_text", "POINT_DATA 4\nNORMALS q string\na\nb\nc\nd\n", REFUSED),
        ("unknown", "HELLO 3\n", REFUSED),
        ("name", "POINT_DATA 4\nFIELD f 1\n%00%0A%FF 1 4 int\n1 2 3 4\n", SQUARE),
        ("long_line", "x" * 2_000_000, REFUSED),
        ("blank_lines", "\n" * 3_000_000, SQUARE),
        ("strips", f"TRIANGLE_STRIPS 1 {huge}\n", REFUSED),
        ("strip_short", "TRIANGLE_STRIPS 1 4\n9 0 1 2\n", REFUSED),
    ):
        yield f"vtk_{name}.vtk", (good + more).encode(), expected
        wanted = None if expected == SQUARE else expected
        yield f"vtk_{name}_binary.vtk", packed + more.encode(), wanted
    for k, word in enumerate(NO_COUNT.split()):
        yield f"vtk_points_{k}.vtk", good.replace("POINTS 4", f"POINTS {word}").encode(), REFUSED
        yield f"vtk_cells_{k}.vtk", good.replace("POLYGONS 2", f"POLYGONS {word}").encode(), REFUSED
        yield f"vtk_size_{k}.vtk", good.replace("2 8", f"2 {word}").encode(), REFUSED
    for n in (0, 1, 3, 8, 9, huge):
        for old, new in (("POINTS 4", f"POINTS {n}"), ("S 2 8", f"S {n} 8"), ("S 2 8", f"S 2 {n}")):
            if new not in good:
                name = f"vtk_{new.replace(' ', '_')}"
                yield f"{name}.vtk", good.replace(old, new).encode(), REFUSED
                yield f"{name}_binary.vtk", packed.replace(old.encode(), new.encode()), REFUSED
    text = np.array([[3, *face] for face in FACES], ">i4")
    for value in (-1, 4, 2**31 - 1, -(2**31)):
        bad = text.copy()
        bad[0, 0] = value
        yield f"vtk_length_{value}.vtk", packed.replace(text.tobytes(), bad.tobytes()), REFUSED
        bad[0, 0], bad[0, 3] = 3, value
        yield f"vtk_index_{value}.vtk", packed.replace(text.tobytes(), bad.tobytes()), REFUSED
    new = good[: good.index("POLYGONS")]
    for k, (offsets, kind) in enumerate(
        (
            ("0 3 5", "vtktypeint64"),
            ("0 6 3", "vtktypeint64"),
            ("1 3 6", "vtktypeint64"),
            ("0 -3 6", "vtktypeint64"),
            ("0 3 6", "float"),
            ("0 3 7", "int"),
            ("0 3 9223372036854775807", "vtktypeint64"),
            ("0 3 18446744073709551615", "vtktypeuint64"),
            ("0 3", "int"),
        )
    ):
        cells = f"POLYGONS 3 6\nOFFSETS {kind}\n{offsets}\nCONNECTIVITY int\n0 1 2 0 2 3\n"
        yield f"vtk_offsets_{k}.vtk", (new + cells).encode(), REFUSED
    cells = "POLYGONS 3 6\nOFFSETS vtktypeint64\n0 3 6\nCONNECTIVITY vtktypeint64\n0 1 2 0 2 3\n"
    yield "vtk_offsets.vtk", (new + cells).encode(), SQUARE
    yield (
        "vtk_strings_binary.vtk",
        packed + b"POINT_DATA 4\nFIELD f 1\nq 1 1 string\n" + b"\0\xff" * 8,
        REFUSED,
    )
    points = b"POINTS 8000000 bit\n" + bytes(3_000_000)
    head, cells = packed.split(b"POINTS")[0], packed[packed.index(b"\nPOLYGONS") :]
    yield "vtk_points_of_bits.vtk", head + points + cells, REFUSED
    corners = np.array(CORNERS, ">f4").tobytes()
    yield "vtk_cr.vtk", good.replace("\n", "\r").encode(), SQUARE
    yield "vtk_crlf_binary.vtk", packed.replace(corners, corners[:-1] + b"\r"), None
