"""Attacks on the readers of text: OBJ, OFF, text STL, text PLY."""

from __future__ import annotations

import numpy as np
from attack_parts import (
    LISTS,
    NO_CORNER,
    NO_COUNT,
    NO_INDEX,
    NO_NUMBERS,
    NOT_FINITE,
    REFUSED,
    ROWS,
    SQUARE,
    Attacks,
    obj,
    off,
    ply_header,
    ply_text,
    stl,
)


def obj_attacks() -> Attacks:
    for k, word in enumerate(f"{NO_NUMBERS} {NOT_FINITE}".split()):
        yield f"obj_coordinate_{k}.obj", obj().replace("v 1 0 0", f"v {word} 0 0").encode(), REFUSED
    for k, word in enumerate([*NO_INDEX.split(), *NO_CORNER.split()]):
        expected = None if word == "1/" else REFUSED
        yield f"obj_corner_{k}.obj", obj().replace("f 1 2 3", f"f {word} 2 3").encode(), expected
    for k, word in enumerate(("1/1", "1//1", "1/1/1", "1/-1", "1/99", "+1", "01", "1//-99")):
        yield f"obj_legal_corner_{k}.obj", obj().replace("f 1 2", f"f {word} 2").encode(), SQUARE
    digits = "0" * 1_000_000
    yield "obj_million_digits.obj", obj().replace("v 1 0", f"v 1.{digits}0 0").encode(), SQUARE
    yield "obj_million_zeros.obj", obj().replace("v 1 0", f"v {digits}1 0").encode(), SQUARE
    nines = "9" * 1_000_000
    yield "obj_million_nines.obj", obj().replace("v 1 0", f"v {nines} 0").encode(), REFUSED
    long = obj().replace("f 1 2", f"f {nines} 2")
    yield "obj_million_nines_index.obj", long.encode(), REFUSED
    exponent = obj().replace("v 1 0", f"v 1e{nines} 0")
    yield "obj_exponent.obj", exponent.encode(), REFUSED
    yield "obj_small_exponent.obj", obj().replace("v 0 0 0", f"v 1e-{nines} 0 0").encode(), SQUARE
    yield (
        "obj_continued.obj",
        b"f " + b"\\\n" * 300_000 + b"1 2 3\n" + obj().encode()[:-16] + b"f 1 3 4\n",
        SQUARE,
    )
    yield "obj_only_continued.obj", b"\\\n" * 500_000, REFUSED
    yield "obj_libraries.obj", b"mtllib ../../etc/passwd\n" * 50_000 + obj().encode(), SQUARE
    yield "obj_library_nul.obj", b"mtllib a\0b\n" + obj().encode(), REFUSED
    yield "obj_blank.obj", b" " * 5_000_000, REFUSED
    yield "obj_lines.obj", b"\n" * 5_000_000, REFUSED
    yield "obj_comment.obj", b"#" * 5_000_000, REFUSED
    yield "obj_one_letter_lines.obj", b"f\n" * 1_000_000 + obj().encode(), SQUARE
    yield "obj_only_short_lines.obj", b"f\n" * 25_000_000 + obj().encode(), SQUARE
    yield "obj_short_words.obj", b"a\n" * 8_000_000 + obj().encode(), SQUARE
    yield "obj_flat_quads.obj", obj().encode() + b"f 1 1 1 1\n" * 300_000, SQUARE
    yield "obj_nan_unused.obj", obj().encode() + b"v nan nan nan\n" * 300_000, SQUARE
    yield "obj_words_unused.obj", obj().encode() + b"v -infinity 0 +infinity\n" * 200_000, SQUARE
    yield "obj_texture_nan.obj", obj().encode() + b"vt nan nan\n" * 200_000, SQUARE
    yield "obj_big_polygon.obj", obj().encode() + b"f" + b" 1 2 3 4" * 200_000, REFUSED
    yield "obj_crossing.obj", (obj() + "f 1 3 2 4\n" * 100_000).encode(), None
    sizes = "".join("f " + "1 2 3 4 " * k + "\n" for k in range(1, 300))
    yield "obj_300_sizes.obj", (obj() + sizes).encode(), None
    yield "obj_line_ends.obj", obj().replace("\n", "\r\r\n").encode(), SQUARE
    yield "obj_other_blanks.obj", obj().replace(" ", "\t\v\f ").encode(), SQUARE
    yield "obj_no_break_space.obj", obj().replace("v 1 0", "v 1\u00a00").encode(), REFUSED
    yield "obj_line_separator.obj", obj().replace("\n", "\u2028").encode(), REFUSED
    yield "obj_utf16.obj", obj().encode("utf-16"), SQUARE
    yield "obj_utf32.obj", obj().encode("utf-32"), REFUSED
    yield "obj_two_marks.obj", b"\xef\xbb\xbf" * 2 + obj().encode(), None
    yield "obj_surrogates.obj", b"\xff\xfe" + b"\x00\xd8" * 50 + obj().encode("utf-16-le"), None
    yield "obj_far_negative.obj", obj().replace("f 1 2", f"f -{10**17} 2").encode(), REFUSED


