"""Closed surfaces in one frame: any pose, unit, size and triangulation, nothing shrunk, areas
kept.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Surface, check, register, shape_measures
from meshconv.errors import ArgumentError, TopologyError
from meshconv.maps.equalize.density_map import misplaced_mass
from meshconv.mesh.shapes import cap, delaunay_sphere, face, icosphere
from meshconv.registration.fit import fit_template
from meshconv.registration.template import Template


def organ(n: int = 500, seed: int = 0, *, bump: float = 0.4) -> Surface:
    """A flat bean with two bumps of its own, so that no turn lays it on itself."""
    ball = delaunay_sphere(n, seed=seed)
    d = ball.vertices
    radius = 1 + bump * np.exp(-8 * ((d - [1, 0, 0]) ** 2).sum(axis=1))
    radius += 0.25 * np.exp(-8 * ((d - [0, 0.8, 0.6]) ** 2).sum(axis=1))
    return Surface(radius[:, None] * d * [10.0, 7.0, 3.0], ball.faces)


def directions(n: int = 500, seed: int = 0) -> np.ndarray:
    return delaunay_sphere(n, seed=seed).vertices


@cache
def frame() -> Template:
    return Template.from_surface(organ(), domain="sphere")


def misplaced(found, seed: int) -> np.ndarray:
    """Distance on the template, in voxels, between where each vertex came to lie and where it
    belongs.
    """
    face_, weights, _ = found.correspondence()
    at = np.einsum("vk,vkd->vd", weights, directions()[found.template.surface.faces[face_]])
    return 10 * np.linalg.norm(
        at / np.linalg.norm(at, axis=1, keepdims=True) - directions(seed=seed), axis=1
    )


def test_the_frame_keeps_areas_and_directions() -> None:
    flat = frame().parameterization
    assert misplaced_mass(flat, flat.surface.face_areas) < 0.02 and len(flat.flipped_faces()) == 0
    assert (np.sign(flat.coordinates) == np.sign(flat.surface.vertices)).all(axis=1).mean() > 0.8


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_mesh_in_any_pose_and_unit_lands_on_the_same_places(seed: int) -> None:
    turn = Rotation.random(random_state=seed).as_matrix()
    one = organ(seed=seed)
    moved = Surface(0.001 * one.vertices @ turn.T + [3.0, 1.0, -2.0], one.faces)
    found = fit_template(moved, frame())
    assert np.degrees(Rotation.from_matrix(found.pose.rotation @ turn).magnitude()) < 3
    assert found.pose.scale == pytest.approx(1000, rel=0.02)
    assert np.median(misplaced(found, seed)) < 0.5
    assert len(found.parameterization().flipped_faces()) == 0


def test_a_template_is_not_shrunk_onto_a_part_of_the_scan() -> None:
    other = organ(seed=4, bump=1.2)
    found = fit_template(other, frame())
    bent = Surface(found.fitted / found.pose.scale, frame().surface.faces)
    assert bent.area == pytest.approx(other.area, rel=0.03)


def test_a_kept_orientation_is_believed() -> None:
    ball = delaunay_sphere(400, seed=5)
    pill = Surface(ball.vertices * [10.0, 6.0, 3.0], ball.faces)  # four poses are alike
    turn = Rotation.from_euler("xyz", [170, 10, -15], degrees=True).as_matrix()
    small = Rotation.from_euler("xyz", [20, 10, -15], degrees=True).as_matrix()
    kept = Template.from_surface(pill, domain="sphere", orientation="kept")
    there = fit_template(Surface(pill.vertices @ small.T, pill.faces), kept)
    np.testing.assert_allclose(there.pose.rotation, small.T, atol=0.05)
    upside_down = fit_template(Surface(pill.vertices @ turn.T, pill.faces), kept)
    assert np.degrees(Rotation.from_matrix(upside_down.pose.rotation).magnitude()) < 60


def test_orientation_goes_to_files_and_is_for_closed_surfaces(tmp_path: Path) -> None:
    replace(frame(), orientation="kept").save(tmp_path / "frame.npz")
    assert Template.load(tmp_path / "frame.npz").orientation == "kept"
    with pytest.raises(ArgumentError, match="orientation must be one of"):
        replace(frame(), orientation="up")
    with pytest.raises(ArgumentError, match="for closed surfaces"):
        Template.from_surface(face(300), orientation="kept")


def test_a_frame_chooses_the_domain_by_the_surface():
    ball, half = icosphere(2), cap(8)
    assert Template.from_surface(ball).parameterization.domain == "sphere"
    assert Template.from_surface(half).parameterization.domain == "disk"
    assert Template.from_population([ball, ball], rounds=1).parameterization.domain == "sphere"
    with pytest.raises(TopologyError, match="closed surface"):
        Template.from_surface(ball, domain="disk")


@pytest.mark.parametrize("base", [icosphere(3), cap(10)])
def test_faces_without_area_are_no_hindrance(base):
    a, b, c = base.faces[0]
    middle, n = (base.vertices[a] + base.vertices[b]) / 2, base.n_vertices
    faces = np.vstack([base.faces[1:], [[n, b, c], [a, n, c], [a, b, n]]])
    surface = Surface(np.vstack([base.vertices, middle]), faces)
    assert len(check(surface).degenerate_faces) == 1
    template = Template.from_surface(base)
    assert len(Template.from_surface(surface).parameterization.flipped_faces()) == 0
    assert len(register(surface, template).flipped_faces()) == 0
    plain, found = shape_measures(base), shape_measures(surface)
    assert found["sphericity"] == pytest.approx(plain["sphericity"])
    assert found["conformal_std"] == pytest.approx(plain["conformal_std"], abs=0.01)
