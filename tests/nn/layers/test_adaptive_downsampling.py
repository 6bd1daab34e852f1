"""Content-adaptive downsampling: its closed forms, a second implementation in plain loops, and its
level maps.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError, DensityError
from meshconv.nn import (
    AdaptiveBatchNorm,
    AdaptiveConv2d,
    AdaptiveConv3d,
    AdaptiveGroupNorm,
    AdaptiveNodes,
    AdaptivePool,
    LearnedLevels,
    LevelChoice,
    aligned_levels,
    cost_penalty,
    levels_for_cost,
    levels_from_curvature,
    levels_from_density,
    levels_from_edges,
    macs,
    make_adaptive,
    node_conv,
    node_fraction,
)

CONV = {2: functional.conv2d, 3: functional.conv3d}
LAYER = {2: AdaptiveConv2d, 3: AdaptiveConv3d}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def random_levels(batch, size, n):
    """Aligned maps with every level: blocks drawn at several sizes, so that coarse ones survive the
    alignment.
    """
    shape = [batch, 1, *(-(-side // 2**n) for side in size)]
    coarse = torch.randint(0, n + 1, shape)
    for axis, side in enumerate(size, start=2):
        coarse = coarse.repeat_interleave(2**n, dim=axis).narrow(axis, 0, side)
    fine = torch.randint(0, n + 1, coarse.shape)
    return aligned_levels(torch.where(coarse == 0, fine, coarse))


def loop_anchors(level):
    """Anchors of one map (*S), level by level in raster order, found pixel by pixel."""
    found = []
    for m in range(int(level.max()) + 1):
        for at in itertools.product(*map(range, level.shape)):
            if level[at] == m and all(c % 2**m == 0 for c in at):
                found.append((m, at))
    return found


def at_anchors(image, level):
    """Rows of an image (B, C, *S) at the anchors, sample by sample."""
    rows = [
        image[(b, slice(None), *at)]
        for b in range(len(image))
        for _, at in loop_anchors(level[b, 0])
    ]
    return torch.stack(rows)


# --- nodes ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 3), st.integers(1, 3))
def test_nodes_are_the_blocks_in_order_and_fill_them(size, n, batch):
    level = random_levels(batch, size, n)
    x = torch.randn(batch, 2, *size)
    nodes = AdaptiveNodes.from_image(x, level)
    assert torch.equal(nodes.features, at_anchors(x, level))
    expected = [(b, m, *at) for b in range(batch) for m, at in loop_anchors(level[b, 0])]
    layout = nodes.layout
    found = torch.cat([layout.sample[:, None], layout.level[:, None], layout.coordinates()], dim=1)
    assert found.tolist() == [list(row) for row in expected]
    image = nodes.to_image()
    for at in itertools.product(range(batch), *map(range, size)):
        m = int(level[(at[0], 0, *at[1:])])
        anchor = tuple(c - c % 2**m for c in at[1:])
        assert torch.equal(image[(at[0], slice(None), *at[1:])], x[(at[0], slice(None), *anchor)])
    torch.testing.assert_close(node_fraction(level), layout.counts.double() / math.prod(size))


def test_node_count_is_the_sum_over_levels():
    level = random_levels(1, (32, 48), 3)
    nodes = AdaptiveNodes.from_image(torch.zeros(1, 1, 32, 48), level)
    assert len(nodes) == sum(int((level == i).sum()) // 4**i for i in range(4))
    assert len(set(level.flatten().tolist())) == 4


def test_downsampling_in_steps_is_downsampling_at_once():
    level, x = random_levels(2, (13, 10), 3), torch.randn(2, 3, 13, 10)
    nodes = AdaptiveNodes.from_image(x, level, depth=0)
    assert torch.equal(nodes.to_image(), x)
    for depth in (1, 2, 3):
        nodes = nodes.downsample(depth)
        assert torch.equal(
            nodes.features, AdaptiveNodes.from_image(x, level.clamp(max=depth)).features
        )


def test_mean_weighs_nodes_by_area():
    level, x = random_levels(3, (8, 16), 2), torch.randn(3, 5, 8, 16, dtype=torch.float64)
    nodes = AdaptiveNodes.from_image(x, level)
    torch.testing.assert_close(nodes.mean(), nodes.to_image().mean(dim=(2, 3)))


def test_pointwise_functions_act_on_nodes_and_others_refuse():
    level, x = random_levels(2, (8, 8), 1), torch.randn(2, 4, 8, 8)
    nodes = AdaptiveNodes.from_image(x, level)
    assert torch.equal(nn.ReLU()(nodes).features, nodes.features.relu())
    assert torch.equal((2 * nodes + nodes - 1).features, 3 * nodes.features - 1)
    assert torch.equal(
        torch.cat([nodes, nodes], dim=1).features, torch.cat([nodes.features] * 2, dim=1)
    )
    with pytest.raises(
        ArgumentError, match=r"max_pool2d.*does not act on adaptive nodes; use the layers"
    ):
        nn.MaxPool2d(2)(nodes)
    with pytest.raises(ArgumentError, match="features on different nodes"):
        nodes + AdaptiveNodes.from_image(x, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ArrayTypeError, match="not with other tensors"):
        nodes * torch.ones(2, 4, 1, 1)


# --- levels --------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 3))
def test_aligned_levels_are_the_largest_that_fit(height, width, n):
    level = torch.randint(0, n + 1, (2, 1, height, width))
    level[torch.rand(level.shape) < 0.7] = n
    out = aligned_levels(level)
    for b, y, x in itertools.product(range(2), range(height), range(width)):
        blocks = [
            level[
                b, 0, y - y % 2**k : y - y % 2**k + 2**k, x - x % 2**k : x - x % 2**k + 2**k
            ].min()
            >= k
            for k in range(n + 1)
        ]
        assert out[b, 0, y, x] == max(k for k in range(n + 1) if blocks[k])
    AdaptiveNodes.from_image(
        torch.zeros(2, 1, height, width), out
    )  # accepted: constant on its blocks


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (torch.full((1, 1, 4, 4), -1), r"integers from 0 to 15, found -1 at \[0, 0, 0, 0\]"),
        (torch.full((1, 1, 4, 4), 0.5), "found 0.5"),
        (torch.full((1, 1, 4, 4), math.nan), "found nan"),
        (
            torch.eye(4)[None, None],
            r"level 1 at .* not constant on its aligned block .*use aligned_levels",
        ),
    ],
)
def test_levels_that_make_no_nodes_are_refused(level, message):
    with pytest.raises(ArgumentError, match=message):
        AdaptiveNodes.from_image(torch.zeros(1, 2, 4, 4), level)


def test_levels_of_another_shape_are_refused():
    with pytest.raises(ArrayTypeError, match="do not belong to an image"):
        AdaptiveNodes.from_image(torch.zeros(3, 2, 4, 4), torch.zeros(2, 1, 4, 4))
    with pytest.raises(ArrayTypeError, match="one to three axes"):
        aligned_levels(torch.zeros(4, 4))


# --- convolution ---------------------------------------------------------------------------------


@given(st.data())
def test_convolution_is_the_dilated_one_of_the_filled_image_at_the_anchors(data):
    dims = data.draw(st.sampled_from([2, 2, 3]))
    size = data.draw(st.lists(st.integers(1, 11 if dims == 2 else 6), min_size=dims, max_size=dims))
    n = data.draw(st.integers(0, 3 if dims == 2 else 2))
    kernel, dilation = data.draw(st.sampled_from([1, 3, 5])), data.draw(st.sampled_from([1, 2]))
    groups, levels = data.draw(st.sampled_from([1, 2])), data.draw(st.integers(0, 3))
    level = random_levels(2, size, n)
    layer = LAYER[dims](4, 6, kernel, levels=levels, dilation=dilation, groups=groups).double()
    nodes = AdaptiveNodes.from_image(torch.randn(2, 4, *size, dtype=torch.float64), level)
    step = 2**levels * dilation
    filled = CONV[dims](
        nodes.to_image(),
        layer.weight,
        layer.bias,
        dilation=step,
        padding=step * (kernel // 2),
        groups=groups,
    )
    torch.testing.assert_close(layer(nodes).features, at_anchors(filled, level))
    # without gradients: the grid's convolution and the others' product, or one product for all; two
    # ways to take it
    for few, many in itertools.product((0, 2048), (0, 1024)):
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("meshconv.nn.layers.adaptive_conv._FEW", few)
            patch.setattr("meshconv.nn.layers.adaptive_conv._MANY", many)
            torch.testing.assert_close(layer(nodes).features, at_anchors(filled, level))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 3))
def test_all_low_is_the_strided_and_all_high_the_dilated_convolution(height, width, n):
    x, conv = torch.randn(2, 3, height, width), nn.Conv2d(3, 5, 3, padding=1)
    layer = AdaptiveConv2d(3, 5, 3, levels=n)
    layer.load_state_dict(conv.state_dict())
    low = layer(AdaptiveNodes.from_image(x, torch.full((1, 1, height, width), n)))
    strided = conv(x[..., :: 2**n, :: 2**n])
    torch.testing.assert_close(low.to_image()[..., :: 2**n, :: 2**n], strided, rtol=1e-5, atol=1e-5)
    assert len(low) == strided[:, 0].numel()
    high = layer(AdaptiveNodes.from_image(x, torch.zeros(1, 1, height, width)))
    dilated = functional.conv2d(x, conv.weight, conv.bias, dilation=2**n, padding=2**n)
    torch.testing.assert_close(high.to_image(), dilated, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 17), st.integers(1, 17), st.integers(0, 2), st.sampled_from([2, 4]))
def test_strided_convolution_keeps_the_first_pixel_where_the_map_allows(
    height, width, depth, stride
):
    level = random_levels(2, (height, width), 3)
    nodes = AdaptiveNodes.from_image(torch.randn(2, 3, height, width), level, depth=depth)
    layer = AdaptiveConv2d(3, 4, 3, stride=stride)
    every = AdaptiveConv2d(3, 4, 3)
    every.load_state_dict(layer.state_dict())
    expected = every(nodes).downsample(depth + stride.bit_length() - 1)
    torch.testing.assert_close(layer(nodes).features, expected.features, rtol=1e-5, atol=1e-5)


def test_images_of_a_batch_do_not_meet():
    level, x = random_levels(3, (9, 12), 2), torch.randn(3, 4, 9, 12)
    layers = nn.Sequential(
        AdaptiveConv2d(4, 8, levels=2), AdaptiveGroupNorm(2, 8), nn.ReLU(), AdaptivePool(3)
    )
    together = layers(AdaptiveNodes.from_image(x, level)).to_image()
    for b in range(3):
        alone = layers(AdaptiveNodes.from_image(x[b : b + 1], level[b : b + 1], depth=2)).to_image()
        torch.testing.assert_close(together[b : b + 1], alone, rtol=1e-5, atol=1e-5)


def test_gradients():
    level = random_levels(1, (4, 5), 1)
    layer = AdaptiveConv2d(2, 3, levels=1).double()

    nodes = AdaptiveNodes.from_image(torch.zeros(1, 2, 4, 5), level)

    def through(features, weight, bias):
        state = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, state, (nodes.with_features(features),)).to_image()

    features = torch.randn(len(nodes), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        through, (features, layer.weight.detach().requires_grad_(), layer.bias)
    )
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda image: AdaptiveNodes.from_image(image, level).to_image(), (x,)
    )


def test_autocast():
    level, layer = random_levels(1, (8, 8), 1), AdaptiveConv2d(16, 16, levels=1)
    nodes = AdaptiveNodes.from_image(torch.randn(1, 16, 8, 8), level)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(nodes).features
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(nodes).features, rtol=0.05, atol=0.05)


class Taps(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, features, index):
        return node_conv(features, index, self.layer.weight, self.layer.bias)


def test_the_gather_exports_with_any_number_of_nodes():
    layer = AdaptiveConv2d(4, 5, levels=1)
    rows, taps = (
        torch.export.Dim("rows", min=2, max=10**6),
        torch.export.Dim("taps", min=2, max=10**6),
    )
    example = (torch.randn(20, 4), torch.randint(0, 21, (30, 9)))
    program = torch.export.export(Taps(layer), example, dynamic_shapes=({0: rows}, {0: taps}))
    other = (torch.randn(7, 4), torch.randint(0, 8, (11, 9)))
    torch.testing.assert_close(program.module()(*other), Taps(layer)(*other))


def test_layers_compile():
    level, layer = random_levels(1, (8, 8), 1), AdaptiveConv2d(4, 4)
    nodes = AdaptiveNodes.from_image(torch.randn(1, 4, 8, 8), level)
    torch.testing.assert_close(
        torch.compile(layer, backend="eager")(nodes).features, layer(nodes).features
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 2}, "kernel_size must be odd, found 2"),
        ({"stride": 3}, "stride must be a power of two, found 3"),
        ({"levels": -1}, "levels must not be negative"),
    ],
)
def test_impossible_convolutions_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        AdaptiveConv2d(2, 2, **options)


def test_foreign_inputs_are_refused():
    layer, nodes = (
        AdaptiveConv2d(2, 2),
        AdaptiveNodes.from_image(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)),
    )
    with pytest.raises(ArrayTypeError, match="take AdaptiveNodes, found Tensor"):
        layer(torch.zeros(1, 2, 4, 4))
    with pytest.raises(ArrayTypeError, match=r"takes 2 channels on 2 axes, found 3 on \(4, 4\)"):
        layer(nodes)
    with pytest.raises(ArgumentError, match="at depth 2 and cannot go back to 1"):
        AdaptiveNodes.from_image(torch.zeros(1, 3, 4, 4), torch.full((1, 1, 4, 4), 2)).downsample(1)


# --- norms and pooling ---------------------------------------------------------------------------


def test_batch_norm_uses_all_nodes_and_no_others():
    level, x = random_levels(3, (7, 9), 2), torch.randn(3, 4, 7, 9, dtype=torch.float64) + 5
    norm = AdaptiveBatchNorm(4).double()
    nodes = AdaptiveNodes.from_image(x, level)
    rows = at_anchors(x, level)
    expected = (rows - rows.mean(0)) / (rows.var(0, correction=0) + norm.eps).sqrt()
    torch.testing.assert_close(norm(nodes).features, expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * rows.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * rows.var(0))


def test_group_norm_uses_each_images_own_nodes():
    level, x = random_levels(3, (7, 9), 2), torch.randn(3, 4, 7, 9, dtype=torch.float64) * 3 + 5
    norm = AdaptiveGroupNorm(2, 4).double()
    nn.init.normal_(norm.weight)
    found = norm(AdaptiveNodes.from_image(x, level))
    for b in range(3):
        rows = at_anchors(x[b : b + 1], level[b : b + 1])
        expected = functional.group_norm(rows.t()[None], 2, norm.weight, norm.bias)[0].t()
        torch.testing.assert_close(found.features[found.layout.sample == b], expected)


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_pooling_is_that_of_the_filled_image_at_the_anchors(mode):
    level, x = random_levels(2, (11, 14), 2), torch.randn(2, 3, 11, 14)
    nodes = AdaptiveNodes.from_image(x, level, depth=1)
    fill = functional.unfold(nodes.to_image() - 100, 3, dilation=2, padding=2).view(2, 3, 9, 11, 14)
    if mode == "max":  # 100 below zero, the padding would win: put it out of the way
        expected = torch.where(fill == 0, -math.inf, fill).amax(2) + 100
    else:
        expected = torch.where(fill == 0, 0, fill + 100).mean(2)
    pooled = AdaptivePool(3, stride=2, mode=mode)(nodes)
    assert pooled.layout.depth == 2
    torch.testing.assert_close(pooled.features, at_anchors(expected, level), rtol=1e-4, atol=1e-4)
    with pytest.raises(ArgumentError, match="power of two, found 3, 3"):
        AdaptivePool(3, stride=3)


# --- level maps ----------------------------------------------------------------------------------


@given(st.integers(20, 70), st.integers(20, 70), st.integers(1, 3), st.floats(0.1, 0.99))
def test_requested_cost_is_met(height, width, n, cost):
    score = torch.rand(2, 1, height, width) ** 4
    least = node_fraction(torch.full((1, 1, height, width), n))[0].item()
    cost = least + (1 - least) * cost
    spent = node_fraction(levels_for_cost(score, n, cost))
    slack = cost - spent
    assert (slack > -1e-9).all()
    assert (slack * height * width < 4).all()
    if height * width * cost > 200:
        assert (slack < 0.02 * cost).all()


def test_cost_is_met_in_three_dimensions_and_spent_where_the_score_is():
    score = torch.zeros(1, 1, 16, 16, 16)
    score[..., :8, :8, :8] = 1
    level = levels_for_cost(score, 2, 0.15)
    assert 0.15 * 0.98 < node_fraction(level).item() <= 0.15
    assert (level[..., :8, :8, :8] == 0).all()
    assert level[level > 0].float().mean() > 1.8


def test_nodes_share_a_density_evenly():
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 64)] * 2, indexing="ij")
    density = torch.exp(-6 * (x**2 + y**2))[None, None]
    level = levels_for_cost(density, 3, 0.2)

    def worst_share(levels):
        nodes = AdaptiveNodes.from_image(density, levels)
        return torch.zeros(len(nodes)).index_add(0, nodes.layout.node_of, density.flatten()).max()

    assert worst_share(level) < 0.5 * worst_share(
        torch.full_like(level, 1)
    )  # .25 of the nodes, spread evenly
    assert torch.equal(level, levels_from_density(1e-6 * density, 3, cost=0.2))
    assert torch.equal(level, levels_from_curvature(-density, 3, cost=0.2))


def test_density_without_a_budget_gives_one_level_per_factor_four():
    density = torch.ones(1, 1, 16, 16)
    density[..., 8:, :] = 1 / 4.5
    density[..., 8:, 8:] = 1 / 17
    density[..., :8, 8:] = math.nan  # outside
    level = levels_from_density(density, 2)
    assert level[0, 0, ::8, ::8].tolist() == [[0, 2], [1, 2]]
    assert levels_from_density(torch.zeros(1, 1, 4, 4), 2).max() == 0


@pytest.mark.parametrize(("value", "found"), [(-1.0, "-1.0"), (math.inf, "inf")])
def test_impossible_scores_and_costs_are_refused(value, found):
    score = torch.ones(1, 1, 8, 8)
    with pytest.raises(
        ArgumentError, match=r"cost must lie in \[0.25, 1\] for 1 levels on \(8, 8\), found 0.2"
    ):
        levels_for_cost(score, 1, 0.2)
    with pytest.raises(ArgumentError, match=r"levels must lie in \[0, 15\], found 16"):
        levels_for_cost(score, 16, 0.2)
    score[0, 0, 2, 3] = value
    with pytest.raises(DensityError, match=rf"score is {found} at \[0, 0, 2, 3\]"):
        levels_for_cost(score, 1, 0.5)
    with pytest.raises(ArrayTypeError, match="score must be"):
        levels_for_cost(torch.ones(8, 8), 1, 0.5)


def test_edges_are_fine_and_plain_areas_coarse():
    image = torch.zeros(1, 3, 32, 32)
    image[:, 1, :, 13:] = 1
    level = levels_from_edges(image, 3, threshold=0.3, dilation=0)
    assert (level[..., 12:14] == 0).all()
    assert (level[..., 16:] == 3).all()
    wide = levels_from_edges(image, 3, threshold=0.3, dilation=2)
    assert (wide[..., 10:16] == 0).all()
    assert (wide[..., :8] == 3).all()
    assert (levels_from_edges(image, 3, threshold=0.6) == 3).all()
    small = levels_from_edges(image, 2, threshold=0.3, dilation=0, size=(8, 8))
    assert (small[..., 3] == 0).all()
    assert (small[..., 4:] == 2).all()


def test_learned_levels_are_deterministic_in_evaluation_and_sampled_in_training():
    mask, image = LearnedLevels(3, levels=2), torch.randn(2, 3, 33, 20)
    first, second = mask(image, (17, 10)), mask(image, (17, 10))
    assert not torch.equal(first.level, second.level)
    for choice in (first, mask.eval()(image, (17, 10))):
        assert torch.equal(choice.gates.sum(dim=1), torch.ones(2, 17, 10))
        assert torch.equal(choice.gates.argmax(dim=1, keepdim=True), choice.level)
        assert torch.equal(aligned_levels(choice.level), choice.level)
        torch.testing.assert_close(choice.fraction_low, choice.level.float().mean() / 2)
    assert torch.equal(mask(image).level, mask(image).level)
    assert torch.equal(mask(image).level[:1], mask(image[:1]).level)
    mask.cost = 0.4
    spent = node_fraction(mask(torch.randn(2, 3, 64, 64)).level)
    assert ((spent > 0.98 * 0.4) & (spent <= 0.4)).all()
    with pytest.raises(ArgumentError, match="found levels=0"):
        LearnedLevels(3, levels=0)


def test_the_penalty_alone_brings_the_fraction_to_its_target():
    mask, image = LearnedLevels(1, hidden=4), torch.rand(8, 1, 16, 16)
    optimizer = torch.optim.Adam(mask.parameters(), lr=0.01)
    with torch.no_grad():
        mask.score.bias += torch.tensor([1.0, -1.0])
    for _ in range(80):
        optimizer.zero_grad()
        cost_penalty(mask(image).fraction_low, 0.75).backward()
        optimizer.step()
    assert np.mean([mask(image).fraction_low.item() for _ in range(8)]) == pytest.approx(
        0.75, abs=0.1
    )


# --- whole networks ------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, inside, outside, stride, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn1, self.relu = norm(outside), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, groups=2, bias=False)
        self.bn2 = norm(outside)
        self.downsample = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride), norm(outside))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.downsample(x)
        return self.relu(y)


class Network(nn.Module):
    """A small residual network of output stride 2, 4 and 8."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Block(8, 12, 2), Block(12, 12, 1))
        self.layer2 = nn.Sequential(
            Block(12, 16, 2, lambda c: nn.GroupNorm(4, c)), nn.MaxPool2d(3, 1, 1)
        )
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.head(self.layer2(self.layer1(self.stem(x))))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(32, 48), (29, 37), (5, 3)])
def test_a_wrapped_network_at_the_highest_level_is_the_network(training, size):
    model, x = Network().train(training), torch.randn(2, 3, *size)
    network = make_adaptive(model, ["layer1", "layer2"])
    with torch.no_grad():
        out, expected = network(x, 2), model(x)
    torch.testing.assert_close(out[..., ::4, ::4], expected, rtol=1e-4, atol=1e-5)
    for key, value in network.model.state_dict().items():  # running statistics too
        torch.testing.assert_close(value, model.state_dict()[key], rtol=1e-4, atol=1e-5)


