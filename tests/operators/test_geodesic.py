"""Geodesic distance: sphere and plane in closed form, convergence, a second implementation,
invariance.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from meshconv.errors import ArgumentError, ArrayTypeError, IndexOutOfRangeError
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.geodesic import GeodesicSolver, geodesic_distance

FACE = shapes.face(1200, identity=1, triangulation=4)


def exact(surface: Surface, source: int, *, round_: bool) -> np.ndarray:
    chord = np.linalg.norm(surface.vertices - surface.vertices[source], axis=1)
    return 2 * np.arcsin(np.minimum(chord / 2, 1)) if round_ else chord


@pytest.mark.parametrize(
    ("make", "round_", "mean", "largest"),
    [
        (lambda k: shapes.icosphere(3 + k), True, 0.002, 0.015),
        (lambda k: shapes.delaunay_sphere(1000 * 4**k), True, 0.010, 0.030),
        (lambda k: shapes.disk(18 * 2**k), False, 0.001, 0.004),
        (lambda k: shapes.delaunay_disk(1000 * 4**k), False, 0.002, 0.010),
    ],
    ids=["icosphere", "irregular sphere", "disk", "irregular disk"],
)
def test_closed_forms_and_convergence(
    make: object, round_: bool, mean: float, largest: float
) -> None:
    errors = []
    for k in (0, 1):
        surface = make(k)  # type: ignore[operator]
        errors.append(np.abs(geodesic_distance(surface, 0) - exact(surface, 0, round_=round_)))
    assert errors[1].mean() < mean
    assert errors[1].max() < largest
    assert errors[0].mean() > 1.6 * errors[1].mean()


@pytest.mark.parametrize("aspect", [1.0, 20.0, 200.0, 5000.0])
@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_winding_is_none_of_a_distance_s_business_needles_included(aspect: float, share: float):
    rng = np.random.default_rng(int(aspect))
    sheet = shapes.grid(17, 17)
    points = np.array(sheet.vertices)
    inner = np.setdiff1d(np.arange(len(points)), sheet.boundary_loops[0])
    points[inner, :2] += rng.uniform(-0.2, 0.2, (len(inner), 2)) / 16
    points[:, 1] /= aspect
    faces = np.array(sheet.faces)
    turned = rng.random(len(faces)) < share
    faces[turned] = faces[turned, ::-1]
    mixed = Surface(points, faces)
    for source in (0, 100, 170):
        alike = geodesic_distance(Surface(points, sheet.faces), source)
        found, straight = geodesic_distance(mixed, source), exact(mixed, source, round_=False)
        assert np.abs(found - alike).max() < 1e-9
        assert np.abs(found - straight).max() < 0.1


def test_not_worse_than_potpourri3d_and_close_to_it() -> None:
    sphere = shapes.delaunay_sphere(2000, seed=3)
    ours, theirs = (
        geodesic_distance(sphere, 5, backend=name) for name in ("meshconv", "potpourri3d")
    )
    truth = exact(sphere, 5, round_=True)
    assert np.abs(ours - theirs).max() < 0.08
    assert np.abs(ours - truth).mean() < 0.7 * np.abs(theirs - truth).mean()
    solver = GeodesicSolver(FACE), GeodesicSolver(FACE, backend="potpourri3d")
    a, b = (s.distance([3, 400]) for s in solver)
    assert np.abs(a - b).max() < 0.05 * a.max()


def test_from_a_point_inside_a_face() -> None:
    flat = shapes.delaunay_disk(3000, seed=2)
    solver = GeodesicSolver(flat)
    for point in ([0.1, 0.2, 0.0], [-0.41, 0.33, 0.0], flat.vertices[17]):
        truth = np.linalg.norm(flat.vertices - point, axis=1)
        error = np.abs(solver.distance_from_point(point) - truth)
        assert error.mean() < 0.006
        assert error.max() < 0.03
    sphere = shapes.icosphere(4)
    above = np.array([1.0, 2.0, 2.0])  # its foot is (1, 2, 2) / 3
    truth = np.arccos(np.clip(sphere.vertices @ above / 3, -1, 1))
    assert np.abs(GeodesicSolver(sphere).distance_from_point(above) - truth).max() < 0.03


def test_bad_triangles_do_not_matter() -> None:
    flat = shapes.grid(40)
    shear = np.array([[1, 0, 0], [6.3, 1, 0], [0, 0, 1]])
    needles = Surface(flat.vertices @ shear, flat.faces)
    middle = 40 * 20 + 20
    truth = np.linalg.norm(needles.vertices - needles.vertices[middle], axis=1)
    visible = truth < 0.3  # straight lines that stay inside the sheared patch
    error = np.abs(geodesic_distance(needles, middle) - truth)
    assert error[visible].max() < 0.06


def test_several_sources_take_the_nearest() -> None:
    flat = shapes.disk(30)
    sources = [0, flat.n_vertices - 1]
    together = geodesic_distance(flat, sources)
    apart = np.minimum(*(geodesic_distance(flat, s) for s in sources))
    assert (together[sources] == 0).all()
    assert np.abs(together - apart).max() < 0.08  # where they meet, and one level for both
    assert np.abs(geodesic_distance(flat, np.arange(flat.n_vertices))).max() == 0


@settings(max_examples=10)
@given(st.integers(0, 99), st.sampled_from([1e-6, 1.0, 1e6, 1e120]))
def test_motion_scale_and_labels(seed: int, scale: float) -> None:
    order = np.random.default_rng(seed).permutation(FACE.n_vertices)
    turned = scale * (FACE.vertices @ Rotation.random(rng=seed).as_matrix().T)
    moved = Surface(turned[order], np.argsort(order)[FACE.faces])
    expected = geodesic_distance(FACE, order[0])
    found = geodesic_distance(moved, 0) / scale
    # the diffusion time follows the bounding box, which turns with the surface
    np.testing.assert_allclose(found, expected[order], atol=0.01 * expected.max())


def test_labels_and_scale_alone_change_nothing() -> None:
    order = np.random.default_rng(1).permutation(FACE.n_vertices)
    moved = Surface(1e-6 * FACE.vertices[order], np.argsort(order)[FACE.faces])
    expected = geodesic_distance(FACE, order[0])
    np.testing.assert_allclose(
        geodesic_distance(moved, 0) * 1e6, expected[order], atol=1e-7 * expected.max()
    )


@pytest.mark.parametrize("backend", ["meshconv", "potpourri3d"])
def test_out_of_reach_is_infinite_and_other_components_do_not_matter(backend: str) -> None:
    one = shapes.icosphere(2)
    n = one.n_vertices
    lonely = [[9.0, 9.0, 9.0]]
    both = Surface(
        np.vstack([one.vertices, lonely, 70 + 50 * one.vertices]),
        np.vstack([one.faces, one.faces + n + 1]),
    )
    distance = geodesic_distance(both, 3, backend=backend)
    assert np.isinf(distance[n:]).all()
    assert np.abs(distance[:n] - geodesic_distance(one, 3, backend=backend)).max() < (
        1e-9 if backend == "meshconv" else 1
    )
    everywhere = geodesic_distance(both, [3, n + 1], backend=backend)
    assert np.isinf(everywhere).sum() == 1
    if backend == "meshconv":  # the other takes one diffusion time for both sizes
        assert everywhere[-n:].max() == pytest.approx(50 * np.pi, rel=0.05)


@pytest.mark.parametrize(
    "name", ["zero_area", "needle", "anisotropic", "far_offset", "metres", "huge_coords"]
)
def test_awkward_geometry(name: str, bad_meshes: object) -> None:
    import trimesh

    surface = Surface.from_trimesh(
        trimesh.load(f"{bad_meshes}/files/geom_{name}.obj", process=False)
    )
    distance = geodesic_distance(surface, 40)
    chord = np.linalg.norm(surface.vertices - surface.vertices[40], axis=1)
    assert np.isfinite(distance).all()
    assert (distance > 0.9 * chord - 0.03 * chord.max()).all()
    assert distance.max() < 3 * chord.max()


def test_refusals() -> None:
    for sources, error, text in (
        (-1, IndexOutOfRangeError, "source 0 is -1, allowed vertices are 0.."),
        ([0, 1200], IndexOutOfRangeError, "source 1 is 1200"),
        (0.5, ArrayTypeError, "sources must be one vertex index or several"),
        ([], ArrayTypeError, "sources must be one vertex index or several"),
    ):
        with pytest.raises(error, match=text):
            geodesic_distance(FACE, sources)
    with pytest.raises(ArgumentError, match="source vertex 3 is in no face"):
        geodesic_distance(Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], [[0, 1, 2]]), 3)
    with pytest.raises(ArrayTypeError, match="point must be three finite numbers"):
        GeodesicSolver(FACE).distance_from_point([0, 0, np.nan])
    with pytest.raises(ArgumentError, match="distance_from_point needs backend='meshconv'"):
        GeodesicSolver(FACE, backend="potpourri3d").distance_from_point([0, 0, 0])
    with pytest.raises(ArgumentError, match="backend must be one of"):
        geodesic_distance(FACE, 0, backend="magic")


def stretched_sheet(across: int, along: int, shape: tuple[float, float], seed: int) -> Surface:
    """A flat sheet of moved grid points, its triangles as long as the numbers of points say."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, across), np.linspace(0, 1, along), indexing="ij")
    x = x + 0.25 / across * rng.uniform(-1, 1, x.shape) * ((x > 0) & (x < 1))
    y = y + 0.25 / along * rng.uniform(-1, 1, y.shape) * ((y > 0) & (y < 1))
    grid = np.arange(x.size).reshape(x.shape)
    a, b, c, d = (k.ravel() for k in (grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]))
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    return Surface(
        np.column_stack([shape[0] * x.ravel(), shape[1] * y.ravel(), 0 * x.ravel()]), faces
    )


