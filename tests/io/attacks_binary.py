"""Attacks on the readers of packed formats: PLY, STL, GLB and gzip."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import numpy as np
from attack_parts import (
    CORNERS,
    REFUSED,
    SQUARE,
    Attacks,
    document,
    glb,
    obj,
    ply_header,
)

INT64 = np.iinfo(np.int64)


def ply(
    count: str, item: str, faces: list[tuple[int, list[int]]], order: str, **head: Any
) -> bytes:
    """Return a packed PLY with the lists as given: a length, and items that may be others."""
    names = {"<": "binary_little_endian", ">": "binary_big_endian"}
    types = {"u1": "uchar", "i1": "char", "u2": "ushort", "i2": "short", "u4": "uint", "i4": "int"}
    types |= {"u8": "uint64", "i8": "int64", "f4": "float", "f8": "double"}
    head = {"faces": head.pop("declared", len(faces))} | head
    out = ply_header(
        names[order], f"property list {types[count]} {types[item]} vertex_indices", **head
    )
    out += np.array(CORNERS, order + "f4").tobytes()
    for length, items in faces:
        out += (
            np.array([length]).astype(order + count).tobytes()
            if length < 2**63
            else (length.to_bytes(8, "little" if order == "<" else "big"))
        )
        out += np.array(items).astype(order + item).tobytes()
    return out


TRIANGLES = [(3, [0, 1, 2]), (3, [0, 2, 3])]


def ply_attacks() -> Attacks:
    for order in "<>":
        for count in ("u8", "i8", "u4", "i4", "u2", "i2", "u1", "i1"):
            yield f"ply_good_{count}{order}.ply", ply(count, "i4", TRIANGLES, order), SQUARE
            ragged = [(3, [0, 1, 2]), (3, [0, 2, 3]), (2, [0, 1])]
            yield f"ply_ragged_{count}{order}.ply", ply(count, "i4", ragged, order), SQUARE
            size = 8 * int(count[1])
            worst = {2**size - 1, 2 ** (size - 1), 2 ** (size - 1) - 1, 2 ** (size - 3)}
            for length in worst:
                for first in (True, False):
                    faces = [(3, [0, 1, 2]), (length, [0, 2, 3])]
                    data = ply(count, "i4", faces[:: -1 if first else 1], order)
                    name = f"ply_count_{length:x}_{count}{order}{'first' if first else ''}.ply"
                    yield name, data, REFUSED
    for k, strip in enumerate((b"\0\1\2\3" * 5_000_000, b"\0\1\2" + b"\xff" * 20_000_000)):
        data = ply("i4", "i1", [(len(strip), [])], "<").replace(
            b"element face", b"element tristrips"
        )
        yield f"ply_strip_{k}.ply", data + strip, REFUSED
    for item, value in (
        ("u8", 2**63),
        ("i8", -1),
        ("i4", -1),
        ("u4", 2**32 - 1),
        ("i8", INT64.min),
    ):
        items = np.array([0, 2, value], np.uint64 if item[0] == "u" else np.int64)
        data = ply("u1", item, [(3, [0, 1, 2]), (3, items)], "<")  # type: ignore[list-item]
        yield f"ply_item_{item}_{value}.ply", data, REFUSED
    for value in (0.5, np.nan, np.inf, -np.inf, 1e30, -1.0):
        faces = [(3, [0, 1, 2]), (3, [0, 2, value])]
        yield f"ply_item_{value}.ply", ply("u1", "f4", faces, "<"), REFUSED  # type: ignore[list-item]
    for faces in (3, 10**6, 10**17, 10**18 - 1):
        yield f"ply_{faces}_faces.ply", ply("u1", "i4", TRIANGLES, "<", declared=faces), REFUSED
    for vertices in (5, 10**17):
        data = ply("u1", "i4", TRIANGLES, "<", vertices=vertices)
        yield f"ply_{vertices}_vertices.ply", data, None if vertices == 5 else REFUSED
    many = "".join(f"property uchar q{k}\n" for k in range(39_000))
    data = ply_header("binary_little_endian", "property list uchar int vertex_indices", more=many)
    yield "ply_39000_properties.ply", data + bytes(39_012 * 4), REFUSED
    lists = "".join(f"property list uchar int q{k}\n" for k in range(30_000))
    body = (b"\0" * 30_000).join(b"\3" + np.array(t, "<i4").tobytes() for _, t in TRIANGLES)
    data = ply_header("binary_little_endian", "property list uchar int vertex_indices\n" + lists)
    data += np.array(CORNERS, "<f4").tobytes()
    yield "ply_30000_lists.ply", data + body + b"\0" * 30_000, SQUARE
    empty = ply("u1", "i4", [(3, [0, 1, 2]), (0, [])] * 100_000, "<")
    yield "ply_every_second_list_empty.ply", empty, None
    sizes = [(k, [j % 4 for j in range(k)]) for k in range(3, 900)]
    yield "ply_900_sizes.ply", ply("u2", "i4", sizes, "<"), None


def stl_attacks() -> Attacks:
    def triangle(*corners: Any) -> bytes:
        return struct.pack("<12fH", 0, 0, 1, *np.array(corners, float).ravel(), 0)

    a, b, c, d = CORNERS
    body = triangle(a, b, c) + triangle(a, c, d)
    for head in (b"", b"solid", b"solid facet normal", b"solid\nfacet\nendsolid", b"ply\n", b"OFF"):
        for extra in (b"", b"\0", b"\n\n", bytes(49)):
            data = head.ljust(80) + struct.pack("<I", 2) + body + extra
            yield f"stl_head_{head.decode().split() or ''}_{len(extra)}.stl", data, None
    for count in (0, 1, 3, 2**31, 2**32 - 1, 85_899_346):
        yield f"stl_count_{count}.stl", bytes(80) + struct.pack("<I", count) + body, REFUSED
    for cut in (0, 1, 79, 83, 84, 133):
        yield f"stl_cut_{cut}.stl", (bytes(80) + struct.pack("<I", 2) + body)[:cut], REFUSED
    flat = triangle(a, a, b) * 1000
    yield "stl_flat.stl", bytes(80) + struct.pack("<I", 1000) + flat, REFUSED
    for value in (np.nan, np.inf):
        bad = body + triangle(a, b, (0, 0, value))
        yield f"stl_{value}.stl", bytes(80) + struct.pack("<I", 3) + bad, REFUSED
    same = triangle(a, b, c) * 200_000
    yield "stl_one_facet_often.stl", bytes(80) + struct.pack("<I", 200_000) + same, None
    near = np.zeros((200_000, 12), "<f4")
    near[:, 3:] = np.arange(9 * 200_000).reshape(-1, 9).view(np.int64) * 1e-30
    records = np.zeros(200_000, np.dtype([("f", "<f4", 12), ("a", "<u2")]))
    records["f"] = near
    data = bytes(80) + struct.pack("<I", 200_000) + records.tobytes()
    yield "stl_tiny_soup.stl", data, None


def glb_attacks() -> Attacks:
    good, blob = glb(document())
    yield "glb_good.glb", good, SQUARE
    yield "glb_trailing.glb", good + b"abc", SQUARE
    text = good[20 : 20 + struct.unpack_from("<I", good, 12)[0]]
    for length in (0, 11, 12, 20, len(good) + 1, 2**32 - 1):
        yield f"glb_length_{length}.glb", good[:8] + struct.pack("<I", length) + good[12:], REFUSED
    for size in (0, 1, len(text) - 4, len(text) + 4, 2**32 - 1, 2**31):
        data = good[:12] + struct.pack("<I", size) + good[16:]
        yield f"glb_chunk_{size}.glb", data, REFUSED
    for kind in (b"BIN\0", b"JSOX", b"\0\0\0\0"):
        yield f"glb_kind_{kind!r}.glb", good[:16] + kind + good[20:], REFUSED
    for version in (0, 1, 3, 2**32 - 1):
        yield (
            f"glb_version_{version}.glb",
            good[:4] + struct.pack("<I", version) + good[8:],
            REFUSED,
        )
    bin_first = struct.pack("<I4s", len(blob), b"BIN\0") + blob
    data = bin_first + good[12 : 20 + len(text)]
    yield "glb_bin_first.glb", b"glTF" + struct.pack("<II", 2, 12 + len(data)) + data, REFUSED
    empty = struct.pack("<I4s", 0, b"\0\0\0\0") * 100_000
    data = good[12:] + empty
    yield "glb_100000_chunks.glb", b"glTF" + struct.pack("<II", 2, 12 + len(data)) + data, SQUARE
    for k in range(4, len(good), 97):
        yield f"glb_cut_{k}.glb", good[:k], REFUSED


def gzip_attacks() -> Attacks:
    text = obj().encode()
    good = gzip.compress(text, mtime=0)
    yield "gz_good.obj.gz", good, SQUARE
    members = b"".join(gzip.compress(text[k : k + 8], mtime=0) for k in range(0, len(text), 8))
    yield "gz_members.obj.gz", members, SQUARE
    yield "gz_150000_members.obj.gz", good + gzip.compress(b"\n", mtime=0) * 150_000, SQUARE
    yield "gz_150000_empty.obj.gz", good + gzip.compress(b"", mtime=0) * 150_000, SQUARE
    yield "gz_zeros_behind.obj.gz", good + bytes(3_000_000), SQUARE
    yield "gz_garbage_behind.obj.gz", good + b"garbage", SQUARE
    yield "gz_bomb.obj.gz", gzip.compress(b" " * 60_000_000, 9, mtime=0), REFUSED
    bomb = gzip.compress(b"1 " * 5_000_000, 9, mtime=0)
    yield "gz_bombs.obj.gz", bomb * 20, REFUSED
    tokens = gzip.compress(b"v 0 0 0\nf 1 1 1\n" * 500_000, 9, mtime=0)
    yield "gz_tokens.obj.gz", tokens, REFUSED
    yield "gz_nested.obj.gz", gzip.compress(good, mtime=0), REFUSED
    yield "gz_checksum.obj.gz", good[:-8] + bytes(4) + good[-4:], REFUSED
    yield "gz_size.obj.gz", good[:-4] + b"\xff\xff\xff\xff", REFUSED
    named = good[:3] + b"\x08" + good[4:10] + b"x" * 1_000_000
    yield "gz_name_without_end.obj.gz", named, REFUSED
    for cut in (2, 9, 10, 11, len(good) - 9, len(good) - 1):
        yield f"gz_cut_{cut}.obj.gz", good[:cut], REFUSED