def test_a_wrapped_network_at_level_zero_is_the_dilated_network():
    model, x = Network().eval(), torch.randn(2, 3, 21, 30)
    dilated, step = copy.deepcopy(model), 1
    for block in (dilated.layer1[0], dilated.layer1[1], dilated.layer2[0]):
        stride = block.conv1.stride[0]
        for conv in (block.conv1, block.conv2):
            conv.dilation = conv.padding = (step, step)
            conv.stride, step = (1, 1), step * (stride if conv is block.conv1 else 1)
        block.downsample[0].stride = (1, 1)
    # torch's own pooling refuses as much padding as dilation asks for
    dilated.layer2[1].forward = lambda y: functional.max_pool2d(
        functional.pad(y, [4] * 4, value=-math.inf), 3, stride=1, dilation=4
    )
    network = make_adaptive(model, ["layer1", "layer2"])
    with torch.no_grad():
        torch.testing.assert_close(network(x, 0), dilated(x), rtol=1e-4, atol=1e-5)


def test_training_and_evaluation_agree_for_a_fixed_mask_and_weights_learn():
    x, level = torch.randn(2, 3, 32, 32), random_levels(2, (16, 16), 2)
    network = make_adaptive(Network(), ["layer1", "layer2"])
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.momentum = 1.0
    trained = network(x, level)
    trained.square().mean().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.ndim > 1
    )
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.eval()
    frozen = network(x, level)
    torch.testing.assert_close(network.eval()(x, level), frozen, rtol=1e-5, atol=1e-5)


