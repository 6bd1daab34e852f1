"""Partners: normals that disagree do not pull, and complete surfaces account for each other."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.registration.cloud import Cloud
from meshconv.registration.matching import COMPLETE, CROPPED


def sheet(height: float, tilt: float = 0.0) -> Cloud:
    """A 5 x 5 grid of unit spacing whose normals lean by `tilt` radians from +z."""
    x, y = (a.ravel() for a in np.meshgrid(np.arange(5.0), np.arange(5.0)))
    normals = np.tile([np.sin(tilt), 0.0, np.cos(tilt)], (25, 1))
    return Cloud(np.column_stack([x, y, np.full(25, height)]), normals, size=5.0)


@pytest.mark.parametrize("tilt", [0.0, 0.3, 0.8, 1.2])
def test_a_pair_pulls_by_the_square_of_its_normals_agreement(tilt: float) -> None:
    """At equal distance; what leans by a right angle or more does not pull at all."""
    straight = CROPPED.pairs(sheet(0.0), sheet(0.1)).weight
    leaning = CROPPED.pairs(sheet(0.0), sheet(0.1, tilt)).weight
    np.testing.assert_allclose(leaning / straight, np.cos(tilt) ** 2, rtol=1e-12)
    assert not CROPPED.pairs(sheet(0.0), sheet(0.1, 2.0)).weight.any()
    leaning = COMPLETE.pairs(sheet(0.0), sheet(0.1, tilt)).weight
    np.testing.assert_allclose(leaning, np.cos(tilt), rtol=1e-12)


def test_what_is_far_pulls_less() -> None:
    far = sheet(0.1)
    far.points[12, 2] = 30.0
    weight = CROPPED.pairs(sheet(0.0), far).weight
    assert weight[12] < 0.01 * np.delete(weight, 12).min()


def test_a_crop_leaves_template_points_alone_and_completeness_does_not() -> None:
    whole, half = sheet(0.0), sheet(0.1)
    half = Cloud(half.points[:10], half.normals[:10], half.size)
    np.testing.assert_array_equal(CROPPED.pairs(whole, half).template, np.arange(10))
    both = COMPLETE.pairs(whole, half)
    assert set(both.template) == set(range(25)) and len(both.scan) == 35


def test_distances_of_parallel_sheets() -> None:
    """Along the normal, and in place and direction: a quarter of the size for each radian's worth
    of 1 - cos.
    """
    gap, normals = np.tile([0.3, 0.0, 0.4], (25, 1)), np.tile([0.0, 0.0, 1.0], (25, 1))
    assert CROPPED.residual(gap, normals, CROPPED.pairs(sheet(0), sheet(0)), 5.0) == pytest.approx(
        0.4
    )
    pairs = COMPLETE.pairs(sheet(0.0), sheet(0.0, 0.8))
    expected = 0.5 + 0.25 * 5.0 * (1 - np.cos(0.8))
    assert COMPLETE.residual(np.tile(gap, (2, 1)), normals, pairs, 5.0) == pytest.approx(expected)
