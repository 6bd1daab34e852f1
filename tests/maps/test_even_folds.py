"""Folds that averages open: near where they are, whatever the numbering, the border last."""

import numpy as np
import pytest

from meshconv._check import FloatArray
from meshconv.maps.even_folds import evened
from meshconv.maps.folds import folded
from meshconv.maps.locate import lift
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import DISK, SPHERE
from meshconv.mesh.shapes import delaunay_sphere, disk
from meshconv.mesh.surface import Surface


def _opened(surface: Surface, points: FloatArray, kind: int = DISK) -> tuple[FloatArray, bool]:
    border, free = (np.full(len(points), value) for value in (False, True))
    for loop in surface.boundary_loops:
        border[loop] = True
    stars, bad = Stars(surface.faces, len(points)), folded(points, surface.faces)
    return evened(points, stars, np.full(len(points), kind), free, border, bad)


def _rough(rings: int = 25, noise: float = 1.0) -> tuple[Surface, FloatArray]:
    flat = disk(rings)
    return flat, lift(
        0.9 * flat.vertices[:, :2]
        + noise / rings * np.random.default_rng(1).normal(size=(flat.n_vertices, 2))
    )


def test_what_overlaps_all_over_is_opened_in_place() -> None:
    flat, points = _rough()
    assert len(folded(points, flat.faces)) > 500
    found, clean = _opened(flat, points)
    assert clean and not len(folded(found, flat.faces))
    assert np.abs(found - lift(0.9 * flat.vertices[:, :2])).max() < 4 / 25


def test_a_fold_moves_nothing_beyond_its_rings() -> None:
    flat, _ = _rough()
    points = lift(0.9 * flat.vertices[:, :2])
    points[40, 0] += 0.06
    found, clean = _opened(flat, points)
    assert clean
    far = np.linalg.norm(points - points[40], axis=1) > 0.4
    np.testing.assert_array_equal(found[far], points[far])


def test_the_numbering_of_the_vertices_does_not_matter() -> None:
    flat, points = _rough()
    order = np.random.default_rng(2).permutation(len(points))
    there = Surface(flat.vertices[order], np.argsort(order)[flat.faces])
    np.testing.assert_allclose(
        _opened(there, points[order])[0], _opened(flat, points)[0][order], atol=1e-9
    )


@pytest.mark.parametrize("depth", [0.3, 0.6])
def test_a_border_vertex_behind_its_neighbours_comes_back_among_them(depth: float) -> None:
    flat = disk(12)
    points = lift(flat.vertices[:, :2])
    v, beside = (int(flat.boundary_loops[0][k]) for k in (5, 6))
    points[v, :2] *= 1 - depth
    found, clean = _opened(flat, points)
    assert clean
    assert np.linalg.norm(found[v] - found[beside]) < 0.5 * depth
    others = np.setdiff1d(flat.boundary_loops[0], flat.boundary_loops[0][3:9])
    np.testing.assert_array_equal(found[others], points[others])


def test_vertices_of_a_sphere_stay_on_it() -> None:
    ball = delaunay_sphere(2000, seed=1)
    rough = ball.vertices + 0.06 * np.random.default_rng(1).normal(size=ball.vertices.shape)
    rough /= np.linalg.norm(rough, axis=1, keepdims=True)
    assert len(folded(rough, ball.faces)) > 300
    found, clean = _opened(ball, rough, SPHERE)
    assert clean and not len(folded(found, ball.faces))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-12)


def test_what_is_inside_out_is_not_said_to_be_open() -> None:
    flat, points = _rough(6, 0.0)
    assert not _opened(flat, points * [1, -1, 1])[1]


def test_faces_beside_vertices_are_those_with_one_of_them() -> None:
    faces = disk(6).faces
    stars, some = Stars(faces, faces.max() + 1), np.array([3, 40, 41])
    np.testing.assert_array_equal(
        stars.beside(some), np.flatnonzero(np.isin(faces, some).any(axis=1))
    )
    assert not len(stars.beside(some[:0]))


def test_a_fold_that_may_not_move_is_said_to_be_there() -> None:
    """Although only the faces around what moved are looked at again."""
    flat, _ = _rough()
    points = lift(0.9 * flat.vertices[:, :2])
    points[[40, 700], 0] += 0.06
    free, border = np.ones(len(points), dtype=bool), np.zeros(len(points), dtype=bool)
    free[np.linalg.norm(points - points[700], axis=1) < 0.3] = False
    stars, kinds = Stars(flat.faces, len(points)), np.full(len(points), DISK)
    found, clean = evened(points, stars, kinds, free, border, folded(points, flat.faces))
    held = (flat.faces == 700).any(axis=1)
    assert not clean and held[folded(found, flat.faces)].any()
