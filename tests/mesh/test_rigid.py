"""The one rigid fit: exact on moved copies, never a mirror, for a stack as for each alone."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv.mesh.rigid import Pose, fit_similarity, nearest_rotation


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_moved_copy_is_found_exactly(scale):
    rng = np.random.default_rng(0)
    true = Pose(Rotation.random(random_state=1).as_matrix(), rng.normal(size=3), scale)
    points, weight = rng.normal(size=(20, 3)), rng.uniform(0.1, 1, 20)
    found = fit_similarity(points, true.points(points), weight, with_scale=True)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=1e-12)
    np.testing.assert_allclose(found.translation, true.translation, atol=1e-9 * max(1, scale))
    assert found.scale == pytest.approx(scale)
    rigid = fit_similarity(points, true.points(points), weight, with_scale=False)
    assert rigid.scale == 1.0
    np.testing.assert_allclose(rigid.rotation, true.rotation, atol=1e-12)


def test_scipy_agrees_on_points_that_do_not_fit():
    rng = np.random.default_rng(2)
    source, target, weight = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.uniform(1, 2, 9)
    found = fit_similarity(source, target, weight, with_scale=False)
    share = weight / weight.sum()
    centred = (points - share @ points for points in (target, source))
    oracle = Rotation.align_vectors(*centred, weights=weight)[0].as_matrix()
    np.testing.assert_allclose(found.rotation, oracle, atol=1e-9)


def test_a_mirror_image_is_turned_and_not_mirrored():
    points = np.random.default_rng(3).normal(size=(12, 3))
    found = fit_similarity(points, points * [-1, 1, 1], np.ones(12), with_scale=True)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert found.scale < 1  # the best that no reflection can do


def test_a_stack_equals_each_alone():
    moments = np.random.default_rng(4).normal(size=(7, 3, 3))
    for one, turn in zip(moments, nearest_rotation(moments), strict=True):
        np.testing.assert_allclose(nearest_rotation(one), turn, atol=1e-12)
        assert np.trace(turn.T @ one) >= np.trace(one) - 1e-12  # no worse than no turn at all


def test_poses_follow_one_another():
    rng = np.random.default_rng(5)
    first, second = (
        Pose(Rotation.random(random_state=k).as_matrix(), rng.normal(size=3), 2.0 + k)
        for k in range(2)
    )
    points = rng.normal(size=(4, 3))
    np.testing.assert_allclose(
        first.then(second).points(points), second.points(first.points(points)), atol=1e-12
    )
