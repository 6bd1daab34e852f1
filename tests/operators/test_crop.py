"""Crop: exact on a given distance, smooth round borders, fields carried, topology kept and
reported.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import ArgumentError, ArrayTypeError, IndexOutOfRangeError, NonFiniteError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.crop import crop

FLAT = shapes.delaunay_disk(2000, 2.0, seed=5)


def test_half_plane_is_cut_exactly() -> None:
    square = shapes.grid(11, width=10, height=10)
    part = crop(square, 0, 4.5, distance=square.vertices[:, 0]).surface
    assert part.area == pytest.approx(45)
    assert part.vertices[:, 0].max() == pytest.approx(4.5)
    assert (part.face_normals[:, 2] == 1).all()
    assert part.euler_characteristic == 1 == len(part.boundary_loops)


@pytest.mark.parametrize("radius", [0.3, 0.77, 1.2])
def test_disk_border_is_round_and_area_right(radius: float) -> None:
    part = crop(FLAT, [0, 0, 0], radius)
    assert part.n_boundary_loops == 1 == part.surface.euler_characteristic
    border = part.surface.vertices[part.surface.boundary_loops[0]]
    assert np.abs(np.linalg.norm(border, axis=1) - radius).max() < 0.012
    assert part.surface.area == pytest.approx(np.pi * radius**2, rel=0.04)
    assert (part.surface.face_normals[:, 2] > 0).all()
    assert part.surface.face_areas.min() > 0


def test_border_is_smoother_than_one_along_edges() -> None:
    radius = 1.0
    border = crop(FLAT, 0, radius).surface
    ring = np.linalg.norm(border.vertices[border.boundary_loops[0]] - FLAT.vertices[0], axis=1)
    inside = np.linalg.norm(FLAT.vertices - FLAT.vertices[0], axis=1) <= radius
    jagged = Surface(FLAT.vertices, FLAT.faces[inside[FLAT.faces].all(axis=1)])
    edges = np.linalg.norm(jagged.vertices[jagged.boundary_loops[0]] - FLAT.vertices[0], axis=1)
    assert np.ptp(ring) < 0.3 * np.ptp(edges)


def test_two_triangulations_of_one_face_are_cropped_alike() -> None:
    borders = []
    for seed in (1, 2):
        surface = shapes.face(6000, identity=3, triangulation=seed)
        nose = surface.vertices[shapes.face_landmarks(6000, triangulation=seed)["nose_tip"]]
        part = crop(surface, nose, 60.0).surface
        borders.append((part.area, np.ptp(part.vertices[part.boundary_loops[0]], axis=0)))
    assert borders[0][0] == pytest.approx(borders[1][0], rel=0.005)
    np.testing.assert_allclose(borders[0][1], borders[1][1], atol=1.0)


def test_fields_origins_and_positions_are_carried() -> None:
    colours = np.random.default_rng(0).uniform(size=(FLAT.n_vertices, 3))
    part = crop(FLAT, 0, 1.0, vertex_fields={"x": FLAT.vertices[:, 0], "colours": colours})
    old = part.vertex_origin >= 0
    assert old.any() and not old.all()
    np.testing.assert_array_equal(
        part.surface.vertices[old], FLAT.vertices[part.vertex_origin[old]]
    )
    np.testing.assert_array_equal(part.fields["colours"][old], colours[part.vertex_origin[old]])
    np.testing.assert_allclose(part.fields["x"], part.surface.vertices[:, 0], atol=1e-14)
    np.testing.assert_allclose(part.moved(np.ones(FLAT.n_vertices)), 1.0, atol=1e-14)
    assert (np.diff(part.vertex_origin[old]) > 0).all()


def test_no_slivers() -> None:
    for radius in np.linspace(0.5, 1.5, 15):
        part = crop(FLAT, 0, radius, distance=np.linalg.norm(FLAT.vertices, axis=1)).surface
        assert part.face_areas.min() > 1e-3 * FLAT.face_areas.mean()


def test_radius_beyond_the_surface_returns_it_unchanged() -> None:
    part = crop(FLAT, 7, 100.0)
    assert part.surface == FLAT
    np.testing.assert_array_equal(part.vertex_origin, np.arange(FLAT.n_vertices))


def test_keeps_the_piece_around_the_centre_and_reports_holes() -> None:
    wide = shapes.annulus(0.3, 1.0, 60, 12)
    start = 60 * 6
    part = crop(wide, start, 1.2)
    assert part.n_boundary_loops == 1  # the far side is not reached: a horseshoe
    assert crop(wide, start, 10.0).n_boundary_loops == 2
    tube = shapes.cylinder(1.0, 20.0, 40, 101)
    assert crop(tube, 40 * 50, 5.0).n_boundary_loops == 2
    two_valleys = np.abs(FLAT.vertices[:, 0] ** 2 - 1)
    right = int(FLAT.vertices[:, 0].argmax())
    left_out = crop(
        FLAT, right, 0.5, distance=np.where(np.arange(FLAT.n_vertices) == right, 0, two_valleys)
    )
    assert left_out.surface.vertices[:, 0].min() > 0


def test_other_components_and_unreferenced_vertices_go() -> None:
    one = shapes.icosphere(2)
    n = one.n_vertices
    both = Surface(
        np.vstack([[[9.0, 9, 9]], one.vertices, one.vertices + 5]),
        np.vstack([one.faces + 1, one.faces + n + 1]),
    )
    assert crop(both, 5, 100.0).surface == one
    assert crop(both, [9, 9, 9], 100.0).surface.vertices.min() > 3


@given(st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6]))
def test_motion_and_scale(seed: int, scale: float) -> None:
    turn = Rotation.random(rng=seed).as_matrix()
    level = np.linalg.norm(FLAT.vertices - FLAT.vertices[seed], axis=1)
    here = crop(FLAT, seed, 0.7, distance=level)
    moved = Surface(scale * FLAT.vertices @ turn.T, FLAT.faces)
    there = crop(moved, seed, 0.7 * scale, distance=level * scale)
    np.testing.assert_array_equal(here.surface.faces, there.surface.faces)
    np.testing.assert_allclose(
        there.surface.vertices, scale * here.surface.vertices @ turn.T, atol=1e-12 * scale
    )


def test_refusals() -> None:
    for args, error, text in (
        ((0, -1.0), ArgumentError, "radius must be positive and finite, found -1"),
        ((0, np.nan), ArgumentError, "radius must be positive and finite"),
        (
            (0, 1e-9),
            ArgumentError,
            "nothing is left within 1e-09 of vertex 0; edges there are about",
        ),
        ((-1, 1.0), IndexOutOfRangeError, r"centre is vertex -1, allowed are 0\.\.1999"),
        (([0, 0], 1.0), ArrayTypeError, "centre must be a vertex index or a point"),
        (([0, 0, np.inf], 1.0), NonFiniteError, "centre is"),
    ):
        with pytest.raises(error, match=text):
            crop(FLAT, *args)
    with pytest.raises(NonFiniteError, match="distance is not finite at vertex 3"):
        crop(FLAT, 0, 1.0, distance=np.where(np.arange(2000) == 3, np.nan, 0.0))
