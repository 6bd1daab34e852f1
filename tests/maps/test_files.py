"""Maps on disk: bit for bit, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meshconv.errors import CheckpointError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.files import load_parameterization, save_arrays, save_parameterization
from meshconv.mesh.shapes import face


def test_a_map_comes_back_bit_for_bit(tmp_path: Path) -> None:
    flat = conformal_map(face(300))
    save_parameterization(tmp_path / "map.npz", flat)
    again = load_parameterization(tmp_path / "map.npz")
    assert again.surface == flat.surface and again.domain == "disk"
    assert np.array_equal(again.coordinates, flat.coordinates)


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "other.npz", "recipe", {}, {"a": np.zeros(3)})
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
