"""Attacks on the readers of glTF."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from attack_parts import FACES, REFUSED, SQUARE, Attacks, blob, document, glb


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
    names = ",".join(f'"{k}":0' for k in range(200_000))
    twice = plain.replace('"scene": 0', f'"scene": 0, "extras": {{{names}, "199999":0}}')
    yield "gltf_twice_of_many.gltf", twice.encode(), REFUSED
    deep = ",".join(['{"":' * 90 + "0" + "}" * 90] * 20_000)
    data = plain.replace('"scene": 0', f'"scene": 0, "extras": [{deep}]')
    yield "gltf_objects.gltf", data.encode(), REFUSED
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
    one = {"componentType": 5121, "count": 60_000_000, "type": "SCALAR", "normalized": True}
    one |= {
        "sparse": {
            "count": 1,
            "indices": {"bufferView": 0, "componentType": 5125},
            "values": {"bufferView": 1},
        }
    }
    for k, use in enumerate(
        (
            {"attributes": {"POSITION": 1, "_q": 2}, "indices": 0},
            {"attributes": {"POSITION": 1}, "indices": 2},
        )
    ):
        root = document(accessors=[*document()["accessors"], one], meshes=[{"primitives": [use]}])
        yield f"glb_bytes_unfold_{k}.glb", glb(root)[0], REFUSED
    targets = {**document()["meshes"][0]["primitives"][0], "targets": [{"POSITION": 1}] * 300}
    mesh = {"primitives": [targets] * 300, "weights": [1.0] * 300}
    root = document(meshes=[mesh], nodes=[{"mesh": 0}] * 300, scenes=[{"nodes": list(range(300))}])
    yield "glb_targets_for_each_node.glb", glb(root)[0], REFUSED
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
