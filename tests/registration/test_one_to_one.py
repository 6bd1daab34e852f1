"""A one-to-one map near a wanted one: nothing folds, what need not move stays, thousands of folds
are no harder than a few, and what cannot be opened is reached from the scan's own map.
"""

import numpy as np
import pytest

from meshconv.errors import FoldError
from meshconv.maps.folds import folded
from meshconv.maps.locate import lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import DISK
from meshconv.maps.untangle import advance, untangle
from meshconv.mesh.shapes import delaunay_sphere, disk
from meshconv.mesh.surface import Surface
from meshconv.registration.one_to_one import one_to_one

NO_MARKS = np.zeros(0, dtype=np.int64)


def _dense(noise: float, rings: int = 60) -> tuple[Surface, np.ndarray, np.ndarray]:
    """A flat disk of 10,981 vertices, a smooth map of it, and the same with noise that folds."""
    flat = disk(rings)
    xy = 0.95 * flat.vertices[:, :2]
    turn = np.exp(0.8j * (1 - np.hypot(*xy.T)))  # twisted, the more the nearer to the middle
    z = xy @ [1, 1j] * turn
    smooth = np.column_stack([z.real, z.imag])
    rough = smooth + noise / rings * np.random.default_rng(3).normal(size=smooth.shape)
    return flat, smooth, rough


def _own(surface: Surface) -> Parameterization:
    return Parameterization(surface, surface.vertices[:, :2], "disk")


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_thousands_of_folds_are_opened_near_the_smooth_map_below_the_noise(noise: float) -> None:
    flat, smooth, rough = _dense(noise)
    before = len(folded(lift(rough), flat.faces))
    assert before > (0 if noise < 1 else 2000)
    found = one_to_one(flat, "disk", rough, NO_MARKS, lambda: _own(flat))
    assert not len(folded(lift(found), flat.faces))
    off = np.linalg.norm(found - smooth, axis=1)
    assert np.median(off) < 1.3 * np.median(np.linalg.norm(rough - smooth, axis=1))
    assert off.max() < 0.06 + 5 * noise / 60


def test_what_does_not_fold_comes_back_as_it_is() -> None:
    flat, smooth, _ = _dense(0.0, rings=8)
    found = one_to_one(flat, "disk", smooth, NO_MARKS, lambda: _own(flat))
    np.testing.assert_array_equal(found, smooth)


def test_marks_stay_and_only_the_surroundings_of_a_fold_move() -> None:
    flat, smooth, _ = _dense(0.0, rings=20)
    wanted, v = smooth.copy(), 700
    wanted[v] += 0.06  # across its neighbours
    found = one_to_one(flat, "disk", wanted, np.array([v]), lambda: _own(flat))
    assert not len(folded(lift(found), flat.faces))
    np.testing.assert_array_equal(found[v], wanted[v])
    far = np.linalg.norm(smooth - smooth[v], axis=1) > 0.5
    np.testing.assert_allclose(found[far], wanted[far], rtol=0, atol=1e-15)


def test_a_dense_sphere_is_opened_too() -> None:
    ball = delaunay_sphere(9000, seed=1)
    rough = ball.vertices + 0.03 * np.random.default_rng(1).normal(size=ball.vertices.shape)
    rough /= np.linalg.norm(rough, axis=1, keepdims=True)
    own = Parameterization(ball, ball.vertices, "sphere")
    found = one_to_one(ball, "sphere", rough, NO_MARKS, lambda: own)
    assert not len(folded(found, ball.faces))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-12)
    assert np.median(np.linalg.norm(found - ball.vertices, axis=1)) < 0.06


def test_what_lies_inside_out_is_reached_from_its_own_map() -> None:
    flat, smooth, _ = _dense(0.0, rings=12)
    found = one_to_one(flat, "disk", smooth * [1, -1], NO_MARKS, lambda: _own(flat))
    assert not len(folded(lift(found), flat.faces))


def test_without_a_map_of_its_own_the_reason_is_given() -> None:
    flat, _, rough = _dense(3.0, rings=20)

    def none() -> Parameterization:
        raise FoldError("too deep")

    with pytest.raises(FoldError, match="laid into the frame without folds, and it has no map"):
        one_to_one(flat, "disk", rough * [1, -1], NO_MARKS, none)


def test_an_attempt_ends_when_its_budget_is_used_up() -> None:
    flat, _, rough = _dense(0.8, rings=20)
    points, area = lift(rough), np.full(flat.n_faces, np.pi / flat.n_faces)
    free, kinds = np.ones(len(points), dtype=bool), np.full(len(points), DISK)
    stars = Stars(flat.faces, len(points))
    once, clean = untangle(points, stars, area, kinds, free, 1)
    assert not clean
    opened, clean = untangle(points, stars, area, kinds, free)
    assert clean and not len(folded(opened, flat.faces))
    assert len(folded(once, flat.faces)) < len(folded(points, flat.faces))


def test_an_advance_ends_where_no_vertex_can_go_on() -> None:
    flat, _, rough = _dense(0.8, rings=20)
    start, goal = lift(0.95 * flat.vertices[:, :2]), lift(rough)
    kinds = np.full(len(start), DISK)
    there = advance(start, goal, Stars(flat.faces, flat.n_vertices), kinds)
    assert not len(folded(there, flat.faces))
    further = advance(there, goal, Stars(flat.faces, flat.n_vertices), kinds)
    assert np.linalg.norm(further - there, axis=1).max() < 2e-3 / 20
    assert np.median(np.linalg.norm(there - goal, axis=1)) < np.median(
        np.linalg.norm(start - goal, axis=1)
    )


def _of_sphere(sphere: Surface, wanted: np.ndarray) -> np.ndarray:
    own = Parameterization(sphere, sphere.vertices, "sphere")
    return one_to_one(sphere, "sphere", wanted, NO_MARKS, lambda: own)


@pytest.mark.parametrize("n", [8, 10, 12, 20])
def test_a_sphere_of_few_vertices_that_averages_draw_into_a_point_is_opened(n: int) -> None:
    for seed in range(6):
        sphere = delaunay_sphere(n, seed=seed)
        wanted = sphere.vertices + 0.8 * np.random.default_rng(seed).normal(size=(n, 3))
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        points = _of_sphere(sphere, wanted)
        assert not len(folded(points, sphere.faces))


def test_neighbours_all_around_the_sphere_have_no_mean() -> None:
    octahedron = Surface(
        np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]]),
        np.reshape(
            [0, 2, 4, 2, 1, 4, 1, 3, 4, 3, 0, 4, 2, 0, 5, 1, 2, 5, 3, 1, 5, 0, 3, 5], (8, 3)
        ),
    )
    wanted = octahedron.vertices.copy()
    wanted[4] = [0.1, 0.05, -np.sqrt(1 - 0.0125)]
    points = _of_sphere(octahedron, wanted)
    assert not len(folded(points, octahedron.faces))
