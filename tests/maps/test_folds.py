"""Whether a sphere is covered once: surfaces that wind around it, and the opening of folds."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.maps.folds import covers_once, folded, signed_areas
from meshconv.maps.locate import lift
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import SPHERE
from meshconv.maps.untangle import untangle
from meshconv.mesh import shapes
from meshconv.mesh.areas import sphere_areas


def wound(turns: int, meridians: int) -> tuple[np.ndarray, np.ndarray]:
    """A double pyramid whose equator goes around so many times; no face is turned over."""
    angle = 2 * np.pi * turns * np.arange(meridians) / meridians
    equator = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(meridians)])
    a = np.arange(meridians)
    b, north, south = (
        np.roll(a, -1),
        np.full(meridians, meridians),
        np.full(meridians, meridians + 1),
    )
    faces = np.concatenate([np.column_stack([a, b, north]), np.column_stack([b, a, south])])
    return np.concatenate([equator, [[0, 0, 1], [0, 0, -1.0]]]), faces


@pytest.mark.parametrize("turns", [1, 2, 3, 7])
def test_a_map_that_winds_around_the_sphere_has_no_folds_but_does_not_cover_it_once(
    turns: int,
) -> None:
    points, faces = wound(turns, 40)
    assert len(folded(points, faces)) == 0
    assert covers_once(points, faces) == (turns == 1)
    kinds, free = np.full(len(points), SPHERE), np.ones(len(points), dtype=bool)
    stars, share = Stars(faces, len(points)), np.full(len(faces), 4 * np.pi / len(faces))
    _, done = untangle(points, stars, share, kinds, free)
    assert done == (turns == 1)


def test_spheres_cover_themselves_once_in_any_pose_and_refinement() -> None:
    for level in range(4):
        surface = shapes.icosphere(level)
        assert covers_once(surface.vertices, surface.faces)
        assert not covers_once(surface.vertices, surface.faces[:, ::-1])


def test_the_plane_at_height_one_is_the_plane() -> None:
    rng = np.random.default_rng(0)
    plane, faces = rng.random((50, 2)) * 1e-170, rng.integers(0, 50, (200, 3))
    np.testing.assert_array_equal(signed_areas(lift(plane), faces), signed_areas(plane, faces))
    plane *= 1e165
    areas = signed_areas(lift(plane), faces)
    np.testing.assert_array_equal(areas, signed_areas(plane, faces))
    np.testing.assert_allclose(areas, sphere_areas(lift(plane), faces), rtol=1e-12, atol=0)
