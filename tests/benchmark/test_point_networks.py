"""Networks on point clouds: the shortcut over edges against edges that are made; invariants."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from meshconv.benchmark.point_networks import (
    DynamicGraphNetwork,
    PointNetPlusPlus,
    _EdgeLayer,
    farthest,
    gathered,
    in_ball,
    nearest,
)
from meshconv.errors import ArgumentError, ArrayTypeError

NETWORKS = pytest.mark.parametrize(
    "build",
    [
        lambda: DynamicGraphNetwork(3, neighbours=5, widths=(8, 8), embedding=16, seed=0),
        lambda: PointNetPlusPlus(3, in_ball=(8, 8), seed=0),
    ],
    ids=["DGCNN", "PointNet++"],
)


def clouds(n: int = 40, size: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(size, n, 3, generator=torch.Generator().manual_seed(seed)) / 2


def by_edges(
    layer: _EdgeLayer, x: torch.Tensor, near: torch.Tensor
) -> tuple[torch.Tensor, nn.Module]:
    """Make every edge, as the paper says it."""
    norm = nn.BatchNorm1d(len(layer.weight)).double()
    norm.weight, norm.bias = layer.weight, layer.bias
    norm.train(layer.training)
    difference = gathered(x, near) - x[:, :, None]
    edges = layer.difference(difference) + layer.own(x)[:, :, None]
    edges = norm(edges.flatten(0, 2)).view_as(edges)
    return nn.functional.leaky_relu(edges, 0.2).amax(dim=2), norm


@pytest.mark.parametrize("k", [1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_an_edge_layer_is_what_its_edges_give(k, seed):
    torch.manual_seed(seed)
    layer = _EdgeLayer(5, 7).double()
    with torch.no_grad():  # of both signs: the norm may turn the largest into the smallest
        layer.weight.copy_(torch.randn(7))
        layer.bias.copy_(torch.randn(7))
    x = torch.randn(3, 20, 5, dtype=torch.float64, requires_grad=True) + 10
    near = nearest(x, k)
    expected, norm = by_edges(layer, x, near)
    found = layer(x, near)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(layer.mean, norm.running_mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(layer.variance, norm.running_var, rtol=1e-9, atol=1e-9)
    parameters = list(layer.parameters())
    for a, b in zip(
        torch.autograd.grad(found.sin().sum(), parameters, retain_graph=True),
        torch.autograd.grad(expected.sin().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


@NETWORKS
def test_the_order_of_points_and_the_rest_of_the_batch_do_not_matter(build):
    model, points = build().eval().double(), clouds().double()
    order = torch.randperm(39, generator=torch.Generator().manual_seed(1)) + 1
    order = torch.cat([torch.zeros(1, dtype=torch.long), order])  # centres begin at the first
    torch.testing.assert_close(model(points[:, order]), model(points), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(model(points[1:2]), model(points)[1:2], rtol=1e-9, atol=1e-9)


@NETWORKS
def test_all_weights_learn(build):
    model = build()
    model(clouds()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@NETWORKS
def test_the_seed_decides_and_leaves_the_global_generator(build):
    before = torch.random.get_rng_state()
    first, second = build(), build()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_the_size_of_a_cloud_matters_to_balls_only_beyond_their_radius():
    points = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [0.15, 0, 0], [3, 0, 0]]])
    found = in_ball(points[:, :1], points, 0.2, 4)
    assert found[0, 0].tolist() == [0, 1, 2, 0]  # what is outside is the centre again
    assert in_ball(points[:, :1], 10 * points, 0.2, 4)[0, 0].tolist() == [0, 0, 0, 0]


def test_farthest_points_and_neighbours_by_hand():
    line = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [9, 0, 0]]])
    assert farthest(line, 3)[0].tolist() == [0, 3, 2]
    assert nearest(line, 2)[0].tolist() == [[0, 1], [1, 0], [2, 1], [3, 2]]


@NETWORKS
@pytest.mark.parametrize("shape", [(2, 40), (2, 40, 2), (2, 3, 3)])
def test_other_shapes_are_refused(build, shape):
    with pytest.raises(ArrayTypeError, match=r"points must be \(B, n, 3\)"):
        build()(torch.zeros(shape))


def test_counts_are_checked():
    with pytest.raises(ArgumentError, match="at least 1"):
        DynamicGraphNetwork(3, neighbours=0)
    with pytest.raises(ArgumentError, match="at least 1"):
        PointNetPlusPlus(0)


def test_a_copy_judges_alike():
    model = PointNetPlusPlus(2, in_ball=(8, 8), seed=0).eval()
    assert torch.equal(copy.deepcopy(model)(clouds()), model(clouds()))
