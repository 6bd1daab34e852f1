"""Curvature: sphere, torus and a landscape in closed form, order of convergence, Gauss-Bonnet,
invariance.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import ArgumentError, OrientationError, RepairWarning, ScaleError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.curvature import (
    angle_defect,
    gaussian_curvature,
    mean_curvature,
    principal_curvatures,
    shape_index,
)
from meshconv.operators.laplacian import mass_matrix

ROUGH = shapes.bumpy_heightfield(14, seed=2, roughness=0.3)


def torus_truth(
    major: float, minor: float, n_major: int, n_minor: int
) -> tuple[np.ndarray, np.ndarray]:
    v = np.tile(2 * np.pi * np.arange(n_minor) / n_minor, n_major)
    ring = major + minor * np.cos(v)
    return (major + 2 * minor * np.cos(v)) / (2 * minor * ring), np.cos(v) / (minor * ring)


def landscape(n: int) -> tuple[Surface, np.ndarray, np.ndarray]:
    """Irregular graph of a smooth function with its mean and Gaussian curvature."""
    flat = shapes.delaunay_disk(n, seed=1, jitter=0.9)
    x, y = flat.vertices[:, 0], flat.vertices[:, 1]
    s, c, t, d = np.sin(2 * x), np.cos(2 * x), np.sin(1.5 * y), np.cos(1.5 * y)
    z, zx, zy = 0.3 * s * d, 0.6 * c * d, -0.45 * s * t
    zxx, zxy, zyy = -1.2 * s * d, -0.9 * c * t, -0.675 * s * d
    g = 1 + zx**2 + zy**2
    mean = -((1 + zy**2) * zxx - 2 * zx * zy * zxy + (1 + zx**2) * zyy) / (2 * g**1.5)
    return Surface(np.column_stack([x, y, z]), flat.faces), mean, (zxx * zyy - zxy**2) / g**2


def order(errors: list[float], ratio: float = 2.0) -> float:
    return float(np.log(errors[0] / errors[1]) / np.log(ratio))


@pytest.mark.parametrize(
    "make", [lambda k: shapes.icosphere(3 + k), lambda k: shapes.delaunay_sphere(1000 * 4**k)]
)
def test_sphere_at_second_order(make: object) -> None:
    surfaces = [make(k) for k in (0, 1)]  # type: ignore[operator]
    for quantity, tolerance in ((mean_curvature, 0.013), (gaussian_curvature, 0.026)):
        assert np.abs(quantity(surfaces[1]) - 1).max() < tolerance
        errors = [float(np.sqrt(np.mean((quantity(surface) - 1) ** 2))) for surface in surfaces]
        assert 1.8 < order(errors) < 2.2
    k1, k2 = principal_curvatures(surfaces[1])
    assert np.abs(k1 - 1).max() < 0.015 > np.abs(k2 - 1).max()


def test_torus_at_second_order() -> None:
    errors = []
    for k in (1, 2):
        surface = shapes.torus(1.0, 0.4, 50 * k, 24 * k)
        mean, gauss = torus_truth(1.0, 0.4, 50 * k, 24 * k)
        errors.append(
            (
                np.abs(mean_curvature(surface) - mean).max(),
                np.abs(gaussian_curvature(surface) - gauss).max(),
            )
        )
    (mean0, gauss0), (mean1, gauss1) = errors
    assert mean1 < 0.03 * 2.5
    assert gauss1 < 0.04 * 4.2
    assert order([mean0, mean1]) > 1.7 < order([gauss0, gauss1])


def test_irregular_landscape_with_border_at_second_order() -> None:
    errors = []
    for n in (1500, 6000):
        surface, mean, gauss = landscape(n)
        errors.append(
            (
                np.abs(mean_curvature(surface) - mean).max(),
                np.abs(gaussian_curvature(surface) - gauss).max(),
            )
        )
    (mean0, gauss0), (mean1, gauss1) = errors
    assert mean1 < 0.01
    assert gauss1 < 0.02
    assert order([mean0, mean1]) > 1.6 < order([gauss0, gauss1])


def test_cylinder_is_a_ridge_and_plane_is_flat() -> None:
    tube = shapes.cylinder(2.0, 8.0, 100, 40)
    k1, k2 = principal_curvatures(tube)
    np.testing.assert_allclose(k1, 0.5, atol=0.005)
    np.testing.assert_allclose(k2, 0.0, atol=0.002)
    np.testing.assert_allclose(shape_index(tube), 0.5, atol=0.01)
    plane = shapes.delaunay_disk(300)
    for values in (mean_curvature(plane), gaussian_curvature(plane), shape_index(plane)):
        assert np.abs(values).max() == 0.0


def test_shape_index_tells_dome_cup_and_saddle() -> None:
    sphere = shapes.icosphere(3)
    inward = Surface(sphere.vertices, sphere.faces[:, ::-1])
    assert shape_index(sphere).min() > 0.97
    assert shape_index(inward).max() < -0.97
    flat = shapes.disk(12, 0.3)
    saddle = Surface(
        flat.vertices + np.outer(flat.vertices[:, 0] * flat.vertices[:, 1], [0, 0, 1]), flat.faces
    )
    assert abs(shape_index(saddle)[0]) < 1e-6


def test_more_rings_quieten_noise() -> None:
    surface, mean, _ = landscape(3000)
    noisy = Surface(
        surface.vertices + 1e-3 * np.random.default_rng(0).normal(size=surface.vertices.shape),
        surface.faces,
    )
    errors = [np.sqrt(np.mean((mean_curvature(noisy, rings=r) - mean) ** 2)) for r in (2, 3, 4)]
    assert errors[2] < 0.6 * errors[1] < 0.4 * errors[0]


# --- the classical formulas
# ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "surface",
    [
        shapes.icosphere(2),
        shapes.torus(),
        shapes.annulus(),
        shapes.disk(5),
        shapes.face(500),
        ROUGH,
        Surface(
            [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]],
            [[0, 1, 2], [1, 0, 3], [0, 1, 4]],
        ),
        Surface(
            [[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [7, 7, 7]],
            [[0, 1, 2], [0, 3, 4]],
        ),
        Surface([[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 0, 0]], [[0, 1, 2], [0, 1, 3]]),
    ],
    ids=[
        "sphere",
        "torus",
        "annulus",
        "disk",
        "face",
        "rough",
        "three-face edge",
        "bowtie",
        "no area",
    ],
)
def test_gauss_bonnet_is_exact(surface: Surface) -> None:
    total = angle_defect(surface).sum()
    assert total == pytest.approx(
        2 * np.pi * surface.euler_characteristic, abs=1e-13 * surface.n_faces + 1e-13
    )


def test_classical_formulas_on_regular_surfaces() -> None:
    sphere = shapes.icosphere(4, 2.0)
    mean, gauss = (
        mean_curvature(sphere, method="cotangent"),
        gaussian_curvature(sphere, method="angle_defect"),
    )
    np.testing.assert_allclose(mean, 0.5, rtol=0.01)
    np.testing.assert_allclose(gauss, 0.25, rtol=0.01)
    torus = shapes.torus(1.0, 0.4, 100, 48)
    truth, _ = torus_truth(1.0, 0.4, 100, 48)
    assert np.abs(mean_curvature(torus, method="cotangent") - truth).max() < 0.02 * truth.max()


def test_mixed_areas_are_a_partition_even_with_obtuse_faces() -> None:
    gauss = gaussian_curvature(shapes.delaunay_sphere(500, jitter=0.9), method="angle_defect")
    defect = angle_defect(shapes.delaunay_sphere(500, jitter=0.9))
    area = shapes.delaunay_sphere(500, jitter=0.9).area
    assert (defect / gauss).sum() == pytest.approx(area, rel=1e-12)


def test_border_rule_takes_the_neighbours_inside() -> None:
    cap = shapes.cap(20)
    gauss = gaussian_curvature(cap, method="angle_defect")
    np.testing.assert_allclose(gauss[cap.boundary_loops[0]], 1.0, atol=0.05)
    assert (mean_curvature(cap, method="cotangent")[cap.boundary_loops[0]] == 0).all()


def test_mean_curvature_normal_integrates_to_zero_on_closed_surfaces() -> None:
    sphere = shapes.icosphere(3)
    flow = mass_matrix(sphere) @ (mean_curvature(sphere)[:, None] * sphere.vertex_normals)
    assert np.abs(flow.sum(axis=0)).max() < 1e-3


# --- invariance and doors
# --------------------------------------------------------------------------


@given(st.integers(0, 99), st.sampled_from([1e-6, 1e-3, 1.0, 1e6, 1e120]))
def test_motion_scale_and_labels(seed: int, scale: float) -> None:
    turn, rng = Rotation.random(rng=seed).as_matrix(), np.random.default_rng(seed)
    new = rng.permutation(ROUGH.n_vertices)
    vertices = scale * (ROUGH.vertices @ turn.T + 0.5)
    moved = Surface(vertices[new], np.argsort(new)[ROUGH.faces])
    for power, quantity in (
        (1, mean_curvature),
        (2, gaussian_curvature),
        (0, shape_index),
        (1, lambda s: mean_curvature(s, method="cotangent")),
        (2, lambda s: gaussian_curvature(s, method="angle_defect")),
        (0, angle_defect),
    ):
        expected = quantity(ROUGH)
        np.testing.assert_allclose(
            quantity(moved) * scale**power,
            expected[new],
            rtol=1e-6,
            atol=1e-7 * np.abs(expected).max(),
        )


@pytest.mark.parametrize(
    "name", ["zero_area", "needle", "anisotropic", "far_offset", "metres", "huge_coords"]
)
def test_awkward_geometry_stays_finite(name: str, bad_meshes: object) -> None:
    import trimesh

    mesh = trimesh.load(f"{bad_meshes}/files/geom_{name}.obj", process=False)
    surface = Surface.from_trimesh(mesh)
    for quantity in (mean_curvature, gaussian_curvature, shape_index, angle_defect):
        assert np.isfinite(quantity(surface)).all()


def test_unreferenced_vertices_and_tiny_meshes() -> None:
    lonely = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], [[0, 1, 2]])
    for quantity in (mean_curvature, gaussian_curvature, shape_index):
        assert (quantity(lonely) == 0).all()
    assert angle_defect(lonely)[3] == 0


def test_refusals() -> None:
    with pytest.raises(
        ArgumentError, match="method must be one of 'fit', 'cotangent', found 'magic'"
    ):
        mean_curvature(ROUGH, method="magic")
    with pytest.raises(ArgumentError, match="rings must be a positive integer, found 0"):
        principal_curvatures(ROUGH, rings=0)
    with pytest.raises(ScaleError, match="does not fit a float64"):
        gaussian_curvature(Surface(ROUGH.vertices * 1e-160, ROUGH.faces))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("method", ["fit", "cotangent"])
def test_mixed_winding_gives_what_the_majority_gives_and_a_warning(share, method) -> None:
    ball = shapes.delaunay_sphere(400, seed=int(100 * share))
    turned = np.random.default_rng(1).random(ball.n_faces) < share
    mixed = Surface(ball.vertices, np.where(turned[:, None], ball.faces[:, [0, 2, 1]], ball.faces))
    with pytest.warns(RepairWarning, match=f"{turned.sum()} faces are wound against the majority"):
        found = mean_curvature(mixed, method=method)
    np.testing.assert_allclose(found, mean_curvature(ball, method=method), rtol=1e-9, atol=1e-9)
    with pytest.warns(RepairWarning):
        gauss = gaussian_curvature(mixed)
    np.testing.assert_allclose(gauss, gaussian_curvature(ball), rtol=1e-9, atol=1e-9)
    defect = angle_defect(mixed)  # needs no normals
    np.testing.assert_allclose(defect, angle_defect(ball), rtol=1e-9, atol=1e-9)


def test_a_one_sided_surface_has_no_normals() -> None:
    t, w = np.meshgrid(np.arange(20), [-0.3, 0.3], indexing="ij")
    turn = np.pi * t / 20
    radius = 1 + w * np.cos(turn)
    points = np.stack(
        [radius * np.cos(2 * turn), radius * np.sin(2 * turn), w * np.sin(turn)], -1
    ).reshape(-1, 3)
    rows = np.arange(40).reshape(20, 2)
    after = np.vstack([rows[1:], rows[:1, ::-1]])
    a, b, c, d = rows[:, 0], after[:, 0], after[:, 1], rows[:, 1]
    strip = Surface(
        points, np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    )
    for field in (mean_curvature, gaussian_curvature, principal_curvatures, shape_index):
        with pytest.raises(OrientationError, match="40 faces form a one-sided surface"):
            field(strip)
    assert np.isfinite(angle_defect(strip)).all()
