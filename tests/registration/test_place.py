"""Placing a scan that is matched: the frame goes on where the template ends, what slipped out of
the disk comes back, and nothing folds.
"""

import numpy as np
import pytest

from meshconv.errors import FoldError, RegistrationWarning
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.folds import signed_areas
from meshconv.maps.locate import lift
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import DISK, INTERIOR
from meshconv.maps.untangle import advance, untangle
from meshconv.mesh.closest import closest_points
from meshconv.mesh.rigid import Pose
from meshconv.mesh.shapes import cylinder, disk, face
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.registration.fit import fit_template, register
from meshconv.registration.frame import Bent
from meshconv.registration.landmarks import NO_LANDMARKS
from meshconv.registration.place import _squeezed, nearest, place
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
    near = nearest(frame, still, scan.vertices)
    found = place(scan, frame, still, near, NO_LANDMARKS, lambda: conformal_map(scan))
    assert (signed_areas(lift(found), scan.faces) > 0).all()
    np.testing.assert_allclose(found, 0.5 * scan.vertices[:, :2], atol=2e-3)


def test_what_is_nearest_to_a_scan_is_looked_for_once(monkeypatch) -> None:
    asked = []

    def counted(*arguments):
        asked.append(len(arguments[0]))
        return closest_points(*arguments)

    monkeypatch.setattr("meshconv.registration.place.closest_points", counted)
    fit = fit_template(face(900, identity=9), Template.from_surface(face(1000)))
    fit.parameterization()
    assert fit.off_template[1] == fit.correspondence().distance.max()
    assert asked == [fit.surface.n_vertices]


def _folded() -> tuple[Surface, np.ndarray]:
    """A flat disk up to the unit circle, with a border vertex pushed behind its neighbours."""
    flat = disk(6)
    wanted = flat.vertices[:, :2] / np.linalg.norm(flat.vertices[:, :2], axis=1).max()
    wanted[int(flat.boundary_loops[0][0])] *= 0.5
    return flat, wanted


def test_nothing_leaves_the_disk_while_it_is_unfolded() -> None:
    surface, wanted = _folded()
    points, area = lift(wanted), np.full(surface.n_faces, np.pi / surface.n_faces)
    assert (signed_areas(points, surface.faces) <= 0).any()
    kinds = np.full(surface.n_vertices, DISK)
    free, stars = np.ones(surface.n_vertices, dtype=bool), Stars(surface.faces, len(points))
    found, clean = untangle(points, stars, area, kinds, free)
    assert clean and (signed_areas(found, surface.faces) > 0).all()
    assert np.linalg.norm(found[:, :2], axis=1).max() <= 1 + 1e-12
    loose, _ = untangle(points, stars, area, np.full(len(kinds), INTERIOR), free)
    assert np.linalg.norm(loose[:, :2], axis=1).max() > 1 + 1e-6  # areas alone do not hold it


def test_a_vertex_moves_towards_its_goal_as_far_as_its_faces_and_the_disk_allow() -> None:
    flat = disk(6)
    start = 0.95 * flat.vertices[:, :2] / np.linalg.norm(flat.vertices[:, :2], axis=1).max()
    v = int(flat.boundary_loops[0][0])
    for factor, low, high in ((1.3, 1.0, 1.0), (0.3, 0.3, 0.95)):
        goal = start.copy()
        goal[v] *= factor  # beyond the disk; behind its neighbours, where its faces would fold
        kinds = np.full(len(goal), DISK)
        home = advance(lift(start), lift(goal), Stars(flat.faces, flat.n_vertices), kinds)
        assert (signed_areas(home, flat.faces) > 0).all()
        assert low - 1e-9 <= np.linalg.norm(home[v, :2]) <= high + 1e-9
        others = np.arange(len(home)) != v
        np.testing.assert_allclose(home[others, :2], start[others], atol=1e-9)


@pytest.mark.parametrize("kind", ["pulled", "spikes", "tuft", "flap"])
@pytest.mark.parametrize("seed", [11, 12])
def test_what_reaches_far_beyond_the_template_lies_in_the_margin(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scan = face(900, identity=seed, triangulation=seed)
    points, border = scan.vertices.copy(), scan.boundary_loops[0]
    out = points - points.mean(axis=0)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    if kind == "pulled":
        points[border[7]] += rng.uniform(15, 60) * out[border[7]]
    elif kind == "spikes":
        some = rng.choice(len(points), 12)
        points[some] += rng.normal(size=(12, 3)) * rng.choice([20, 100, 250])
    else:
        near = np.linalg.norm(points - points[border[20]], axis=1) < 30
        far = 40.0 if kind == "flap" else rng.uniform(0, 80, near.sum())[:, None]
        points[near] += far * out[near]
    found = register(Surface(points, scan.faces), Template.from_surface(face(1000)))
    assert len(found.flipped_faces()) == 0
    assert np.linalg.norm(found.coordinates, axis=1).max() <= 1 + 1e-9


@pytest.mark.parametrize("height", [100.0, 1000.0])
def test_what_cannot_be_laid_flat_is_refused_with_the_reason(height: float) -> None:
    tube = repair(cylinder(1.0, height, 12, 200)).surface
    with pytest.raises(FoldError, match="cannot be laid into the frame without folds, and"):
        register(tube, Template.from_surface(face(200)))


@pytest.mark.parametrize("height", [100.0, 1000.0])
def test_a_deep_tube_is_laid_without_folds_and_named_as_foreign(height: float) -> None:
    tube = repair(cylinder(1.0, height, 12, 40)).surface
    with pytest.warns(RegistrationWarning, match="unlike the scans"):
        found = register(tube, Template.from_surface(face(200)))
    assert len(found.flipped_faces()) == 0
    assert np.linalg.norm(found.coordinates, axis=1).max() <= 1 + 1e-9


@pytest.mark.parametrize("scale", [1e-200, 1e160, 1e300])
def test_no_unit_of_length_is_too_large_or_small(scale: float) -> None:
    template = Template.from_surface(face(200))
    scan = face(150, identity=3)
    plain = register(scan, template).coordinates
    found = register(Surface(scan.vertices * scale, scan.faces), template).coordinates
    assert np.abs(found - plain).max() < 1e-3


def test_only_what_lies_beyond_the_template_is_squeezed() -> None:
    """What is at the very middle, too, stays where it is."""
    wanted = np.array([[1e-4, 0.0], [0.0, 0.0], [0.5, -0.6], [1.2, 0.0], [0.0, 30.0]])
    found = _squeezed(wanted)
    np.testing.assert_array_equal(found[:3], wanted[:3])
    radius = np.linalg.norm(found, axis=1)
    assert 0.97 < radius[3] < radius[4] < 1.0
    np.testing.assert_array_equal(_squeezed(wanted[:3]), wanted[:3])
