"""Density-equalizing maps: closed forms, the shared contract, the bars on real data, awkward
inputs.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from contracts.equalizer import CHECKS, uniform
from hypothesis import given, settings
from hypothesis import strategies as st

from meshconv.errors import AccuracyWarning, ArgumentError, DensityError, FoldError, TopologyError
from meshconv.io import load
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.equalize import driver as density_module
from meshconv.maps.equalize.density_map import density_equalizing_map, misplaced_mass
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface


def flat_disk(n=800, seed=0):
    surface = shapes.delaunay_disk(n, seed=seed)
    return Parameterization(surface, surface.vertices[:, :2], "disk")


def union_jack(size, height=1.0):
    """A square or rectangle triangulated symmetrically under mirror and transposition."""
    uv = uniform(size).reshape(-1, 2) * [1.0, height]
    row, column = np.indices((size - 1, size - 1)).reshape(2, -1)
    a = row * size + column
    b, c, d = a + 1, a + size + 1, a + size
    falling = np.stack([np.stack([a, b, d], 1), np.stack([b, c, d], 1)], 1)
    rising = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1)
    faces = np.where(((row + column) % 2 == 1)[:, None, None], falling, rising).reshape(-1, 3)
    return Parameterization(Surface(np.column_stack([uv, 0 * uv[:, 0]]), faces), uv, "rectangle")


def equalize_on_square(density):
    size = len(density)
    return density_equalizing_map(union_jack(size), density.ravel()).coordinates.reshape(
        size, size, 2
    )


def areas(p):
    """Signed areas in the plane, by the shoelace formula: nothing shared with the package."""
    (ax, ay), (bx, by), (cx, cy) = p.coordinates[p.surface.faces].transpose(1, 2, 0)
    return ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2


def assert_unfolded(p):
    assert (areas(p) > 0).all()
    assert len(p.flipped_faces()) == 0


def assert_border_in_order(start, moved):
    loop = start.surface.boundary_loops[0]
    assert np.abs(np.abs(moved.z[loop]) - 1).max() < 1e-12
    turn = np.angle(np.roll(moved.z[loop], -1) / moved.z[loop])
    assert (turn > 0).all() and abs(turn.sum() - 2 * np.pi) < 1e-9


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_on_a_triangulated_square(check):
    check(equalize_on_square)


def radial_error(n):
    """Against the exact map of the disk for density 1 + 3 (1 - r^2): r -> r sqrt((4 - 1.5 r^2) /
    2.5).
    """
    p = flat_disk(n)
    r2 = (p.coordinates**2).sum(axis=1)
    q = density_equalizing_map(p, 1 + 3 * (1 - r2))
    exact = p.coordinates * np.sqrt((4 - 1.5 * r2) / 2.5)[:, None]
    return np.abs(q.coordinates - exact).max()


def test_radial_density_has_its_closed_form_and_converges():
    coarse, fine = radial_error(300), radial_error(4800)
    assert fine < 5e-3
    assert fine < 0.4 * coarse


def test_small_densities_move_along_the_gradient_of_the_exact_potential():
    """Density 1 + e x on the disk: to first order the motion is e grad(x (r^2 - 3) / 8), also on
    the circle.
    """
    p, e = flat_disk(3000), 1e-3
    x, y = p.coordinates.T
    exact = np.column_stack([(x**2 + y**2 - 3) / 8 + x**2 / 4, x * y / 4])
    motion = (density_equalizing_map(p, 1 + e * x, rounds=1).coordinates - p.coordinates) / e
    assert np.abs(motion - exact).max() < 0.02
    assert np.abs(exact).max() > 0.3


def test_misplaced_mass_is_half_the_sum_of_differences_of_shares():
    p = flat_disk(100)
    people = np.random.default_rng(1).uniform(1, 3, p.surface.n_faces)
    expected = 0.5 * np.abs(people / people.sum() - areas(p) / areas(p).sum()).sum()
    assert misplaced_mass(p, 7.0 * people) == pytest.approx(expected, rel=1e-12)
    assert misplaced_mass(p, areas(p)) < 1e-14


def test_the_result_carries_its_own_error():
    p = flat_disk()
    rho = np.exp(p.coordinates[p.surface.faces].mean(axis=1)[:, 0])
    q = density_equalizing_map(p, rho)
    people = rho * areas(p)
    expected = 0.5 * np.abs(people / people.sum() - areas(q) / areas(q).sum()).sum()
    assert q.misplaced_mass == pytest.approx(expected, rel=1e-9)
    assert expected < 0.01 < misplaced_mass(p, people)


def test_constant_density_returns_the_very_coordinates():
    for p in (flat_disk(), union_jack(9), conformal_map(shapes.icosphere(2), domain="sphere")):
        for rho in (np.full(p.surface.n_vertices, 3.7), np.full(p.surface.n_faces, 1e-9)):
            assert np.array_equal(density_equalizing_map(p, rho).coordinates, p.coordinates)


def test_area_preserving_on_a_bumpy_disk_undoes_the_area_distortion():
    surface = shapes.cap(24, angle=2.2)
    p = conformal_map(surface, domain="disk")
    q = density_equalizing_map(p)
    assert misplaced_mass(p, surface.face_areas) > 0.3
    assert misplaced_mass(q, surface.face_areas) < 0.015
    again = density_equalizing_map(q)
    assert np.abs(again.coordinates - q.coordinates).max() < 0.01
    assert np.array_equal(density_equalizing_map(p, "area").coordinates, q.coordinates)


def test_rectangle_keeps_corners_sides_and_height():
    p = union_jack(17, height=0.6)
    q = density_equalizing_map(p, np.exp(2 * p.coordinates[:, 0] + p.coordinates[:, 1]))
    assert q.misplaced_mass < 0.01
    assert_unfolded(q)
    for axis, value in ((0, 0.0), (0, 1.0), (1, 0.0), (1, 0.6)):
        side = p.coordinates[:, axis] == value
        assert np.array_equal(q.coordinates[side, axis], p.coordinates[side, axis])
        assert (np.diff(q.coordinates[side, 1 - axis]) > 0).all()


def test_sphere_with_a_closed_form():
    """Density 1 + a z on the sphere moves the height z to its cumulated share: z + a (z^2 - 1) /
    2.
    """
    surface = shapes.icosphere(4)
    p = Parameterization(surface, surface.vertices, "sphere")
    z = surface.vertices[:, 2]
    q = density_equalizing_map(p, 1 + 0.8 * z)
    assert np.abs(q.coordinates[:, 2] - (z + 0.4 * (z**2 - 1))).max() < 3e-3
    assert len(q.flipped_faces()) == 0 and q.misplaced_mass < 2e-3
    assert np.abs(np.linalg.norm(q.coordinates, axis=1) - 1).max() < 1e-12


# --- invariance ----------------------------------------------------------------------------------


def test_numbering_of_vertices_and_faces_does_not_matter():
    p, rng = flat_disk(), np.random.default_rng(3)
    rho = np.exp(2 * p.coordinates[:, 0])
    vertex, face = rng.permutation(p.surface.n_vertices), rng.permutation(p.surface.n_faces)
    place = np.argsort(vertex)
    shuffled = Surface(p.surface.vertices[vertex], place[p.surface.faces[face]])
    q = Parameterization(shuffled, p.coordinates[vertex], "disk")
    expected = density_equalizing_map(p, rho).coordinates[vertex]
    assert np.abs(density_equalizing_map(q, rho[vertex]).coordinates - expected).max() < 1e-8


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_unit_of_length_does_not_matter(scale):
    surface = shapes.cap(12, angle=2.0)
    p = conformal_map(surface, domain="disk")
    big = p.with_coordinates(p.coordinates)
    big = Parameterization(Surface(surface.vertices * scale, surface.faces), p.coordinates, "disk")
    assert (
        np.abs(
            density_equalizing_map(big).coordinates - density_equalizing_map(p).coordinates
        ).max()
        < 1e-9
    )


@given(st.floats(0, 2 * np.pi))
@settings(max_examples=5)
def test_turning_the_disk_turns_the_result(angle):
    p = flat_disk(300)
    rho = np.exp(2 * p.coordinates[:, 0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = p.coordinates @ turn
    turned /= np.maximum(np.linalg.norm(turned, axis=1), 1.0)[:, None]
    q = density_equalizing_map(p.with_coordinates(turned), rho)
    assert np.abs(q.coordinates - density_equalizing_map(p, rho).coordinates @ turn).max() < 1e-7


def test_unused_vertices_stay_where_they_are():
    p = flat_disk(100)
    surface = Surface(np.vstack([[[9, 9, 9]], p.surface.vertices]), p.surface.faces + 1)
    q = Parameterization(surface, np.vstack([[[0.1, 0.2]], p.coordinates]), "disk")
    rho = np.exp(p.coordinates[p.surface.faces].mean(axis=1)[:, 0])
    moved = density_equalizing_map(q, rho).coordinates
    assert moved[0].tolist() == [0.1, 0.2]
    assert np.abs(moved[1:] - density_equalizing_map(p, rho).coordinates).max() < 1e-9


# --- never a fold --------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.floats(1, 3), st.integers(0, 3), st.booleans())
@settings(max_examples=10)
def test_no_density_folds_a_face(seed, decades, smoothing, per_face):
    p, rng = flat_disk(600, seed % 5), np.random.default_rng(seed)
    faces, n = p.surface.faces, p.surface.n_vertices
    field = rng.uniform(0, 1, n)
    for _ in range(smoothing):
        mean = field[faces].mean(axis=1)
        field = np.bincount(faces.ravel(), np.repeat(mean, 3), n) / np.bincount(
            faces.ravel(), minlength=n
        )
    field = (field - field.min()) / np.ptp(field)
    rho = 10 ** (decades * (field[faces].mean(axis=1) if per_face else field))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        q = density_equalizing_map(p, rho)
    assert_unfolded(q)
    assert_border_in_order(p, q)
    assert q.misplaced_mass <= misplaced_mass(p, q.population)


@pytest.mark.parametrize("case", ["ratio", "spike", "hole", "step", "noise"])
def test_extreme_densities_end_unfolded_with_a_warning(case):
    p = flat_disk()
    n, rng = p.surface.n_faces, np.random.default_rng(0)
    centre = p.coordinates[p.surface.faces].mean(axis=1)
    rho = {
        "ratio": 10 ** (12 * rng.uniform(size=n)),
        "spike": np.where(np.arange(n) == n // 2, 1e12, 1.0),
        "hole": np.where(np.hypot(*centre.T) < 0.4, 1e-12, 1.0),
        "step": np.where(centre[:, 0] > 0, 1e5, 1.0),
        "noise": 10 ** (4 * rng.uniform(size=n)),
    }[case]
    with pytest.warns(AccuracyWarning, match="misplaced mass"):
        q = density_equalizing_map(p, rho, tolerance=1e-3)
    assert_unfolded(q)
    assert_border_in_order(p, q)
    assert q.misplaced_mass < misplaced_mass(p, rho * areas(p))


@pytest.mark.parametrize("inside", [1e3, 1e-3])
@pytest.mark.parametrize("where", [(0.0, 0.5), (-0.3, 0.3)])
def test_steps_of_a_thousand_reach_every_face_but_those_on_the_edge(inside, where):
    p = flat_disk(4000, seed=3)
    centre = p.coordinates[p.surface.faces].mean(axis=1)
    rho = np.where(np.hypot(centre[:, 0] - where[0], centre[:, 1]) < where[1], inside, 1.0)
    q = density_equalizing_map(p, rho)
    assert_unfolded(q)
    assert q.misplaced_mass < 0.015  # the row of faces along the step holds more


def test_clipping_is_said_with_its_count():
    p = flat_disk(200)
    rho = np.ones(p.surface.n_faces)
    rho[7] = 1e9
    with pytest.warns(AccuracyWarning, match="density of 1 faces was clipped to within 1e\\+06"):
        density_equalizing_map(p, rho)


def test_when_nothing_can_be_opened_every_vertex_steps_back(monkeypatch):
    monkeypatch.setattr(density_module, "untangle", lambda points, *_: (points, False))
    p = flat_disk()
    rho = np.where(p.coordinates[:, 0] > 0, 1e3, 1.0)
    with pytest.warns(AccuracyWarning, match="stepped back from \\d+ folded faces"):
        q = density_equalizing_map(p, rho, tolerance=0.0)
    assert_unfolded(q)
    assert q.misplaced_mass < 0.5 * misplaced_mass(p, q.population)


@pytest.mark.parametrize("n", [3, 4, 6])
def test_smallest_disks(n):
    turn = 2 * np.pi * np.arange(n) / n
    points = np.column_stack([np.cos(turn), np.sin(turn)])
    fan = np.array([[0, k, k + 1] for k in range(1, n - 1)])
    p = Parameterization(Surface(np.column_stack([points, 0 * turn]), fan), points, "disk")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        q = density_equalizing_map(p, np.arange(1.0, n - 1) ** 4)
    assert_unfolded(q)
    assert_border_in_order(p, q)


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_bad_density_is_named(value):
    p = flat_disk(100)
    rho = np.ones(p.surface.n_faces)
    rho[[5, 9]] = value
    with pytest.raises(
        DensityError, match=f"found {value} at index 5 \\(2 of {len(rho)}\\)"
    ) as caught:
        density_equalizing_map(p, rho)
    assert caught.value.indices == (5, 9)


@pytest.mark.parametrize("rho", [np.ones(3), np.ones((2, 2)), 1.0, ["a", "b"]])
def test_a_density_of_another_shape_is_refused(rho):
    with pytest.raises(DensityError):
        density_equalizing_map(flat_disk(100), rho)


def test_unknown_word_is_refused():
    with pytest.raises(ArgumentError, match="density must be one of 'area'"):
        density_equalizing_map(flat_disk(100), "volume")


@pytest.mark.parametrize("name", ["rounds", "steps", "tolerance", "max_ratio"])
@pytest.mark.parametrize("value", [-1, np.nan, "many", None])
def test_a_senseless_option_is_named(name, value):
    with pytest.raises(ArgumentError, match=f"{name} must be a"):
        density_equalizing_map(flat_disk(100), **{name: value})


def test_densities_at_both_ends_of_floating_point_are_clipped_not_divided_to_nan():
    p = flat_disk(200)
    rho = np.full(p.surface.n_faces, 1e-308)
    rho[:20] = 1e308
    with pytest.warns(AccuracyWarning, match="the density of 20 faces was clipped"):
        assert_unfolded(density_equalizing_map(p, rho))


def test_a_surface_face_without_area_is_mapped_and_said_to_be_one_for_repair():
    surface = Surface(
        [[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 1, 0]], [[0, 1, 3], [1, 2, 3], [0, 2, 1]]
    )
    with pytest.warns(
        AccuracyWarning, match=r"1 faces of the surface have no area.*meshconv.repair"
    ):
        q = density_equalizing_map(conformal_map(surface))
    assert_unfolded(q)
    assert q.population[2] == pytest.approx(1e-6)


def test_a_folded_start_is_refused():
    p = flat_disk(100)
    moved = p.coordinates.copy()
    moved[0] = p.coordinates[p.surface.boundary_loops[0][0]] * 0.99
    with pytest.raises(FoldError, match="of the given map is folded or has no area"):
        density_equalizing_map(p.with_coordinates(moved))


def test_wrong_domain_topology_or_border_is_refused():
    p = flat_disk(100)
    with pytest.raises(ArgumentError, match=r"found 'plane'.*domain='rectangle' for what is long"):
        density_equalizing_map(p.with_coordinates(p.coordinates, "plane"))
    with pytest.raises(ArgumentError, match="does not lie on the border of the disk"):
        density_equalizing_map(p.with_coordinates(0.9 * p.coordinates))
    ring = shapes.annulus(4, 24)
    outer = np.linalg.norm(ring.vertices, axis=1).max()
    with pytest.raises(TopologyError, match="found 1, 2, 0"):
        density_equalizing_map(Parameterization(ring, ring.vertices[:, :2] / outer, "disk"))
    square = union_jack(5)
    bent = square.with_coordinates(square.coordinates + [0.0, 0.3] * square.coordinates[:, :1])
    with pytest.raises(ArgumentError, match="needs one vertex at each corner, found 2"):
        density_equalizing_map(bent)


# --- the bars on real data -----------------------------------------------------------------------


def gaussian(centres, x, y, width):
    return np.exp(-((centres[:, 0] - x) ** 2 + (centres[:, 1] - y) ** 2) / 2 / width**2)


@pytest.mark.data
@pytest.mark.parametrize("name", ["choi_human_face", "choi_chinese_lion"])
def test_bars_on_real_disks(data_dir, name):
    p = conformal_map(load(data_dir / f"{name}.ply"), domain="disk")
    c = p.coordinates[p.surface.faces].mean(axis=1)
    synth1 = 1 + 4 * gaussian(c, 0.2, -0.1, 0.2)
    synth2 = 1 + 9 * gaussian(c, 0.4, -0.3, 0.12) + 5 * gaussian(c, -0.4, 0.2, 0.15)
    for rho, bar in (
        (synth1, 0.004),
        (synth2, 0.006),
        (None, 0.020),
    ):  # asked for: .010, .010, .050
        q = density_equalizing_map(p, rho)
        people = p.surface.face_areas if rho is None else rho * areas(p)
        assert misplaced_mass(q, people) <= bar
        assert_unfolded(q)
        assert_border_in_order(p, q)


@pytest.mark.data
def test_bar_on_a_real_sphere(data_dir):
    surface = load(data_dir / "choi_maxplanck_head.ply")
    q = density_equalizing_map(conformal_map(surface, domain="sphere"))
    corners = q.coordinates[surface.faces]
    assert (np.linalg.det(corners) > 0).all()
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    share = surface.face_areas / surface.area
    assert 0.5 * np.abs(area / area.sum() - share).sum() <= 0.006  # asked for: .010