def off_attacks() -> Attacks:
    for k, word in enumerate(NO_COUNT.split()):
        for old, new in (("4 2 0", f"{word} 2 0"), ("4 2 0", f"4 {word} 0")):
            data = off().replace(old, new).encode()
            yield f"off_count_{k}_{new.split().index(word)}.off", data, REFUSED
    for n in (5, 10**9, 10**17, 10**18 - 1):
        yield f"off_{n}_vertices.off", off().replace("4 2 0", f"{n} 2 0").encode(), REFUSED
        yield f"off_{n}_faces.off", off().replace("4 2 0", f"4 {n} 0").encode(), REFUSED
        yield f"off_{n}_corners.off", off().replace("3 0 1 2", f"{n} 0 1 2").encode(), REFUSED
    for k, word in enumerate(f"{NO_NUMBERS} {NOT_FINITE}".split()):
        data = off().replace("1 0 0\n", f"{word} 0 0\n", 1).encode()
        yield f"off_coordinate_{k}.off", data, REFUSED
    for k, word in enumerate(NO_INDEX.split()):
        yield f"off_index_{k}.off", off().replace("3 0 1 2", f"3 0 1 {word}").encode(), REFUSED
    for keyword in ("4OFF", "nOFF", "4nOFF", "ST4OFF", "STSTOFF", "CCOFF", "OFFF", "OFF-", "xOFF"):
        yield f"off_keyword_{keyword}.off", off().replace("OFF", keyword).encode(), REFUSED
    for keyword in ("NOFF", "COFF", "STOFF", "CNOFF", "NCSTOFF"):  # without the columns
        yield f"off_short_{keyword}.off", off().replace("OFF", keyword).encode(), REFUSED
    flat = off().replace("\n", " ")
    yield "off_one_line.off", flat.encode(), SQUARE
    yield "off_one_number_a_line.off", flat.replace(" ", "\n").encode(), SQUARE
    yield "off_one_line_more.off", (flat + "7").encode(), REFUSED
    yield "off_one_line_less.off", flat[:-2].encode(), REFUSED
    yield "off_glued.off", off().replace("OFF\n", "OFF").encode(), SQUARE
    yield "off_comments.off", ("# x\n" * 200_000 + off()).encode(), SQUARE
    yield "off_only_comments.off", b"#\n" * 500_000, REFUSED
    yield "off_comment_inside.off", off().replace("\n", " # 1 2 3\n").encode(), SQUARE
    yield "off_binary.off", b"OFF BINARY\n" + np.zeros(99, ">i4").tobytes(), REFUSED
    yield "off_counts_apart.off", off().replace("4 2 0", "4\n2\n0").encode(), None
    wide = off().replace(" 0\n", " 0" + " 7" * 20_000 + "\n")
    yield "off_wide.off", wide.encode(), None


def stl_text_attacks() -> Attacks:
    good = stl()
    for k, word in enumerate(f"{NO_NUMBERS} {NOT_FINITE}".split()):
        yield (
            f"stl_number_{k}.stl",
            good.replace("vertex 1 0 0", f"vertex {word} 0 0").encode(),
            REFUSED,
        )
    missing = [
        "facet",
        "normal",
        "outer",
        "loop",
        "vertex",
        "endloop",
        "endfacet",
        "vertex 0 0 0\n",
    ]
    for k, word in enumerate(missing):
        yield f"stl_without_{k}.stl", good.replace(word, "", 1).encode(), REFUSED
        yield f"stl_twice_{k}.stl", good.replace(word, f"{word} {word}", 1).encode(), REFUSED
    for name in (
        "facet",
        "facet normal",
        "vertex 1 2 3",
        "endsolid",
        "solid solid",
        "end loop",
        "0",
    ):
        data = good.replace("solid a\nf", f"solid {name}\nf").encode()
        yield f"stl_named_{name.replace(' ', '_')}.stl", data, None
    yield "stl_solids.stl", ("solid\nendsolid\n" * 100_000 + good).encode(), SQUARE
    yield "stl_ends.stl", (good + "endsolid\n" * 200_000).encode(), SQUARE
    yield "stl_begins.stl", (good + "solid\n" * 200_000).encode(), REFUSED
    yield (
        "stl_long_name.stl",
        good.replace("solid a\n", f"solid {'x ' * 500_000}\n").encode(),
        SQUARE,
    )
    yield (
        "stl_nan_normal.stl",
        good.replace("normal 0 0 1", "normal nan -nan(ind) nan").encode(),
        SQUARE,
    )
    yield "stl_without_end.stl", good.replace("endsolid a\n", "").encode(), REFUSED
    yield "stl_nul.stl", good.encode() + b"\0", REFUSED
    yield "stl_nul_early.stl", good.replace("outer", "out\0er", 1).encode(), REFUSED
    yield "stl_end_words.stl", good.replace("end", "end ").encode(), SQUARE
    yield "stl_ends_alone.stl", (good + "end\n" * 200_000).encode(), None
    yield "stl_four_numbers.stl", good.replace("vertex 1 0 0", "vertex 1 0 0 0").encode(), REFUSED
    yield "stl_two_numbers.stl", good.replace("vertex 1 0 0", "vertex 1 0").encode(), REFUSED


