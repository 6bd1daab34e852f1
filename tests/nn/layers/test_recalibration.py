"""Pyramid pixel context: the published mechanism by a second implementation, and what goes beyond
it.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.mesh.shapes import face, face_effect
from meshconv.nn import PyramidPixelContext, add_recalibration, attention_maps
from meshconv.resample.resampler import Resampler
from meshconv.saliency.evaluate import agreement
from meshconv.saliency.project import to_vertices


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def reference(x, weight, levels=4):
    """The mechanism as stated, slice by slice, with biased standard deviation and no guard."""
    maps = []
    for i in (2**level for level in range(levels)):
        for j in range(i):
            channels = x.shape[1]
            maps.append(x[:, channels * j // i : channels * (j + 1) // i].mean(1))
    t = torch.stack(maps, 1)
    t = (t - t.mean(1, keepdim=True)) / t.std(1, keepdim=True, correction=0)
    z = sum(weight[:, j].reshape(x.shape[2:]) * t[:, j] for j in range(t.shape[1]))
    return x * torch.sigmoid(z)[:, None]


def random_layer(channels, size, **options):
    layer = PyramidPixelContext(channels, size, **options)
    nn.init.normal_(layer.weight)
    return layer


@given(st.integers(8, 40), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_native_size_is_the_reference(channels, height, width, levels):
    layer = random_layer(channels, (height, width), levels=levels)
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    assert layer.weight.shape == (height * width, 2**levels - 1)
    if levels > 1:
        expected = reference(x, layer.weight.double(), levels)
        torch.testing.assert_close(layer.double()(x), expected, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(
            layer.float()(x.float()).double(), expected, rtol=1e-3, atol=1e-4
        )
    else:  # one map has no spread to normalise by, the reference divides 0 by 0
        assert torch.equal(layer.double()(x), x / 2)


def test_three_dimensions_is_the_reference():
    layer = random_layer(16, (3, 4, 5)).double()
    x = torch.randn(2, 16, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x), reference(x, layer.weight))


@pytest.mark.parametrize(
    ("channels", "size", "levels"), [(16, (5, 7), 4), (11, (3, 4, 2), 3), (8, (6,), 4)]
)
def test_one_pixel_one_group_at_a_time(channels, size, levels):
    """Straight from the statement: loops over images, pixels, levels and groups, plain numbers."""
    layer = random_layer(channels, size, levels=levels).double()
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    weight = layer.weight.tolist()
    for b, (row, p) in itertools.product(range(2), enumerate(np.ndindex(*size))):
        pixel = x[(b, slice(None), *p)].tolist()
        t = []
        for i in (2**level for level in range(levels)):
            for j in range(i):
                group = pixel[channels * j // i : channels * (j + 1) // i]
                t.append(sum(group) / len(group))
        mean = sum(t) / len(t)
        std = math.sqrt(sum((v - mean) ** 2 for v in t) / len(t))
        z = sum(w * (v - mean) / std for w, v in zip(weight[row], t, strict=True))
        expected = x[(b, slice(None), *p)] / (1 + math.exp(-z))
        torch.testing.assert_close(layer(x)[(b, slice(None), *p)], expected, rtol=1e-9, atol=1e-12)


def test_maps_that_agree_up_to_a_factor_and_images_of_a_batch_do_not_meet():
    layer = random_layer(16, 5)
    x = torch.randn(3, 16, 5, 5)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))
    torch.testing.assert_close(
        layer.attention(7 * x - 40), layer.attention(x), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), layer(x))


def test_fresh_layers_halve_or_keep_the_input():
    x = torch.randn(2, 12, 5, 5)
    assert torch.equal(PyramidPixelContext(12, 5)(x), x / 2)
    assert torch.equal(PyramidPixelContext(12, 5, identity=True)(x), x)
    assert torch.equal(PyramidPixelContext(12, 5, shared=True)(x), x / 2)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 1e-15, 1e6, 1e15])
@pytest.mark.parametrize("channels", [24, 501])
def test_channels_that_all_agree_are_halved_with_finite_gradients(value, channels):
    layer = random_layer(channels, 4)
    x = torch.full((2, channels, 4, 4), value, requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y, x / 2)
    (y / max(abs(value), 1.0)).sum().backward()
    assert layer.weight.grad.isfinite().all()
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() < 10


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_fewer_channels_than_groups(channels):
    y = random_layer(channels, 4)(torch.randn(1, channels, 4, 4))
    assert y.isfinite().all()


def test_other_sizes_use_resized_weights():
    layer = random_layer(16, (5, 7))
    other = PyramidPixelContext(16, (9, 13))  # twice as fine, borders on borders
    fine = functional.interpolate(
        layer.weight_maps((5, 7)), (9, 13), mode="bilinear", align_corners=True
    )
    other.weight.data = fine[0].flatten(1).t()
    x = torch.randn(1, 16, 9, 13)
    torch.testing.assert_close(layer(x), other(x))
    assert torch.equal(other(x)[..., ::2, ::2], layer(x[..., ::2, ::2])) or torch.allclose(
        other(x)[..., ::2, ::2], layer(x[..., ::2, ::2]), atol=1e-6
    )


def test_resized_weights_are_kept_in_evaluation_and_never_stale():
    layer, fresh = random_layer(16, (5, 7)).eval(), PyramidPixelContext(16, (5, 7)).train()
    for x in (torch.randn(1, 16, 9, 13), torch.randn(1, 16, 13, 9)):
        with torch.inference_mode():
            layer(x)
        with torch.no_grad():
            assert layer._weights((9, 13)).data_ptr() == layer._weights((9, 13)).data_ptr()
            layer.weight.data.mul_(-2)
            fresh.load_state_dict(layer.state_dict())
            assert torch.equal(layer(x), fresh(x))
        layer(x).sum().backward()  # with gradients none is kept
        assert layer.weight.grad.any()
        layer.double().float()


def test_shared_weights_commute_with_translation_and_native_ones_do_not():
    x = torch.randn(1, 16, 8, 8)
    shared, own = random_layer(16, 8, shared=True), random_layer(16, 8)
    assert shared.weight.shape == (1, 15)
    torch.testing.assert_close(shared(x.roll(3, -1)), shared(x).roll(3, -1))
    assert not torch.allclose(own(x.roll(3, -1)), own(x).roll(3, -1), atol=1e-2)


def test_gradients():
    layer = random_layer(9, (2, 2), levels=3).double()
    x = torch.randn(1, 9, 3, 2, dtype=torch.float64, requires_grad=True)

    def run(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(run, (x, layer.weight))


def test_autocast_keeps_the_attention_precise():
    layer = random_layer(16, 6)
    x = (torch.randn(1, 16, 6, 6) + 20).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer.attention(x)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), layer.attention(x.float()), atol=0.005, rtol=0)


def test_export_and_compile_at_another_size():
    layer = random_layer(16, 6).eval()
    x, other = torch.randn(2, 16, 9, 8), torch.randn(3, 16, 12, 7)
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        layer, (x,), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    torch.testing.assert_close(exported(other), layer(other))
    torch.testing.assert_close(
        torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x)
    )


# --- into a backbone -----------------------------------------------------------------------------


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


def backbone():
    return nn.Sequential(nn.Conv2d(1, 8, 3), BasicBlock(8, 8, 1), BasicBlock(8, 12, 2))


def test_one_call_puts_the_layer_after_each_blocks_last_norm():
    model = backbone()
    model[1].eval()
    before = [m.training for m in model.modules()]
    plain = backbone().eval()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 14, 10)

    def identity(channels, size):
        return PyramidPixelContext(channels, size, identity=True)

    assert add_recalibration(model, x, make=identity) is model
    sizes = {n: m.size for n, m in model.named_modules() if isinstance(m, PyramidPixelContext)}
    assert sizes == {"1.bn2.recalibration": (12, 8), "2.bn2.recalibration": (6, 4)}
    after = [m.training for n, m in model.named_modules() if "bn2." not in n]
    assert after == before
    assert isinstance(model[1].downsample[1], nn.BatchNorm2d)
    model.eval()
    torch.testing.assert_close(model(x), plain(x))  # a fresh identity layer changes nothing
    torch.testing.assert_close(model(x[..., :9]), plain(x[..., :9]))  # at any size


def test_attention_maps_are_those_that_were_applied():
    x = torch.randn(2, 1, 14, 10)
    model = add_recalibration(backbone(), x).eval()
    nn.init.normal_(model[2].bn2.recalibration.weight)
    maps = attention_maps(model, x)
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "1.bn2.recalibration": (2, 1, 12, 8),
        "2.bn2.recalibration": (2, 1, 6, 4),
    }
    assert (maps["1.bn2.recalibration"] == 0.5).all()
    block = model[2]
    before = block.conv2(block.bn1(block.conv1(model[:2](x))).relu())
    inside = nn.BatchNorm2d.forward(block.bn2, before)  # without what was put behind it
    torch.testing.assert_close(
        maps["2.bn2.recalibration"] * inside,
        block.bn2(before),
    )


def test_attention_is_a_saliency_on_the_surface():
    """Weights at the pixels of one place only: on the vertices the attention departs from a half
    there alone.
    """
    surface = face(700)
    frame = Resampler(conformal_map(surface), 33)
    truth = face_effect("chin", 700)
    place = torch.from_numpy(frame.to_image(truth, fill=0.0).channels[0].copy()).float()
    layer = PyramidPixelContext(16, 33)
    with torch.no_grad():
        layer.weight.copy_(place.flatten()[:, None] * torch.linspace(-2, 2, 15))
    (found,) = attention_maps(nn.Sequential(layer), torch.randn(32, 16, 33, 33)).values()
    field = to_vertices((found - 0.5).abs().mean((0, 1)).numpy(), frame)
    assert agreement(field, truth).auc > 0.99
    coarse = attention_maps(nn.Sequential(layer), torch.randn(32, 16, 17, 17))[
        "0"
    ]  # weights follow the image's size
    field = to_vertices(
        (coarse - 0.5).abs().mean((0, 1)).numpy(), Resampler(frame.parameterization, 17)
    )
    assert agreement(field, truth).auc > 0.98


def test_refusals():
    with pytest.raises(
        ArgumentError,
        match=r"no residual block with a norm among Conv2d, Sequential; name the class",
    ):
        add_recalibration(nn.Sequential(nn.Conv2d(1, 1, 1)), torch.zeros(1, 1, 2, 2))
    with pytest.raises(ArgumentError, match="must be positive, found 4, 0, 3"):
        PyramidPixelContext(4, 3, 0)
    with pytest.raises(
        ArrayTypeError, match=r"input must be \(B, 4\) and 2 axes, found \(1, 5, 3, 3\)"
    ):
        PyramidPixelContext(4, 3)(torch.zeros(1, 5, 3, 3))
