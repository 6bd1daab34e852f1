"""Maps as textures: what leaves as OBJ or GLB comes back with the same coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meshconv as mc
from meshconv.cli import main
from meshconv.errors import ArgumentError, ArrayTypeError, MeshConvWarning, NonFiniteError
from meshconv.mesh.shapes import face, icosphere

trimesh = pytest.importorskip("trimesh")
FACE = face(300)
FLAT = mc.conformal_map(FACE)


def test_uv_keeps_the_shape_of_the_map() -> None:
    """Similar triangles in the unit square, of every plane domain; a disk touches its sides."""
    disk = FLAT.uv()
    assert np.allclose(disk * 2 - 1, FLAT.coordinates) and disk.min() >= 0 and disk.max() <= 1
    free = mc.conformal_map(FACE, domain="free")
    uv, xy = free.uv(), free.coordinates
    assert uv.min() == 0 and uv.max() == 1
    assert np.allclose((uv - uv[0]) * np.ptp(xy, axis=0).max(), xy - xy[0])
    with pytest.raises(ArgumentError, match="sphere has no"):
        mc.conformal_map(icosphere(2), domain="sphere").uv()


def test_obj_with_vt_and_a_material_and_glb_with_its_texture(tmp_path: Path) -> None:
    mesh = FLAT.to_trimesh()
    assert np.array_equal(mesh.faces, FACE.faces) and np.array_equal(mesh.vertices, FACE.vertices)
    mesh.export(tmp_path / "a.obj")
    assert {path.suffix for path in tmp_path.iterdir()} == {".obj", ".mtl", ".png"}
    assert np.allclose(mc.read(tmp_path / "a.obj").corner_uv, FLAT.uv()[FACE.faces], atol=1e-7)
    mesh.export(tmp_path / "a.glb")
    back = trimesh.load(tmp_path / "a.glb", force="mesh")
    assert back.visual.material.baseColorTexture.size == (512, 512)
    assert np.allclose(back.visual.uv, FLAT.uv(), atol=1e-6)


def test_corners_keep_their_texture_along_a_seam(tmp_path: Path) -> None:
    """Every bit, with and without normals and colours beside them."""
    corners = np.random.default_rng(0).random((FACE.n_faces, 3, 2))
    normals = FACE.vertex_normals
    colours = np.full((FACE.n_vertices, 3), 9, dtype=np.uint8)
    for fields in ({}, {"normals": normals}, {"colors": colours, "normals": normals}):
        mc.save(tmp_path / "a.obj", FACE, corner_uv=corners, vertex_fields=fields)
        back = mc.read(tmp_path / "a.obj")
        assert np.array_equal(back.corner_uv, corners) and back.surface == FACE
        assert set(back.vertex_fields) == set(fields)
    with pytest.raises(ArrayTypeError, match="corner_uv must be"):
        mc.save(tmp_path / "a.obj", FACE, corner_uv=FLAT.uv())
    with pytest.raises(NonFiniteError, match="corner_uv"):
        mc.save(tmp_path / "a.obj", FACE, corner_uv=corners * np.nan)
    with pytest.warns(MeshConvWarning, match="without texture coordinates of corners"):
        mc.save(tmp_path / "a.ply", FACE, corner_uv=corners)


def test_convert_keeps_texture_coordinates(tmp_path: Path) -> None:
    """OBJ to OBJ; OBJ to GLB where no seam parts them, the picture not upside down, and back."""
    corners = FLAT.uv()[FACE.faces]
    mc.save(tmp_path / "a.obj", FACE, corner_uv=corners)
    for source, target in (("a.obj", "b.obj.gz"), ("a.obj", "c.glb"), ("c.glb", "d.obj")):
        assert main(["convert", str(tmp_path / source), str(tmp_path / target)]) == 0
    assert np.array_equal(mc.read(tmp_path / "b.obj.gz").corner_uv, corners)
    u, v = mc.read(tmp_path / "c.glb").vertex_fields["uv"].T  # v from the top
    assert np.allclose(np.column_stack([u, 1 - v]), FLAT.uv(), atol=1e-6)
    assert np.allclose(mc.read(tmp_path / "d.obj").corner_uv, corners, atol=1e-6)


def test_a_picture_is_taken_by_its_path_too(tmp_path: Path) -> None:
    FLAT.to_trimesh().export(tmp_path / "a.obj")
    (picture,) = tmp_path.glob("*.png")
    FLAT.to_trimesh(picture).export(tmp_path / "b.glb")
    assert trimesh.load(tmp_path / "b.glb", force="mesh").visual.uv.shape == (FACE.n_vertices, 2)
