"""A frame of scans in any pose faces the viewer upright; one of scans that share a pose stays as
they are.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import MorphableFaces, Surface, Template, load, repair
from meshconv.datasets.files import find_data
from meshconv.datasets.morphable import Acquisition
from meshconv.errors import ArgumentError, MissingFileError
from meshconv.mesh.shapes import bumpy_heightfield, cap, delaunay_sphere, disk, face, icosphere
from meshconv.registration.standing import share_a_pose, standing


def posed(surface: Surface, seed: int) -> Surface:
    """The surface turned and shifted at random."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=rng).as_matrix()
    return Surface(surface.vertices @ turn.T + rng.normal(0, 200, 3), surface.faces)


def turn_between(before: Surface, after: Surface) -> np.ndarray:
    """The rotation that was applied to the vertices."""
    a, b = (s.vertices - s.vertices.mean(axis=0) for s in (before, after))
    return Rotation.align_vectors(b, a)[0].as_matrix()


def frame_of(scans: list[Surface], pose: str = "auto") -> Template:
    return Template.from_population(scans, rounds=1, pose=pose)


def tilt(turn: np.ndarray) -> tuple[float, float]:
    """How far right is from right, and up from up or down, in degrees: roll, and roll and pitch
    together.
    """
    return tuple(np.degrees(np.arccos(np.clip(np.diag(turn)[:2], -1, 1))))


@pytest.mark.parametrize("identity", range(4))
def test_a_face_stands_upright_from_any_pose(identity: int) -> None:
    upright = face(400, identity=identity, triangulation=identity)
    stood = standing(posed(upright, identity))
    across, up = tilt(turn_between(upright, stood))
    assert across < 3 and up < 5
    assert np.abs(stood.vertices.mean(axis=0)).max() < 0.1 * np.sqrt(stood.area)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["choi_human_face.ply", "mediapipe_canonical_face.ply", "morphable 1", "morphable 2"]
)
def test_other_peoples_faces_stand_upright(name: str) -> None:
    try:
        if name.startswith("morphable"):
            seen = Acquisition(n_vertices=1000, pose=False)
            surface = MorphableFaces(3, seed=8, acquisition=seen)[int(name[-1])].surface
        else:
            surface = repair(load(find_data(name))).surface
    except MissingFileError as error:
        pytest.skip(str(error))
    across, up = tilt(turn_between(surface, standing(posed(surface, 3))))
    assert across < 3 and up < 25  # their mean normals look up or down by as much as 21 degrees


def test_the_pose_a_surface_came_in_plays_no_part() -> None:
    """Also for one without symmetry or a face's features, and of any unit."""
    for surface in (face(250, identity=2), bumpy_heightfield(n=12), delaunay_sphere(150, seed=2)):
        size = np.sqrt(surface.area)
        bent = Surface(
            surface.vertices * [1.0, 0.8, 0.6] + 0.05 * surface.vertices[:, [1, 2, 0]],
            surface.faces,
        )
        first, second = (
            standing(bent),
            standing(posed(Surface(1000 * bent.vertices, bent.faces), 4)),
        )
        np.testing.assert_allclose(second.vertices / 1000, first.vertices, atol=1e-9 * size)


def test_closed_surfaces_stand_on_their_longest_axis() -> None:
    ball = icosphere(3)
    radii = np.array([4.0, 10.0, 7.0])
    stood = standing(posed(Surface(ball.vertices * radii, ball.faces), 1))
    np.testing.assert_allclose(np.ptp(stood.vertices, axis=0), [14, 20, 8], rtol=1e-2)
    pear = Surface(
        ball.vertices * radii * np.where(ball.vertices[:, 1:2] > 0, [1, 1.6, 1], 1), ball.faces
    )
    stood = standing(posed(pear, 2))
    assert stood.vertices[:, 1].max() > 1.05 * -stood.vertices[:, 1].min()  # the long end is up
    assert (
        np.linalg.det(turn_between(pear, stood)) > 0
        and (stood.vertices * stood.vertex_normals).sum() > 0
    )


