"""Awkward files that are read right, with a warning where something was lost or mended."""

from __future__ import annotations

import gzip
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_files import (
    BUFFER,
    FACES,
    OBJ,
    OFF,
    PLY,
    ROWS,
    SQUARE,
    V4,
    VTK,
    VTP,
    gltf,
    put,
    swap,
)

from meshconv import errors as e
from meshconv.io import MeshFile, load, read

BOM = b"\xef\xbb\xbf"
UV = V4 + "vt 0 0\nvt 1 0\nvt 1 1\nvt .5 .5\nf 1/1 2/2 3/3\nf 1/4 3/3 4/1\n"
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
