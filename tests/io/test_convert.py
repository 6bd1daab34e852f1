"""Whatever describes a surface becomes one; and the given corpus of broken files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_files import (
    OBJ,
    SQUARE,
    put,
)

from meshconv.io import as_surface, load


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_as_surface_accepts_every_form_and_never_changes_it(tmp_path: Path) -> None:
    import pyvista
    import torch
    import trimesh
    from torch_geometric.data import Data

    surface = load(put(tmp_path, "a.obj", OBJ))
    assert as_surface(surface) is surface
    assert as_surface(str(tmp_path / "a.obj")) == surface
    vertices, faces = (
        np.array(SQUARE, np.float32, order="F"),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    )
    assert as_surface((vertices, faces)) == surface and vertices.flags.writeable
    for other in (surface.to_trimesh(), surface.to_pyvista(), surface.to_torch_geometric()):
        assert as_surface(other) == surface
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(np.repeat(rng.random((5, 3)), 2, axis=0))  # duplicates must stay
    mesh = trimesh.Trimesh(shuffled, [[0, 1, 2], [7, 8, 9]], process=False)
    poly = pyvista.PolyData(shuffled, faces=[3, 0, 1, 2, 4, 6, 7, 8, 9])
    data = Data(pos=torch.as_tensor(shuffled), face=torch.tensor([[0, 7], [1, 8], [2, 9]]))
    before = poly.faces.copy()
    for other in (mesh, poly, data):
        np.testing.assert_array_equal(
            as_surface(other).vertices, shuffled.astype(as_surface(other).vertices.dtype)
        )
    np.testing.assert_array_equal(poly.faces, before)
    for wrong in (3, None, {"vertices": 1}, (1, 2, 3), object()):
        with pytest.raises(TypeError):
            as_surface(wrong)


def test_given_corpus_of_broken_files(bad_meshes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    first = str(
        bad_meshes / "files" / "ctl_disc.obj"
    )  # read before the runner forks, so that all is compiled once
    code = "import runpy, sys; from meshconv.io import load; load(sys.argv[1]); del sys.argv[:2];"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    runner = [str(bad_meshes / "run_corpus.py"), "meshconv.io:load", "--json", str(out)]
    command = [sys.executable, "-c", code, first, *runner]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    for name, result in json.loads(out.read_text())["meshconv.io:load"].items():
        assert result["verdict"] in ("PASS", "PASSW"), (name, result)
        assert result["status"] == "ok" or result["names_file"], (name, result)