@pytest.mark.parametrize("surface", [disk(6), cap(6)], ids=["disk", "cap"])
def test_what_has_no_up_stands_anyhow_but_faces_the_viewer(surface: Surface) -> None:
    stood = standing(posed(surface, 1))
    facing = stood.face_area_vectors.sum(axis=0)
    np.testing.assert_allclose(facing / np.linalg.norm(facing), [0, 0, 1], atol=0.02)


def test_a_population_in_any_pose_makes_a_standing_frame() -> None:
    people = [face(250, identity=k, triangulation=k) for k in range(3)]
    frame = frame_of([posed(one, k) for k, one in enumerate(people)])
    across, up = tilt(turn_between(people[0], frame.surface))
    assert across < 10 and up < 15
    flat = frame.parameterization
    assert (
        np.corrcoef(flat.coordinates[:, 1], flat.surface.vertices[:, 1])[0, 1] > 0.95
    )  # up in space is up in the map
    assert len(flat.flipped_faces()) == 0


def test_a_shared_pose_is_kept_to_the_bit() -> None:
    """Even one that lies on its side: the scanner is believed."""
    lying = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    people = [face(200, identity=k, triangulation=k) for k in range(2)]
    nodding = Rotation.from_euler("xy", [25, 20], degrees=True).as_matrix()
    scans = [
        Surface(one.vertices @ (lying @ turn).T, one.faces)
        for one, turn in zip(people, (np.eye(3), nodding), strict=True)
    ]
    kept, first = frame_of(scans), frame_of(scans, "first")
    np.testing.assert_array_equal(kept.surface.vertices, first.surface.vertices)
    np.testing.assert_array_equal(
        kept.parameterization.coordinates, first.parameterization.coordinates
    )
    assert tilt(turn_between(people[0], first.standing().surface))[0] < 10
    one = posed(people[0], 5)
    np.testing.assert_array_equal(
        frame_of([one]).surface.vertices, frame_of([one], "first").surface.vertices
    )


def test_which_poses_are_one() -> None:
    turns = [Rotation.from_rotvec([0, 0, a], degrees=True).as_matrix() for a in (0, 44, 46)]
    assert share_a_pose(turns[:2]) and not share_a_pose(turns)
    assert share_a_pose([])


@pytest.mark.parametrize("domain", ["disk", "sphere"])
def test_a_frame_is_turned_with_its_map(domain: str) -> None:
    ball = icosphere(2)
    surface = face(300) if domain == "disk" else Surface(ball.vertices * [2, 3, 1], ball.faces)
    frame = Template.from_surface(surface, domain=domain, landmarks=np.array([5, 9]))
    quarter = frame.turned(90)
    around, same = quarter, quarter.landmarks
    for _ in range(3):
        around = around.turned(90)
    np.testing.assert_allclose(
        around.parameterization.coordinates, frame.parameterization.coordinates, atol=1e-12
    )
    np.testing.assert_allclose(around.surface.vertices, frame.surface.vertices, atol=1e-9)
    np.testing.assert_array_equal(same, frame.landmarks)
    x, y = frame.parameterization.coordinates[:, :2].T  # counter-clockwise: what was right is up
    np.testing.assert_allclose(
        quarter.parameterization.coordinates[:, :2], np.stack([-y, x], axis=1), atol=1e-12
    )
    np.testing.assert_allclose(
        quarter.surface.vertices[:, 1], frame.surface.vertices[:, 0], atol=0.2 * frame.size
    )


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="orientation='kept' keeps the pose"):
        Template.from_population(
            [icosphere(1)], domain="sphere", orientation="kept", pose="standard"
        )
    with pytest.raises(ArgumentError, match="pose must be one of"):
        Template.from_population([face(200)], pose="upright")
    with pytest.raises(ArgumentError, match="degrees must lie in"):
        Template.from_surface(face(200)).turned(720)
