import warnings

import numpy as np
import pytest

from meshconv.datasets.mask import surface_of_mask
from meshconv.errors import ArgumentError, ArrayTypeError, EmptyMeshError, RepairWarning
from meshconv.mesh_repair.check import check

pytest.importorskip("pyvista")
X, Y, Z = np.indices((40, 40, 40)) - 19.5
BALL = X**2 + Y**2 + Z**2 < 12**2


def volume(surface):
    a, b, c = surface.vertices[surface.faces.T]
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6


@pytest.mark.parametrize("smoothing", [0.0, 1.25, 3.0])
def test_a_ball_keeps_its_place_its_volume_and_its_roundness(smoothing):
    surface = surface_of_mask(BALL, smoothing=smoothing, n_vertices=500)
    assert check(surface).is_sphere and 400 < surface.n_vertices <= 510
    assert volume(surface) == pytest.approx(BALL.sum(), rel=0.03)  # positive: faces look outwards
    radius = np.linalg.norm(surface.vertices - 19.5, axis=1)
    assert radius.mean() == pytest.approx(12, abs=0.2) and radius.std() < 0.3


def test_a_thin_plate_keeps_its_volume_under_smoothing():
    plate = (np.abs(X) < 10) & (np.abs(Y) < 10) & (np.abs(Z) < 1)
    found = volume(surface_of_mask(plate, smoothing=2.0))  # cut at one half nothing would be left
    assert found == pytest.approx(plate.sum(), rel=0.1)


def test_a_mask_at_the_border_of_its_box_is_closed():
    assert check(surface_of_mask(np.ones((6, 7, 8)), n_vertices=200)).is_sphere


def test_pieces_are_left_out_with_a_warning_and_cavities_are_filled():
    crumb = (X - 16) ** 2 + Y**2 + Z**2 < 3**2
    shell = BALL & ~(X**2 + Y**2 + Z**2 < 6**2)
    with pytest.warns(RepairWarning, match=r"1 small pieces of the mask, 2\.\d% of its volume"):
        surface = surface_of_mask(shell | crumb, smoothing=0.7)
    assert check(surface).is_sphere and volume(surface) == pytest.approx(BALL.sum(), rel=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surface_of_mask(BALL)


def test_handles_are_cut():
    ring = (np.hypot(X, Y) - 12) ** 2 + Z**2 < 4**2
    with pytest.warns(RepairWarning, match="1 handle cut"):
        assert check(surface_of_mask(ring)).is_sphere


def test_what_is_no_mask_is_refused():
    with pytest.raises(ArrayTypeError, match=r"\(I, J, K\), found \(40, 40\)"):
        surface_of_mask(BALL[0])
    with pytest.raises(EmptyMeshError, match="is empty"):
        surface_of_mask(np.zeros((5, 5, 5)))
    with pytest.raises(ArgumentError, match="n_vertices must be at least 4, found 3"):
        surface_of_mask(BALL, n_vertices=3)
    with pytest.raises(ArgumentError, match="smoothing"):
        surface_of_mask(BALL, smoothing=-1)


def test_nothing_is_inside_where_a_volume_is_not_known():
    """NaN, of a float or a complex, and masked voxels are outside, as 0 is."""
    inside = ((np.indices((20, 20, 20)) - 9.5) ** 2).sum(axis=0) < 36
    expected = surface_of_mask(inside, n_vertices=200)
    for volume in (
        np.where(inside, 1.0, np.nan),
        np.where(inside, 1.0, np.nan).astype(np.float16),
        np.ma.array(np.ones(inside.shape), mask=~inside),
    ):
        assert surface_of_mask(volume, n_vertices=200) == expected
    with pytest.raises(EmptyMeshError):
        surface_of_mask(np.full((5, 5, 5), np.nan))
