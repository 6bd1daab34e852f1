"""The grid convention."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.errors import ArgumentError
from meshconv.resample.grid import bilinear_weights, grid_nodes, grid_size, node_weights


def test_nodes_lie_on_the_border_rows_are_v_and_columns_are_u():
    nodes = grid_nodes(9)
    assert nodes.min() == 0 and nodes.max() == 1
    assert (
        nodes[0, 8].tolist() == [1, 0]
        and nodes[8, 0].tolist() == [0, 1]
        and nodes[2, 3].tolist() == [3 / 8, 2 / 8]
    )


def test_sizes_nest():
    assert np.array_equal(grid_nodes(129)[::4, ::4], grid_nodes(33))


def test_weights_integrate_bilinear_functions_exactly():
    u, v = grid_nodes(17).transpose(2, 0, 1)
    assert (node_weights(17) * (1 + 2 * u + 3 * v + 4 * u * v)).sum() == pytest.approx(
        1 + 1 + 1.5 + 1
    )


def test_bilinear_weights_reproduce_points_and_clip_outside():
    points = np.random.default_rng(0).random((50, 2))
    nodes, weights = bilinear_weights(points, 7)
    np.testing.assert_allclose(
        (grid_nodes(7).reshape(-1, 2)[nodes] * weights[..., None]).sum(1), points, atol=1e-15
    )
    nodes, weights = bilinear_weights(np.array([[1.5, -0.5]]), 7)
    assert nodes[0, weights[0].argmax()] == 6 and weights.max() == 1


@pytest.mark.parametrize("bad", [0, 1, -5, 4098, 10**9, 2.5, "129"])
def test_impossible_sizes_are_refused(bad):
    with pytest.raises(ArgumentError, match="size must"):
        grid_size(bad)
