"""Images show the surface, not its triangles: waves are as high and as steep on meshes of any
density; normals are those of the surface in the image.
"""

import numpy as np
import pytest
from scipy.spatial import Delaunay

from meshconv import Parameterization, Resampler, Surface, Template, place
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import face, icosphere
from meshconv.resample.detail import (
    brought_to,
    image_at,
    mesh_variance,
    needed,
    normals_of,
    second_order,
)

SIZE, DETAIL = 129, 0.006
NORMALS = ("normal_x", "normal_y", "normal_z")
WAVELENGTH = 10.0  # nodes
K = 2 * np.pi / WAVELENGTH
KEPT = np.exp(-((K * DETAIL * (SIZE - 1)) ** 2) / 2)  # of a wave's amplitude, by the heat equation


def _sheet(per_side: int, *, uneven: bool = False) -> Parameterization:
    """A square of jittered vertices with a low wave along u; uneven: denser towards v = 0."""
    along = np.linspace(0, 1, per_side)
    points = np.stack(np.meshgrid(along, along), axis=-1)
    jitter = np.random.default_rng(per_side).uniform(-0.35, 0.35, points.shape) / (per_side - 1)
    points[1:-1, 1:-1] += jitter[1:-1, 1:-1]
    points = points.reshape(-1, 2)
    if uneven:
        points[:, 1] **= 1.5
    faces = Delaunay(points).simplices
    a, b, c = points[faces].swapaxes(0, 1)
    turned = np.linalg.det(np.stack([b - a, c - a], axis=1)) < 0
    faces[turned] = faces[turned][:, ::-1]
    height = 0.01 * np.cos(K * points[:, 0] * (SIZE - 1)) / (SIZE - 1)
    return Parameterization(Surface(np.column_stack([points, height]), faces), points, "rectangle")


def _shown(flat: Parameterization, detail: float) -> tuple[float, float]:
    """Return the amplitude of the wave in the image, of its height and of its slope, of 1 each."""
    surface, names = flat.surface, ("z", *NORMALS)
    fields = dict(zip(("x", "y", "z"), surface.vertices.T, strict=True))
    fields |= dict(zip(NORMALS, surface.vertex_normals.T, strict=True))
    grid = Resampler(flat, SIZE)
    image = image_at(grid, fields, names, detail) if detail else grid.to_image(fields)
    inner = np.s_[20:-20, 20:-19]  # 90 nodes across: nine waves
    phase = np.exp(-1j * K * np.arange(SIZE))[None, 20:-19]
    height = 2 * np.abs((image["z"][inner] * phase).mean()) * (SIZE - 1) / 0.01
    slope = 2 * np.abs((image["normal_x"][inner] * phase).mean()) / (0.01 * K)
    return float(height), float(slope)


@pytest.mark.parametrize("uneven", [False, True])
def test_a_wave_is_as_high_and_as_steep_on_every_mesh(uneven):
    meshes = [_sheet(n, uneven=uneven) for n in (110, 70, 48)]  # 5 : 2 : 1 vertices
    height, steep = np.array([_shown(flat, 0.0) for flat in meshes]).T
    assert height[0] / height[2] > 1.2 and steep[0] / steep[2] > 1.8  # what is mended
    height, steep = np.array([_shown(flat, DETAIL) for flat in meshes]).T
    assert height[0] > 0.98 and height[2] > 0.84
    central = np.sin(K) / K  # of differences over two nodes
    np.testing.assert_allclose(steep, KEPT * central, rtol=0.05)


def test_quadratics_are_read_exactly_where_slopes_are():
    """Rings that are their own mirror images have exact slopes."""
    along, k = np.linspace(0, 1, 31), np.arange(31 * 30)
    k = k[k % 31 < 30]
    faces = np.concatenate([[k, k + 1, k + 32], [k, k + 32, k + 31]], axis=1).T
    points = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    surface = Surface(np.column_stack([points, 0 * points[:, 0]]), faces)
    nodes = np.stack(np.meshgrid(*(np.linspace(0, 1, 65),) * 2))
    for flat, share in ((Parameterization(surface, points, "rectangle"), 1e-9), (_sheet(31), 0.4)):
        grid, (u, v) = Resampler(flat, 65), flat.coordinates.T
        linear = grid.to_image(u * u - u * v)["0"]
        (more,) = second_order(grid, [u * u - u * v])
        wanted = nodes[0] ** 2 - nodes[0] * nodes[1]
        error, was = (((x - wanted)[8:-8, 8:-8] ** 2).mean() for x in (linear + more, linear))
        assert np.sqrt(error) < share * np.sqrt(was)
        (nothing,) = second_order(grid, [3 * v - u])
        assert np.abs(nothing).max() < 1e-12


