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
    worst = max(layer.equivariance_error() for layer in layers)
    assert net.equivariance_error("layers") == worst <= 1e-4
    assert small(family="multi").equivariance_error("layers") > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2)])
def test_strided_networks_are_equivariant_as_a_whole(seed, strides):
    def error(**options):
        torch.manual_seed(seed)
        net = small(channels=(4, 8, 16, 16)[: len(strides) + 1], strides=strides, **options)
        return net.train().equivariance_error(), net.training

    smoothed, training = error()
    assert smoothed < 0.15 and training  # the mode it was in
    assert error(antialias=1.0)[0] < 2e-4
    assert error(antialias=0.0)[0] > max(3 * smoothed, 0.05)


def test_in_three_dimensions_and_without_strides():
    torch.manual_seed(0)
    options = {"dims": 3, "channels": (4, 8, 16), "strides": (2, 2)}
    assert small(**options).equivariance_error(n_points=2) < 0.3
    assert small(**options, antialias=0).equivariance_error(n_points=2) > 0.3
    assert small(strides=(1,)).equivariance_error() < 1e-3


def test_the_whole_networks_error_is_what_resized_images_give():
    """Another measure of the same: a blob, and the blob reduced, at the middle of the features."""
    torch.manual_seed(0)
    along = torch.arange(-48.0, 49.0)

    def middle(net, width):
        blob = torch.exp(-(along[:, None] ** 2 + along**2) / (2 * width**2))
        with torch.no_grad():
            empty = net.net(torch.zeros(1, 2, 97, 97))[..., 48, 48]
            return net.net(blob.expand(1, 2, -1, -1))[..., 48, 48] - empty

    errors = []
    for antialias in (1.0, 0.0):
        torch.manual_seed(1)
        net = small(channels=(4, 6, 8), strides=(2, 2), antialias=antialias).eval()
        a, b = middle(net, 7.0), middle(net, 6.3)
        change = (b[..., 1:] - a[..., :-1]).square().sum() / a[..., :-1].square().sum()
        errors.append(float(change))
    assert errors[0] < 1e-4 < 10 * errors[0] < errors[1]


def test_wider_kernels_answer_to_larger_objects():
    torch.manual_seed(0)
    narrow, wide = small(sigma=0.9), small(sigma=1.0)
    wide.load_state_dict(narrow.state_dict())
    lifts = [net.net.down.body[0] for net in (wide, narrow)]
    torch.testing.assert_close(
        lifts[0].basis[:, 1] / lifts[0].basis[:, 1].norm(),
        lifts[1].basis[:, 0] / lifts[1].basis[:, 0].norm(),
        atol=0.2,
        rtol=0,
    )  # sigma * ratio**1 of the one is sigma of the other


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
    ("make", "side"),
    [
        (lambda: small(antialias=0.0), 1),
        (small, 3),  # what is smoothed before strides learns nothing of single pixels in 25 steps
        (lambda: PlainUNet(2, 3, dims=2, channels=(4, 6), strides=(2,)), 1),
    ],
)
def test_a_few_steps_learn_a_threshold(make, side):
    net = make()
    image = torch.randn(4, 2, 12 // side, 12 // side)
    image = image.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
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
