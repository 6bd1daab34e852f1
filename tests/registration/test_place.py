"""The last step of placing a scan: what slipped out of the disk comes back, and nothing folds."""

import numpy as np

from meshconv.maps.folds import signed_areas
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import disk
from meshconv.mesh.surface import Surface
from meshconv.registration.place import _brought_home


def _slipped() -> tuple[Surface, np.ndarray, np.ndarray, int]:
    """A flat disk, and the same with one border vertex slid outwards: no face folds, but it has
    left the disk.
    """
    flat = disk(6)
    wanted = 0.95 * flat.vertices[:, :2] / np.linalg.norm(flat.vertices[:, :2], axis=1).max()
    v = int(flat.boundary_loops[0][0])
    moved = wanted.copy()
    moved[v] *= 1.3
    return flat, wanted, moved, v


def test_a_vertex_that_slipped_out_comes_home_and_the_others_stay() -> None:
    surface, wanted, moved, v = _slipped()
    home = _brought_home(moved, wanted, surface)
    np.testing.assert_allclose(home, wanted, atol=1e-9)
    Parameterization(surface, home, "disk")
    assert np.linalg.norm(moved[v]) > 1.2


def test_it_comes_only_as_far_as_its_faces_allow() -> None:
    surface, wanted, moved, v = _slipped()
    wanted = wanted.copy()
    wanted[v] *= 0.3  # behind its neighbours: going there would fold its faces
    home = _brought_home(moved, wanted, surface)
    lifted = np.column_stack([home, np.ones(len(home))])
    assert (signed_areas(lifted, surface.faces) > 0).all()
    assert 0.3 < np.linalg.norm(home[v]) < 1.0
    others = np.arange(len(home)) != v
    np.testing.assert_allclose(home[others], moved[others], atol=1e-9)


def test_nothing_moves_where_all_is_inside() -> None:
    surface, wanted, _, _ = _slipped()
    assert _brought_home(wanted, wanted * 0.9, surface) is wanted
