"""Attacks on the readers of XML and JSON: VTP and glTF."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from attack_parts import CORNERS, FACES, REFUSED, ROWS, SQUARE, Attacks, blob, document, glb, vtp

NO_COUNT = "-1 1_0 ٤ ４ 4.0 0x4 99999999999999999999 100000000000000000 5 nan +4"


def array(name: str, form: str, inside: str, more: str = "", kind: str = "Float32") -> str:
    return f'<DataArray type="{kind}" Name="{name}" format="{form}" {more}>{inside}</DataArray>'


def packed(data: bytes, total: int | None = None) -> str:
    head = (len(data) if total is None else total).to_bytes(8, "little")
    return base64.b64encode(head + data).decode()


def vtp_attacks() -> Attacks:
    rows = np.array(CORNERS, "<f4").tobytes()
    yield "vtp_good.vtp", vtp().encode(), SQUARE
    yield "vtp_base64.vtp", vtp(array("p", "binary", packed(rows))).encode(), SQUARE
    entity = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
    yield "vtp_entities.vtp", vtp(head=entity).encode(), REFUSED
    yield "vtp_external.vtp", vtp(head="<!DOCTYPE a SYSTEM 'file:///etc/passwd'>").encode(), REFUSED
    yield (
        "vtp_parameter.vtp",
        vtp(head="<!DOCTYPE a [<!ENTITY % b SYSTEM 'x'> %b;]>").encode(),
        REFUSED,
    )
    yield "vtp_undeclared.vtp", vtp().replace("0 1 2 0", "&a; 1 2 0").encode(), REFUSED
    yield "vtp_references.vtp", vtp().replace("0 1 2 0", "&#48; &#x31; 2 0").encode(), SQUARE
    yield "vtp_nul_reference.vtp", vtp().replace("0 1 2 0", "&#0; 1 2 0").encode(), REFUSED
    yield "vtp_cdata.vtp", vtp().replace("0 1 2 0 2 3", "<![CDATA[0 1 2 0 2 3]]>").encode(), SQUARE
    yield "vtp_elements.vtp", vtp(data="<a/>" * 1_500_000).encode(), REFUSED
    many = " ".join(f'a{k}=""' for k in range(600_000))
    yield "vtp_attributes.vtp", vtp(data=f"<a {many}/>").encode(), REFUSED
    yield "vtp_deep.vtp", vtp(data="<a>" * 500_000).encode(), REFUSED
    yield "vtp_pieces.vtp", vtp(behind="<Piece/>" * 100_000).encode(), SQUARE
    pieces = vtp().replace("</Piece>", "</Piece>" + "<Piece/>" * 50_000)
    yield "vtp_many_pieces.vtp", pieces.encode(), REFUSED
    yield "vtp_comments.vtp", vtp(data="<!-- x -->" * 200_000).encode(), SQUARE
    yield "vtp_appended_text.vtp", vtp(behind="<AppendedData " * 100_000).encode(), REFUSED
    yield "vtp_appended_comment.vtp", vtp(data="<!--<AppendedData>_-->").encode(), REFUSED
    for k, word in enumerate(NO_COUNT.split()):
        for name in ("NumberOfPoints", "NumberOfPolys"):
            data = vtp().replace(f'{name}="{4 if "Points" in name else 2}"', f'{name}="{word}"')
            yield f"vtp_{name}_{k}.vtp", data.encode(), REFUSED
    for k, word in enumerate(("0", "1", "1000000000000000000", "-1", "٤")):
        one = array("q", "ascii", "1 2 3 4", f'NumberOfComponents="{word}"')
        field = f"<PointData>{one}</PointData>"
        expected = SQUARE if word in "01" else REFUSED
        yield f"vtp_components_{k}.vtp", vtp(data=field).encode(), expected
    for k, (old, new) in enumerate(
        (
            ("3 6<", "3 7<"),
            ("3 6<", "6 3<"),
            ("3 6<", "-3 6<"),
            ("3 6<", "3 99999999999999999999<"),
            ("3 6<", "3.5 6<"),
            ("3 6<", "3<"),
            ("0 1 2 0", "0 1 -2 0"),
            ("0 1 2 0", "0 1 1.5 0"),
            ("0 1 2 0", "0 1 4 0"),
            ("0 1 2 0", "0 1 1_0 0"),
            ("0 1 2 0", "0 1 4294967296 0"),
            ('Int32" Name="c', 'Float32" Name="c'),
            ('Int32" Name="o', 'Float64" Name="o'),
            ('Int32" Name="c', 'Int33" Name="c'),
            ("LittleEndian", "MiddleEndian"),
            ("UInt64", "Float64"),
            ("PolyData>", "Polydata>"),
            ("1 0 0\n", "nan 0 0\n"),
            ("1 0 0\n", "١ 0 0\n"),
        )
    ):
        yield f"vtp_changed_{k}.vtp", vtp().replace(old, new, 1).encode(), REFUSED
    for total in (0, 47, 2**31, 2**62, 2**63, 2**64 - 1):
        data = vtp(array("p", "binary", packed(rows, total))).encode()
        yield f"vtp_total_{total}.vtp", data, REFUSED
    for k, text in enumerate(("", "=", "A", "====", "!" * 100, "AAAA" * 20, "A" * 77, "é" * 100)):
        yield f"vtp_letters_{k}.vtp", vtp(array("p", "binary", text)).encode(), REFUSED
    yield from compressed_attacks(rows)
    yield from appended_attacks(rows)


def compressed_attacks(rows: bytes) -> Attacks:
    def file(blocks: int, sizes: list[int], body: bytes) -> bytes:
        head = np.array([blocks, 48, 48, *sizes], "<u8").tobytes()
        text = base64.b64encode(head).decode() + base64.b64encode(body).decode()
        data = vtp(array("p", "binary", text))
        return data.replace("<VTKFile", '<VTKFile compressor="vtkZLibDataCompressor"').encode()

    body = zlib.compress(rows)
    yield "vtp_zlib.vtp", file(1, [len(body)], body), SQUARE
    for blocks in (0, 2, 1000, 2**32, 2**63):
        yield f"vtp_blocks_{blocks}.vtp", file(blocks, [len(body)], body), REFUSED
    for size in (0, 1, len(body) - 1, len(body) + 1, 2**32, 2**64 - 1):
        yield f"vtp_block_of_{size}.vtp", file(1, [size], body), REFUSED
    bomb = zlib.compress(bytes(100_000_000), 9)
    yield "vtp_bomb.vtp", file(1, [len(bomb)], bomb), REFUSED
    small = zlib.compress(bytes(7_000_000), 9)
    yield "vtp_bombs.vtp", file(20, [len(small)] * 20, small * 20), REFUSED
    yield "vtp_empty_blocks.vtp", file(50_000, [0] * 50_000, b""), REFUSED


def appended_attacks(rows: bytes) -> Attacks:
    block = len(rows).to_bytes(8, "little") + rows
    points = array("p", "appended", "", 'offset="0"')

    def file(data: bytes, *, encoding: str = "raw", fields: str = "", where: str = points) -> bytes:
        text = vtp(
            where, data=fields, behind=f'<AppendedData encoding="{encoding}">_@</AppendedData>'
        )
        return text.encode().replace(b"@", data)

    yield "vtp_raw.vtp", file(block), SQUARE
    yield "vtp_raw_text.vtp", file(block + b"</AppendedData></VTKFile><evil>"), SQUARE
    yield "vtp_raw_base64.vtp", file(packed(rows).encode(), encoding="base64"), SQUARE
    for offset in ("1", "8", "55", "100000", "99999999999999999", "-1", "0x0", "٠"):
        where = array("p", "appended", "", f'offset="{offset}"')
        yield f"vtp_offset_{offset}.vtp", file(block, where=where), REFUSED
    for n in (20, 300, 5_000):
        one = 'offset="0" NumberOfComponents="65536"'
        fields = "".join(array(f"q{k}", "appended", "", one) for k in range(n))
        big = (1 << 20).to_bytes(8, "little") + bytes(1 << 20)
        where = array("p", "ascii", ROWS)
        data = file(big, fields=f"<PointData>{fields}</PointData>", where=where)
        yield f"vtp_one_block_{n}_times.vtp", data, SQUARE if n == 20 else REFUSED
    fields = "".join(array(f"q{k}", "appended", "", 'offset="0"') for k in range(5_000))
    text = packed(rows).encode() + b"A" * 3_000_000
    fields = f"<PointData>{fields}</PointData>"
    yield "vtp_5000_in_base64.vtp", file(text, encoding="base64", fields=fields), SQUARE


def gltf_attacks() -> Attacks:
    inside = {"byteLength": 72, "uri": "data:;base64," + base64.b64encode(blob()).decode()}
    yield "gltf_good.gltf", json.dumps(document(buffers=[inside])).encode(), SQUARE
    good = document()
    for path, values in (
        (("accessors", 0, "count"), [-1, 3.0, True, "6", None, [], 2**31, 10**17, 2**63, 5, 7]),
        (("accessors", 1, "count"), [-1, 4.0, True, "4", None, 0, 3, 5, 150_000_000, 10**18]),
        (("accessors", 1, "byteOffset"), [-1, 1.5, "0", 1, 2**31, 2**61, 2**63]),
        (("accessors", 1, "bufferView"), [-1, 2, 2**31, "1", None, 0]),
        (("accessors", 1, "componentType"), [5125, 5120, 5130, 0, "5126", -1, None, 5124]),
        (("accessors", 1, "type"), ["VEC2", "MAT3", "SCALAR", "vec3", None, 3, []]),
        (("accessors", 0, "componentType"), [5126, 5120, 5130]),
        (("bufferViews", 1, "byteLength"), [-1, 47, 49, 2**31, 2**62, "48", None]),
        (("bufferViews", 1, "byteOffset"), [-1, 25, 2**31, 2**62, "24", None]),
        (("bufferViews", 1, "byteStride"), [-1, 0, 4, 13, 255, 256, 2**31, "12", None]),
        (("bufferViews", 1, "buffer"), [-1, 1, 2**31, "0", None]),
        (("buffers", 0, "byteLength"), [-1, 71, 73, 2**31, "72", None]),
        (
            ("buffers", 0, "uri"),
            [1, None, "x", "data:,x", "data:;base64,!", "//h/x", "%00", "a\0b"],
        ),
        (("meshes", 0, "primitives"), [[], {}, None, [3], "x"]),
        (("meshes", 0, "primitives", 0, "mode"), [-1, 0, 1, 3, 7, 4.0, "4", None]),
        (("meshes", 0, "primitives", 0, "attributes"), [{}, [], None, {"POSITION": -1}, 1]),
        (("meshes", 0, "primitives", 0, "indices"), [-1, 1, 2, "0", None, 0.0]),
        (("nodes", 0, "mesh"), [-1, 1, "0", None, 0.0]),
        (("nodes", 0, "children"), [[0], [1], [-1], ["0"], 3, [[]], [0.0]]),
        (
            ("nodes", 0, "matrix"),
            [[1] * 15, [1e308] * 16, ["1"] * 16, 3, [None] * 16, [10**400] * 16],
        ),
        (("nodes", 0, "scale"), [[1, 1], [1e301] * 3, [1e200] * 3, "x", [[1], 1, 1]]),
        (("scene",), [-1, 1, "0", None, 0.0, 2**63]),
        (("scenes", 0, "nodes"), [[1], [-1], [0, 0], "0", 0, [0.0], [None]]),
        (("asset",), [None, {}, [], {"version": "1.0"}, {"version": 2}, "2.0"]),
        (("extensionsRequired",), [["X_unknown"], "KHR_draco_mesh_compression", 3, [1], {"a": 1}]),
    ):
        for k, value in enumerate(values):
            root = json.loads(json.dumps(good))
            place: Any = root
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            name = "_".join(map(str, path))
            yield f"glb_{name}_{k}.glb", glb(root)[0], None if _harmless(path, value) else REFUSED
    yield from gltf_texts()
    yield from gltf_unfolding()


def _harmless(path: tuple[Any, ...], value: Any) -> bool:
    """Tell whether a change may leave the square as it is."""
    return (
        path[-1] in ("matrix", "children", "scale", "uri")
        or (path[-2:] == ("bufferViews", 1) and value in (0, None))
        or (path[-1] == "scene" and value is None)
        or value is None
    )


def gltf_texts() -> Attacks:
    text = glb(document())[0]
    plain = json.dumps(document(buffers=[{"byteLength": 72, "uri": "@"}]))
    plain = plain.replace("@", "data:;base64," + base64.b64encode(blob()).decode())
    brackets = plain.replace(
        '"version": "2.0"', '"version": "2.0", "note": "' + "[{" * 100_000 + '"'
    )
    yield "gltf_brackets_in_text.gltf", brackets.encode(), SQUARE
    quotes = plain.replace(
        '"version": "2.0"', '"version": "2.0", "note": "' + '\\"[' * 100_000 + '"'
    )
    yield "gltf_quotes_in_text.gltf", quotes.encode(), SQUARE
    for k, inside in enumerate(
        (
            "[" * 100_000,
            "[" * 100_000 + "]" * 100_000,
            '{"a":' * 50_000 + "1" + "}" * 50_000,
            "[" + "[]," * 3_000_000 + "[]]",
            "9" * 5_000,
            "NaN",
            "-Infinity",
            "1" + "0" * 400 + ".0e",
            '"\\ud800',
            "'x'",
            "01",
            "+1",
            "1_0",
            "0x1",
            "tru",
            '"\x01"',
        )
    ):
        data = plain.replace('"scene": 0', f'"scene": 0, "extras": {inside}')
        yield f"gltf_inside_{k}.gltf", data.encode(), REFUSED
    for k, inside in enumerate(("1e999", '"\\ud800"', "[" * 50 + "]" * 50, '"\\u0000"')):
        data = plain.replace('"scene": 0', f'"scene": 0, "extras": {inside}')
        yield f"gltf_odd_{k}.gltf", data.encode(), SQUARE
    yield "gltf_twice.gltf", plain.replace('"scene": 0', '"scene": 0, "scene": 0').encode(), REFUSED
    yield "gltf_behind.gltf", (plain + "{}").encode(), REFUSED
    yield "gltf_list.gltf", f"[{plain}]".encode(), REFUSED
    yield "gltf_mark.gltf", b"\xef\xbb\xbf" + plain.encode(), SQUARE
    yield "gltf_utf16.gltf", plain.encode("utf-16"), SQUARE
    yield "gltf_latin1.gltf", plain.replace("version", "versiön").encode("latin-1"), REFUSED
    yield "glb_json_of_nul.glb", text.replace(b'"scene"', b'"sc\0ne"'), REFUSED
    for uri in ("/etc/passwd", "../../etc/passwd", "%2e%2e/x", "file:///etc/passwd", "http://h/x"):
        data = plain.replace("data:;base64,", uri + "#")
        yield f"gltf_uri_{len(uri)}.gltf", data.encode(), REFUSED


def gltf_unfolding() -> Attacks:
    """One block that is used, or declared, many times."""
    big = blob() + bytes(1 << 20)
    views = [*document()["bufferViews"], {"buffer": 0, "byteOffset": 72, "byteLength": 1 << 20}]
    one = {"bufferView": 2, "componentType": 5126, "count": 87_380, "type": "VEC3"}
    for n in (20, 2_000, 20_000):
        accessors = [*document()["accessors"], *([one] * n)]
        primitives = [{"attributes": {"POSITION": 2 + k}} for k in range(n)]
        primitives.append(document()["meshes"][0]["primitives"][0])
        root = document(
            accessors=accessors,
            bufferViews=views,
            meshes=[{"primitives": primitives}],
            buffers=[{"byteLength": len(big)}],
        )
        yield f"glb_one_view_{n}_times.glb", glb(root, big)[0], REFUSED
        shared = [{"attributes": {"POSITION": 2}}] * n
        root = document(
            accessors=[*document()["accessors"], one],
            bufferViews=views,
            meshes=[{"primitives": shared}],
            buffers=[{"byteLength": len(big)}],
        )
        yield f"glb_one_primitive_{n}_times.glb", glb(root, big)[0], None
    one = {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3"}
    attributes = {f"_{k}": 2 for k in range(100_000)} | {"POSITION": 1}
    root = document(
        accessors=[*document()["accessors"], one],
        meshes=[{"primitives": [{"attributes": attributes, "indices": 0}]}],
    )
    yield "glb_100000_attributes.glb", glb(root)[0], SQUARE
    for n in (9_000, 20_000):
        root = document(nodes=[{"mesh": 0}] * n, scenes=[{"nodes": list(range(n))}])
        yield f"glb_{n}_nodes.glb", glb(root)[0], None if n < 10_000 else REFUSED
    chain = [{"children": [k + 1]} for k in range(9_000)] + [{"mesh": 0}]
    yield "glb_chain.glb", glb(document(nodes=chain))[0], SQUARE
    loop = [{"children": [1]}, {"children": [2]}, {"children": [0]}]
    yield "glb_loop.glb", glb(document(nodes=loop))[0], REFUSED
    sparse: dict[str, Any] = {
        "count": 1,
        "indices": {"bufferView": 0, "componentType": 5125},
        "values": {"bufferView": 1},
    }
    for k, (count, change) in enumerate(
        (
            (4, {}),
            (5_000_000, {}),
            (500_000_000, {}),
            (10**17, {}),
            (4, {"count": 0}),
            (4, {"count": 5}),
            (4, {"count": 10**17}),
            (4, {"count": -1}),
            (4, {"indices": {"bufferView": 0, "componentType": 5126}}),
            (4, {"indices": {"bufferView": 0, "componentType": 5125, "byteOffset": 24}}),
            (4, {"indices": {"bufferView": 9, "componentType": 5125}}),
            (4, {"values": {"bufferView": 9}}),
            (4, {"values": 3}),
            (4, {"count": 2, "indices": {"bufferView": 0, "componentType": 5125, "byteOffset": 8}}),
        )
    ):
        positions = {
            "componentType": 5126,
            "count": count,
            "type": "VEC3",
            "sparse": sparse | change,
        }
        root = document(accessors=[document()["accessors"][0], positions])
        legal = (not change and count < 10**7) or change == {"count": 0}
        expected = None if legal else REFUSED
        yield f"glb_sparse_{k}.glb", glb(root)[0], expected
    text = "data:;base64," + base64.b64encode(bytes(1 << 20)).decode()
    root = document(buffers=[{"byteLength": 72}] + [{"byteLength": 1 << 20, "uri": text}] * 20)
    yield "gltf_20_addresses.gltf", json.dumps(root).encode(), REFUSED
    targets = [{"POSITION": 1}] * 50_000
    mesh = {"primitives": [{"attributes": {"POSITION": 1}, "indices": 0, "targets": targets}]}
    root = document(meshes=[mesh | {"weights": [0.0] * 50_000}])
    yield "glb_50000_targets.glb", glb(root)[0], SQUARE
    for k, weights in enumerate(([1.0], ["x"], [1e400], 3, [None], {}, [1.0] * 9)):
        root = document(meshes=[mesh | {"weights": weights}])
        yield f"glb_weights_{k}.glb", glb(root)[0], REFUSED if k != 5 else None
    faces = np.array(FACES, "<u4")
    for value in (4, 2**31, 2**32 - 1):
        bad = faces.copy()
        bad[1, 2] = value
        data = bad.tobytes() + blob()[24:]
        yield f"glb_index_{value}.glb", glb(document(), data)[0], REFUSED