@pytest.mark.parametrize(
    ("across", "along", "shape"),
    [(20, 401, (1, 1)), (9, 401, (1, 1)), (41, 41, (20, 1)), (41, 41, (100, 1))],
    ids=["triangles of 20:1", "triangles of 50:1", "strip of 20:1", "strip of 100:1"],
)
def test_long_triangles_have_right_neighbours_and_no_false_zeros(across, along, shape):
    surface = stretched_sheet(across, along, shape, seed=across)
    source = surface.n_vertices // 2
    found = geodesic_distance(surface, source)
    exact = np.linalg.norm(surface.vertices - surface.vertices[source], axis=1)
    around = np.unique(surface.edges[(surface.edges == source).any(axis=1)])
    np.testing.assert_allclose(found[around], exact[around], rtol=1e-9)
    assert np.abs(found - exact).max() < 0.02 * exact.max()
    point = surface.vertices[source] + [0.3 * shape[0] / across, 0.2 * shape[1] / along, 0.0]
    near = GeodesicSolver(surface).distance_from_point(point)
    exact = np.linalg.norm(surface.vertices - point, axis=1)
    assert np.abs(near - exact).max() < shape[0] / across  # an edge, the long way


def test_on_a_sphere_of_long_triangles_no_distance_is_beyond_its_bounds():
    rings = np.linspace(0, np.pi, 14)[1:-1]
    turns = np.arange(260) * 2 * np.pi / 260
    up, around = np.meshgrid(rings, turns, indexing="ij")
    points = np.stack([np.sin(up) * np.cos(around), np.sin(up) * np.sin(around), np.cos(up)], -1)
    points = np.concatenate([points.reshape(-1, 3), [[0, 0, 1.0], [0, 0, -1.0]]])
    grid = np.arange(12 * 260).reshape(12, 260)
    a, b = grid[:-1].ravel(), grid[1:].ravel()
    c, d = np.roll(grid[1:], -1, axis=1).ravel(), np.roll(grid[:-1], -1, axis=1).ravel()
    top, bottom = grid[0], grid[-1]
    poles = np.full(260, 12 * 260)
    faces = [[a, b, c], [a, c, d], [poles, top, np.roll(top, -1)]]
    faces.append([poles + 1, np.roll(bottom, -1), bottom])
    surface = Surface(points, np.concatenate([np.column_stack(f) for f in faces]))
    source = 5 * 260
    found = geodesic_distance(surface, source)
    exact = np.arccos(np.clip(points @ points[source], -1, 1))
    assert (found[1:] > 0).sum() == len(found) - 1 - (source > 0)
    assert (found >= np.linalg.norm(points - points[source], axis=1) - 1e-12).all()
    assert np.abs(found - exact).max() < 0.15  # rings .24 apart
