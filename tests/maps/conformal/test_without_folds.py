"""Folds opened in patches: nothing far away moves, nothing is folded, the map is the one of the
whole solve.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import Delaunay

from meshconv.maps.conformal import disk as _disk
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.conformal.without_folds import faces_near, patched
from meshconv.maps.folds import folded
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver


@pytest.fixture(scope="module")
def rough() -> Surface:
    """Random points in a disk, triangulated by Delaunay, with noise in height."""
    rng = np.random.default_rng(3)
    radius, angle = np.sqrt(rng.uniform(0, 0.98, 4000)), rng.uniform(0, 2 * np.pi, 4000)
    rim = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    x = np.r_[radius * np.cos(angle), np.cos(rim)]
    y = np.r_[radius * np.sin(angle), np.sin(rim)]
    faces = Delaunay(np.c_[x, y]).simplices.astype(np.int64)
    a, b, c = np.c_[x, y][faces].swapaxes(0, 1)
    turned = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    faces[turned] = faces[turned][:, ::-1]
    return Surface(np.c_[x, y, 0.01 * rng.standard_normal(len(x))], faces)


def harmonic(surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    loop = surface.boundary_loops[0]
    angle = 2 * np.pi * np.arange(len(loop)) / len(loop)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return loop, FixedValueSolver(robust_laplacian(surface), loop).solve(circle)


def test_a_patch_opens_the_folds_and_moves_only_their_surroundings(rough):
    loop, first = harmonic(rough)
    bad = folded(first, rough.faces)
    assert 0 < len(bad) < 60  # else the mesh shows nothing
    mended = patched(first, rough.faces, robust_laplacian(rough), loop)
    assert len(folded(mended, rough.faces)) == 0
    assert np.array_equal(mended[loop], first[loop])
    centre = first[rough.faces[bad]].reshape(-1, 2)
    moved = np.flatnonzero((mended != first).any(axis=1))
    distance = np.linalg.norm(first[moved, None] - centre, axis=2).min(axis=1)
    assert len(moved) < 0.7 * len(first) and distance.max() < 0.5
    assert np.linalg.norm(mended - first, axis=1).max() < 0.1


def test_patches_and_the_whole_solve_give_nearly_the_same_map(rough, monkeypatch):
    quick = conformal_map(rough)
    monkeypatch.setattr(_disk, "patched", lambda first, *_: first)
    whole = conformal_map(rough)
    assert not np.array_equal(quick.coordinates, whole.coordinates)
    assert len(quick.flipped_faces()) == len(whole.flipped_faces()) == 0
    np.testing.assert_allclose(quick.coordinates, whole.coordinates, atol=0.02)
    assert quick.distortion().angle_mean < whole.distortion().angle_mean + 0.005


def test_a_patch_that_cannot_help_gives_back_what_it_was_given(rough):
    loop, first = harmonic(rough)
    star = first.copy()
    star[loop[::2]] *= 0.5  # a border that is not convex folds with any weights
    assert patched(star, rough.faces, robust_laplacian(rough), loop) is star


@pytest.mark.parametrize("rings", range(6))
def test_the_faces_within_rings_are_those_that_rings_of_faces_reach(rings):
    rng = np.random.default_rng(rings)
    faces = Delaunay(rng.random((300, 2))).simplices.astype(np.int64)
    for bad in (rng.integers(0, len(faces), 2), np.empty(0, dtype=np.int64)):
        near, expected = np.zeros(300, dtype=bool), np.zeros(len(faces), dtype=bool)
        near[faces[bad]] = True
        for _ in range(rings):
            expected = near[faces].any(axis=1)
            near[faces[expected]] = True
        np.testing.assert_array_equal(faces_near(faces, bad, 300, rings), expected)
