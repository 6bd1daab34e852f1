"""From vertices to pixels and back, on every domain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import LinearNDInterpolator

from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import delaunay_disk, disk, grid, icosphere
from meshconv.mesh.surface import Surface
from meshconv.resample.domain import disk_conformal, sphere_to_square, square_to_sphere
from meshconv.resample.grid import grid_nodes
from meshconv.resample.resampler import Resampler


def _flat(surface: Surface, domain: str) -> Parameterization:
    return Parameterization(surface, surface.vertices[:, :2], domain)


def _disk(n: int = 1500, seed: int = 0) -> Parameterization:
    return _flat(delaunay_disk(n, seed=seed), "disk")


def _sphere(level: int = 3) -> Parameterization:
    surface = icosphere(level)
    return Parameterization(surface, surface.vertices, "sphere")


CASES = {
    "disk": (_disk, {}),
    "conformal square": (_disk, {"disk_to_square": "conformal"}),
    "rectangle": (lambda: _flat(grid(20, 30, width=1.0, height=0.6), "rectangle"), {}),
    "plane": (lambda: _flat(delaunay_disk(800, seed=3), "plane"), {}),
    "sphere": (_sphere, {}),
}


def _row_sums(matrix) -> np.ndarray:
    return np.asarray(matrix.sum(axis=1)).ravel()


@pytest.mark.parametrize("name", CASES)
def test_rows_sum_to_one_or_to_zero_outside_the_mask(name):
    make, options = CASES[name]
    resampler = Resampler(make(), 33, **options)
    n_vertices = resampler.parameterization.surface.n_vertices
    assert resampler.vertex_to_pixel.shape == (33 * 33, n_vertices)
    assert resampler.pixel_to_vertex.shape == (n_vertices, 33 * 33)
    np.testing.assert_allclose(
        _row_sums(resampler.vertex_to_pixel), resampler.mask.ravel(), atol=1e-12
    )
    np.testing.assert_allclose(_row_sums(resampler.pixel_to_vertex), 1.0, atol=1e-12)
    assert resampler.vertex_to_pixel.data.min() >= 0 and resampler.pixel_to_vertex.data.min() >= 0
    outside = ~resampler.mask.ravel()
    assert not (abs(resampler.pixel_to_vertex[:, outside])).sum()  # nothing is read outside


@given(seed=st.integers(0, 10**6), size=st.integers(3, 70), n=st.integers(50, 400))
def test_linear_functions_are_reproduced_exactly_inside_the_mask(seed, size, n):
    resampler = Resampler(_disk(n, seed), size)
    a, b, c = np.random.default_rng(seed).normal(size=3)
    image = resampler.to_image(
        a + b * resampler.coordinates[:, 0] + c * resampler.coordinates[:, 1]
    )
    u, v = grid_nodes(size).transpose(2, 0, 1)
    np.testing.assert_allclose(
        image.channels[0][image.mask], (a + b * u + c * v)[image.mask], atol=1e-12
    )
    assert np.isnan(image.channels[0][~image.mask]).all()


def test_agrees_with_qhull_interpolation():
    flat = _disk(3000)
    resampler = Resampler(flat, 65)
    field = np.sin(5 * flat.coordinates[:, 0]) * flat.coordinates[:, 1]
    other = LinearNDInterpolator(resampler.coordinates, field)(grid_nodes(65))
    inside = resampler.mask & np.isfinite(other)
    # a Delaunay mesh of a convex disk: the same triangles, but where four points lie on one circle
    assert np.median(abs(resampler.to_image(field).channels[0] - other)[inside]) < 1e-12
    assert inside.sum() > 0.99 * np.isfinite(other).sum()


def test_the_mask_is_the_disk():
    mask = Resampler(_flat(disk(40), "disk"), 129).mask
    radius = np.linalg.norm(grid_nodes(129) - 0.5, axis=2)
    assert mask[radius < 0.499].all() and not mask[radius > 0.5 + 1e-9].any()
    assert mask[64, 0] and mask[64, 128] and mask[0, 64] and mask[128, 64]  # border nodes


@pytest.mark.parametrize("height", [0.6, 1.0, 2.5])
def test_a_rectangle_fills_the_square_border_and_corners_included(height):
    flat = _flat(grid(20, 30, width=1.0, height=height), "rectangle")
    resampler = Resampler(flat, 33)
    assert resampler.mask.all()
    image = resampler.to_image(flat.coordinates)
    np.testing.assert_allclose(image.channels[:, -1, -1], [1.0, height], atol=1e-12)
    np.testing.assert_allclose(image.channels[1], height * grid_nodes(33)[..., 1], atol=1e-12)


def test_a_smooth_field_comes_back_from_the_grid_and_faster_on_finer_grids():
    surface = grid(101)
    flat = _flat(surface, "rectangle")
    x, y = surface.vertices[:, :2].T
    field = np.sin(4 * x) * np.cos(3 * y)
    error = []
    for size in (9, 17, 33):
        resampler = Resampler(flat, size)
        error.append(
            abs(resampler.to_vertices(resampler.to_image(field).channels[0]) - field).max()
        )
    assert error[1] < 0.3 * error[0] and error[2] < 0.3 * error[1]  # second order


@pytest.mark.parametrize("name", ["disk", "sphere", "conformal square"])
def test_round_trip_on_curved_domains(name):
    make, options = CASES[name]
    flat = make()
    resampler = Resampler(flat, 129, **options)
    position = flat.surface.vertices
    back = resampler.to_vertices(resampler.to_image(position))
    assert abs(back - position).max() < 0.08 and np.median(abs(back - position)) < 0.003


def test_a_vertex_with_no_covered_node_about_it_reads_the_nearest_one():
    flat = Parameterization(
        Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]),
        [[-0.9, -0.1], [0.9, -0.1], [0, 0.05]],
        "disk",
    )
    resampler = Resampler(flat, 5)  # covers the centre only
    assert resampler.mask.sum() == 1
    assert resampler.to_vertices(np.where(resampler.mask, 7.0, np.nan)).tolist() == [7.0] * 3


def test_transposes_carry_mass():
    resampler = Resampler(_disk(), 33)
    rng = np.random.default_rng(0)
    field, image = rng.normal(size=len(resampler.coordinates)), rng.random((33, 33))
    mass = resampler.mass_to_vertices(image)
    assert mass.sum() == pytest.approx(image[resampler.mask].sum())
    pixels = resampler.to_image(field, fill=0.0).channels[0]
    assert (pixels * image).sum() == pytest.approx(field @ mass)  # <A f, g> = <f, A' g>


def test_flipped_and_degenerate_faces_are_counted_and_painted_last():
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5], [0.2, 0.9]])
    faces = [
        [0, 1, 2],
        [0, 2, 3],
        [0, 2, 1],
        [0, 4, 2],
    ]  # the third is turned over on the first, the fourth a line
    surface = Surface(np.column_stack([points, np.zeros(6)]), faces)
    resampler = Resampler(Parameterization(surface, points, "rectangle"), 9)
    assert (resampler.flipped, resampler.degenerate) == (1, 1)
    assert set(np.unique(resampler.face)) == {0, 1}
    mirrored = Resampler(Parameterization(surface, points * [-1, 1] + [1, 0], "rectangle"), 9)
    assert mirrored.mask.all()  # a map that is turned over as a whole is still painted


def test_sphere_nodes_look_in_their_own_direction():
    for sphere in (_sphere(1), _sphere(4)):
        resampler = Resampler(sphere, 65)
        assert resampler.mask.all()
        seen = resampler.vertex_to_pixel @ sphere.coordinates
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        np.testing.assert_allclose(
            seen, square_to_sphere(grid_nodes(65).reshape(-1, 2)), atol=1e-12
        )


def test_sphere_with_faces_wider_than_an_octant():
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    sphere = Parameterization(
        Surface(corners, [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]), corners, "sphere"
    )
    resampler = Resampler(sphere, 33)
    assert resampler.mask.all()
    seen = resampler.vertex_to_pixel @ corners
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    np.testing.assert_allclose(seen, square_to_sphere(grid_nodes(33).reshape(-1, 2)), atol=1e-12)


def test_octahedral_map_and_its_inverse():
    directions = np.random.default_rng(0).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(
        square_to_sphere(sphere_to_square(directions)), directions, atol=1e-14
    )
    assert sphere_to_square(np.array([[0, 0, 1.0]]))[0].tolist() == [0.5, 0.5]


def test_conformal_disk_to_square_keeps_angles_and_reaches_the_border():
    z = 0.9 * np.exp(2j * np.pi * np.arange(40) / 40) * np.linspace(0.1, 1, 40)
    h = 1e-6
    w, wx, wy = (disk_conformal(points) @ [1, 1j] for points in (z, z + h, z + 1j * h))
    fx, fy = (wx - w) / h, (wy - w) / h
    assert abs(fy - 1j * fx).max() < 1e-4 * abs(fx).min()  # Cauchy-Riemann
    rim = disk_conformal(np.exp(2j * np.pi * np.arange(64) / 64))
    assert abs(abs(rim - 0.5).max(axis=1) - 0.5).max() < 1e-7


def test_conformal_square_is_filled_from_the_circle_only():
    assert Resampler(_disk(300), 65, disk_to_square="conformal").mask.all()
    flat = _disk(300)
    inner = flat.with_coordinates(
        0.8 * flat.coordinates
    )  # e.g. a registered scan that does not reach the border
    resampler = Resampler(inner, 65, disk_to_square="conformal")
    assert 0.3 < resampler.mask.mean() < 0.8 and not resampler.mask[0].any()


def test_named_fields_and_images():
    resampler = Resampler(_disk(200), 17)
    x, y = resampler.coordinates.T
    image = resampler.to_image({"x": x, "y": y}, fill=0.0)
    assert image.names == ("x", "y") and not image.channels[:, ~image.mask].any()
    np.testing.assert_array_equal(
        resampler.to_image(resampler.coordinates).filled(0.0).channels, image.channels
    )
    assert resampler.to_vertices(image).shape == (len(x), 2)
    np.testing.assert_array_equal(
        resampler.to_vertices(image)[:, 1], resampler.to_vertices(image["y"])
    )
    assert "17^2" in repr(resampler)


def test_deterministic_and_read_only_inputs_untouched():
    flat = _disk(300)
    one, two = Resampler(flat, 33), Resampler(flat, 33)
    assert (one.vertex_to_pixel != two.vertex_to_pixel).nnz == 0
    assert (one.pixel_to_vertex != two.pixel_to_vertex).nnz == 0


@pytest.mark.parametrize("size", [0, 1, 10**6])
def test_impossible_grids_are_refused(size):
    with pytest.raises(
        ArgumentError, match=f"size must lie in 2..4097 nodes per side, found {size}"
    ):
        Resampler(_disk(50), size)


def test_other_refusals():
    flat = _disk(50)
    with pytest.raises(ArgumentError, match="disk_to_square must be one of"):
        Resampler(flat, 9, disk_to_square="round")
    resampler = Resampler(flat, 9)
    with pytest.raises(ArrayTypeError, match=r"image must be \(C, 9, 9\)"):
        resampler.to_vertices(np.zeros((8, 8)))
    with pytest.raises(ArrayTypeError, match="one row per vertex"):
        resampler.to_image(np.zeros(7))
    field = np.zeros(len(flat.coordinates))
    field[3] = np.nan
    with pytest.raises(NonFiniteError, match="not finite at vertex 3"):
        resampler.to_image(field)


@pytest.mark.parametrize("size", [2, 3])
def test_a_grid_without_a_node_on_the_map_is_refused(size):
    """The corners of the square lie outside the disk; the promise of rows that sum to 1 is kept."""
    flat = _disk(300)
    if size == 2:
        with pytest.raises(ArgumentError, match="no node of the grid of 2 x 2 lies on the map"):
            Resampler(flat, size)
    else:
        assert np.allclose(Resampler(flat, size).pixel_to_vertex.sum(axis=1), 1)
