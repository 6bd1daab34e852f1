"""Maps that say when they are bad; corners of rectangles found where the first choice fails."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from meshconv.errors import AccuracyWarning, FoldError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.equalize.density_map import density_equalizing_map
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.quasiconformal import quasiconformal_map
from meshconv.mesh.planar import grid
from meshconv.mesh.shapes import cylinder, icosphere
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair


def strip(length: int, cells: int) -> Surface:
    return grid(cells + 1, length * cells + 1, width=float(length))


def heard(surface: Surface, **options: str) -> tuple[Parameterization, str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        flat = conformal_map(surface, **options)
    return flat, " ".join(str(w.message) for w in said if w.category is AccuracyWarning)


@pytest.mark.parametrize(
    ("length", "cells"), [(1, 12), (4, 10), (9, 8), (14, 9), (25, 5), (60, 3), (100, 4)]
)
def test_a_strip_is_mapped_well_or_its_map_says_how_badly_and_what_is_better(length, cells):
    flat, said = heard(strip(length, cells))
    error = flat.distortion().angle_mean
    assert len(flat.flipped_faces()) == 0
    assert np.abs(np.abs(flat.z[flat.surface.boundary_loops[0]]) - 1).max() < 1e-9
    if error > 8.5:
        assert f"mean angle error of {error:.3g} degrees" in said
        assert "domain='free'" in said
    else:
        assert not said
    if length <= 4:
        assert error < 6


@pytest.mark.parametrize("length", [6, 20, 49])
def test_a_strip_without_inner_vertices_says_so_too(length):
    flat, said = heard(strip(length, 1))
    error = flat.distortion().angle_mean
    assert error > 30
    assert f"mean angle error of {error:.3g} degrees" in said


@pytest.mark.parametrize("height", [130.0, 1e3, 1e5])
@pytest.mark.parametrize(("around", "along"), [(12, 40), (6, 60), (20, 100)])
def test_a_cup_too_deep_for_the_conformal_disk_gets_another_disk_without_folds(
    height, around, along
):
    cup = repair(cylinder(1.0, height, around, along)).surface
    flat, said = heard(cup)
    assert len(flat.flipped_faces()) == 0
    assert np.abs(np.abs(flat.z[flat.surface.boundary_loops[0]]) - 1).max() < 1e-9
    assert "delivered is a map without folds that is not conformal" in said


@pytest.mark.parametrize("height", [80.0, 100.0, 110.0, 120.0])
def test_a_cup_at_the_limit_of_the_disk_is_conformal_or_says_what_it_is(height):
    """Rounding, so the order of elimination, decides which; folded it is never."""
    flat, said = heard(repair(cylinder(1.0, height, 12, 40)).surface)
    assert len(flat.flipped_faces()) == 0
    assert flat.distortion().angle_mean < 25 or "without folds that is not conformal" in said


def test_a_cup_too_deep_for_any_disk_is_refused_with_reason_and_next_step():
    with pytest.raises(FoldError, match=r"too deep for its opening.*crop the surface"):
        heard(repair(cylinder(1.0, 1e3, 12, 200)).surface)


def test_the_better_domain_is_better():
    surface = strip(30, 4)
    flat, said = heard(surface, domain="free")
    assert not said
    assert flat.distortion().angle_mean < 0.1


def ribbon(length: float, seed: int, bent: float) -> tuple[Surface, np.ndarray]:
    """A jittered strip with random diagonals, rolled up by `bent` radians: still flat inside."""
    rng = np.random.default_rng(seed)
    rows, columns = 11, int(10 * length) + 1
    x, y = np.meshgrid(np.linspace(0, length, columns), np.linspace(0, 1, rows))
    inner = np.zeros(x.shape, dtype=bool)
    inner[1:-1, 1:-1] = True
    x = x + inner * rng.uniform(-0.025, 0.025, x.shape)
    y = y + inner * rng.uniform(-0.025, 0.025, x.shape)
    i = np.arange(x.size).reshape(x.shape)
    a, b, c, d = (k.ravel() for k in (i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]))
    turn = rng.random(len(a)) < 0.5
    first = np.where(turn[:, None], np.column_stack([a, b, c]), np.column_stack([a, b, d]))
    second = np.where(turn[:, None], np.column_stack([a, c, d]), np.column_stack([b, c, d]))
    if bent:
        radius = length / bent
        points = [radius * np.sin(x / radius), y, radius * (1 - np.cos(x / radius))]
    else:
        points = [x, y, np.zeros_like(x)]
    surface = Surface(np.stack(points, -1).reshape(-1, 3), np.concatenate([first, second]))
    return surface, i[[0, 0, -1, -1], [0, -1, -1, 0]]


@pytest.mark.parametrize("bent", [0.0, 2.5])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("length", [2.0, 8.0])
def test_corners_are_found_though_some_candidates_would_fold(length, seed, bent):
    surface, corners = ribbon(length, seed, bent)
    given = conformal_map(surface, domain="rectangle", corners=corners).distortion().angle_mean
    found = conformal_map(surface, domain="rectangle").distortion().angle_mean
    assert found < given + 1


@pytest.mark.filterwarnings("ignore::meshconv.errors.AccuracyWarning")
@pytest.mark.parametrize("length", [6, 9, 12, 40])
def test_what_conformal_map_delivers_is_taken_downstream(length):
    """Faces of area 1e-18 are delivered; they were then called folded."""
    flat = conformal_map(strip(length, 6))
    even = density_equalizing_map(flat)
    assert len(even.flipped_faces()) == 0
    assert len(quasiconformal_map(flat, 0.0).flipped_faces()) == 0


@pytest.mark.parametrize(("level", "length"), [(2, 6.0), (3, 12.0), (4, 2.0), (4, 20.0)])
def test_a_sphere_of_long_parts_says_how_badly_it_is_mapped(level: int, length: float):
    ball = icosphere(level)
    flat, said = heard(Surface(ball.vertices * [1.0, 1.0, length], ball.faces), domain="sphere")
    error = flat.distortion().angle_mean
    assert len(flat.flipped_faces()) == 0
    assert bool(said) == (length > 2.0) == (error > 8.0)
    if said:
        assert f"the sphere has a mean angle error of {error:.3g} degrees" in said
        assert "cut(...)" in said


def test_angles_that_no_map_could_keep_are_no_fault_of_the_map():
    """On a hilly surface the angles around a vertex do not add up to 360 degrees."""
    ball = icosphere(3)
    radius = 1 + 0.12 * np.random.default_rng(1).normal(size=(ball.n_vertices, 1))
    flat, said = heard(Surface(ball.vertices * radius, ball.faces), domain="sphere")
    assert flat.distortion().angle_mean > 9.0 and not said
