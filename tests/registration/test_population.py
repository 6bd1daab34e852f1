"""Frames of populations as they come: several units, any pose, one that is something else."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Resampler, Surface, Template, fit_template, place, repair
from meshconv.errors import RegistrationWarning
from meshconv.mesh.shapes import bumpy_heightfield, delaunay_sphere, face
from meshconv.registration.population import in_one_unit
from meshconv.train.frames import population_template


def study(seed: int, strangers: list[Surface]) -> tuple[list[Surface], np.ndarray]:
    """Five faces in mm, cm and m in any pose, then strangers; and how each face was turned."""
    rng = np.random.default_rng(seed)
    scans, turns = [], Rotation.random(5, random_state=rng).as_matrix()
    for k, turn in enumerate(turns):
        one = face(450, identity=100 * seed + k, triangulation=k)
        unit = rng.choice([1.0, 0.1, 0.001])
        scans.append(Surface(unit * (one.vertices @ turn.T + rng.normal(0, 99, 3)), one.faces))
    return [*scans, *strangers], turns


def ball_with_a_mouth(seed: int) -> Surface:
    ball = delaunay_sphere(450, seed=seed)
    bumps = 1 + 0.2 * np.sin(3 * ball.vertices[:, :1] + seed) * np.cos(2 * ball.vertices[:, 1:2])
    kept = ball.faces[(ball.vertices[ball.faces, 2] < 0.6).all(axis=1)]
    used, faces = np.unique(kept, return_inverse=True)
    return repair(Surface((90 * bumps * ball.vertices)[used], faces.reshape(-1, 3))).surface


def spread(frame: Template, scans: list[Surface], turns: np.ndarray) -> float:
    """Largest angle between the poses of the faces in the frame, in degrees."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RegistrationWarning)
        found = [
            fit_template(scan, frame).pose.rotation @ turn
            for scan, turn in zip(scans, turns, strict=False)
        ]
    return max(np.degrees(Rotation.from_matrix(found[0].T @ x).magnitude()) for x in found)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_frame_of_mixed_units_poses_and_strangers_holds_every_face(seed: int) -> None:
    torn = face(450, identity=9)
    torn = Surface(
        torn.vertices + np.random.default_rng(seed).normal(0, 6, torn.vertices.shape), torn.faces
    )
    strangers = [ball_with_a_mouth(seed), torn]
    scans, turns = study(seed, strangers)
    order = np.random.default_rng(seed).permutation(len(scans))
    frame = population_template([scans[k] for k in order], count=7)
    assert spread(frame, scans, turns) < 15
    assert len(frame.population) <= 5
    for stranger in strangers:
        with pytest.warns(RegistrationWarning):
            fit_template(stranger, frame)


def test_a_foreign_or_inside_out_first_scan_is_not_the_measure_of_all() -> None:
    scans, turns = study(3, [])
    huge = bumpy_heightfield(20)
    huge = Surface(500 * huge.vertices, huge.faces)
    frame = population_template([huge, *scans], count=6)
    assert spread(frame, scans, turns) < 15
    reversed_ = [Surface(scans[0].vertices * 1.0, scans[0].faces[:, ::-1]), *scans[1:]]
    frame = Template.from_population(reversed_, rounds=1)
    assert spread(frame, scans[1:], turns[1:]) < 15


def test_the_frame_has_the_unit_of_the_first_or_of_most() -> None:
    one = face(500)
    small = [Surface(0.001 * s.vertices, s.faces) for s in (face(500, identity=k) for k in (1, 2))]
    assert Template.from_population([one, *small]).size == pytest.approx(np.sqrt(one.area), rel=0.1)
    most = population_template([one, *small], count=3)
    assert most.size == pytest.approx(0.001 * np.sqrt(one.area), rel=0.1)


def test_sizes_of_one_unit_are_left_alone() -> None:
    sizes = 10 ** np.linspace(0, 2, 9)  # nodules: of every size between 1 and 100 mm
    balls = [
        Surface(size * delaunay_sphere(50).vertices, delaunay_sphere(50).faces) for size in sizes
    ]
    for given, found in zip(balls, in_one_unit(balls), strict=True):
        assert found is given


def bowl(seed: int) -> Surface:
    """A deep bowl, longer than wide, dented on one side, cut at another height for each seed."""
    rng = np.random.default_rng(seed)
    ball = delaunay_sphere(900, seed=seed)
    d = ball.vertices
    dent = 1 - 0.35 * np.exp(-3 * ((d - [0.9, 0.0, 0.3]) ** 2).sum(axis=1))
    points = dent[:, None] * d * rng.uniform(25, 35, (1, 1)) * [1.0, 1.0, rng.uniform(1.3, 1.7)]
    kept = ball.faces[(d[ball.faces, 2] < rng.uniform(0.6, 0.75)).all(axis=1)]
    used, faces = np.unique(kept, return_inverse=True)
    return repair(Surface(points[used], faces.reshape(-1, 3)), target="disk").surface


def test_deep_bowls_of_any_size_cover_the_frame() -> None:
    """A conformal disk of a bowl is nearly all rim; by area, and of equal size, all is covered."""
    frame = Template.from_population([bowl(k) for k in (1, 2, 3)], rounds=1)
    flat = frame.parameterization
    inside = flat.face_areas / flat.face_areas.sum()
    there = flat.surface.face_areas / flat.surface.area
    assert 0.5 * np.abs(inside - there).sum() < 0.05 and len(flat.flipped_faces()) == 0
    whole = Resampler(flat, 65).mask
    for k in (4, 5, 6):
        turn = Rotation.random(random_state=k).as_matrix()
        one = bowl(k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RegistrationWarning)
            placed = place(Surface(one.vertices @ turn.T, one.faces), frame, size=65)
        assert len(placed.parameterization.flipped_faces()) == 0
        assert (placed.resampler.mask & whole).sum() > 0.75 * whole.sum()
