"""Registration: known correspondence is found again, whatever the pose, the unit, the triangles and
the crop.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray
from meshconv.datasets.morphable import Acquisition, MorphableFaces, face_model
from meshconv.errors import (
    AccuracyWarning,
    ArgumentError,
    CheckpointError,
    DegenerateError,
    IndexOutOfRangeError,
    TopologyError,
)
from meshconv.maps.locate import locate
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import face, face_coordinates, face_landmarks, icosphere
from meshconv.mesh.surface import Surface
from meshconv.registration.fit import fit_template, register
from meshconv.registration.template import Template

N = 2500


@cache
def template() -> Template:
    marks = np.array(list(face_landmarks(N).values()))
    return Template.from_surface(face(N), landmarks=marks)


@cache
def scan(seed: int) -> Surface:
    return face(1800, identity=seed, triangulation=seed)


def posed(surface: Surface, seed: int, scale: float = 1.0) -> Surface:
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=rng).as_matrix()
    return Surface(scale * (surface.vertices @ turn.T + rng.normal(0, 300, 3)), surface.faces)


def position_on_mean(frame: Template, common: FloatArray, coordinates: FloatArray) -> FloatArray:
    """Points of the mean surface at `coordinates` of a flat domain in which its vertices lie at
    `common`.
    """
    at, weights = locate(coordinates, common, frame.surface.faces)
    return np.einsum("kc,kcd->kd", weights, frame.surface.vertices[frame.surface.faces[at]])


def errors(found: Parameterization, seed: int) -> FloatArray:
    """Distance on the mean face between where each scan vertex was put and where it belongs, mm."""
    frame = template()
    put = position_on_mean(frame, frame.parameterization.coordinates, found.coordinates)
    belongs = position_on_mean(
        frame, face_coordinates(N), face_coordinates(1800, triangulation=seed)
    )
    return np.linalg.norm(put - belongs, axis=1)


def test_correspondence_is_found_without_landmarks_from_any_pose() -> None:
    """Pooled over three identities; a rigid fit alone is off by more than twice as much."""
    pooled = []
    for seed in (1, 2, 3):
        found = register(posed(scan(seed), seed), template())
        assert len(found.flipped_faces()) == 0
        pooled.append(errors(found, seed))
    error = np.concatenate(pooled)
    assert np.median(error) < 2.0 and np.quantile(error, 0.95) < 6.0


def test_landmarks_land_exactly_and_bring_their_surroundings_along() -> None:
    seed = 4
    marks = np.array(list(face_landmarks(1800, triangulation=seed).values()))
    moved = posed(scan(seed), seed)
    free, held = register(moved, template()), register(moved, template(), landmarks=marks)
    wanted = template().parameterization.coordinates[template().landmarks]
    assert np.abs(held.coordinates[marks] - wanted).max() < 1e-6
    assert np.abs(free.coordinates[marks] - wanted).max() > 1e-3
    assert len(held.flipped_faces()) == 0


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e6])
def test_unit_of_length_does_not_matter(scale: float) -> None:
    reference = register(scan(5), template()).coordinates
    scaled = register(Surface(scale * scan(5).vertices, scan(5).faces), template()).coordinates
    assert np.abs(scaled - reference).max() < 1e-3  # rounding, carried through closest points


def test_pose_does_not_matter() -> None:
    reference = register(scan(6), template()).coordinates
    moved = register(posed(scan(6), 17), template()).coordinates
    assert np.quantile(np.abs(moved - reference), 0.99) < 5e-3


def test_said_mirror_image_equals_the_original() -> None:
    original = scan(7)
    mirror = Surface(original.vertices * [-1.0, 1.0, 1.0], original.faces[:, ::-1])
    direct = register(original, template())
    said = register(posed(mirror, 3), template(), mirror=True)
    assert len(said.flipped_faces()) == 0
    assert np.quantile(np.abs(said.coordinates - direct.coordinates), 0.99) < 5e-3


def test_mirror_is_found_where_the_shape_tells() -> None:
    lopsided = face(N, identity=11, effect="cheek_left", size=15.0)
    frame = Template.from_surface(lopsided)
    mirror = Surface(lopsided.vertices * [-1.0, 1.0, 1.0], lopsided.faces[:, ::-1])
    assert fit_template(posed(mirror, 5), frame, mirror="auto").mirrored
    assert not fit_template(posed(lopsided, 5), frame, mirror="auto").mirrored


def test_cropped_scan_lands_in_its_part_of_the_frame() -> None:
    seed = 8
    whole = scan(seed)
    keep = (np.linalg.norm(face_coordinates(1800, triangulation=seed) - [0.1, 0.0], axis=1) < 0.75)[
        whole.faces
    ].all(1)
    used, faces = np.unique(whole.faces[keep], return_inverse=True)
    found = register(posed(Surface(whole.vertices[used], faces.reshape(-1, 3)), 9), template())
    frame = template()
    put = position_on_mean(frame, frame.parameterization.coordinates, found.coordinates)
    belongs = position_on_mean(
        frame, face_coordinates(N), face_coordinates(1800, triangulation=seed)[used]
    )
    assert len(found.flipped_faces()) == 0
    assert np.median(np.linalg.norm(put - belongs, axis=1)) < 2.5


def test_closed_surfaces_register_on_the_sphere() -> None:
    ball = icosphere(4)
    direction = ball.vertices
    bumps = (
        1
        + 0.4 * np.exp(-8 * ((direction - [1, 0, 0]) ** 2).sum(1))
        + 0.25 * np.exp(-8 * ((direction - [0, 0.8, 0.6]) ** 2).sum(1))
    )
    organ = Surface(bumps[:, None] * direction * [1.0, 0.8, 0.65], ball.faces)
    frame = Template.from_surface(organ, domain="sphere")
    found = register(posed(organ, 2), frame)
    assert len(found.flipped_faces()) == 0
    angle = np.arccos(
        np.clip((found.coordinates * frame.parameterization.coordinates).sum(1), -1, 1)
    )
    assert np.median(angle) < 0.02


def test_population_template_lies_between_its_members() -> None:
    people = [face(1500, identity=k, triangulation=k) for k in (21, 22, 23, 24)]
    frame = Template.from_population(people, rounds=1)
    assert frame.surface.n_vertices == people[0].n_vertices
    fits = [fit_template(person, frame) for person in people]
    own = [fit_template(person, Template.from_surface(people[0])) for person in people[1:]]
    bend = [np.linalg.norm(f.fitted - f.template.surface.vertices, axis=1).mean() for f in fits[1:]]
    bend_own = [np.linalg.norm(f.fitted - f.template.surface.vertices, axis=1).mean() for f in own]
    assert np.mean(bend) < np.mean(bend_own)


def test_template_survives_a_round_trip_and_refuses_damage(tmp_path: Path) -> None:
    path = tmp_path / "frame.npz"
    template().save(path)
    again = Template.load(path)
    assert again.surface == template().surface
    assert np.array_equal(
        again.parameterization.coordinates, template().parameterization.coordinates
    )
    assert np.array_equal(again.landmarks, template().landmarks)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match=r"frame\.npz"):
        Template.load(path)
    path.write_bytes(b"not a template")
    with pytest.raises(CheckpointError, match="not a template file"):
        Template.load(path)


def test_frame_is_upright_and_symmetric_where_the_surface_is() -> None:
    frame = template().parameterization
    height = np.corrcoef(frame.coordinates[:, 1], frame.surface.vertices[:, 1])[0, 1]
    across = np.corrcoef(frame.coordinates[:, 0], frame.surface.vertices[:, 0])[0, 1]
    assert height > 0.95 and across > 0.95
    middle = np.abs(frame.surface.vertices[:, 0]) < 1e-6  # the mean face's plane of symmetry
    assert middle.sum() > 10 and np.abs(frame.coordinates[middle, 0]).max() < 0.01
    assert np.allclose(
        np.linalg.norm(frame.coordinates[frame.surface.boundary_loops[0]], axis=1), 0.9
    )


def test_with_every_landmark_missing_the_shape_alone_decides() -> None:
    count = len(template().landmarks)
    alone = register(scan(1), template()).coordinates
    for missing in (np.full(count, -1), np.full((count, 3), np.nan)):
        assert np.array_equal(register(scan(1), template(), landmarks=missing).coordinates, alone)


def test_a_template_takes_vertex_numbers_only() -> None:
    for wrong in ([1.5, 2.7], [[1, 2], [3, 4]], [np.nan]):
        with pytest.raises(ArgumentError, match="vertex indices"):
            Template.from_surface(face(200), landmarks=wrong)  # type: ignore[arg-type]
    for rounds in (-1, 1.5, np.nan):
        with pytest.raises(ArgumentError, match="rounds must be"):
            Template.from_population([face(200)], rounds=rounds)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="each of 2 surfaces, found 1"):
        Template.from_population([face(200), face(210)], landmarks=[np.array([1, 2, 3, 4])])


def test_scans_that_are_no_single_sheet_with_area_are_refused_with_the_reason() -> None:
    one = scan(1)
    two = Surface(
        np.concatenate([one.vertices, one.vertices + 0.1]),
        np.concatenate([one.faces, one.faces + one.n_vertices]),
    )
    with pytest.raises(TopologyError, match="the scan has 2 components"):
        register(two, template())
    loose = Surface(np.concatenate([one.vertices, [[0.0, 0.0, 0.0]]]), one.faces)
    with pytest.raises(
        TopologyError,
        match=f"1 vertices of the scan belong to no face, first vertex {one.n_vertices}",
    ):
        register(loose, template())
    with pytest.raises(DegenerateError, match="the area of the scan is 0"):
        register(Surface(one.vertices * [1, 0, 0], one.faces), template())


def test_refusals_say_what_is_wrong() -> None:
    with pytest.raises(TopologyError, match="the scan is closed"):
        register(icosphere(2), template())
    with pytest.raises(ArgumentError, match="landmarks must be"):
        register(scan(1), template(), landmarks=[1, 2])
    wrong = np.full(len(template().landmarks), 10**6)
    with pytest.raises(IndexOutOfRangeError, match="the scan has vertices"):
        register(scan(1), template(), landmarks=wrong)
    with pytest.raises(ArgumentError, match="mirror must be"):
        register(scan(1), template(), mirror="perhaps")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="same vertex"):
        Template(template().parameterization, np.array([1, 1]))
    far = scan(1).vertices[: len(template().landmarks)] + 500.0
    with pytest.warns(AccuracyWarning, match="lie off the scan"):
        register(scan(1), template(), landmarks=far)


@pytest.mark.parametrize("landmarks", [False, True])
def test_morphable_faces_meet_the_bar(data_dir: Path, landmarks: bool) -> None:
    """Six faces, each meshed, cropped and posed on its own, a third of them mirrored and said to
    be.
    """
    model = face_model(data_dir / "ict_face.npz")
    frame = Template.from_surface(model.mean, landmarks=model.landmarks)
    population = MorphableFaces(
        6,
        seed=5,
        acquisition=Acquisition(n_vertices=3000, mirrored=0.3),
        path=data_dir / "ict_face.npz",
    )
    error = []
    for one in population:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            found = register(
                one.surface,
                frame,
                landmarks=one.landmarks if landmarks else None,
                mirror=one.mirrored,
            )
        assert len(found.flipped_faces()) == 0
        put = position_on_mean(frame, frame.parameterization.coordinates, found.coordinates)
        at = one.correspondence
        assert at is not None
        belongs = np.einsum(
            "kc,kcd->kd", at.weights, model.mean.vertices[model.mean.faces[at.face]]
        )
        error.append(np.linalg.norm(put - belongs, axis=1))
    pooled = np.concatenate(error)
    median, p95 = (1.5, 4.5) if landmarks else (2.0, 6.0)
    assert np.median(pooled) <= median and np.quantile(pooled, 0.95) <= p95
