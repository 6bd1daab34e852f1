"""Numbering vertices along a curve, and reading sheets off the stars of vertices, against the slow
ways.
"""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.errors import NonManifoldError
from meshconv.maps.conformal import preparation as _numbering
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.conformal.preparation import in_memory_order, normalised
from meshconv.mesh import shapes
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface

SHEETS = {
    "disk": shapes.bumpy_heightfield(9),
    "sphere": shapes.icosphere(2),
    "torus": shapes.torus(9, 7),
    "triangle": Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]),
}


def shuffled(surface: Surface, seed: int = 0) -> tuple[Surface, np.ndarray]:
    """The surface with its vertices in random order, and the old number of each."""
    order = np.random.default_rng(seed).permutation(surface.n_vertices)
    return Surface(surface.vertices[order], np.argsort(order)[surface.faces]), order


def test_vertices_in_random_order_are_numbered_so_that_faces_use_near_ones(monkeypatch):
    monkeypatch.setattr(_numbering, "_NEAR", 10)
    surface = shapes.bumpy_heightfield(60)
    mixed, order = shuffled(normalised(surface))
    sorted_, numbers = in_memory_order(mixed, order)
    assert np.array_equal(np.sort(numbers), np.arange(surface.n_vertices))
    assert np.array_equal(sorted_.vertices, normalised(surface).vertices[numbers])
    assert np.array_equal(numbers[sorted_.faces], surface.faces)
    jump = [np.abs(np.diff(s.faces, axis=1)).mean() for s in (mixed, sorted_)]
    assert jump[1] < jump[0] / 10


def test_an_order_that_is_good_is_kept():
    surface = normalised(shapes.bumpy_heightfield(30))
    assert in_memory_order(surface, np.arange(900))[0] is surface


@pytest.mark.parametrize("domain", ["disk", "rectangle", "free", "sphere"])
def test_a_map_does_not_depend_on_the_numbering_chosen_inside(monkeypatch, domain):
    surface = SHEETS["sphere"] if domain == "sphere" else shapes.bumpy_heightfield(20)
    if domain == "sphere":
        surface = Surface(
            surface.vertices * [1.0, 1.3, 1.7] + 0.1 * surface.vertices**2, surface.faces
        )
    expected = conformal_map(surface, domain=domain).coordinates
    monkeypatch.setattr(_numbering, "_NEAR", 0)
    np.testing.assert_allclose(
        conformal_map(surface, domain=domain).coordinates, expected, atol=1e-8
    )


def test_corners_are_named_by_the_numbers_of_the_caller(monkeypatch):
    monkeypatch.setattr(_numbering, "_NEAR", 0)
    flat = conformal_map(
        shapes.bumpy_heightfield(12), domain="rectangle", corners=[0, 11, 143, 132]
    )
    np.testing.assert_allclose(flat.coordinates[[0, 11]], [[0, 0], [1, 0]], atol=1e-12)


def test_a_refusal_names_vertices_by_the_numbers_of_the_caller(monkeypatch):
    monkeypatch.setattr(_numbering, "_NEAR", 0)
    surface = shapes.bumpy_heightfield(12)
    extra = np.append(surface.vertices, [[0.3, 0.3, 9.0]], axis=0)
    with pytest.raises(NonManifoldError, match=r"1 edges .* first \[26, 27\]"):
        conformal_map(Surface(extra, np.append(surface.faces, [[26, 27, 144]], axis=0)))


def test_vertex_areas_are_thirds_of_the_faces_around():
    surface = SHEETS["disk"]
    expected = np.zeros(surface.n_vertices)
    np.add.at(expected, surface.faces.ravel(), np.repeat(surface.face_areas / 3, 3))
    np.testing.assert_allclose(
        thirds_of_area(surface.vertices, surface.faces), expected, rtol=1e-13
    )
