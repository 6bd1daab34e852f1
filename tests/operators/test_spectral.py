"""Eigenpairs and the heat kernel signature: sphere and square in closed form, orthonormality,
invariance.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import ArgumentError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import intrinsic_delaunay
from meshconv.operators.spectral import heat_kernel_signature, laplacian_eigenpairs

FACE = shapes.face(400, identity=1)


def test_sphere_eigenvalues_are_l_times_l_plus_one() -> None:
    degree = np.repeat(np.arange(6), 2 * np.arange(6) + 1)
    errors = []
    for n in (800, 3200):
        values, _ = laplacian_eigenpairs(shapes.delaunay_sphere(n), len(degree))
        errors.append(np.abs(values - degree * (degree + 1)).max())
    assert errors[1] < 0.01 * 30
    assert errors[0] > 3 * errors[1]  # second order


def test_square_eigenvalues_with_free_borders() -> None:
    values, _ = laplacian_eigenpairs(shapes.grid(50), 6)
    np.testing.assert_allclose(values / np.pi**2, [0, 1, 1, 2, 4, 4], atol=0.01)


def test_eigenfunctions_solve_the_equation_and_are_orthonormal() -> None:
    triangulation = intrinsic_delaunay(FACE)
    L, M = triangulation.cotangent_laplacian(), triangulation.mass_matrix()
    values, functions = laplacian_eigenpairs(FACE, 20)
    np.testing.assert_allclose(functions.T @ (M @ functions), np.eye(20), atol=1e-9)
    residual = L @ functions - M @ functions * values
    assert (
        np.abs(residual).max() < 1e-9 * values[-1] * np.abs(M @ functions).max() * FACE.n_vertices
    )


def test_dense_and_iterative_agree() -> None:
    few, _ = laplacian_eigenpairs(FACE, 30)
    many, _ = laplacian_eigenpairs(FACE, FACE.n_vertices - 1)
    np.testing.assert_allclose(few, many[:30], rtol=1e-8, atol=1e-10 * many[29])


def test_sphere_signature_is_the_heat_kernel_trace() -> None:
    radius, degree = 2.0, np.arange(12)
    times = np.array([0.5, 1.0, 4.0])
    decay = np.exp(-np.outer(degree * (degree + 1), times) / radius**2)
    truth = ((2 * degree + 1) / (4 * np.pi * radius**2)) @ decay
    found = heat_kernel_signature(shapes.delaunay_sphere(2000, radius), times, n_eigen=144)
    np.testing.assert_allclose(found, np.tile(truth, (2000, 1)), rtol=0.02)


def test_signature_ends_at_one_over_the_area_and_starts_high_at_tips() -> None:
    signature = heat_kernel_signature(FACE)
    assert signature.shape == (FACE.n_vertices, 16)
    assert (np.diff(signature, axis=1) < 0).all()
    late = heat_kernel_signature(FACE, 1e9)
    np.testing.assert_allclose(late[:, 0], 1 / FACE.area, rtol=1e-6)
    sphere = shapes.icosphere(3)
    egg = Surface(sphere.vertices * [1, 1, 2], sphere.faces)
    early = heat_kernel_signature(egg, 0.2, n_eigen=100)[:, 0]
    assert (
        early[np.abs(egg.vertices[:, 2]) > 1.95].min()
        > 1.1 * early[np.abs(egg.vertices[:, 2]) < 0.2].max()
    )


@settings(max_examples=10)
@given(st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6, 1e120]))
def test_motion_scale_and_labels(seed: int, scale: float) -> None:
    order = np.random.default_rng(seed).permutation(FACE.n_vertices)
    vertices = scale * (FACE.vertices @ Rotation.random(rng=seed).as_matrix().T + 40)
    moved = Surface(vertices[order], np.argsort(order)[FACE.faces])
    times = np.array([100.0, 1000.0])
    expected = heat_kernel_signature(FACE, times)
    found = heat_kernel_signature(moved, times * scale**2) * scale**2
    np.testing.assert_allclose(found, expected[order], rtol=1e-6)


def test_components_share_nothing_and_unreferenced_vertices_are_zero() -> None:
    one = shapes.icosphere(2)
    n = one.n_vertices
    both = Surface(
        np.vstack([one.vertices, [[9.0, 9, 9]], one.vertices + 5]),
        np.vstack([one.faces, one.faces + n + 1]),
    )
    values, functions = laplacian_eigenpairs(both, 8)
    np.testing.assert_allclose(values[:2], 0, atol=1e-9)
    assert values[2] > 1.5
    assert (functions[n] == 0).all()
    alone, together = (
        heat_kernel_signature(one, 0.3, n_eigen=36),  # up to degree 5: no eigenspace cut in two
        heat_kernel_signature(both, 0.3, n_eigen=72),
    )
    np.testing.assert_allclose(together[:n], alone, rtol=1e-3)


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match=r"n_eigen must be an integer in 1\.\.\d+, found 0"):
        laplacian_eigenpairs(FACE, 0)
    with pytest.raises(ArgumentError, match="times must be positive and finite"):
        heat_kernel_signature(FACE, [1.0, -1.0])
