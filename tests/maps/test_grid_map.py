"""Maps of the square on a grid: exact inverse, composition, area and folds against independent
counts.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import ArgumentError, ArrayTypeError, FoldError, NonFiniteError
from meshconv.maps.grid_map import GridMap


def wave(u, v, strength=0.1):
    """A smooth map of the square to itself, sides to sides."""
    return (
        u + strength * np.sin(np.pi * u) * np.cos(np.pi * v),
        v + strength * np.sin(2 * np.pi * v) * (0.5 + u) / 2,
    )


def wavy(size, strength=0.1):
    u, v = np.moveaxis(GridMap.identity(size).nodes, -1, 0)
    return GridMap(np.stack(wave(u, v, strength), axis=-1))


def test_row_is_v_and_column_is_u():
    nodes = GridMap.identity(5).nodes
    assert nodes[1, 3].tolist() == [0.75, 0.25]


def test_calls_are_bilinear_between_nodes_and_second_order_accurate():
    points = np.random.default_rng(0).uniform(size=(500, 2))
    exact = np.stack(wave(*points.T), axis=-1)
    coarse, fine = (np.abs(wavy(n)(points) - exact).max() for n in (17, 65))
    assert fine < coarse / 10
    f = wavy(9)
    assert np.abs(f(f.identity(9).nodes) - f.nodes).max() < 1e-15


@given(st.integers(3, 40), st.floats(-0.15, 0.15))
def test_the_inverse_is_taken_back_exactly(size, strength):
    f = wavy(size, strength)
    back = f.inverse()
    assert np.abs(f.compose(back).nodes - GridMap.identity(size).nodes).max() < 1e-12
    assert back.folds() == 0


def test_inverse_first_converges_to_the_identity():
    errors = [
        np.abs(wavy(n).inverse().compose(wavy(n)).nodes - GridMap.identity(n).nodes).max()
        for n in (17, 65)
    ]
    assert errors[1] < errors[0] / 10


def test_composition_applies_the_inner_map_first():
    f, g = wavy(65), wavy(65, -0.12)
    u, v = np.moveaxis(GridMap.identity(65).nodes, -1, 0)
    exact = np.stack(wave(*wave(u, v, -0.12)), axis=-1)
    assert (
        np.abs(f.compose(g).nodes - exact).max() < 1e-3 < np.abs(g.compose(f).nodes - exact).max()
    )


def test_area_ratio_is_the_jacobian_with_mean_one():
    f = wavy(129)
    u, v = np.moveaxis(GridMap.identity(129).nodes, -1, 0)
    u, v = (0.25 * (w[1:, 1:] + w[:-1, 1:] + w[1:, :-1] + w[:-1, :-1]) for w in (u, v))
    h = 1e-6
    du = [(p - q) / (2 * h) for p, q in zip(wave(u + h, v), wave(u - h, v), strict=True)]
    dv = [(p - q) / (2 * h) for p, q in zip(wave(u, v + h), wave(u, v - h), strict=True)]
    assert np.abs(f.area_ratio() - (du[0] * dv[1] - du[1] * dv[0])).max() < 1e-3
    assert f.area_ratio().mean() == pytest.approx(1.0, abs=1e-12)


def test_folds_are_counted_and_forbid_an_inverse():
    nodes = GridMap.identity(5).nodes.copy()
    nodes[2, 2] = [0.9, 0.5]  # past its right neighbour at .75
    f = GridMap(nodes)
    assert f.folds() == 2
    with pytest.raises(FoldError, match="2 folded cells of 16"):
        f.inverse()


def test_float32_borders_are_put_back_exactly_and_the_input_is_left_alone():
    nodes = GridMap.identity(4).nodes.astype(np.float32)
    nodes[:, 0, 0] += 3e-6
    f = GridMap(nodes)
    assert f.nodes[:, 0, 0].tolist() == [0.0] * 4 and nodes[0, 0, 0] > 0
    assert f.nodes.dtype == np.float64 and not f.nodes.flags.writeable


def test_refusals_name_the_node():
    nodes = GridMap.identity(4).nodes.copy()
    for shape in ((4, 4), (4, 5, 2), (1, 1, 2), (4, 4, 3)):
        with pytest.raises(ArrayTypeError, match="nodes must be \\(N, N, 2\\)"):
            GridMap(np.zeros(shape))
    off = nodes.copy()
    off[2, 3, 0] = 0.8
    with pytest.raises(ArgumentError, match="must have u = 1"):
        GridMap(off)
    off = nodes.copy()
    off[1, 1] = [1.2, 0.5]
    with pytest.raises(ArgumentError, match="node \\[1, 1\\] goes to"):
        GridMap(off)
    off[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match="node \\[1, 1\\]"):
        GridMap(off)
    with pytest.raises(ArrayTypeError, match="points must be"):
        GridMap(nodes)(np.zeros((3, 3)))


def test_points_that_are_nan_are_refused():
    with pytest.raises(NonFiniteError, match="1 points are NaN"):
        GridMap.identity(5)([[np.nan, 0.0], [0.5, 0.5]])
