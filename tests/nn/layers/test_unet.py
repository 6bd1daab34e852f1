"""The scale-equivariant U-Net and its plain peer: published sizes, any input, independent
samples.
"""

from __future__ import annotations

import pytest
import torch

from meshconv.benchmark.plain_unet import PlainUNet
from meshconv.errors import ArgumentError
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def n_parameters(net):
    return sum(p.numel() for p in net.parameters())


def small(**options):
    return ScaleEquivariantUNet(2, 3, **{"dims": 2, "channels": (4, 6), "strides": (2,), **options})


def test_parameters_of_the_published_configuration():
    assert n_parameters(ScaleEquivariantUNet(4, 1, family="multi")) == 75_555
    assert n_parameters(ScaleEquivariantUNet(4, 1)) == 75_555
    assert n_parameters(PlainUNet(4, 1)) == 346_133


@pytest.mark.parametrize("size", [(32, 32, 32), (33, 40, 29), (5, 3, 2)])
def test_any_input_size_in_three_dimensions(size):
    net = ScaleEquivariantUNet(1, 2, channels=(2, 3, 4, 4)).eval()
    plain = PlainUNet(1, 2, channels=(2, 3, 4, 4)).eval()
    x = torch.randn(1, 1, *size)
    with torch.no_grad():
        assert net(x).shape == plain(x).shape == (1, 2, *size)
        assert net.scale_map(x).shape == (1, *size)


@pytest.mark.parametrize(
    "options", [{}, {"norm": "instance"}, {"dims": 3}, {"dims": 3, "family": "multi"}]
)
def test_a_sample_does_not_depend_on_its_batch_mates(options):
    net, size = small(**options), (16, 13, 9)[: options.get("dims", 2)]
    for _ in range(3):
        net(torch.randn(4, 2, *size))
    net.eval()
    x = torch.randn(3, 2, *size)
    with torch.no_grad():
        other = torch.cat([x[:1], torch.randn(2, 2, *size) * 9])
        assert torch.equal(net(x)[0], net(other)[0])
        assert torch.equal(net(x)[:1], net(x[:1]))


def test_every_layer_is_close_to_equivariant_and_a_part_of_the_error():
    net = small()
    layers = [m for m in net.modules() if isinstance(m, ScaleEquivariantConv)]
    assert net.equivariance_error() == max(layer.equivariance_error() for layer in layers) <= 1e-4
    assert small(family="multi").equivariance_error() > 1e-3


def test_the_first_layer_of_the_network_answers_one_scale_on_to_a_smaller_blob():
    net = small(norm="instance", n_scales=6).eval()
    size = 65
    grid = torch.linspace(-32, 32, size)
    blob = torch.exp(-(grid[:, None] ** 2 + grid[None] ** 2) / (2 * 6.0**2))[None, None].expand(
        1, 2, -1, -1
    )
    lift = net.net.down.body[0]
    smaller = torch.exp(-(grid[:, None] ** 2 + grid[None] ** 2) / (2 * 5.4**2))[None, None].expand(
        1, 2, -1, -1
    )
    with torch.no_grad():
        a, b = lift(blob)[0, :, :, 16, 16], lift(smaller)[0, :, :, 16, 16]
    assert (b[:, 1:] - a[:, :-1]).norm() < 2e-3 * a.norm()


@pytest.mark.parametrize(
    "make", [small, lambda: PlainUNet(2, 3, dims=2, channels=(4, 6), strides=(2,))]
)
def test_a_few_steps_learn_a_threshold(make):
    net = make()
    image = torch.randn(4, 2, 12, 12)
    target = (image[:, :1] > 0).float().expand(-1, 3, -1, -1)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(image), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_export_with_free_batch_and_size(norm):
    net = small(norm=norm).eval()
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        net, (torch.randn(2, 2, 16, 16),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    )
    x = torch.randn(3, 2, 21, 18)
    torch.testing.assert_close(exported.module()(x), net(x))


def test_autocast():
    net = small().eval()
    x = torch.randn(2, 2, 16, 16)
    exact = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = net(x)
    assert 0 < (rough - exact).norm() < 0.05 * exact.norm()


def test_bad_levels_are_named():
    with pytest.raises(ArgumentError, match="strides one fewer, found 3 and 3"):
        small(channels=(2, 3, 4), strides=(2, 2, 2))
    with pytest.raises(ArgumentError, match="dims must be 2 or 3, found 1"):
        small(dims=1)
    with pytest.raises(ArgumentError, match="norm must be one of 'batch', 'instance'"):
        small(norm="layer")
