"""Level maps from other parts of the library, masks and networks on volumes, and what a network's
mask costs.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from meshconv.errors import ArrayTypeError
from meshconv.nn import (
    AdaptiveNodes,
    LearnedLevels,
    LevelChoice,
    aligned_levels,
    cost_penalty,
    levels_for_cost,
    levels_from_density,
    levels_from_edges,
    levels_from_points,
    macs,
    make_adaptive,
    node_fraction,
)
from meshconv.nn.decnn import DECNN
from meshconv.nn.equalize import equalizing_grid


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_decnns_density_spends_the_nodes_where_it_magnifies() -> None:
    model = DECNN(1, 2, size=65, density_nodes=9, ratio=8.0, seed=0).eval()
    with torch.no_grad():
        model.density.logits.fill_(-4.0)
        model.density.logits[0, 0, 2:4, 5:7] = 4.0
        density = model.density(torch.zeros(1, 1, 65, 65))
    level = levels_from_density(density, 2, cost=0.1, size=(60, 80))
    assert 0.98 * 0.1 < node_fraction(level).item() <= 0.1
    middle = (..., slice(14, 24), slice(50, 60))  # of nodes 2 to 3 of 8 down, 5 to 6 across
    assert (level[middle] < 2).all() and level[..., 40:, :30].float().mean() > 1.5
    free = levels_from_density(
        density, 2
    )  # no budget: one level more per factor four below the peak
    expected = aligned_levels((torch.log2(density.max() / density) / 2).clamp(0, 2).floor())
    assert torch.equal(free, expected) and set(free.unique().tolist()) == {0, 1}


def test_the_area_distortion_of_a_map_makes_level_maps() -> None:
    """Where a map shrinks, a pixel of the flat image holds more surface and deserves finer
    nodes.
    """
    v, u = torch.meshgrid(*[torch.linspace(0, 1, 65, dtype=torch.float64)] * 2, indexing="ij")
    wanted = (1 + 9 * torch.exp(-((u - 0.3) ** 2 + (v - 0.6) ** 2) / 0.02))[None, None]
    grid = equalizing_grid(wanted)  # where each node samples the source
    step = [torch.gradient(grid[0, ..., k], dim=(0, 1)) for k in range(2)]
    surface_per_pixel = (step[0][1] * step[1][0] - step[0][0] * step[1][1]).abs()[None, None]
    level = levels_from_density(surface_per_pixel, 2, cost=0.3)
    fine = surface_per_pixel[level == 0].mean()
    assert fine > 2 * surface_per_pixel[level == 2].mean()


def test_points_are_fine_within_their_radius() -> None:
    points = torch.tensor([[[10.0, 20.0], [3.0, 50.0]], [[30.0, 30.0], [float("nan")] * 2]])
    level = levels_from_points(points, 3, (40, 64), radius=4.0)
    pixels = torch.cartesian_prod(torch.arange(40.0), torch.arange(64.0)).view(40, 64, 2)
    for b in range(2):
        distance = (
            torch.stack([(pixels - p).norm(dim=-1) for p in points[b]])
            .nan_to_num(nan=1e9)
            .amin(dim=0)
        )
        assert torch.equal(level[b], aligned_levels(3 * (distance > 4)[None, None])[0])
        assert (
            AdaptiveNodes.from_image(torch.zeros(1, 1, 40, 64), level[b : b + 1]).layout.depth == 3
        )
    cube = levels_from_points(torch.full((1, 1, 3), 4.0), 1, (8, 8, 8), radius=2.0)
    assert cube[0, 0, 4, 4, 4] == 0 and cube[0, 0, 0, 0, 0] == 1
    with pytest.raises(ArrayTypeError, match=r"points must be \(B, P, 2\), found \(1, 1, 3\)"):
        levels_from_points(torch.zeros(1, 1, 3), 1, (8, 8), radius=1.0)


def volume_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Sequential(
            nn.Conv3d(4, 6, 3, stride=2, padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(),
            nn.Conv3d(6, 6, 3, padding=1),
        ),
        nn.Conv3d(6, 2, 1),
    )


def test_a_network_on_volumes_with_its_own_weights() -> None:
    model, x = volume_network().eval(), torch.randn(2, 1, 9, 8, 7)
    network = make_adaptive(
        model, "2", mask=lambda image, size: levels_for_cost(image.abs(), 1, 0.5, size=size)
    )
    with torch.no_grad():
        torch.testing.assert_close(
            network(x, 1)[..., ::2, ::2, ::2], model(x), rtol=1e-4, atol=1e-5
        )
        first, second = model[2][0], model[2][3]
        dilated = functional.conv3d(model[1](model[0](x)), first.weight, first.bias, padding=1)
        dilated = functional.relu(model[2][1](dilated))
        dilated = model[3](
            functional.conv3d(dilated, second.weight, second.bias, padding=2, dilation=2)
        )
        torch.testing.assert_close(network(x, 0), dilated, rtol=1e-4, atol=1e-5)
        out, level = network.run(x)
    assert out.shape == (2, 2, 9, 8, 7) and level.shape == (2, 1, 9, 8, 7)
    assert network.macs(x, 1) < network.macs(x) < network.macs(x, 0)


def test_a_learned_mask_on_volumes_reaches_all_its_weights() -> None:
    network = make_adaptive(
        volume_network(), "2", mask=LearnedLevels(1, levels=1, dims=3, hidden=4)
    )
    out, choice = network.run(torch.randn(2, 1, 8, 8, 8))
    assert isinstance(choice, LevelChoice)
    (out.square().mean() + cost_penalty(choice.fraction_low)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert any(p.grad.abs().sum() > 0 for p in network.mask.parameters())


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 1.0])
def test_cost_is_linear_in_the_nodes(share: float) -> None:
    """75 % of the area downsampled once costs .4375 of the dense network."""
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    )
    network, x = make_adaptive(model, "0"), torch.randn(1, 4, 16, 16)
    level = torch.zeros(1, 1, 16, 16, dtype=torch.int64)
    level[..., : round(16 * share), :] = 1
    dense = macs(make_adaptive(model, "0"), x, 0)
    assert network.macs(x, level) == pytest.approx((1 - 0.75 * share) * dense)


def test_edges_of_a_picture_of_shapes_take_few_nodes() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    disk = ((y - 30) ** 2 + (x - 36) ** 2 < 15**2).float()[None, None]
    level = levels_from_edges(disk, 3, threshold=0.3)
    rim = ((((y - 30) ** 2 + (x - 36) ** 2).sqrt() - 15).abs() < 0.7)[None, None]
    assert (level[rim] == 0).all()
    assert node_fraction(level).item() < 0.4