def test_a_learned_mask_trains_through_the_sparse_output():
    network = make_adaptive(Network(), ["layer1", "layer2"], mask=LearnedLevels(3, levels=2))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.eval()
    x = torch.randn(2, 3, 32, 32)
    out, choice = network.run(x)
    assert isinstance(choice, LevelChoice)
    torch.testing.assert_close(out, network(x, choice.level), rtol=1e-5, atol=1e-5)
    choice.gates.retain_grad()
    out.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.mask.parameters())
    # a gate's gradient is that of the output blended from the networks at constant level
    features = [make_pass(network, x, k) for k in range(3)]
    blended = network(x, choice.level).detach()
    image = make_pass(network, x, choice.level).requires_grad_()
    torch.testing.assert_close(network.model.head(image), blended, rtol=1e-5, atol=1e-5)
    (upstream,) = torch.autograd.grad(network.model.head(image).square().mean(), image)
    for k in range(3):
        expected = (upstream * features[k]).sum(dim=1)
        torch.testing.assert_close(choice.gates.grad[:, k], expected, rtol=1e-3, atol=1e-7)
    network.eval()
    assert torch.equal(network(x), network(x))


def make_pass(network, x, level):
    """The last stage's image."""
    found = []
    handle = network.model.layer2.register_forward_hook(
        lambda _m, _i, out: found.append(out.detach())
    )
    network(x, level)
    handle.remove()
    return found[0]


