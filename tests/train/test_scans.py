"""One answer to what a scan is, wherever one is taken."""

from pathlib import Path

import numpy as np
import pytest

from meshconv import Surface
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, MeshConvError, MissingFileError
from meshconv.io import save
from meshconv.mesh.shapes import face
from meshconv.train.scans import UNLABELLED, as_scan, read, subjects_of
from meshconv.train.skipped import Skipped


def test_a_file_is_of_the_subject_that_its_path_names_and_a_surface_of_nobody(tmp_path):
    surface = face(120)
    save(tmp_path / "anna.ply", surface)
    path = str(tmp_path / "anna.ply")
    for given in (path, Path(path)):
        found = as_scan(given)
        assert (found.name, found.subject, found.label) == (path, path, UNLABELLED)
        assert found.surface.n_vertices == surface.n_vertices and not found.mirrored
    bare = as_scan(surface, name="scan 3")
    assert (bare.name, bare.subject, bare.surface) == ("scan 3", "", surface)
    pair = as_scan((surface.vertices, surface.faces))
    np.testing.assert_array_equal(pair.surface.faces, surface.faces)
    known = ProceduralFaces(1, n_vertices=120)[0]
    assert as_scan(known) is known


def test_what_is_no_scan_is_named_with_the_reason():
    with pytest.raises(ArgumentError, match="scan 2 must be a Scan, a Surface or a path, found se"):
        as_scan({1}, name="scan 2")
    with pytest.raises(ArgumentError, match=r"found list \(.*vertices must be \(V, 3\)"):
        as_scan([[[0, 0], [1, 0], [0, 1]], [[0, 1, 2]]])


def test_subjects_are_known_without_reading(tmp_path):
    known = ProceduralFaces(1, n_vertices=120)[0]
    given = [known, tmp_path / "none.ply", face(120)]
    assert subjects_of(given) == [known.subject, str(tmp_path / "none.ply"), ""]
    assert subjects_of(np.zeros((3, 1, 5, 5))) == []


def test_reading_goes_on_past_what_cannot_be_read(tmp_path):
    (tmp_path / "cut.ply").write_bytes(b"ply\n")
    good = face(120)
    found = list(read([tmp_path / "none.ply", good, 7, tmp_path / "cut.ply", None]))
    assert [isinstance(one, Skipped) for one in found] == [True, False, True, True, True]
    assert found[1][0] == 1 and found[1][1].surface is good
    assert isinstance(found[0].as_error(), MissingFileError)
    assert "cut.ply" in str(found[3]) and "scan 4" in str(found[4].as_error())
    foreign = Skipped(5, "scan 5", ZeroDivisionError("by zero"))
    assert isinstance(foreign.as_error(), MeshConvError)
    assert str(foreign.as_error()) == "scan 5: ZeroDivisionError: by zero"
    assert [one[0] for one in read([good, good], [1, 0])] == [1, 0]


def test_a_surface_that_is_one_is_taken_as_it_is():
    tilted = Surface(face(120).vertices[:, [1, 2, 0]], face(120).faces)
    assert as_scan(tilted).surface is tilted