def test_a_sphere_is_read_as_one_across_the_folds_of_its_square():
    ball = icosphere(3)
    grid = Resampler(Parameterization(ball, ball.vertices, "sphere"), 65)
    chords = grid.to_image(ball.vertices).channels
    more = second_order(grid, list(ball.vertices.T))
    was, now = (np.abs(np.linalg.norm(x, axis=0) - 1) for x in (chords, chords + more))
    assert was.max() > 3e-3 and now.max() < 0.2 * was.max()
    fields = dict(zip(("x", "y", "z", *NORMALS), (*ball.vertices.T,) * 2, strict=True))
    normals = image_at(grid, fields, NORMALS, DETAIL).channels
    outward = (normals * chords).sum(axis=0)
    assert outward.min() > 0.99
    for side in (normals[:, 0], normals[:, -1], normals[:, :, 0], normals[:, :, -1]):
        np.testing.assert_allclose(side, side[:, ::-1], atol=1e-9)


def test_a_mesh_blurs_by_what_its_edges_say():
    for per_side in (110, 48, 34):
        flat = _sheet(per_side)
        lost = -2 * np.log(_shown(flat, 0.0)[0]) / K**2
        said = mesh_variance(Resampler(flat, SIZE))[20:-20, 20:-19].mean()
        assert said == pytest.approx(lost, rel=0.1)


def test_what_is_blurred_by_more_is_left_as_it_is():
    image = np.random.default_rng(0).normal(size=(2, 33, 33))
    mask = np.ones((33, 33), dtype=bool)
    np.testing.assert_array_equal(brought_to(image, mask, np.full((33, 33), 0.7), 0.5), image)
    np.testing.assert_array_equal(brought_to(image, mask, np.zeros((33, 33)), 0.0), image)


def test_the_blur_is_the_heat_equation_and_knows_no_outside():
    size, variance = 65, 1.7
    image = np.random.default_rng(0).normal(size=(1, size, size))
    whole = np.ones((size, size), dtype=bool)
    made = brought_to(image, whole, np.zeros((size, size)), variance)
    frequency = 2 * np.pi * np.fft.fftfreq(size)
    kept = np.exp(-variance * (1 - np.cos(frequency)))  # of the grid's own Laplacian
    wanted = np.fft.ifft2(np.fft.fft2(image[0]) * np.outer(kept, kept)).real
    np.testing.assert_allclose(made[0, 12:-12, 12:-12], wanted[12:-12, 12:-12], atol=1e-4)
    mask = whole.copy()
    mask[:, 40:] = False
    half = np.where(mask, 3.0, np.nan)[None]
    there = brought_to(half, mask, np.where(mask, 0.5, np.nan), variance)
    np.testing.assert_allclose(there[0][mask], 3.0, rtol=1e-12)
    assert np.isnan(there[0][~mask]).all()


def test_normals_are_those_of_a_sphere_up_to_the_rim_of_the_mask():
    u, v = np.meshgrid(*(np.linspace(-0.6, 0.6, 65),) * 2)
    ball = np.stack([u, v, np.sqrt(1 - u**2 - v**2)])
    mask = u**2 + v**2 < 0.3
    found = normals_of(ball, mask, np.zeros_like(ball))
    assert np.isnan(found[:, ~mask]).all()
    assert np.abs(found - ball)[:, mask].max() < 0.03  # one-sided at the rim: half a node off
    inner = u**2 + v**2 < 0.25
    assert np.abs(found - ball)[:, inner].max() < 1e-3


def test_a_node_without_neighbours_has_the_normal_of_its_vertices():
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 2:4] = True
    position = np.random.default_rng(0).normal(size=(3, 5, 5))
    known = np.zeros((3, 5, 5))
    known[2] = 1.0
    np.testing.assert_array_equal(normals_of(position, mask, known)[:, mask], known[:, mask])


