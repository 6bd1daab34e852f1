"""A second content-adaptive network, node by node in dictionaries, against the modules with their
weights.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from meshconv.errors import ArgumentError
from meshconv.nn import (
    AdaptiveBatchNorm,
    AdaptiveConv2d,
    AdaptiveNodes,
    aligned_levels,
    make_adaptive,
)

Array = NDArray[np.float64]
Node = tuple[int, int, int]  # level, row, column: sorted, level 0 first and in raster order
Nodes = dict[Node, Array]


def nodes_of(image: Array, mask: Array) -> Nodes:
    """The paper's irregular downsampling: from full size on, keep the first pixel of each 2 x 2
    where mask >= k.
    """
    kept = {(0, y, x) for y, x in itertools.product(*map(range, mask.shape))}
    for k in range(1, int(mask.max()) + 1):
        for level, y, x in list(kept):
            if mask[y, x] >= k and level == k - 1:
                kept.discard((level, y, x))
                if y % 2**k == 0 and x % 2**k == 0:
                    kept.add((k, y, x))
    return {node: image[:, node[1], node[2]] for node in sorted(kept)}


def covering(nodes: Nodes, y: int, x: int) -> Node:
    (found,) = [(m, a, b) for m, a, b in nodes if a <= y < a + 2**m and b <= x < b + 2**m]
    return found


def convolved(nodes: Nodes, size: tuple[int, int], weight: Array, bias: Array, step: int) -> Nodes:
    """Each node samples pixels `step` apart around its anchor; a pixel reads its node, outside is
    zero.
    """
    out = {}
    k = weight.shape[-1]
    for node in nodes:
        total = bias.copy()
        for i, j in itertools.product(range(k), range(k)):
            y, x = node[1] + step * (i - k // 2), node[2] + step * (j - k // 2)
            if 0 <= y < size[0] and 0 <= x < size[1]:
                total += weight[:, :, i, j] @ nodes[covering(nodes, y, x)]
        out[node] = total
    return out


def filled(nodes: Nodes, size: tuple[int, int]) -> Array:
    image = np.empty((len(next(iter(nodes.values()))), *size))
    for (m, y, x), value in nodes.items():
        image[:, y : y + 2**m, x : x + 2**m] = value[:, None, None]
    return image


def a_mask(size: tuple[int, int], n: int, seed: int) -> torch.Tensor:
    """Aligned blocks of every level; drawn at the coarsest blocks first."""
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randint(0, n + 1, (1, 1, *size), generator=generator)
    coarse = torch.randint(
        0, n + 1, (1, 1, *(-(-side // 2**n) for side in size)), generator=generator
    )
    coarse = coarse.repeat_interleave(2**n, 2).repeat_interleave(2**n, 3)[..., : size[0], : size[1]]
    return aligned_levels(torch.where(coarse == 0, fine, coarse))


def reference(nodes: Nodes) -> Array:
    return np.stack(list(nodes.values()))


@pytest.mark.parametrize(
    ("size", "n", "dilation"), [((8, 8), 1, 1), ((8, 12), 2, 1), ((9, 7), 2, 2), ((16, 8), 3, 1)]
)
def test_nodes_convolution_and_filling_are_the_papers(
    size: tuple[int, int], n: int, dilation: int
) -> None:
    torch.manual_seed(0)
    mask = a_mask(size, n, seed=n)
    if size[0] % 2**n == size[1] % 2**n == 0:  # the paper's count; beyond it blocks are cut
        count = sum(int((mask == i).sum()) // 4**i for i in range(n + 1))
        assert len(AdaptiveNodes.from_image(torch.zeros(1, 1, *size), mask)) == count
    x, layer = (
        torch.randn(1, 3, *size, dtype=torch.float64),
        AdaptiveConv2d(3, 4, 3, levels=n, dilation=dilation).double(),
    )
    nodes = AdaptiveNodes.from_image(x, mask)
    ours = nodes_of(x[0].numpy(), mask[0, 0].numpy())
    np.testing.assert_array_equal(nodes.features, reference(ours))
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    ours = convolved(ours, size, weight, bias, 2**n * dilation)
    for mode in (torch.enable_grad(), torch.no_grad()):  # two ways to gather
        with mode:
            found = layer(nodes)
        np.testing.assert_allclose(found.features.detach(), reference(ours), atol=1e-12)
    np.testing.assert_allclose(found.to_image()[0], filled(ours, size), atol=1e-12)


def test_a_small_network_with_transferred_weights() -> None:
    """A 3x3 layer that downsamples, norm over nodes, a 3x3 layer one level down, a 1x1 layer; then
    filled.
    """
    torch.manual_seed(0)
    size, mask = (8, 12), a_mask((8, 12), 1, seed=5)
    plain = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(5, 3, 1),
    ).double()
    network = make_adaptive(nn.Sequential(plain), "0").train()
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    found = network(x, mask)
    pixels = nodes_of(x[0].numpy(), np.zeros(size))
    weight, bias = (p.detach().numpy() for p in (plain[0].weight, plain[0].bias))
    kept = nodes_of(filled(convolved(pixels, size, weight, bias, 1), size), mask[0, 0].numpy())
    rows = reference(kept)
    rows = np.maximum((rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5), 0)
    kept = dict(zip(kept, rows, strict=True))
    weight, bias = (p.detach().numpy() for p in (plain[3].weight, plain[3].bias))
    kept = convolved(kept, size, weight, bias, 2)
    rows = (
        np.maximum(reference(kept), 0) @ plain[5].weight[:, :, 0, 0].detach().numpy().T
        + plain[5].bias.detach().numpy()
    )
    expected = filled(dict(zip(kept, rows, strict=True)), size)
    np.testing.assert_allclose(found[0].detach(), expected, atol=1e-10)


def test_batch_norm_counts_each_node_once() -> None:
    torch.manual_seed(0)
    mask, x = a_mask((8, 8), 2, seed=1), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    rows = reference(nodes_of(x[0].numpy(), mask[0, 0].numpy()))
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5)
    found = AdaptiveBatchNorm(3).double()(AdaptiveNodes.from_image(x, mask)).features
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)


# --- the published code's anchor -----------------------------------------------------------------


def at_the_middles(layer: AdaptiveConv2d, nodes: AdaptiveNodes, n: int) -> torch.Tensor:
    """conv2d(fill, dilation = padding = 2^n), read at top-left + 2^m // 2 of every node."""
    step = tuple(d * 2**n for d in layer.dilation)
    pad = tuple(s * (k // 2) for s, k in zip(step, layer.kernel_size, strict=True))
    dense = nn.functional.conv2d(nodes.to_image(), layer.weight, layer.bias, 1, pad, step)
    y, x = nodes.layout.coordinates().unbind(1)
    half = 2**nodes.layout.level // 2
    return dense[nodes.layout.sample, :, y + half, x + half]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("few", [True, False], ids=["gathered", "on the grid"])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 2), (5, 1), (1, 1)])
