"""The Laplacian and the masses against independent routes, closed forms and invariants."""

from __future__ import annotations

import numpy as np
import potpourri3d as pp3d
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from meshconv.errors import DegenerateError
from meshconv.mesh.shapes import icosphere
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair
from meshconv.operators.cotangent import half_cotangents, laplacian_from_lengths
from meshconv.operators.gradient import gradient
from meshconv.operators.laplacian import cotangent_laplacian, mass_matrix

seeds = st.integers(0, 2**32 - 1)


def bumpy(n: int, seed: int = 0, noise: float = 0.25) -> Surface:
    """A heightfield over n x n jittered nodes, split at random into faces."""
    rng = np.random.default_rng(seed)
    x, y = (np.indices((n, n)) + noise * rng.uniform(-1, 1, (2, n, n))) / (n - 1)
    z = 0.3 * np.exp(-8 * ((x - 0.5) ** 2 + (y - 0.4) ** 2)) + noise / n * rng.normal(size=(n, n))
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    flip = rng.integers(0, 2, len(a)).astype(bool)
    first = np.where(flip[:, None], np.c_[a, b, c], np.c_[a, b, d])
    second = np.where(flip[:, None], np.c_[a, c, d], np.c_[b, c, d])
    return Surface(np.c_[x.ravel(), y.ravel(), z.ravel()], np.concatenate([first, second]))


