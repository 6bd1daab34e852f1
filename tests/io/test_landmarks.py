"""Landmark files as Slicer and MeshLab write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshconv as mc
from meshconv import errors as e
from meshconv.mesh.shapes import face, face_landmarks

_FCSV = """# Markups fiducial file version = 4.11
# CoordinateSystem = {}
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
vtkMRMLMarkupsFiducialNode_0,-1.5,2,3e1,0,0,0,1,1,1,0,F-1,,vtkMRMLScalarVolumeNode1
vtkMRMLMarkupsFiducialNode_1,4,5,6,0,0,0,1,1,1,0,"nose, tip",,,2,0
"""
_POINTS = [[-1.5, 2, 30], [4, 5, 6]]
_PP = """<!DOCTYPE PickedPoints>
<PickedPoints>
 <DocumentData><DateTime date="2024-01-01" time="12:00:00"/><User name="me"/></DocumentData>
 <point y="2" x="-1.5" active="1" name="F-1" z="30"/>
 <point y="5" x="4" active="1" name="nose, tip" z="6"/>
 <point y="0" x="0" active="0" name="not there" z="0"/>
</PickedPoints>
"""


def _markups(**changes: object) -> str:
    points = [
        {"id": "1", "label": "F-1", "position": [-1.5, 2, 30], "positionStatus": "defined"},
        {"id": "2", "label": "nose, tip", "position": [4.0, 5.0, 6.0], "orientation": [1, 0, 0]},
        {"id": "3", "label": "not there", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    one = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points} | changes
    return json.dumps({"@schema": "x", "markups": [one]})


def _placed(position: list) -> str:
    return _markups(controlPoints=[{"position": position}])


@pytest.mark.parametrize(
    ("name", "text", "sign"),
    [
        ("a.fcsv", _FCSV.format("LPS"), 1),
        ("a.fcsv", _FCSV.format("1").replace("\n", "\r\n"), 1),
        ("A.FCSV", "\ufeff" + _FCSV.format("RAS"), -1),
        ("a.fcsv", _FCSV.format("0"), -1),
        ("a.mrk.json", _markups(), 1),
        ("a.mrk.json", _markups(coordinateSystem="RAS"), -1),
        ("a.pp", _PP, 1),
    ],
)
def test_the_points_of_every_program(tmp_path: Path, name: str, text: str, sign: int) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    found = mc.load_landmarks(path)
    assert found.names[:2] == ("F-1", "nose, tip")
    assert found.points[:2].tolist() == (np.array(_POINTS) * [sign, sign, 1]).tolist()
    assert np.isnan(found.points[2:]).all()
    other = mc.load_landmarks(path, system="RAS").points[:2]
    turned = 1 if name == "a.pp" else -1
    assert (other * [turned, turned, 1]).tolist() == found.points[:2].tolist()


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_ROWS = st.lists(st.tuples(_NAMES, st.tuples(_NUMBERS, _NUMBERS, _NUMBERS)), max_size=4)


@pytest.mark.parametrize("name", ["a.fcsv", "a.mrk.json", "a.pp"])
@given(rows=_ROWS, system=st.sampled_from(["LPS", "RAS"]))
def test_what_is_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list, system: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    names = [one.replace("\x85", "").replace("\u2028", "") for one, _ in rows]
    points = np.array([point for _, point in rows]).reshape(-1, 3)
    if len(points) > 2:
        points[1] = np.nan
    mc.save_landmarks(path, points, names=names, system=system)
    found = mc.load_landmarks(path, system=system)
    assert list(found.names) == names
    np.testing.assert_array_equal(found.points, points)


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("a.txt", "1 2 3", e.UnsupportedFormatError, ".mrk.json"),
        ("a.fcsv", "", e.EmptyFileError, "empty"),
        ("a.fcsv", _FCSV.replace("# Coord", "# Cord"), e.BadHeaderError, "CoordinateSystem"),
        ("a.fcsv", _FCSV.format("IJK"), e.BadHeaderError, "IJK'"),
        ("a.fcsv", _FCSV.format("LPS") + "a,1,x,3\n", e.BadNumberError, "line 6"),
        ("a.fcsv", _FCSV.format("LPS") + "a,1,2\n", e.BadFormatError, "line 6"),
        ("a.fcsv", _FCSV.format("LPS") + "a,1\0,2,3\n", e.BadFormatError, "NUL"),
        ("a.mrk.json", "{}", e.BadFormatError, "markups"),
        ("a.mrk.json", '{"markups": [1]}', e.BadFormatError, "list of objects"),
        ("a.mrk.json", _markups(controlPoints=[{}]), e.BadNumberError, "point 1"),
        ("a.mrk.json", _placed([1, 2]), e.BadNumberError, "2 num"),
        (
            "a.mrk.json",
            _placed([1, True, 2]),
            e.BadNumberError,
            "no point",
        ),
        (
            "a.mrk.json",
            _placed([1, [], 2]),
            e.BadNumberError,
            "no point",
        ),
        (
            "a.mrk.json",
            _placed([1, 10**400, 2]),
            e.BadNumberError,
            "no point",
        ),
        ("a.mrk.json", "[" * 200, e.BadFormatError, "deep"),
        ("a.pp", "<a/>", e.BadFormatError, "PickedPoints"),
        ("a.pp", _PP.replace('x="4"', ""), e.BadNumberError, "None 5 6"),
        ("a.pp", _PP.replace("Points>", 'Points [<!ENTITY a "b">]>', 1), e.SecurityError, "entity"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(error, match=said) as caught:
        mc.load_landmarks(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_landmarks_of_a_file_register_a_scan(tmp_path: Path) -> None:
    """As an array they would: some of them not placed."""
    own = list(face_landmarks(900).values())
    template = mc.Template.from_surface(face(900), landmarks=own)
    scan = face(900, identity=2)
    points = scan.vertices[own].copy()
    points[3] = np.nan
    mc.save_landmarks(tmp_path / "scan.mrk.json", points)
    read = mc.load_landmarks(tmp_path / "scan.mrk.json")
    assert np.array_equal(
        mc.register(scan, template, landmarks=read).coordinates,
        mc.register(scan, template, landmarks=points).coordinates,
    )
    with pytest.raises(e.ArgumentError, match="2 names for 1"):
        mc.save_landmarks(tmp_path / "a.pp", points[:1], names=["a", "b"])
    with pytest.raises(e.ArrayTypeError, match=r"\(K, 3\)"):
        mc.save_landmarks(tmp_path / "a.pp", points[0])
    with pytest.raises(e.ArgumentError, match="'LPS' or 'RAS'"):
        mc.load_landmarks(tmp_path / "scan.mrk.json", system="IJK")
