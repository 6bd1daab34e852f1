"""Closest points: against every triangle tried, and against libigl, on triangles of every shape."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.mesh.closest import ClosestPoints, closest_points, plane_coordinates
from meshconv.mesh.shapes import cap, icosphere


def half_dense_sheet() -> tuple[np.ndarray, np.ndarray]:
    """A wavy sheet with triangles a hundred times finer on one half than on the other."""
    x = np.concatenate([np.linspace(-1, 0, 80, endpoint=False), np.linspace(0, 1, 5)])
    y = np.linspace(-1, 1, 9)
    grid = np.arange(len(x) * len(y)).reshape(len(x), len(y))
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    u, v = np.meshgrid(x, y, indexing="ij")
    vertices = np.column_stack([u.ravel(), v.ravel(), 0.3 * np.sin(3 * u * v).ravel()])
    quads = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def soup(n: int, sizes: tuple[float, ...], flat: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Loose triangles of the given sizes, squeezed to needles by `flat`."""
    rng = np.random.default_rng(4)
    size = rng.choice(sizes, n)[:, None, None]
    arms = rng.normal(size=(n, 3, 3))
    arms[:, 2] = arms[:, 1] * rng.uniform(0.2, 1.5, (n, 1)) + flat * arms[:, 2]
    corners = rng.uniform(-1, 1, (n, 1, 3)) + size * arms
    return corners.reshape(-1, 3), np.arange(3 * n).reshape(-1, 3)


def without_area() -> tuple[np.ndarray, np.ndarray]:
    """Triangles that are segments or points, beside one huge good one."""
    vertices, faces = soup(60, (0.3,))
    vertices[faces[:20, 2]] = vertices[faces[:20, 1]]
    vertices[faces[20:40, 1:]] = vertices[faces[20:40, :1]]
    vertices[faces[40:59, 2]] = vertices[faces[40:59, 0]] * 2 - vertices[faces[40:59, 1]]
    vertices[faces[59]] *= 100
    return vertices, faces


MESHES = {
    "even": (icosphere(3).vertices, icosphere(3).faces),
    "one triangle": (np.eye(3), np.array([[0, 1, 2]])),
    "half dense": half_dense_sheet(),
    "thin": soup(400, (0.5,), 1e-7),
    "thinner than rounding": soup(400, (0.5,), 1e-17),
    "huge among small": soup(1000, (0.003, 0.03, 30.0)),
    "without area": without_area(),
}


def around(vertices: np.ndarray, n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(1)
    near = vertices[rng.integers(len(vertices), size=n)] + rng.normal(size=(n, 3)) * 0.05
    return np.concatenate([near, rng.uniform(-3, 3, (n, 3)), vertices[:50]])


def every_triangle_tried(p: np.ndarray, corners: np.ndarray) -> float:
    """The distance of p to the nearest of all triangles: plane if it falls inside, or sides."""
    inside = (plane_coordinates(p, corners) >= 0).all(axis=1)
    heights = np.full(len(corners), np.inf)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    inside &= length > 1e-14  # needles: their sides are as near as their inside
    from_plane = np.abs(((p - corners[:, 0]) * normal).sum(axis=1))
    heights[inside] = from_plane[inside] / length[inside]
    ends = corners[:, [1, 2, 0]]
    side = ends - corners
    along = ((p - corners) * side).sum(axis=2) / np.maximum((side**2).sum(axis=2), 1e-300)
    to_sides = np.linalg.norm(corners + along.clip(0, 1)[..., None] * side - p, axis=2)
    return float(min(heights.min(), to_sides.min()))


@pytest.mark.parametrize("name", MESHES)
def test_no_triangle_is_nearer_than_the_one_found(name: str) -> None:
    vertices, faces = MESHES[name]
    points = around(vertices)
    face, weights, nearest = closest_points(points, vertices, faces)
    found = np.linalg.norm(nearest - points, axis=1)
    best = [every_triangle_tried(p, vertices[faces]) for p in points]
    np.testing.assert_allclose(found, best, rtol=0, atol=1e-9)
    assert (weights >= 0).all() and abs(weights.sum(axis=1) - 1).max() < 1e-14
    at = np.einsum("qk,qkd->qd", weights, vertices[faces[face]])
    np.testing.assert_allclose(nearest, at, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in MESHES if name != "without area"])
def test_distances_are_those_of_libigl(name: str) -> None:
    igl = pytest.importorskip("igl", reason="libigl is in the bench extra")
    vertices, faces = MESHES[name]
    points = around(vertices)
    squared = igl.point_mesh_squared_distance(points, np.array(vertices), np.array(faces))[0]
    found = np.linalg.norm(closest_points(points, vertices, faces)[2] - points, axis=1)
    np.testing.assert_allclose(found, np.sqrt(squared), rtol=0, atol=1e-9)


def test_points_of_the_surface_are_their_own_closest_points() -> None:
    vertices, faces = half_dense_sheet()
    rng = np.random.default_rng(2)
    face = rng.integers(len(faces), size=500)
    weights = rng.dirichlet([1, 1, 1], 500)
    points = np.einsum("qk,qkd->qd", weights, vertices[faces[face]])
    np.testing.assert_allclose(closest_points(points, vertices, faces)[2], points, atol=1e-15)


def test_the_answers_do_not_depend_on_order_or_company() -> None:
    vertices, faces = MESHES["huge among small"]
    points, turn = around(vertices), np.random.default_rng(3).permutation(850)
    ask = ClosestPoints(vertices, faces)
    together = ask(points)[2]
    np.testing.assert_allclose(ask(points[turn])[2], together[turn], atol=1e-12)
    np.testing.assert_allclose(ask(points[7:8])[2], together[7:8], atol=1e-12)
    assert [len(answer) for answer in ask(points[:0])] == [0, 0, 0]


def test_the_tree_takes_less_than_200_bytes_a_vertex() -> None:
    for surface in (icosphere(4), icosphere(5), cap(40)):
        tree = ClosestPoints(surface.vertices, surface.faces).tree
        assert sum(part.nbytes for part in tree) <= 200 * surface.n_vertices