def test_macs_follow_the_nodes_and_are_the_networks_own_at_the_highest_level():
    model, x = Network(), torch.randn(1, 3, 64, 64)
    network = make_adaptive(model, ["layer1", "layer2"])
    head = 16 * 4 * 32 * 32  # the head runs on the filled image
    assert network.macs(x, 2) == macs(model, x) - 16 * 4 * 8 * 8 + head
    costs = [
        network.macs(x, levels_for_cost(torch.rand(1, 1, 32, 32), 2, c)) for c in (0.2, 0.5, 0.8)
    ]
    assert network.macs(x, 2) < costs[0] < costs[1] < costs[2] < network.macs(x, 0)
    layer, level = (
        AdaptiveConv2d(4, 6, levels=1),
        levels_for_cost(torch.rand(1, 1, 32, 32), 1, 0.4375),
    )
    nodes = AdaptiveNodes.from_image(torch.zeros(1, 4, 32, 32), level)
    assert layer.macs(nodes) == 0.4375 * macs(
        nn.Conv2d(4, 6, 3, padding=1), torch.zeros(1, 4, 32, 32)
    )


def test_a_wrapped_network_copies_and_names_its_weights():
    model = Network().eval()
    network = make_adaptive(
        model, "layer2", mask=lambda image, size: levels_from_edges(image, 1, size=size)
    )
    assert set(network.model.state_dict()) == set(model.state_dict())
    assert isinstance(model.layer2[0].conv1, nn.Conv2d) and not isinstance(
        model.layer2[0].conv1, AdaptiveConv2d
    )
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(copy.deepcopy(network)(x), network(x))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (nn.Conv2d(4, 4, 3), r"layer '0.0', Conv2d.* needs zero padding \(1, 1\)"),
        (nn.ConvTranspose2d(4, 4, 2), "layer '0.0', ConvTranspose2d.* has no adaptive form"),
        (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d.* end the stages before it"),
        (nn.MaxPool2d(3, 2), "MaxPool2d.* needs a cubic window"),
    ],
)
def test_layers_without_an_adaptive_form_are_named(layers, message):
    with pytest.raises(ArgumentError, match=message):
        make_adaptive(nn.Sequential(nn.Sequential(layers)), "0")


