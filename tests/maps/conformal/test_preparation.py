"""Numbering vertices along a curve, and reading sheets off the stars of vertices, against the slow
ways.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import NonManifoldError
from meshconv.maps.conformal import preparation as _numbering
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.conformal.preparation import in_memory_order, normalised
from meshconv.maps.conformal.sheet import sheet
from meshconv.mesh import shapes, topology
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


# --- sheets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHEETS)
def test_a_good_sheet_has_the_edges_and_loops_of_the_slow_way(name):
    surface, _ = shuffled(SHEETS[name])
    found = sheet(surface)
    assert found is not None
    assert found[0] == len(surface.edges)
    assert [loop.tolist() for loop in found[1]] == [
        loop.tolist() for loop in surface.boundary_loops
    ]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_holes_are_loops_and_what_holes_leave_hanging_is_no_sheet(seed, removed):
    whole = SHEETS["disk"]
    gone = np.random.default_rng(seed).choice(whole.n_faces, removed, replace=False)
    surface = Surface(whole.vertices, np.delete(whole.faces, gone, axis=0))
    found = sheet(surface)
    used = len(np.unique(surface.faces)) == surface.n_vertices
    one = (
        used
        and len(topology.nonmanifold_vertices(surface.faces)) == 0
        and not topology.face_components(surface.faces).any()
    )
    assert (found is not None) == one
    if found is not None:
        assert [loop.tolist() for loop in found[1]] == [
            loop.tolist() for loop in surface.boundary_loops
        ]


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 1, 2], [1, 0, 3], [0, 1, 4]],  # an edge of three faces
        [[0, 1, 2], [0, 1, 3]],  # two faces that disagree on the outside
        [[0, 1, 2], [0, 3, 4]],  # two faces that touch in a vertex
        [[0, 1, 2], [3, 4, 5]],  # two pieces
        [[0, 1, 2], [0, 1, 2]],  # the same face twice
        [[0, 1, 3], [1, 4, 3]],  # vertex 2 is in no face
    ],
)
def test_what_is_no_sheet_is_none(faces):
    points = np.random.default_rng(0).normal(size=(np.max(faces) + 1, 3))
    assert sheet(Surface(points, faces)) is None


def test_vertex_areas_are_thirds_of_the_faces_around():
    surface = SHEETS["disk"]
    expected = np.zeros(surface.n_vertices)
    np.add.at(expected, surface.faces.ravel(), np.repeat(surface.face_areas / 3, 3))
    np.testing.assert_allclose(
        thirds_of_area(surface.vertices, surface.faces), expected, rtol=1e-13
    )
