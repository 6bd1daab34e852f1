"""Files as real programs write them, beyond what the format's text says; and parts of a format that
change the surface: sparse, skinned and morphed glTF, soups, strings and bits in VTK.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack_parts import CORNERS, FACES, LISTS, ROWS, document, glb, off, stl, vtk, vtk_binary
from small_files import put

from meshconv import errors as e
from meshconv.io import load, read
from meshconv.mesh.shapes import grid
from meshconv.mesh_repair.repair import repair


def is_square(path: Path) -> bool:
    surface = load(path)
    return surface.vertices.tolist() == CORNERS and surface.faces.tolist() == FACES


# --- OFF -----------------------------------------------------------------------------------------

NORMAL, COLOR, UV = "0 0 1", "255 0 9 255", ".5 .25"
COLUMNS = {  # by the keyword: Geomview's own order is normal, colour; VCG writes NC for the other
    "NOFF": (NORMAL,),
    "COFF": (COLOR,),
    "CNOFF": (NORMAL, COLOR),
    "NCOFF": (COLOR, NORMAL),
    "STOFF": (UV,),
    "CSTOFF": (COLOR, UV),
    "STCNOFF": (NORMAL, COLOR, UV),
    "NCSTOFF": (COLOR, NORMAL, UV),
}


@pytest.mark.parametrize("keyword", COLUMNS)
def test_off_columns_by_keyword(tmp_path: Path, keyword: str) -> None:
    rows = ROWS.replace("\n", " " + " ".join(COLUMNS[keyword]) + "\n")
    found = read(put(tmp_path, "a.off", f"{keyword}\n4 2 0\n{rows}{LISTS}"))
    assert found.surface.vertices.tolist() == CORNERS and not found.warnings
    wanted = {"normals": NORMAL, "colors": COLOR, "uv": UV}
    for name, value in wanted.items():
        assert (name in found.vertex_fields) == (value in COLUMNS[keyword])
        if name in found.vertex_fields:
            assert found.vertex_fields[name].tolist() == [[float(x) for x in value.split()]] * 4


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", " ", "\t"])
@pytest.mark.parametrize("glue", ["\n", "", " ", " # made\n"])
def test_off_keyword_glued_and_lines_of_any_kind(tmp_path: Path, glue: str, end: str) -> None:
    text = off().replace("OFF\n", f"OFF{glue}")
    path = put(tmp_path, "a.off", text.replace("\n", end) if "#" not in glue else text)
    assert is_square(path)


# --- STL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("endloop", "end loop"),
        lambda text: text.replace("end", "end  "),
        lambda text: text.upper(),
        lambda text: text.title(),
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("solid a", "solid an assembly - 300K_can facet vertex 1"),
        lambda text: text.replace("solid a", "solid " + "name " * 3000),
        lambda text: text.replace("endsolid a", "endsolid facet vertex 1 2 3"),
        lambda text: text.replace("normal 0 0 1", "normal -nan(ind) nan inf"),
        lambda text: "\n\n  " + text,
    ],
)
def test_text_stl_as_programs_write_it(tmp_path: Path, change: Any) -> None:
    assert is_square(put(tmp_path, "a.stl", change(stl())))


def test_two_solids_on_one_line(tmp_path: Path) -> None:
    twice = (stl() + stl().replace("1 1 0", "2 2 0")).replace("\n", " ")
    assert load(put(tmp_path, "a.stl", twice)).n_faces == 4


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_jittered_soup_is_told_with_the_tolerance_that_welds_it(
    tmp_path: Path, scale: float
) -> None:
    sheet, rng = grid(14, 14), np.random.default_rng(3)
    corners = sheet.vertices[sheet.faces]
    corners = scale * (corners + rng.uniform(-1e-5, 1e-5, corners.shape))
    records = np.zeros(len(corners), [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    records["c"] = corners
    data = bytes(80) + struct.pack("<I", len(corners)) + records.tobytes()
    (warning,) = read(put(tmp_path, "a.stl", data)).warnings
    tolerance = float(warning.split("weld=")[1].split(")")[0])
    assert 1e-5 < tolerance / scale < 2e-4
    with pytest.warns(e.LoadWarning, match="soup"):
        soup = load(tmp_path / "a.stl")
    assert soup.n_vertices == 3 * len(corners)
    assert repair(soup, weld=tolerance).surface.n_vertices == sheet.n_vertices


def test_separate_triangles_are_no_soup(tmp_path: Path) -> None:
    apart = "".join(f"vertex {x} 0 0\nvertex {x + 0.5} 0 0\nvertex {x} 1 0\n" for x in range(30))
    loops = apart.split("vertex")[1:]
    facets = [
        "facet normal 0 0 1\nouter loop\nvertex"
        + "vertex".join(loops[k : k + 3])
        + "endloop\nendfacet\n"
        for k in range(0, 90, 3)
    ]
    assert read(put(tmp_path, "a.stl", f"solid\n{''.join(facets)}endsolid\n")).warnings == ()


# --- legacy VTK ----------------------------------------------------------------------------------

META = (
    "METADATA\nCOMPONENT_NAMES\nX\n\nMETADATA\nINFORMATION 1\nNAME L2 LOCATION vtk\nDATA 2 0 1\n\n"
)


def test_vtk_attributes_are_read_by_name_or_read_past(tmp_path: Path) -> None:
    text = vtk().replace(
        "POINTS 4", "FIELD FieldData 1\nowner 1 1 string\nanna%20b\n" + META + "POINTS 4"
    )
    text += META + "POINT_DATA 4\nGLOBAL_IDS ids vtktypeint64\n7 8 9 10\n" + META
    text += "SCALARS a%20%22b%22 float\nLOOKUP_TABLE default\n1 2 3 4\nFIELD FieldData 4\n"
    text += "word 1 4 string\na\nb%20c\nd\n\n" + "on 1 4 bit\n1 0 1 1\n" + META
    text += "METADATA_ 1 4 int\n1 2 3 4\nwide 2 4 short\n1 2 3 4 5 6 7 8\n"
    found = read(put(tmp_path, "a.vtk", text))
    assert is_square(tmp_path / "a.vtk")
    fields = {name: value.tolist() for name, value in found.vertex_fields.items()}
    assert fields == {
        "ids": [7, 8, 9, 10],
        'a "b"': [1, 2, 3, 4],
        "on": [1, 0, 1, 1],
        "METADATA_": [1, 2, 3, 4],
        "wide": [[1, 2], [3, 4], [5, 6], [7, 8]],
    }
    assert len(found.warnings) == 1 and "word" in found.warnings[0]


def test_vtk_bits_and_texts_in_bytes(tmp_path: Path) -> None:
    texts = [b"a", b"", b"b" * 63, b"c" * 64, b"d" * 16383, b"e" * 16384]
    body = b"".join(_length(len(text)) + text for text in texts)
    data = vtk_binary() + b"POINT_DATA 4\nFIELD FieldData 3\nword 1 6 string\n" + body + b"\n"
    data += b"on 1 4 bit\n" + bytes([0b10110000]) + b"\nq 1 4 short\n"
    data += np.arange(4, dtype=">i2").tobytes() + b"\n"
    found = read(put(tmp_path, "a.vtk", data))
    assert found.vertex_fields["on"].tolist() == [1, 0, 1, 1]
    assert found.vertex_fields["q"].tolist() == [0, 1, 2, 3]


def _length(n: int) -> bytes:
    """Return a string's length as VTK packs it: two bits say in how many bytes."""
    if n < 1 << 6:
        return bytes([3 << 6 | n])
    return (2 << 14 | n).to_bytes(2, "big") if n < 1 << 14 else (1 << 30 | n).to_bytes(4, "big")


