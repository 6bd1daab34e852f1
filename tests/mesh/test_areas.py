"""Compiled sums over faces against closed forms and the formulas written out with arrays."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.mesh.areas import has_area, plane_areas, sphere_areas
from meshconv.mesh.shapes import icosphere


def test_plane_areas_are_signed_halves_of_the_cross_product():
    points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    assert plane_areas(points, np.array([[0, 1, 2], [0, 2, 1], [0, 1, 3]])).tolist() == [
        3.0,
        -3.0,
        0.0,
    ]


def test_sphere_areas_are_those_of_the_flat_faces_and_change_sign_when_turned_over():
    sphere = icosphere(2)
    areas = sphere_areas(sphere.vertices, sphere.faces)
    np.testing.assert_allclose(areas, sphere.face_areas, rtol=1e-12)
    assert np.array_equal(sphere_areas(sphere.vertices, sphere.faces[:, ::-1]) < 0, areas > 0)


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda a: a[::-1][::-1], lambda a: np.repeat(a, 2, 1)[:, ::2]]
)
def test_the_layout_in_memory_does_not_matter(layout):
    sphere = icosphere(1)
    expected = sphere_areas(sphere.vertices, sphere.faces)
    assert np.array_equal(sphere_areas(layout(sphere.vertices), layout(sphere.faces)), expected)


def test_one_face_with_an_area_among_thousands_is_found():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]])
    faces = np.repeat([[0, 1, 2]], 2500, axis=0)
    assert not has_area(points, faces)
    assert has_area(points, np.concatenate([faces, [[0, 1, 3]]]))