def gradient_oracle(surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Dense per-face gradient (3F, V) of the hat functions, by solving for it, and the areas
    (3F,).
    """
    G = np.zeros((3 * surface.n_faces, surface.n_vertices))
    areas = []
    for f, face in enumerate(surface.faces):
        p, q, r = surface.vertices[face]
        normal = np.cross(q - p, r - p)
        frame = np.array(
            [q - p, r - p, normal]
        )  # g.(q-p) = u_q - u_p, g.(r-p) = u_r - u_p, g.n = 0
        G[3 * f : 3 * f + 3, face] = np.linalg.solve(frame, [[-1, 1, 0], [-1, 0, 1], [0, 0, 0]])
        areas.append(np.linalg.norm(normal) / 2)
    return G, np.repeat(areas, 3)


def relative(A: sparse.sparray, B: sparse.sparray) -> float:
    return float(abs(A - B).max() / abs(B).max())


def side_lengths(surface: Surface) -> np.ndarray:
    corners = surface.vertices[surface.faces]
    return np.linalg.norm(corners[:, [1, 2, 0]] - corners[:, [2, 0, 1]], axis=2)


# --- closed forms and second routes --------------------------------------------------------------


def test_equilateral_triangle():
    s = Surface([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(0.75), 0]], [[0, 1, 2]])
    expected = (3 * np.eye(3) - 1) / (2 * np.sqrt(3))  # cot 60 degrees / 2 on each edge
    np.testing.assert_allclose(cotangent_laplacian(s).toarray(), expected, atol=1e-15)


def test_it_is_the_gradient_squared():
    s = bumpy(12)
    G, areas = gradient_oracle(s)
    np.testing.assert_allclose(
        cotangent_laplacian(s).toarray(), G.T @ (areas[:, None] * G), atol=1e-11
    )


def test_potpourri3d_agrees():
    s = bumpy(80)
    assert relative(cotangent_laplacian(s), pp3d.cotan_laplacian(s.vertices, s.faces)) < 1e-12


def test_lengths_alone_give_the_same_matrix():
    s = bumpy(40)
    assert (
        relative(
            laplacian_from_lengths(s.faces, side_lengths(s), s.n_vertices), cotangent_laplacian(s)
        )
        < 1e-11
    )


def test_a_linear_function_has_its_dirichlet_energy():
    n, slope = 20, np.array([0.3, -2.0])
    flat = bumpy(n)
    s = Surface(flat.vertices * [1, 1, 0], flat.faces)
    u = s.vertices[:, :2] @ slope
    L = cotangent_laplacian(s)
    assert u @ (L @ u) == pytest.approx(slope @ slope * s.area, rel=1e-12)
    inside = np.setdiff1d(np.arange(s.n_vertices), np.concatenate(s.boundary_loops))
    np.testing.assert_allclose((L @ u)[inside], 0.0, atol=1e-12)


def test_masses_integrate_products():
    s = bumpy(15)
    full, lumped = mass_matrix(s, lumped=False), mass_matrix(s)
    np.testing.assert_allclose(full.sum(axis=1), lumped.diagonal(), rtol=1e-13)
    assert full.sum() == pytest.approx(s.area, rel=1e-13)
    flat = Surface(s.vertices * [1, 1, 0], s.faces)
    u, v = flat.vertices[:, 0], 2 - flat.vertices[:, 1]
    mid = flat.vertices[flat.faces][:, [[0, 1], [1, 2], [2, 0]]].mean(
        axis=2
    )  # exact for quadratics
    integral = (flat.face_areas[:, None] / 3 * mid[..., 0] * (2 - mid[..., 1])).sum()
    assert u @ (mass_matrix(flat, lumped=False) @ v) == pytest.approx(integral, rel=1e-12)


# --- invariants ----------------------------------------------------------------------------------


@given(seeds)
def test_symmetric_semidefinite_and_blind_to_constants(seed):
    s = bumpy(9, seed)
    L = cotangent_laplacian(s)
    assert (L != L.T).nnz == 0
    assert abs(L.sum(axis=1)).max() <= 1e-14 * abs(L).max() * 10
    assert np.linalg.eigvalsh(L.toarray())[0] > -1e-12 * abs(L).max()
    assert L.has_canonical_format and L.has_sorted_indices


@given(seeds, st.sampled_from([1e-150, 1e-6, 1e6, 1e150]))
def test_scale_rotation_and_relabelling(seed, scale):
    rng = np.random.default_rng(seed)
    s = bumpy(9, seed)
    L = cotangent_laplacian(s)
    Q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert relative(cotangent_laplacian(Surface(s.vertices @ Q.T, s.faces)), L) < 1e-12
    assert relative(cotangent_laplacian(Surface(scale * s.vertices, s.faces)), L) < 1e-12
    assert relative(laplacian_from_lengths(s.faces, scale * side_lengths(s), 81), L) < 1e-10
    p = rng.permutation(81)
    rank = np.argsort(p)
    turned = np.roll(rank[s.faces], rng.integers(3), axis=1)[rng.permutation(s.n_faces)]
    assert relative(cotangent_laplacian(Surface(s.vertices[p], turned)), L[p][:, p]) < 1e-13


def test_anything_a_surface_may_be():
    # three faces on one edge, mixed winding, a second component, an unused vertex, a face given
    # twice
    v = np.random.default_rng(0).normal(size=(10, 3))
    f = np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4], [5, 6, 7], [5, 6, 7]])
    L = cotangent_laplacian(Surface(v, f)).toarray()
    G, areas = gradient_oracle(Surface(v, f))
    np.testing.assert_allclose(L, G.T @ (areas[:, None] * G), atol=1e-10 * abs(L).max())
    assert not L[8:].any()


def test_a_hub_with_many_neighbours():
    n = 20000
    angle = 2 * np.pi * np.arange(n) / n
    s = Surface(
        np.r_[[[0, 0, 0]], np.c_[np.cos(angle), np.sin(angle), 0 * angle]],
        np.c_[np.zeros(n, int), 1 + np.arange(n), 1 + (np.arange(n) + 1) % n],
    )
    L = cotangent_laplacian(s)
    assert L.nnz == (n + 1) + 2 * 2 * n
    assert L[0, 0] == pytest.approx(n * np.tan(np.pi / n), rel=1e-6)  # n spokes of cot(base angle)


def test_a_side_from_a_vertex_to_itself_adds_nothing():
    # a cone of one face: two sides glued to each other, the third a loop
    lengths = np.array([[1.0, 2.0, 2.0]])
    L = laplacian_from_lengths(np.array([[0, 1, 1]]), lengths, 2)
    assert L.nnz == 4
    w = half_cotangents(lengths)[0]
    np.testing.assert_allclose(
        L.toarray(), (w[1] + w[2]) * np.array([[1, -1], [-1, 1]]), rtol=1e-14
    )


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [[0.5, 0, 0], [0, 0, 0], [3, 0, 0]])
def test_a_face_without_area_is_named(flat):
    s = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], flat], [[0, 1, 2], [0, 1, 3]])
    with pytest.raises(DegenerateError, match="face 1 has no area") as caught:
        cotangent_laplacian(s)
    assert caught.value.indices == (1,)
    assert "repair" in caught.value.hint
    with pytest.raises(DegenerateError, match="face 1 has no area"):
        laplacian_from_lengths(s.faces, side_lengths(s), 4)


@pytest.mark.parametrize("operator", [cotangent_laplacian, gradient])
@pytest.mark.parametrize(("above", "target"), [(-2.0, "sphere"), (-0.5, "disk")])
def test_the_repair_that_is_named_mends_faces_without_area(operator, above, target):
    """A vertex on its neighbour, and nothing else: the call named keeps what the surface is."""
    ball = icosphere(2)
    height = ball.vertices[ball.faces].mean(axis=1)[:, 2]
    faces, top = ball.faces[height > above], ball.faces[height.argmax()]
    vertices = ball.vertices.copy()
    vertices[top[0]] = vertices[top[1]]
    surface = Surface(vertices, faces)
    with pytest.raises(DegenerateError, match=r"2 of") as caught:
        operator(surface)
    assert f"meshconv.repair(surface, target='{target}')" in caught.value.hint
    mended = repair(surface, target=target).surface
    assert mended.euler_characteristic == surface.euler_characteristic
    assert np.isfinite(operator(mended).data).all()


def test_lengths_that_are_no_triangle_are_named():
    with pytest.raises(DegenerateError, match="face 0"):
        half_cotangents(np.array([[1.0, 1.0, 3.0]]))
    with pytest.raises(DegenerateError, match="face 0"):
        half_cotangents(np.array([[0.0, 0.0, 0.0]]))


@pytest.mark.parametrize("height", [1e-6, 1e-12])
def test_needles_stay_finite_and_right(height):
    s = Surface([[0, 0, 0], [1, 0, 0], [0.5, height, 0]], [[0, 1, 2]])
    L = cotangent_laplacian(s).toarray()
    assert L[0, 1] == pytest.approx(
        0.125 / height - height / 2, rel=1e-9
    )  # -cot(apex)/2; the apex is nearly flat
    assert L[0, 2] == pytest.approx(-0.25 / height, rel=1e-9)
