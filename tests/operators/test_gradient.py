"""Gradient and divergence: exact on linear functions, G'MG = L, adjoint, invariant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.transform import Rotation

from meshconv.errors import DegenerateError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.gradient import divergence, gradient
from meshconv.operators.laplacian import cotangent_laplacian

ROUGH = shapes.bumpy_heightfield(15, seed=2, roughness=1.0)


def face_vectors(surface: Surface, values: np.ndarray) -> np.ndarray:
    return (gradient(surface) @ values).reshape(-1, 3)


@pytest.mark.parametrize("surface", [ROUGH, shapes.icosphere(3), shapes.face(500, identity=1)])
def test_laplacian_is_gradient_transposed_gradient(surface: Surface) -> None:
    G, L = gradient(surface), cotangent_laplacian(surface)
    M = sparse.diags_array(np.repeat(surface.face_areas, 3))
    assert abs(G.T @ M @ G - L).max() <= 1e-12 * abs(L).max()
    assert abs(divergence(surface) @ G + L).max() <= 1e-12 * abs(L).max()


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_linear_functions_have_their_tangential_gradient(slope: list[float]) -> None:
    normal = ROUGH.face_normals
    expected = slope - (normal @ slope)[:, None] * normal
    np.testing.assert_allclose(
        face_vectors(ROUGH, ROUGH.vertices @ slope + 3), expected, atol=1e-11
    )


@given(st.integers(0, 99), st.sampled_from([1e-6, 1e-2, 1.0, 1e4, 1e6]))
def test_moves_with_the_surface_and_goes_with_one_over_length(seed: int, scale: float) -> None:
    turn = Rotation.random(rng=seed).as_matrix()
    moved = Surface(scale * ROUGH.vertices @ turn.T + scale, ROUGH.faces)
    values = np.sin(3 * ROUGH.vertices[:, 0])
    expected = face_vectors(ROUGH, values) @ turn.T / scale
    np.testing.assert_allclose(face_vectors(moved, values), expected, atol=1e-8 / scale)


def test_relabelling_permutes_the_columns() -> None:
    order = np.random.default_rng(0).permutation(ROUGH.n_vertices)
    relabelled = Surface(ROUGH.vertices[order], np.argsort(order)[ROUGH.faces])
    assert abs(gradient(relabelled) - gradient(ROUGH)[:, order]).max() < 1e-12


def test_divergence_theorem_on_a_disk() -> None:
    flat = shapes.delaunay_disk(400)
    field = np.tile([2.0, -1.0, 0.0], flat.n_faces)
    inside = np.setdiff1d(np.arange(flat.n_vertices), flat.boundary_loops[0])
    total = divergence(flat) @ field
    assert abs(total.sum()) < 1e-12
    assert abs(total[inside]).max() < 1e-12


def test_gradient_of_a_smooth_function_converges_at_first_order() -> None:
    errors = []
    for n in (400, 1600):
        flat = shapes.delaunay_disk(n, seed=1)
        centre = flat.vertices[flat.faces].mean(axis=1)
        exact = np.column_stack([np.cos(centre[:, 0]), 2 * centre[:, 1], 0 * centre[:, 0]])
        errors.append(
            np.abs(
                face_vectors(flat, np.sin(flat.vertices[:, 0]) + flat.vertices[:, 1] ** 2) - exact
            ).mean()
        )
    assert np.log2(errors[0] / errors[1]) > 0.8
    assert errors[1] < 0.05


@pytest.mark.parametrize("scale", [1e-160, 1e150])
def test_extreme_units_of_length(scale: float) -> None:
    flat = shapes.grid(4)
    vectors = face_vectors(Surface(flat.vertices * scale, flat.faces), flat.vertices[:, 0] * scale)
    np.testing.assert_allclose(vectors, np.tile([1.0, 0, 0], (flat.n_faces, 1)), atol=1e-12)


def test_face_without_area_is_named() -> None:
    flat = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], [[0, 1, 2], [0, 1, 3]])
    with pytest.raises(DegenerateError, match=r"face 1 has no area \(1 of 2 faces\)") as caught:
        gradient(flat)
    assert caught.value.indices == (1,)