def test_wrong_stages_and_missing_masks_are_refused():
    model = Network()
    with pytest.raises(
        ArgumentError, match="no stage 'layer3'; the model has stem, layer1, layer2, head"
    ):
        make_adaptive(model, "layer3")
    with pytest.raises(ArgumentError, match="at least one stage"):
        make_adaptive(model, [])
    with pytest.raises(ArgumentError, match="needs a level map; pass level= or mask="):
        make_adaptive(model, "layer2")(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("anchor", ["first", "centre"])
@pytest.mark.parametrize(("groups", "size"), [(1, (56, 48)), (2, (56, 48)), (1, (13, 10))])
def test_one_tap_with_a_stride_has_the_plain_gradients(anchor, groups, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 16, 1, stride=2, groups=groups)
    layer = AdaptiveConv2d(8, 16, 1, stride=2, groups=groups, anchor=anchor)
    layer.load_state_dict(plain.state_dict())
    level = torch.ones(1, 1, *size, dtype=torch.int64)
    for _ in range(5):  # as convolutions stored channels last these wrote outside their memory
        x = torch.randn(4, 8, *size, requires_grad=True)
        found = layer(AdaptiveNodes.from_image(x, level, depth=0)).to_image()[..., ::2, ::2]
        (ours,) = torch.autograd.grad(found.square().sum(), x)
        (theirs,) = torch.autograd.grad(plain(x).square().sum(), x)
        torch.testing.assert_close(found, plain(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
