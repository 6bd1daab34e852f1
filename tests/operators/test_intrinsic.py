"""Intrinsic Delaunay triangulation: same surface, positive weights, finite on the worst
triangles.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from meshconv.errors import DegenerateError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators import intrinsic_triangulation
from meshconv.operators.geodesic import geodesic_distance
from meshconv.operators.intrinsic import cotangent_laplacian_intrinsic, intrinsic_delaunay
from meshconv.operators.intrinsic_triangulation import face_areas_from_lengths
from meshconv.operators.laplacian import cotangent_laplacian

STRETCHED = Surface(
    shapes.delaunay_sphere(800).vertices * [30.0, 1.0, 1.0], shapes.delaunay_sphere(800).faces
)


def sheared_grid(n: int, seed: int) -> Surface:
    """A flat convex patch with needles: random points under a shear, triangulated before it."""
    flat = shapes.grid(n)
    inner = np.setdiff1d(np.arange(n * n), flat.boundary_loops[0])
    moved = flat.vertices.copy()
    moved[inner, :2] += np.random.default_rng(seed).uniform(-0.2, 0.2, (len(inner), 2)) / (n - 1)
    return Surface(moved @ np.array([[1, 0, 0], [2.3, 1, 0], [0, 0, 1]]), flat.faces)


def off_diagonal(matrix: object) -> np.ndarray:
    coo = matrix.tocoo()  # type: ignore[attr-defined]
    return np.asarray(coo.data[coo.row != coo.col])


@pytest.mark.parametrize(
    "surface", [shapes.icosphere(3), shapes.disk(8), shapes.delaunay_disk(300)]
)
def test_equals_the_extrinsic_laplacian_where_the_surface_is_delaunay(surface: Surface) -> None:
    triangulation = intrinsic_delaunay(surface)
    L = cotangent_laplacian(surface)
    assert triangulation.n_flips == 0 == triangulation.added_length
    assert abs(triangulation.cotangent_laplacian() - L).max() < 1e-12 * abs(L).max()


@given(st.integers(0, 200))
def test_flat_patch_gets_the_planar_delaunay_triangulation(seed: int) -> None:
    patch = sheared_grid(7, seed)
    found = {tuple(sorted(face)) for face in intrinsic_delaunay(patch).faces.tolist()}
    points = patch.vertices[:, :2]
    best = Delaunay(points).simplices
    u, v = (points[best[:, k]] - points[best[:, 0]] for k in (1, 2))
    best = best[
        np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) > 1e-9
    ]  # Qhull's slivers on the straight border
    assert found == {tuple(sorted(face)) for face in best.tolist()}


@pytest.mark.parametrize("surface", [STRETCHED, shapes.torus(1, 0.02, 12, 9), shapes.icosphere(0)])
def test_closed_surfaces_have_no_negative_weight_and_stay_the_same_surface(
    surface: Surface,
) -> None:
    triangulation = intrinsic_delaunay(surface)
    L = triangulation.cotangent_laplacian()
    assert off_diagonal(L).max() <= 1e-10 * abs(L).max()
    assert np.linalg.eigvalsh(L.toarray())[0] > -1e-10 * abs(L).max()
    assert abs(L.sum(axis=1)).max() < 1e-10 * abs(L).max()
    assert abs(L - L.T).max() == 0
    areas = face_areas_from_lengths(triangulation.lengths)
    assert areas.sum() == pytest.approx(surface.area, rel=1e-9)
    assert triangulation.mass_matrix().diagonal().sum() == pytest.approx(surface.area, rel=1e-9)


@pytest.mark.parametrize("stretch", [[1, 1, 30], [1, 1, 0.02], [1, 8, 60]])
def test_faces_glued_along_two_sides_are_flipped_right(stretch: list[float]) -> None:
    """On a stretched handful of vertices, flips leave faces that share two sides, or meet
    themselves.
    """
    for seed in range(20):
        coarse = shapes.delaunay_sphere(8, seed=seed, jitter=0.9)
        surface = Surface(coarse.vertices * stretch, coarse.faces)
        triangulation = intrinsic_delaunay(surface)
        L = triangulation.cotangent_laplacian()
        assert off_diagonal(L).max() <= 1e-9 * abs(L).max()
        areas = face_areas_from_lengths(triangulation.lengths)
        assert areas.sum() == pytest.approx(surface.area, rel=1e-9)


def test_the_test_surface_needs_flips() -> None:
    assert off_diagonal(cotangent_laplacian(STRETCHED)).max() > 1
    assert intrinsic_delaunay(STRETCHED).n_flips > 1000


def test_angle_defects_survive_the_flips() -> None:
    triangulation = intrinsic_delaunay(STRETCHED)
    a, b, c = triangulation.lengths.T
    angles = [
        np.arccos((y**2 + z**2 - x**2) / (2 * y * z))
        for x, y, z in ((a, b, c), (b, c, a), (c, a, b))
    ]
    around = sum(np.bincount(triangulation.faces[:, k], angles[k], 800) for k in range(3))
    p = STRETCHED.vertices[STRETCHED.faces]
    before = np.zeros(800)
    for k in range(3):
        u, v = p[:, (k + 1) % 3] - p[:, k], p[:, (k + 2) % 3] - p[:, k]
        angle = np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(axis=1))
        before += np.bincount(STRETCHED.faces[:, k], angle, 800)
    np.testing.assert_allclose(around, before, atol=1e-7)


@given(st.integers(0, 99), st.sampled_from([1e-150, 1e-6, 1e6, 1e140]))
def test_scale_and_labels(seed: int, scale: float) -> None:
    patch = sheared_grid(6, seed)
    order = np.random.default_rng(seed).permutation(patch.n_vertices)
    moved = Surface(scale * patch.vertices[order], np.argsort(order)[patch.faces])
    L = cotangent_laplacian_intrinsic(patch)
    assert (
        abs(cotangent_laplacian_intrinsic(moved) - L[order][:, order]).max() < 1e-9 * abs(L).max()
    )


@pytest.mark.parametrize(
    "name", ["zero_area", "needle", "anisotropic", "far_offset", "metres", "huge_coords"]
)
def test_awkward_triangles_give_a_finite_semidefinite_laplacian(
    name: str, bad_meshes: object
) -> None:
    import trimesh

    mesh = trimesh.load(f"{bad_meshes}/files/geom_{name}.obj", process=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L = cotangent_laplacian_intrinsic(Surface.from_trimesh(mesh))
    assert np.isfinite(L.data).all()
    assert off_diagonal(L).max() <= 1e-9
    assert np.linalg.eigvalsh(L.toarray())[0] > -1e-12 * abs(L).max()


def test_needles_do_not_spoil_a_harmonic_function() -> None:
    """A vertex on an edge: linear functions stay harmonic, where the plain Laplacian has no
    weights.
    """
    flat = shapes.disk(4)
    face = flat.faces[0]
    foot = flat.vertices[face[:2]].mean(axis=0)
    vertices = np.vstack([flat.vertices, foot])
    a, b, c = face
    new = flat.n_vertices
    needle = Surface(vertices, np.vstack([flat.faces, [[a, new, c], [new, b, c]]])[1:])
    needle = Surface(vertices, np.vstack([needle.faces, [[a, b, new]]]))
    with pytest.raises(DegenerateError):
        cotangent_laplacian(needle)
    inside = np.setdiff1d(np.arange(new + 1), flat.boundary_loops[0])
    residual = cotangent_laplacian_intrinsic(needle) @ vertices[:, 0]
    assert np.abs(residual[inside]).max() < 1e-2


def test_border_and_non_manifold_edges_are_left_alone() -> None:
    fan = Surface(
        [[0, 0, 0], [4, 0, 0], [2, 0.1, 0], [2, -0.1, 0], [2, 0, 0.1]],
        [[0, 1, 2], [1, 0, 3], [0, 1, 4]],
    )
    assert intrinsic_delaunay(fan).n_flips == 0


@pytest.mark.parametrize("second", [[1, 0, 3], [0, 1, 3]], ids=["alike", "against"])
def test_an_edge_is_flipped_whichever_way_its_faces_are_wound(second: list[int]) -> None:
    points = [[0, 0, 0], [4, 0, 0], [2, 0.1, 0], [2, -0.1, 0]]
    flipped = intrinsic_delaunay(Surface(points, [[0, 1, 2], second]))
    assert flipped.n_flips == 1
    assert flipped.lengths.min() == pytest.approx(0.2)


def test_inconsistent_edges_of_a_one_sided_strip_are_left_alone() -> None:
    turn = 2 * np.pi * np.arange(5) / 5
    points = np.column_stack([9 * np.cos(turn), 0.1 * np.sin(2 * turn), np.sin(turn)])
    strip = Surface(points, [[i, (i + 1) % 5, (i + 2) % 5] for i in range(5)])
    L = intrinsic_delaunay(strip).cotangent_laplacian()
    assert np.linalg.eigvalsh(L.toarray()).min() > -1e-9
    assert np.abs(L.sum(axis=1)).max() < 1e-9


def test_surface_without_area_is_refused() -> None:
    with pytest.raises(DegenerateError, match="surface area is 0"):
        intrinsic_delaunay(Surface([[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 2]]))
    with pytest.raises(DegenerateError, match="surface area is 0"):
        geodesic_distance(Surface(np.ones((3, 3)), [[0, 1, 2]]), 0)


@pytest.mark.parametrize("kind", ["disk", "torus", "turned", "three on an edge", "one-sided"])
def test_sides_are_glued_as_their_keys_say(kind: str) -> None:
    """The pass over the vertices agrees with sorting all sides, also where faces have to be turned
    over first.
    """
    faces = np.array((shapes.torus(2.0, 0.7, 9, 7) if kind == "torus" else shapes.disk(5)).faces)
    if kind == "turned":
        faces[::7] = faces[::7, ::-1]
    elif kind == "three on an edge":
        faces = np.concatenate([faces, [[faces[0, 0], faces[0, 1], faces.max() + 1]]])
    elif kind == "one-sided":
        faces = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4], [3, 0, 4], [4, 0, 1]])
    corners, twins = intrinsic_triangulation._glued(faces, int(faces.max()) + 1)
    np.testing.assert_array_equal(corners, intrinsic_triangulation._wound_alike(faces))
    np.testing.assert_array_equal(twins, intrinsic_triangulation._twins(corners))