# --- glTF ----------------------------------------------------------------------------------------


def scene(tmp_path: Path, data: bytes | None = None, **changes: Any) -> np.ndarray[Any, Any]:
    return load(put(tmp_path, "a.glb", glb(document(**changes), data)[0])).vertices


def test_a_skinned_mesh_stays_where_its_skeleton_is(tmp_path: Path) -> None:
    moved = {"mesh": 0, "translation": [5, 6, 7], "scale": [2, 2, 2]}
    assert scene(tmp_path, nodes=[moved])[0].tolist() == [5, 6, 7]
    assert scene(tmp_path, nodes=[moved | {"skin": 0}]).tolist() == CORNERS


def _with_targets(**more: Any) -> dict[str, Any]:
    primitive = {"attributes": {"POSITION": 1}, "indices": 0}
    return {"primitives": [primitive | {"targets": [{"POSITION": 1}, {"POSITION": 1}]}], **more}


def test_default_morph_weights_are_applied(tmp_path: Path) -> None:
    corners = np.array(CORNERS, float)
    assert scene(tmp_path, meshes=[_with_targets()]).tolist() == CORNERS
    found = scene(tmp_path, meshes=[_with_targets(weights=[0.5, 2])])
    np.testing.assert_array_equal(found, 3.5 * corners)
    node = {"mesh": 0, "weights": [0, -1]}  # of the node, instead of the mesh's
    found = scene(tmp_path, meshes=[_with_targets(weights=[0.5, 2])], nodes=[node])
    np.testing.assert_array_equal(found, 0 * corners)


