"""Points along a curve through space."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.mesh.curve import nearby_order


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_neighbours_along_the_curve_are_near_in_space(unit):
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (4000, 3)) * unit
    order = nearby_order(points)
    assert np.array_equal(np.sort(order), np.arange(4000))
    far = np.linalg.norm(np.diff(points[order], axis=0), axis=1).mean()
    assert far < 0.2 * np.linalg.norm(np.diff(points, axis=0), axis=1).mean()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_points_in_one_place_keep_their_order(count):
    assert np.array_equal(nearby_order(np.ones((count, 3))), np.arange(count))