def ply_text_attacks() -> Attacks:
    yield "ply_text.ply", ply_text(), SQUARE
    for k, word in enumerate(NO_COUNT.split()):
        yield f"ply_vertices_{k}.ply", ply_text(vertices=word), REFUSED
        yield f"ply_faces_{k}.ply", ply_text(faces=word), REFUSED
    for k, word in enumerate(f"{NO_NUMBERS} {NOT_FINITE}".split()):
        data = ply_text().replace(b"1 0 0", f"{word} 0 0".encode(), 1)
        yield f"ply_coordinate_{k}.ply", data, REFUSED
    for k, word in enumerate(NO_INDEX.split()):
        data = ply_text().replace(b"3 0 1 2", f"3 0 1 {word}".encode())
        yield f"ply_index_{k}.ply", data, REFUSED
        data = ply_text().replace(b"3 0 1 2", f"{word} 0 1 2".encode())
        yield f"ply_length_{k}.ply", data, REFUSED
    yield (
        "ply_junk_element.ply",
        ply_text().replace(b"end_h", b"element junk 99999999999999999\nend_h"),
        SQUARE,
    )
    yield (
        "ply_comments.ply",
        ply_text().replace(b"element v", b"comment end_header\n" * 20_000 + b"element v"),
        SQUARE,
    )
    yield (
        "ply_long_header.ply",
        ply_text().replace(b"element v", b"comment\n" * 200_000 + b"element v"),
        REFUSED,
    )
    yield (
        "ply_elements.ply",
        ply_text().replace(
            b"end_h", b"".join(b"element e%d 0\n" % k for k in range(50_000)) + b"end_h"
        ),
        SQUARE,
    )
    yield "ply_twice.ply", ply_text().replace(b"end_h", b"element vertex 0\nend_h"), REFUSED
    yield (
        "ply_property_twice.ply",
        ply_text().replace(b"property float z", b"property float z\nproperty int z"),
        REFUSED,
    )
    many = "".join(f"property float q{k}\n" for k in range(39_000))
    rows = "\n".join(row + " 1" * 39_000 for row in ROWS.splitlines())
    data = ply_header("ascii", "property list uchar int vertex_indices", more=many)
    yield "ply_39000_columns.ply", data + f"{rows}\n{LISTS}".encode(), SQUARE
    names = "".join(f"property float a_{k}\n" for k in range(30_000))
    data = ply_header("ascii", "property list uchar int vertex_indices", more=names)
    rows = "\n".join(row + " 1" * 30_000 for row in ROWS.splitlines())
    yield "ply_30000_in_one.ply", data + f"{rows}\n{LISTS}".encode(), SQUARE
    for old, new in (
        (b"ascii", b"ascii 1.0 extra"),
        (b"1.0", b"2.0"),
        (b"1.0", b"1.0e0"),
        (b"format", b"Format"),
        (b"list uchar int", b"list float int"),
        (b"list uchar int", b"list uchar"),
        (b"list uchar int", b"list list int"),
        (b"list uchar int", b"int"),
        (b"float x", b"float"),
        (b"float x", b"half x"),
        (b"vertex_indices", b"indices"),
        (b"element face 2", b"element face"),
        (b"element face 2", b"element face 2 2"),
        (b"end_header", b"end_headers"),
    ):
        yield (
            f"ply_head_{new.decode().strip().replace(' ', '_')}.ply",
            ply_text().replace(old, new, 1),
            REFUSED,
        )
