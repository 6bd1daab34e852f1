"""Maps on disk: bit for bit, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meshconv.errors import CheckpointError
from meshconv.io import write_container
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.files import load_parameterization, save_parameterization
from meshconv.mesh.shapes import face


def test_a_map_comes_back_bit_for_bit(tmp_path: Path) -> None:
    flat = conformal_map(face(300))
    save_parameterization(tmp_path / "map.npz", flat)
    again = load_parameterization(tmp_path / "map.npz")
    assert again.surface == flat.surface and again.domain == "disk"
    assert np.array_equal(again.coordinates, flat.coordinates)


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    write_container(tmp_path / "other.npz", "recipe", {}, {"a": np.zeros(3)})
    with pytest.raises(
        CheckpointError, match="expected a parameterization of format 1, found recipe"
    ):
        load_parameterization(tmp_path / "other.npz")
    np.savez(tmp_path / "plain.npz", a=np.zeros(3))
    with pytest.raises(CheckpointError, match="not a parameterization file"):
        load_parameterization(tmp_path / "plain.npz")
    save_parameterization(tmp_path / "map.npz", conformal_map(face(300)))
    raw = (tmp_path / "map.npz").read_bytes()
    for cut in (10, len(raw) // 2, len(raw) - 1):
        (tmp_path / "cut.npz").write_bytes(raw[:cut])
        with pytest.raises(CheckpointError, match=r"cut\.npz"):
            load_parameterization(tmp_path / "cut.npz")


def test_a_sound_container_that_describes_no_map_is_refused(tmp_path: Path) -> None:
    flat = conformal_map(face(300))
    surface = flat.surface
    arrays = {
        "vertices": surface.vertices,
        "faces": surface.faces,
        "coordinates": flat.coordinates,
    }
    odd: list[tuple[dict[str, object], dict[str, object]]] = [
        ({}, {}),
        ({"domain": "moon"}, {}),
        ({"domain": ["disk"]}, {}),
        ({"domain": "disk"}, {"coordinates": 9 * flat.coordinates}),
        ({"domain": "disk"}, {"coordinates": flat.coordinates[:-1]}),
        ({"domain": "disk"}, {"coordinates": np.full_like(flat.coordinates, np.nan)}),
        ({"domain": "disk"}, {"faces": surface.faces + 1}),
        ({"domain": "disk"}, {"faces": surface.faces.astype(complex)}),
        ({"domain": "disk"}, {"vertices": surface.vertices[:, :2]}),
        ({"domain": "disk"}, {"vertices": np.array(3.0)}),
    ]
    path = tmp_path / "odd.npz"
    for head, changed in odd:
        write_container(path, "parameterization", head, {**arrays, **changed})  # type: ignore[dict-item]
        with pytest.raises(CheckpointError, match=r"odd\.npz: not a sound parameterization"):
            load_parameterization(path)
    write_container(path, "parameterization", {"domain": "disk"}, {})
    with pytest.raises(CheckpointError, match="vertices"):
        load_parameterization(path)
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_parameterization(tmp_path / "none.npz")