def test_at_the_middles_of_mixed_levels(n, few, kernel, dilation, monkeypatch):
    monkeypatch.setattr("meshconv.nn.layers.adaptive_conv._FEW", 10**6 if few else 0)
    torch.manual_seed(n)
    size = (32, 24)
    x, level = torch.randn(2, 3, *size), torch.cat([a_mask(size, n, 1), a_mask(size, n, 2)])
    assert len(level.unique()) == n + 1
    layer = AdaptiveConv2d(3, 4, kernel, dilation=dilation, levels=n, anchor="centre")
    nodes = AdaptiveNodes.from_image(x, level)
    with torch.no_grad():
        found, expected = layer(nodes).features, at_the_middles(layer, nodes, n)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        if kernel > 1:
            first = AdaptiveConv2d(3, 4, kernel, dilation=dilation, levels=n)
            first.load_state_dict(layer.state_dict())
            assert (first(nodes).features - expected).abs().max() > 0.1


def stage() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(3, 1, 1),
        nn.Conv2d(6, 6, 3, 1, 2, dilation=2),
        nn.Conv2d(6, 5, 3, 2, 1),
        nn.MaxPool2d(3, 1, 1),
    )


@pytest.mark.parametrize("size", [(32, 24), (33, 22), (21, 19), (5, 7)])
@pytest.mark.parametrize("anchor", ["first", "centre"])
@pytest.mark.parametrize("few", [True, False], ids=["gathered", "on the grid"])
def test_all_low_is_the_network_and_all_high_the_dilated_one(size, anchor, few, monkeypatch):
    monkeypatch.setattr("meshconv.nn.layers.adaptive_conv._FEW", 10**6 if few else 0)
    torch.manual_seed(0)
    plain = nn.Sequential(stage()).eval()
    network = make_adaptive(plain, "0", anchor=anchor)
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(network(x, 2)[..., ::4, ::4], plain(x), rtol=1e-4, atol=1e-5)
        other = make_adaptive(plain, "0", anchor="first" if anchor == "centre" else "centre")
        torch.testing.assert_close(network(x, 0), other(x, 0), rtol=0, atol=1e-5)


def test_a_strided_layer_stands_at_the_middle_of_the_node_that_stays():
    """Twice downsampled in one step from mixed nodes: by the definition, node after node."""
    torch.manual_seed(4)
    x, level = torch.randn(1, 3, 16, 16), a_mask((16, 16), 2, 5)
    start = AdaptiveNodes.from_image(x, level, depth=1)
    layer = AdaptiveConv2d(3, 4, 3, stride=2, anchor="centre")
    found = layer(start)
    dense = nn.functional.conv2d(start.to_image(), layer.weight, layer.bias, 1, 2, 2)
    y, x_ = found.layout.coordinates().unbind(1)
    half = 2 ** level[0, 0, y, x_].clamp(max=1) // 2  # of the block it stood for before
    torch.testing.assert_close(
        found.features, dense[0, :, y + half, x_ + half].T, rtol=0, atol=1e-5
    )
    with pytest.raises(ArgumentError, match="anchor must be one of 'first', 'centre'"):
        AdaptiveConv2d(3, 4, 3, anchor="corner")