def test_sparse_accessors_are_filled_in(tmp_path: Path) -> None:
    data = np.array(FACES, "<u4").tobytes() + np.array(CORNERS, "<f4").tobytes()
    data += np.array([1, 3], "<u2").tobytes() + np.array([[9, 8, 7], [6, 5, 4]], "<f4").tobytes()
    views = [
        *document()["bufferViews"],
        {"buffer": 0, "byteOffset": 72, "byteLength": 4},
        {"buffer": 0, "byteOffset": 76, "byteLength": 24},
    ]
    sparse = {
        "count": 2,
        "indices": {"bufferView": 2, "componentType": 5123},
        "values": {"bufferView": 3},
    }
    index, whole = document()["accessors"]
    empty = {key: value for key, value in whole.items() if key != "bufferView"}
    for positions, others in ((whole, CORNERS), (empty, np.zeros((4, 3)).tolist())):
        found = scene(
            tmp_path,
            data,
            accessors=[index, positions | {"sparse": sparse}],
            bufferViews=views,
            buffers=[{"byteLength": 100}],
        )
        assert found.tolist() == [others[0], [9, 8, 7], others[2], [6, 5, 4]]


@pytest.mark.parametrize("name", ["EXT_mesh_gpu_instancing", "KHR_node_x", "MY_shape", ""])
def test_unknown_required_extensions_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(e.UnsupportedFormatError, match="needs the extension"):
        scene(tmp_path, extensionsRequired=["KHR_materials_unlit", name])
    assert scene(tmp_path, extensionsRequired=["KHR_materials_unlit"]).tolist() == CORNERS
    assert scene(tmp_path, extensionsUsed=[name]).tolist() == CORNERS


def test_whole_numbers_are_positions_only_where_they_are_quantized(tmp_path: Path) -> None:
    data = np.array(FACES, "<u4").tobytes() + np.array(CORNERS, "<i2").tobytes()
    changes = {
        "accessors": [
            document()["accessors"][0],
            document()["accessors"][1] | {"componentType": 5122},
        ],
        "bufferViews": [
            document()["bufferViews"][0],
            {"buffer": 0, "byteOffset": 24, "byteLength": 24},
        ],
        "buffers": [{"byteLength": 48}],
    }
    with pytest.raises(e.BadHeaderError, match="whole numbers"):
        scene(tmp_path, data, **changes)
    used = ["KHR_mesh_quantization"]
    assert scene(tmp_path, data, extensionsUsed=used, **changes).tolist() == CORNERS


def test_brackets_inside_texts_are_no_depth(tmp_path: Path) -> None:
    uri = "data:;base64," + base64.b64encode(glb(document())[1]).decode()
    root = document(buffers=[{"byteLength": 72, "uri": uri}])
    root["asset"]["generator"] = "[{" * 5000 + '\\"[' * 5000
    assert is_square(put(tmp_path, "a.gltf", json.dumps(root)))
