"""Placing a scan that is matched: the frame goes on where the template ends, what slipped out of
the disk comes back, and nothing folds.
"""

import numpy as np
import pytest

from meshconv.maps.folds import signed_areas
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.rigid import Pose
from meshconv.mesh.shapes import disk
from meshconv.mesh.surface import Surface
from meshconv.registration.bend import Bent
from meshconv.registration.landmarks import NO_LANDMARKS
from meshconv.registration.place import _brought_home, place
from meshconv.registration.template import Template


@pytest.mark.parametrize("reach", [1.05, 1.3, 1.7])
def test_the_frame_goes_on_beyond_the_template(reach: float) -> None:
    """A flat template's frame is a similarity, and a larger flat scan continues it: nothing that
    the template does not reach sticks to its border.
    """
    frame = Template.from_surface(disk(30), margin=0.5)
    scan = disk(24)
    scan = Surface(scan.vertices * reach, scan.faces)
    still = Bent(frame.surface.vertices, Pose(np.eye(3), np.zeros(3)), 0.0)
    found = place(scan, frame, still, NO_LANDMARKS, None)
    assert len(found.flipped_faces()) == 0
    np.testing.assert_allclose(found.coordinates, 0.5 * scan.vertices[:, :2], atol=2e-3)


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
