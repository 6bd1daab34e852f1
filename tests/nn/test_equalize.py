"""The equalizing layer against closed forms, its own contract, and the bars of the project."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from contracts.equalizer import CHECKS, blobs, check_symmetric_in_symmetric_out
from hypothesis import given, settings
from hypothesis import strategies as st

from meshconv.errors import AccuracyWarning, ArgumentError, ArrayTypeError, DensityError
from meshconv.maps.equalize.density_map import density_equalizing_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.shapes import grid as grid_surface
from meshconv.nn.decnn import DECNN
from meshconv.nn.equalize import (
    area_ratio,
    bounded_density,
    density_error,
    equalizing_grid,
    folds,
    normalize_density,
    smooth_upsample,
)
from meshconv.nn.flows import moser_velocity, traced
from meshconv.nn.sample import gather, node_grid

METHODS = ["moser", "knothe_rosenblatt", "diffusion"]
DIRECTIONS = ["backward", "forward"]


def _blobs(n: int) -> dict[str, torch.Tensor]:
    """Densities of ratio 5 to 10, (1, 1, n, n)."""
    x, y = ((node_grid(n, torch.zeros(())) + 1) / 2).unbind(-1)

    def blob(a: float, b: float, s: float) -> torch.Tensor:
        return torch.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2))

    return {
        "one": 1 + 4 * blob(0.5, 0.5, 0.12)[None],
        "two": 1 + 9 * (blob(0.3, 0.35, 0.1) + 0.6 * blob(0.7, 0.65, 0.12)).clamp_max(1)[None],
        "corner": 1 + 9 * blob(0.05, 0.1, 0.15)[None],
    }


# --- the bars: std / mean of the delivered density <= .012 and no folds for ratios up to 10
# --------------


@pytest.mark.parametrize("n", [65, 129])
@pytest.mark.parametrize("name", ["one", "two", "corner"])
def test_delivered_density_is_even(n, name):
    density = _blobs(n)[name]
    for method, bar in (("moser", 0.003), ("knothe_rosenblatt", 0.003), ("diffusion", 0.005)):
        grid = equalizing_grid(density, method=method)
        assert float(density_error(density, grid)) < bar, method
        assert int(folds(grid)) == 0, method


@pytest.mark.parametrize("n", [65, 129])
@pytest.mark.parametrize("spacing", [4, 8])
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 3.0, 100.0]))
@settings(max_examples=6)
def test_every_bounded_density_is_even_without_folds(n, spacing, seed, scale):
    g = torch.Generator().manual_seed(seed)
    coarse = (n - 1) // spacing + 1
    density = bounded_density(
        scale * torch.randn(2, 1, coarse, coarse, generator=g), ratio=10, size=n
    )
    for direction in DIRECTIONS:
        grid = equalizing_grid(density, direction=direction)
        assert int(folds(grid).sum()) == 0
    assert float(density_error(density, equalizing_grid(density)).max()) < 0.012


def test_error_falls_with_the_grid_and_the_steps():
    errors = [
        float(density_error(_blobs(n)["two"], equalizing_grid(_blobs(n)["two"])))
        for n in (33, 65, 129)
    ]
    assert errors[1] < 0.6 * errors[0] and errors[2] < 0.6 * errors[1]
    corner = _blobs(129)["corner"]
    few, many = (float(density_error(corner, equalizing_grid(corner, steps=k))) for k in (2, 8))
    assert many < 0.2 * few


# --- closed form
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_density_of_one_variable_has_its_cumulated_function(method, axis):
    """density 1 + a cos(pi x): the map is x + a sin(pi x) / pi along the axis and nothing across
    it.
    """
    n, a = 129, 0.6
    x = (node_grid(n, torch.zeros((), dtype=torch.float64))[..., axis] + 1) / 2
    density = (1 + a * torch.cos(math.pi * x))[:, None]
    forward = (equalizing_grid(density, method=method, direction="forward") + 1) / 2
    exact = x + a * torch.sin(math.pi * x) / math.pi
    assert float((forward[..., axis] - exact).abs().max()) < 1e-4
    across = (node_grid(n, density) + 1)[..., 1 - axis] / 2
    assert float((forward[..., 1 - axis] - across).abs().max()) < 1e-9
    sampled = (equalizing_grid(density, method=method)[..., axis] + 1) / 2
    back = sampled + a * torch.sin(math.pi * sampled) / math.pi
    assert float((back - x).abs().max()) < 1e-4


# --- contract, shared with the sparse equalizer
# -----------------------------------------------------------


def _forward(method: str, density: np.ndarray) -> np.ndarray:
    """Where the nodes of the unit square go, (N, N, 2)."""
    grid = equalizing_grid(
        torch.from_numpy(density)[None, None], method=method, direction="forward"
    )
    return (grid[0].numpy() + 1) / 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(method, check):
    if method == "knothe_rosenblatt" and check is check_symmetric_in_symmetric_out:
        pytest.skip("the Knothe-Rosenblatt map prefers an axis by definition")
    check(lambda density: _forward(method, density))


def test_agrees_with_the_sparse_equalizer():
    """The same flow by finite elements on a triangulated square, which shares no code with the
    layer.
    """
    density = blobs(65)
    surface = grid_surface(65)
    flat = Parameterization(surface, surface.vertices[:, :2], "rectangle")
    u, v = np.rint(flat.coordinates * 64).astype(int).T
    sparse = density_equalizing_map(flat, density[v, u]).coordinates
    assert (
        np.abs(sparse - _forward("moser", density)[v, u]).max() < 0.25 / 64
    )  # a quarter of a cell


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("value", [0.1, 1.0, 7e5])
def test_constant_density_is_exactly_the_identity(method, direction, value):
    grid = equalizing_grid(torch.full((2, 1, 33, 33), value), method=method, direction=direction)
    assert torch.equal(grid, node_grid(33, grid).expand(2, -1, -1, -1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_walls_stay_on_walls_exactly(method, direction):
    density = torch.rand(3, 1, 17, 17, generator=torch.Generator().manual_seed(0)) + 0.2
    grid = equalizing_grid(density, method=method, direction=direction)
    assert (grid[:, :, 0, 0] == -1).all() and (grid[:, :, -1, 0] == 1).all()
    assert (grid[:, 0, :, 1] == -1).all() and (grid[:, -1, :, 1] == 1).all()


@pytest.mark.parametrize("method", METHODS)
def test_backward_is_the_inverse_of_forward(method):
    density = _blobs(65)["one"]
    backward, forward = (equalizing_grid(density, method=method, direction=d) for d in DIRECTIONS)
    there_and_back = gather(backward.permute(0, 3, 1, 2), forward).permute(0, 2, 3, 1)
    assert (
        float((there_and_back - node_grid(65, density)).abs().max()) < 0.1 * 2 / 64
    )  # a tenth of a node


@pytest.mark.parametrize("method", ["moser", "diffusion"])
def test_symmetry_of_the_square_is_kept(method):
    g = torch.Generator().manual_seed(1)
    density = bounded_density(torch.randn(1, 1, 5, 5, generator=g, dtype=torch.float64), size=33)
    grid = equalizing_grid(density, method=method)
    transposed = equalizing_grid(density.transpose(2, 3), method=method)
    torch.testing.assert_close(transposed, grid.transpose(1, 2).flip(-1), rtol=0, atol=1e-12)
    mirrored = equalizing_grid(density.flip(3), method=method)
    torch.testing.assert_close(
        mirrored, grid.flip(2) * torch.tensor([-1.0, 1.0]), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_scale_of_the_density_does_not_matter(method):
    density = _blobs(33)["two"].double()
    grid = equalizing_grid(density, method=method)
    torch.testing.assert_close(
        equalizing_grid(1e6 * density, method=method), grid, rtol=0, atol=1e-12
    )


def test_fewer_nodes_are_the_same_map():
    density = _blobs(129)["two"]
    full, coarse = equalizing_grid(density), equalizing_grid(density, size=33)
    torch.testing.assert_close(coarse, full[:, ::4, ::4], rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradcheck(method, direction):
    g = torch.Generator().manual_seed(2)
    density = (torch.rand(1, 1, 6, 6, generator=g, dtype=torch.float64) + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rho: equalizing_grid(rho, method=method, direction=direction, steps=2), density
    )


def test_gradcheck_of_the_whole_chain_from_logits_to_a_coarser_grid():
    g = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 1, 4, 4, generator=g, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: equalizing_grid(bounded_density(s, size=9), size=5), logits
    )


def test_half_precision_gets_a_float32_grid():
    density = _blobs(33)["one"]
    grid = equalizing_grid(density)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(equalizing_grid(density), grid)
    half = equalizing_grid(density.bfloat16())
    assert half.dtype == torch.float32 and equalizing_grid(density.double()).dtype == torch.float64
    assert (
        float((half - grid).abs().max()) < 2 / 32 / 4
    )  # the density was rounded, the positions were not


# --- the measures themselves
# ------------------------------------------------------------------------------


def test_area_ratio_and_folds_of_known_grids():
    identity = node_grid(5, torch.zeros(()))
    torch.testing.assert_close(area_ratio(identity), torch.ones(1, 4, 4))
    torch.testing.assert_close(area_ratio(0.5 * identity), torch.full((1, 4, 4), 0.25))
    assert int(folds(identity)) == 0 and int(folds(identity.flip(1))) == 16
    pushed = identity.clone()
    pushed[0, 2, 2] += 0.6  # past its neighbour
    assert int(folds(pushed)) > 0


def test_density_error_sees_a_map_that_is_not_equalizing():
    density = _blobs(65)["one"]
    assert float(density_error(density, node_grid(65, density))) > 0.3
    assert float(density_error(density, equalizing_grid(density, direction="forward"))) > 0.3


# --- the bounded density
# ----------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), ratio=st.floats(1.0, 50.0), scale=st.floats(0.1, 1e4))
def test_bounded_density_is_bounded_smooth_and_of_mean_one(seed, ratio, scale):
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(1, 1, 9, 9, generator=g, dtype=torch.float64)
    density = bounded_density(logits, ratio=ratio, size=65)
    assert float(density.max() / density.min()) <= ratio * (1 + 1e-9)
    corners = (
        density[..., 1:, 1:]
        + density[..., :-1, 1:]
        + density[..., 1:, :-1]
        + density[..., :-1, :-1]
    ) / 4
    assert float(corners.mean()) == pytest.approx(1.0, abs=1e-9)
    steps = (
        torch.log(density).diff(dim=-1).abs().max()
    )  # a B-spline of values in [0, 1] has slope <= 1 per node
    assert float(steps) <= math.log(ratio) / 8 + 1e-12


def test_equal_logits_give_exactly_one():
    assert torch.equal(
        bounded_density(torch.full((2, 1, 5, 5), 3.3), size=33), torch.ones(2, 1, 33, 33)
    )


def test_smooth_upsample_reproduces_lines_away_from_the_border_and_constants():
    line = torch.arange(9, dtype=torch.float64).expand(1, 1, 9, 9)
    fine = smooth_upsample(line, 65)
    expected = torch.linspace(0, 8, 65, dtype=torch.float64)
    torch.testing.assert_close(fine[0, 0, 30, 8:-8], expected[8:-8])
    torch.testing.assert_close(
        smooth_upsample(torch.ones(1, 1, 9, 9), 65), torch.ones(1, 1, 65, 65)
    )


def test_normalize_density_scales_to_mean_one():
    assert float(normalize_density(torch.full((1, 1, 9, 9), 3.0))[0, 0, 4, 4]) == 1.0


# --- refusals
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_density_must_be_positive_and_finite(bad):
    density = torch.ones(1, 1, 5, 5)
    density[0, 0, 2, 3] = bad
    with pytest.raises(
        DensityError, match=r"at \[0, 0, 2, 3\]; 1 of 25 values are not finite and positive"
    ):
        equalizing_grid(density)


def test_other_refusals():
    with pytest.raises(ArrayTypeError, match=r"density must be \(B, 1, N, N\)"):
        equalizing_grid(torch.ones(5, 5))
    with pytest.raises(ArrayTypeError, match="floating point"):
        equalizing_grid(torch.ones(1, 1, 5, 5, dtype=torch.int64))
    for options in ({"method": "magic"}, {"direction": "up"}, {"steps": 0}, {"size": 1}):
        with pytest.raises(ArgumentError):
            equalizing_grid(torch.ones(1, 1, 5, 5), **options)
    with pytest.raises(ArgumentError, match="ratio must be"):
        bounded_density(torch.zeros(1, 1, 5, 5), ratio=0.5, size=9)


@pytest.mark.parametrize("method", ["moser", "diffusion"])
def test_a_density_too_steep_for_its_grid_is_flattened_with_a_warning_and_its_neighbours_are_not(
    method,
):
    density = torch.ones(3, 1, 65, 65, dtype=torch.float64)
    density[0, 0, 30, 30] = 1e4
    density[1, :, 8:20, 8:20] = 2.0
    with pytest.warns(AccuracyWarning, match="too steep for its grid"):
        grid = equalizing_grid(density, method=method)
    assert folds(grid).tolist() == [0, 0, 0]
    torch.testing.assert_close(
        grid[1:], equalizing_grid(density[1:], method=method), rtol=0, atol=1e-12
    )
    assert float((grid[0] - grid[2]).abs().max()) > 0.01  # flattened, not given up


def test_gradients_pass_through_a_flattened_density():
    density = torch.ones(2, 1, 17, 17, dtype=torch.float64)
    density[0, 0, 7:9, 7:9] = 3e3
    density.requires_grad_()
    with pytest.warns(AccuracyWarning):
        equalizing_grid(density)[..., 0].square().sum().backward()
    assert bool(torch.isfinite(density.grad).all()) and float(density.grad[0].abs().max()) > 0


@pytest.mark.parametrize("steep", [[1], [0, 2, 3]])
def test_what_is_delivered_in_place_of_folds_is_the_same_with_a_derivative_and_alone(steep):
    g = torch.Generator().manual_seed(0)
    density = 1 + torch.rand(4, 1, 17, 17, generator=g, dtype=torch.float64)
    density[steep, 0, 5:8, 7:9] *= torch.tensor([3e3, 400, 50])[: len(steep), None, None].double()
    weight = torch.randn(4, 17, 17, 2, generator=g, dtype=torch.float64)
    density.requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        grid = equalizing_grid(density)
        assert torch.equal(grid, equalizing_grid(density.detach()))
        alone = [equalizing_grid(density[[k]]) for k in range(4)]
    assert not folds(grid).any()
    whole = torch.autograd.grad((grid * weight).sum(), density)[0]
    each = torch.autograd.grad((torch.cat(alone) * weight).sum(), density)[0]
    torch.testing.assert_close(whole, each, rtol=1e-9, atol=1e-12)
    assert float(whole.abs().amax((1, 2, 3)).min()) > 0


def test_densities_of_a_networks_own_never_fold():
    model = DECNN(1, 2, size=65, network_size=33, density="sample", ratio=30.0, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        grid = model.sampling_grid(
            torch.randn(16, 1, 65, 65, generator=torch.Generator().manual_seed(0))
        )
    assert int(folds(grid).sum()) == 0


@pytest.mark.parametrize(("n", "most"), [(65, 0.02), (129, 0.006)])
def test_a_smooth_density_that_four_steps_fold_is_exact_in_more_and_not_flattened(
    n: int, most: float
) -> None:
    x, y = ((node_grid(n, torch.zeros(())) + 1) / 2).unbind(-1)
    blob = torch.exp(-((x**2 + (y - 0.1) ** 2) / (2 * 0.08**2)))[None]
    few = traced(1 + 49 * blob, velocity=moser_velocity, nodes=n, times=[1, 0.75, 0.5, 0.25, 0])
    assert int(folds(few)) > 100
    both = torch.cat([1 + 49 * blob, 1 + blob])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = equalizing_grid(both)
    assert folds(grid).tolist() == [0, 0]
    assert float(density_error(both, grid).max()) < 0.04
    torch.testing.assert_close(grid[1:], equalizing_grid(both[1:]), rtol=0, atol=0)
    assert float(density_error(both, equalizing_grid(both, steps=16)).max()) < most
