"""Writers: what is saved is loaded again, other programs read it, and a failed write harms
nothing.
"""

from __future__ import annotations

import os
import stat
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import MeshConvWarning, MeshIOError, UnsupportedFormatError
from meshconv.io import FORMATS, atomic_write, load, read, save, sha256
from meshconv.mesh.surface import Surface

EXACT = ("obj", "ply", "off", "vtp", "vtk")


def random_surface(seed: int, scale: float = 1.0) -> Surface:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 30))
    faces = np.array([rng.choice(n, 3, replace=False) for _ in range(rng.integers(1, 40))])
    return Surface(scale * rng.normal(size=(n, 3)), faces)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("form", EXACT)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-6, 6))
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, form: str, binary: bool, seed: int, exponent: int
) -> None:
    surface = random_surface(seed, 10.0**exponent)
    path = tmp_path_factory.mktemp("io") / f"a.{form}"
    save(path, surface, binary=binary)
    assert load(path) == surface


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_float32_formats_and_gz(tmp_path: Path, form: str, packed: str) -> None:
    surface = random_surface(3)
    path = tmp_path / f"a.{form}{packed}"
    save(path, surface)
    back = load(path)
    corners = surface.vertices[surface.faces]
    np.testing.assert_allclose(
        back.vertices[back.faces], corners, atol=4e-7
    )  # float32, values below 4


@pytest.mark.parametrize("form", ["ply", "vtp", "vtk"])
def test_fields_are_carried(tmp_path: Path, form: str) -> None:
    surface, rng = random_surface(5), np.random.default_rng(0)
    points = {
        "colors": rng.integers(0, 255, (surface.n_vertices, 3)).astype(np.uint8),
        "normals": rng.normal(size=(surface.n_vertices, 3)),
        "depth": rng.random(surface.n_vertices),
    }
    save(
        tmp_path / f"a.{form}",
        surface,
        vertex_fields=points,
        face_fields={"part": np.arange(surface.n_faces)},
    )
    found = read(tmp_path / f"a.{form}")
    for name, value in points.items():
        np.testing.assert_array_equal(found.vertex_fields[name], value)
    np.testing.assert_array_equal(found.face_fields["part"], np.arange(surface.n_faces))
    with pytest.warns(MeshConvWarning, match="depth"):
        save(tmp_path / "a.stl", surface, vertex_fields=points)


def test_other_programs_read_our_files(tmp_path: Path) -> None:
    import pyvista
    import trimesh

    surface = random_surface(7)
    for form in ("obj", "ply", "off", "glb", "stl"):
        save(tmp_path / f"a.{form}", surface)
        mesh = trimesh.load(tmp_path / f"a.{form}", process=False, force="mesh")
        np.testing.assert_allclose(mesh.triangles, surface.vertices[surface.faces], atol=4e-7)
    for form in ("ply", "vtp", "vtk", "stl"):
        save(tmp_path / f"a.{form}", surface)
        poly = pyvista.read(tmp_path / f"a.{form}")
        corners = np.asarray(poly.points)[poly.faces.reshape(-1, 4)[:, 1:]]
        np.testing.assert_allclose(corners, surface.vertices[surface.faces], atol=4e-7)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "a.ply"
    save(path, random_surface(1))
    before = sha256(path)

    def full(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(type(error)) as caught:
        save(path, random_surface(2))
    assert sha256(path) == before and os.listdir(tmp_path) == ["a.ply"]
    if isinstance(error, OSError):
        assert isinstance(caught.value, MeshIOError) and str(path) in str(caught.value)
        assert caught.value.errno == 28


def test_targets(tmp_path: Path) -> None:
    path, link = tmp_path / "a.ply", tmp_path / "link.ply"
    save(path, random_surface(1))
    path.chmod(0o640)
    link.symlink_to(path)
    save(link, random_surface(2))
    assert link.is_symlink() and load(path) == random_surface(2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(MeshIOError, match="overwrite"):
        save(path, random_surface(3), overwrite=False)
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass
    os.mkfifo(tmp_path / "pipe.ply")
    with pytest.raises(MeshIOError, match="regular"):
        save(tmp_path / "pipe.ply", random_surface(1))
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "none" / "a.ply", random_surface(1))
    with pytest.raises(UnsupportedFormatError, match="xyz"):
        save(tmp_path / "a.xyz", random_surface(1))


def _write_many(path: Path, seed: int) -> None:
    for _ in range(30):
        save(path, random_surface(seed))


def test_two_processes_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    save(path, random_surface(1))
    with ProcessPoolExecutor(2) as pool, warnings.catch_warnings():
        jobs = [pool.submit(_write_many, path, seed) for seed in (1, 2)]
        while not all(job.done() for job in jobs):
            assert load(path) in (random_surface(1), random_surface(2))
        for job in jobs:
            job.result()
    assert os.listdir(tmp_path) == ["a.ply"]