def test_faces_across_the_folds_of_a_sphere_blur_as_the_others():
    means = []
    for level in (3, 4):
        ball = icosphere(level)
        grid = Resampler(Parameterization(ball, ball.vertices, "sphere"), 65)
        variance = mesh_variance(grid)
        assert variance.min() > 0 and variance.max() < 6 * np.median(variance)
        means.append(variance.mean())
    assert means[0] / means[1] == pytest.approx(4, rel=0.1)


def test_a_scan_in_its_frame_gives_what_is_asked_for_in_that_order():
    placed = place(face(500), Template.from_surface(face(700)), size=33)
    assert needed(("difference_x",)) == ("difference_x",)
    names = ("normal_z", "difference_x")
    some, more = placed.image(names, detail=0.03), placed.image((*names, "z", "normal_x"))
    assert some.names == names
    np.testing.assert_array_equal(some.mask, more.mask)
    assert np.nanmean(np.abs(some["normal_z"] - more["normal_z"])) < 0.03
    np.testing.assert_array_equal(placed.image(names, detail=0).channels, more.channels[:2])


def _errors(points, noise: float) -> tuple[float, float]:
    """Return the largest error of a wave, read linearly and to second order."""
    faces = Delaunay(points).simplices
    a, b, c = points[faces].swapaxes(0, 1)
    area = np.linalg.det(np.stack([b - a, c - a], axis=1))
    faces[area < 0] = faces[area < 0][:, ::-1]
    surface = Surface(np.column_stack([points, 0 * points[:, 0]]), faces[area != 0])
    grid = Resampler(Parameterization(surface, points, "rectangle"), 65)
    u, v = np.meshgrid(*(np.linspace(0, 1, 65),) * 2)
    field = np.cos(6 * points[:, 0]) * np.sin(6 * points[:, 1] + 0.3)
    field += noise * np.random.default_rng(0).normal(size=len(points))
    missing = grid.to_image(field)["0"] - np.cos(6 * u) * np.sin(6 * v + 0.3)
    (more,) = second_order(grid, [field])
    return float(np.nanmax(np.abs(missing))), float(np.nanmax(np.abs(missing + more)))


def test_slopes_of_faces_without_height_are_not_carried_far():
    rng = np.random.default_rng(1)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]])
    square = np.stack(np.meshgrid(*(np.linspace(0, 1, 30),) * 2), axis=-1).reshape(-1, 2)
    beside = np.clip(square + 1e-5 * rng.normal(size=square.shape), 0, 1)[rng.random(900) < 0.5]
    for exponent in (1, 4):  # along the border only its corners are vertices
        inside = rng.uniform(size=(1500, 2)) ** exponent
        linear, second = _errors(np.concatenate([corners, inside]), 1e-3)
        assert second < 1.1 * linear
    linear, second = _errors(np.concatenate([square, beside]), 1e-3)  # pairs that nearly coincide
    assert second < 5 * linear < 0.1


def test_normals_that_the_vertices_give_are_unit_ones_too():
    mask, point = np.ones((2, 2), dtype=bool), np.array([3.0, -2.0, 7.0])
    position = point[:, None, None] + 1e-15 * np.random.default_rng(0).normal(size=(3, 2, 2))
    given = np.zeros((3, 2, 2))
    given[1] = 0.4
    np.testing.assert_allclose(normals_of(position, mask, given), given / 0.4)
    ball = icosphere(2)
    fields = dict(zip(("x", "y", "z", *NORMALS), (*ball.vertices.T,) * 2, strict=True))
    grid = Resampler(Parameterization(ball, ball.vertices, "sphere"), 2)  # its nodes are one place
    normals = image_at(grid, fields, NORMALS, DETAIL).channels
    np.testing.assert_allclose(normals[2], -1.0)


def test_a_detail_that_is_none_is_refused():
    placed = place(face(300), Template.from_surface(face(300)), size=9)
    for detail in (-0.1, 0.3, np.nan):
        with pytest.raises(ArgumentError, match="detail must lie in"):
            placed.image(NORMALS, detail=detail)
    assert placed.image().detail == 0.0 and placed.image(detail=0.01).detail == 0.01
