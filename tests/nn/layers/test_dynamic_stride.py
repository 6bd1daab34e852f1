"""Dynamic stride convolution, the map of where its windows land, and steering it."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.nn.decnn import DECNN
from meshconv.nn.layers.dynamic_stride import DynamicStrideConv2d, DynamicStrideConv3d
from meshconv.nn.layers.dynamic_stride_function import (
    _dense_is_cheaper,
    dynamic_stride_conv2d,
    dynamic_stride_conv3d,
    gather_windows,
)
from meshconv.nn.layers.focus import blurred, clear_edits, edit_offsets, focus_loss, share_inside
from meshconv.nn.layers.landing_map import Landing, landing_map, local_strides, record_landings
from meshconv.nn.layers.windows import Window, to_grid, window_corners
from meshconv.nn.sample import splat
from meshconv.resample.resampler import Resampler

CONV = {2: functional.conv2d, 3: functional.conv3d}
DYNAMIC = {2: dynamic_stride_conv2d, 3: dynamic_stride_conv3d}
LAYER = {2: DynamicStrideConv2d, 3: DynamicStrideConv3d}
# size, kernel, stride, padding, dilation
CASES = [
    ((8, 8), 3, 1, 1, 1),
    ((65, 64), 3, 2, 1, 1),
    ((23, 37), (3, 5), (3, 1), (0, 2), (2, 1)),
    ((17, 1), 1, 2, 0, 1),
    ((30, 31), 4, 4, 2, 3),
    ((9, 8, 7), 3, (1, 2, 1), 1, (1, 1, 2)),
    ((5, 12, 6), (1, 3, 2), 2, (0, 1, 1), 1),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def taps(kernel, dims):
    return kernel if isinstance(kernel, tuple) else (kernel,) * dims


def out_size(size, kernel, stride, padding, dilation):
    x = torch.zeros(1, 1, *size)
    return tuple(
        CONV[len(size)](
            x, torch.zeros(1, 1, *taps(kernel, len(size))), None, stride, padding, dilation
        ).shape[2:]
    )


# --- the convolution -----------------------------------------------------------------------------


@pytest.fixture(params=["every tap sampled", "responses sampled"])
def way(request, monkeypatch):
    """Both ways to the same numbers; which one a layer takes is a matter of cost."""
    dense = request.param == "responses sampled"
    monkeypatch.setattr(
        "meshconv.nn.layers.dynamic_stride_function._dense_is_cheaper", lambda *_: dense
    )


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_no_offset_is_the_plain_convolution(size, kernel, stride, padding, dilation, groups, way):
    d = len(size)
    x, bias = torch.randn(2, 4, *size), torch.randn(6)
    weight = torch.randn(6, 4 // groups, *taps(kernel, d))
    weight /= math.sqrt(weight[0].numel())
    expected = CONV[d](x, weight, bias, stride, padding, dilation, groups)
    offset = torch.zeros(2, d, *expected.shape[2:])
    y = DYNAMIC[d](x, weight, bias, offset, stride, padding, dilation, groups)
    torch.testing.assert_close(y, expected, atol=2e-6, rtol=1e-6)
    exact = DYNAMIC[d](
        x.double(), weight.double(), None, offset.double(), stride, padding, dilation, groups
    )
    plain = CONV[d](x.double(), weight.double(), None, stride, padding, dilation, groups)
    torch.testing.assert_close(exact, plain, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_what_windows_see_at_no_offset_is_exact(size, kernel, stride, padding, dilation):
    """The positions themselves carry no rounding, whatever the size: bits are equal to an
    unfolding.
    """
    d = len(size)
    x = torch.randn(2, 3, *size)
    out = out_size(size, kernel, stride, padding, dilation)
    seen = gather_windows(x, torch.zeros(2, d, *out), Window(kernel, stride, padding, dilation))
    k = taps(kernel, d)
    one_hot = torch.eye(math.prod(k)).reshape(-1, 1, *k)
    unfolded = CONV[d](x.flatten(0, 1)[:, None], one_hot, None, stride, padding, dilation)
    assert torch.equal(seen.flatten(0, 1), unfolded)


def by_definition(x, weight, offset, stride, padding, dilation, groups=1):
    """One window, one tap, one corner at a time, any number of axes; what lies outside the image is
    zero.
    """
    size, kernel, out = x.shape[2:], weight.shape[2:], offset.shape[2:]
    stride, padding, dilation = (taps(v, len(size)) for v in (stride, padding, dilation))
    fold = weight.shape[0] // groups
    y = torch.zeros(x.shape[0], weight.shape[0], *out, dtype=x.dtype)
    for n, p, k in itertools.product(range(len(x)), np.ndindex(*out), np.ndindex(*kernel)):
        at = [
            s * i - m + d * t + float(offset[(n, a, *p)])
            for a, (i, t, s, m, d) in enumerate(zip(p, k, stride, padding, dilation, strict=True))
        ]
        for q in itertools.product(*[(math.floor(v), math.floor(v) + 1) for v in at]):
            if all(0 <= i < n_i for i, n_i in zip(q, size, strict=True)):
                share = math.prod(1 - abs(v - i) for v, i in zip(at, q, strict=True))
                for g in range(groups):
                    rows = slice(g * fold, (g + 1) * fold)
                    seen = x[(n, slice(g * weight.shape[1], (g + 1) * weight.shape[1]), *q)]
                    y[(n, rows, *p)] += share * (weight[(rows, slice(None), *k)] @ seen)
    return y


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "groups"),
    [
        ((7, 6), (3, 2), 2, 1, 1, 1),
        ((7, 8), 3, 1, 1, 1, 2),
        ((9, 7), (2, 3), (1, 2), (0, 3), (3, 1), 1),
        ((5, 4, 3), 2, 2, 1, 1, 2),
        ((4, 5, 4), (1, 2, 3), 1, (0, 1, 0), (1, 2, 1), 1),
    ],
)
def test_any_offset_follows_the_formula_also_over_the_border(
    size, kernel, stride, padding, dilation, groups, way
):
    d = len(size)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    weight = torch.randn(2, 4 // groups, *taps(kernel, d), dtype=torch.float64)
    offset = 4 * torch.randn(
        2, d, *out_size(size, kernel, stride, padding, dilation), dtype=torch.float64
    )
    expected = by_definition(x, weight, offset, stride, padding, dilation, groups)
    y = DYNAMIC[d](x, weight, None, offset, stride, padding, dilation, groups)
    torch.testing.assert_close(y, expected)
    single = DYNAMIC[d](
        x.float(), weight.float(), None, offset.float(), stride, padding, dilation, groups
    )
    torch.testing.assert_close(single.double(), expected, atol=2e-5, rtol=1e-5)


def test_the_cheaper_way_is_taken():
    def dense(outputs, inputs, kernel, stride):
        window = Window(kernel, stride)
        return _dense_is_cheaper(torch.zeros(outputs, inputs, kernel, kernel), window, 1)

    assert dense(64, 64, 3, 1) and dense(16, 16, 3, 2)
    assert not dense(128, 128, 3, 2) and not dense(16, 8, 5, 4) and not dense(8, 8, 1, 1)


@given(dy=st.integers(-9, 9), dx=st.integers(-9, 9), stride=st.integers(1, 3))
@settings(max_examples=15)
def test_a_constant_integer_offset_shifts_the_image(dy, dx, stride):
    x, weight = torch.randn(1, 2, 8, 7), torch.randn(3, 2, 3, 3)
    shifted = torch.zeros(1, 2, 8 + 2 * 12, 7 + 2 * 12)
    shifted[..., 12:20, 12:19] = x
    shifted = shifted.roll((-dy, -dx), (2, 3))[
        ..., 11:21, 11:20
    ]  # one pixel of true surroundings as padding
    expected = functional.conv2d(shifted, weight, None, stride)
    offset = torch.tensor([dy, dx]).float()[None, :, None, None].expand(1, 2, *expected.shape[2:])
    y = dynamic_stride_conv2d(x, weight, None, offset, stride, 1)
    torch.testing.assert_close(y, expected, atol=2e-6, rtol=1e-6)


def test_a_linear_offset_is_the_convolution_of_the_resampled_image():
    """Stride 4 made 2.5: one tap reads the image resampled, a window the responses (interpolation
    commutes).
    """
    x = torch.randn(1, 2, 41, 41, dtype=torch.float64)
    i = -1.5 * torch.arange(11, dtype=torch.float64)
    offset = torch.stack(torch.meshgrid(i, i, indexing="ij"))[None]
    resample = {"size": 11, "mode": "bilinear", "align_corners": True}  # 25 pixels / 10
    weight = torch.randn(3, 2, 1, 1, dtype=torch.float64)
    resampled = functional.interpolate(x[..., :26, :26], **resample)
    torch.testing.assert_close(
        dynamic_stride_conv2d(x, weight, None, offset, 4), functional.conv2d(resampled, weight)
    )
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    dense = functional.conv2d(x, weight, padding=1)[..., :26, :26]
    torch.testing.assert_close(
        dynamic_stride_conv2d(x, weight, None, offset, 4, 1),
        functional.interpolate(dense, **resample),
    )


def test_a_linear_image_sees_the_offset_itself():
    """On x = y-coordinate, an averaging window reads the position of its centre."""
    rows = torch.arange(29.0, dtype=torch.float64)[:, None].expand(29, 29)[None, None]
    weight = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
    offset = torch.rand(1, 2, 9, 9, dtype=torch.float64)
    y = dynamic_stride_conv2d(rows, weight, None, offset, 3)
    expected = 3 * torch.arange(9.0, dtype=torch.float64)[:, None] + 1 + offset[0, 0]
    torch.testing.assert_close(y[0, 0], expected)


@pytest.mark.parametrize("d", [2, 3])
def test_gradients_in_all_arguments(d, way):
    x = torch.randn(1, 2, *(5, 4, 3)[:d], dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, *[2] * d, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
    out = out_size(x.shape[2:], 2, 2, 1, 1)
    offset = (torch.rand(1, d, *out, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()

    def run(*tensors):
        return DYNAMIC[d](*tensors, 2, 1, 1, 2)

    assert torch.autograd.gradcheck(run, (x, weight, bias, offset))


# --- the layers ----------------------------------------------------------------------------------


def bent(layer, size=1.0):
    """Give the head a random answer."""
    nn.init.normal_(layer.offsets.head.last.weight, std=size)
    return layer


@pytest.mark.parametrize("variant", ["offset", "monotone"])
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_a_fresh_layer_is_the_plain_convolution(size, kernel, stride, padding, dilation, variant):
    d = len(size)
    conv = (nn.Conv2d, nn.Conv3d)[d - 2](4, 6, taps(kernel, d), stride, padding, dilation, groups=2)
    layer = LAYER[d].from_conv(conv, variant=variant)
    x = torch.randn(2, 4, *size)
    assert not layer.offsets(x).any()
    torch.testing.assert_close(layer(x), conv(x), atol=1e-6, rtol=1e-6)
    layer.load_state_dict(conv.state_dict(), strict=False)


def test_the_state_of_a_plain_convolution_loads():
    conv, layer = nn.Conv2d(3, 4, 3, 2), DynamicStrideConv2d(3, 4, 3, 2)
    missing, unexpected = layer.load_state_dict(conv.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("offsets.") for name in missing)
    x = torch.randn(1, 3, 11, 11)
    torch.testing.assert_close(layer(x), conv(x), atol=1e-6, rtol=1e-6)


def test_the_head_learns_from_the_first_step_on():
    layer = DynamicStrideConv2d(2, 3, 3, 2, 1)
    x = torch.rand(2, 2, 16, 16)
    layer(x).square().sum().backward()
    assert layer.offsets.head.last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("bound", [None, 1.5])
@pytest.mark.parametrize("variant", ["offset", "monotone"])
def test_displacements_stay_in_their_bound(variant, bound):
    layer = bent(DynamicStrideConv2d(2, 2, 3, 2, 1, variant=variant, max_offset=bound), 100.0)
    offset = layer.offsets(torch.rand(3, 2, 20, 34)).detach()
    sides = torch.tensor([10.0, 17.0]) if bound is None else torch.tensor([bound, bound])
    largest = offset.abs().amax(dim=(0, 2, 3))
    assert (largest <= sides * (1 + 1e-6)).all() and (largest > 0.5).all()


@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 300.0))
@settings(max_examples=15)
def test_windows_keep_their_order_whatever_the_head_says(seed, size):
    torch.manual_seed(seed)
    layer = bent(DynamicStrideConv2d(2, 2, 3, (2, 3), 1, min_stride=0.2), size)
    offset = layer.offsets(5 * torch.randn(2, 2, 26, 40)).detach()
    for t, s in zip(local_strides(Landing(layer.window, offset)), (2, 3), strict=True):
        assert t.min() >= 0.199 * s


@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 300.0), bound=st.sampled_from([None, 2.0]))
@settings(max_examples=20)
def test_monotone_positions_increase_whatever_the_head_says(seed, size, bound):
    torch.manual_seed(seed)
    layer = bent(
        DynamicStrideConv2d(2, 2, 3, (2, 3), 1, variant="monotone", max_offset=bound), size
    )
    x = 5 * torch.randn(2, 2, 26, 40)
    offset = layer.offsets(x).detach()
    for t, s in zip(local_strides(Landing(layer.window, offset)), (2, 3), strict=True):
        assert t.min() >= 0.099 * s  # min_stride is .1 of the stride
        if bound is None:
            assert t.mean().item() == pytest.approx(s, rel=1e-4)  # normalised to the span
    assert offset[:, 0, 0].abs().max() == 0 and offset[:, 1, :, 0].abs().max() == 0
    assert offset[:, 0, -1].abs().max() < 1e-4 and offset[:, 1, :, -1].abs().max() < 1e-4


def test_one_window_per_axis_and_batch_independence():
    layer = bent(DynamicStrideConv2d(2, 2, 3, variant="monotone"))
    assert layer(torch.rand(1, 2, 3, 5)).shape == (1, 2, 1, 3)
    layer = bent(DynamicStrideConv2d(2, 2, 3, 2))
    x = torch.randn(3, 2, 15, 12)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


def test_autocast_samples_in_full_precision():
    layer = bent(DynamicStrideConv2d(3, 4, 3, 2, 1))
    x = torch.randn(2, 3, 33, 33)
    with torch.autocast("cpu", dtype=torch.bfloat16), record_landings(layer) as records:
        rough = layer(x)
    assert rough.dtype == torch.bfloat16 and records[0].offset.dtype == torch.float32
    torch.testing.assert_close(records[0].offset, layer.offsets(x))
    torch.testing.assert_close(rough.float(), layer(x), atol=0.03, rtol=0.03)
    half = layer.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16 and half.isfinite().all()


@pytest.mark.parametrize("variant", ["offset", "monotone"])
def test_export_with_a_dynamic_batch_and_tracing(variant):
    layer = bent(DynamicStrideConv2d(2, 3, 3, 2, 1, variant=variant)).eval()
    x, other = torch.randn(2, 2, 14, 11), torch.randn(5, 2, 14, 11)
    exported = torch.export.export(
        layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    torch.testing.assert_close(exported(other), layer(other))
    torch.testing.assert_close(
        torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x)
    )


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    "geometry", [(3, 1, "same", 2), (4, 1, "same"), (5, 2, 2), (3, 2, "valid")]
)
def test_every_padding_of_torch(mode, geometry):
    conv = nn.Conv2d(4, 6, *geometry, groups=2, padding_mode=mode)
    layer = DynamicStrideConv2d(4, 6, *geometry, groups=2, padding_mode=mode)
    x = torch.randn(2, 4, 13, 10)
    assert layer.load_state_dict(conv.state_dict())
    torch.testing.assert_close(layer(x), conv(x), atol=1e-6, rtol=0)
    shared = DynamicStrideConv2d.from_conv(conv)
    torch.testing.assert_close(shared(x), conv(x), atol=1e-6, rtol=0)
    with torch.no_grad(), record_landings(layer) as records:
        layer(x)
    plain = Landing(Window(geometry[0], *geometry[1:]))
    torch.testing.assert_close(landing_map(records, (13, 10))[:1], landing_map(plain, (13, 10)))


def test_a_windows_response_is_the_padded_images_where_it_stands():
    layer = DynamicStrideConv2d(1, 1, 3, padding=1, padding_mode="circular")
    x = torch.randn(1, 1, 9, 9)
    layer.offsets = nn.Identity()  # windows moved by (0, 1): the plain responses, one further on
    layer.offsets.forward = lambda x: torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 9, 9)
    conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    conv.load_state_dict({"weight": layer.weight, "bias": layer.bias})
    torch.testing.assert_close(layer(x)[..., :-1], conv(x)[..., 1:], atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(
    "MESHCONV_SLOW" not in os.environ, reason="a minute of C++ compiler; set MESHCONV_SLOW"
)
def test_compile_with_the_default_backend():
    layer = bent(DynamicStrideConv2d(2, 3, 3, 2, 1))
    x = torch.randn(2, 2, 14, 11)
    torch.testing.assert_close(
        torch.compile(layer, fullgraph=True)(x), layer(x), atol=1e-5, rtol=1e-5
    )


# --- where windows land --------------------------------------------------------------------------


def random_landing(size, kernel, stride, padding, dilation, spread=3.0, batch=2):
    window = Window(kernel, stride, padding, dilation)
    offset = spread * torch.randn(batch, len(size), *window.out_size(size), dtype=torch.float64)
    return Landing(window, offset)


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_the_map_is_the_adjoint_of_the_gather(size, kernel, stride, padding, dilation, moved):
    """<G image, w> = <image, G' w> for every image and all counts w, G the mean over each window of
    what it sees.
    """
    record = random_landing(size, kernel, stride, padding, dilation)
    offset = record.offset if moved else torch.zeros_like(record.offset)
    image = torch.randn(2, 1, *size, dtype=torch.float64)
    counts = torch.randn(2, 1, *offset.shape[2:], dtype=torch.float64)
    seen = gather_windows(image, offset, record.window).mean(dim=2)
    landings = landing_map(record if moved else Landing(record.window), size, counts=counts)
    torch.testing.assert_close(
        (image * landings).flatten(1).sum(1),
        (seen * counts).flatten(1).sum(1),
        rtol=1e-12,
        atol=1e-11,
    )


@pytest.mark.parametrize("size", [(7, 6), (5, 4, 3)])
def test_gradients_of_the_map(size):
    record = random_landing(size, 2, 2, 1, 1, spread=1.0, batch=1)
    counts = torch.rand(1, 1, *record.offset.shape[2:], dtype=torch.float64, requires_grad=True)

    def run(offset, counts):
        return landing_map(Landing(record.window, offset), size, counts=counts)

    assert torch.autograd.gradcheck(run, (record.offset.requires_grad_(), counts))


def test_the_map_lays_down_every_tap():
    """The spread of first taps over the window against splatting all taps one by one."""
    size, window = (13, 10), Window((3, 2), 2, 1, (2, 1))
    record = random_landing(size, (3, 2), 2, 1, (2, 1))
    assert record.window == window
    corners = window_corners(record.offset, window)
    expected = 0
    for u, v in itertools.product((0, 2, 4), (0, 1)):
        ones = torch.ones(2, 1, *corners.shape[1:3], dtype=torch.float64)
        at = to_grid(corners + torch.tensor([u, v]), size)
        expected = expected + splat(ones, at, size, padding="zeros") / 6
    torch.testing.assert_close(landing_map(record, size), expected)


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_its_total_is_the_number_of_taps_inside(size, kernel, stride, padding, dilation):
    record = random_landing(size, kernel, stride, padding, dilation)
    total = landing_map(Landing(record.window, record.offset.round()), size).flatten(1).sum(1)
    corners = window_corners(record.offset.round(), record.window)
    d, inside = len(size), 0.0
    k, dl = taps(kernel, d), taps(dilation, d)
    for tap in itertools.product(*map(range, k)):
        at = corners + torch.tensor([t * step for t, step in zip(tap, dl, strict=True)])
        inside = inside + ((at >= 0) & (at <= torch.tensor(size) - 1)).all(-1).flatten(1).sum(1)
    torch.testing.assert_close(total, inside.double() / math.prod(k))


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_no_offset_and_zero_offset_agree(size, kernel, stride, padding, dilation):
    window = Window(kernel, stride, padding, dilation)
    zero = torch.zeros(1, len(size), *window.out_size(size))
    moved, plain = landing_map(Landing(window, zero), size), landing_map(Landing(window), size)
    torch.testing.assert_close(moved, plain, atol=1e-6, rtol=1e-6)
    ratio = landing_map(Landing(window, zero), size, relative=True)
    assert set(ratio.flatten().mul(1e4).round().div(1e4).tolist()) <= {0.0, 1.0}


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        bent(DynamicStrideConv2d(4, 4, 3, 2, 1), 0.5),
        nn.MaxPool2d(2),
        bent(DynamicStrideConv2d(4, 6, 3, 1, 1, variant="monotone"), 0.5),
        nn.AdaptiveAvgPool2d(1),
    )


def test_through_a_network_it_is_what_each_pixel_gives_to_the_last_layer():
    """Second way: a linear network of averages with the same windows, differentiated."""
    model, x = network().double(), torch.rand(2, 1, 20, 24, dtype=torch.float64)
    with torch.no_grad(), record_landings(model) as records:
        model(x)
    assert [record.offset is None for record in records] == [True, False, True, False]
    y = image = torch.zeros_like(x, requires_grad=True)
    for record in records:
        out = record.window.out_size(y.shape[2:])
        offset = torch.zeros(2, 2, *out, dtype=y.dtype) if record.offset is None else record.offset
        y = gather_windows(y, offset, record.window).mean(dim=2)
    (expected,) = torch.autograd.grad(y.sum(), image)
    landings = landing_map(records, (20, 24))
    torch.testing.assert_close(landings, expected)
    assert landings.sum() <= 2 * y[0].numel() and not landings.requires_grad


def test_through_the_equalizing_warp_and_back_to_the_vertices():
    n = 33
    u, v = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 12))
    points = np.stack([u.ravel(), v.ravel()], axis=1)
    k = np.arange(11)[:, None] * 12 + np.arange(11)
    faces = np.concatenate(
        [
            np.stack([k, k + 1, k + 13], -1).reshape(-1, 3),
            np.stack([k, k + 13, k + 12], -1).reshape(-1, 3),
        ]
    )
    surface = Surface(np.c_[points, np.sin(3 * points[:, 0])], faces)
    resampler = Resampler(Parameterization(surface, points, "rectangle"), size=n)

    body = nn.Sequential(DynamicStrideConv2d(5, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1))
    model = DECNN(3, 2, size=n, network_size=17, backbone=body, coordinates=True, seed=0).eval()
    i = torch.arange(n) / (n - 1)
    bump = torch.exp(-((i[:, None] - 0.3) ** 2 + (i - 0.7) ** 2) / 0.02)
    model.init_density(bump)
    x = torch.rand(1, 3, n, n)
    with torch.no_grad(), record_landings(body) as records:
        model(x)
        grid = model.sampling_grid(x)
    landings = landing_map(records, (n, n), sampling_grid=grid)
    windows = landing_map(records, (17, 17))
    torch.testing.assert_close(landings.sum(), windows.sum())  # the warp loses none
    on_vertices = resampler.pixel_to_vertex @ landings.numpy().ravel()
    near = np.hypot(points[:, 0] - 0.7, points[:, 1] - 0.3) < 0.15  # u is the column
    assert on_vertices[near].mean() > 1.5 * on_vertices.mean()
    mass = resampler.mass_to_vertices(landings[0, 0].numpy())
    assert mass.sum() == pytest.approx(float(landings.sum()), rel=1e-5)

    wish = torch.zeros(n, n)
    wish[20:30, 4:14] = (
        1  # the user asks on the surface's own frame; the windows move on the warped grid
    )
    before = share_inside(landings, wish)
    after = edit_offsets(
        model, x, wish, layers=[body[0], body[2]], steps=30, learning_rate=0.02, sampling_grid=grid
    )
    assert share_inside(after, wish) > 2 * before


# --- steering ------------------------------------------------------------------------------------


def boxes(generator, n, side=32, box=9):
    """Noise with one bright box at random; share of area 9^2 / 32^2 = .079."""
    x, mask = 0.3 * torch.rand(n, 1, side, side, generator=generator), torch.zeros(n, 1, side, side)
    for k in range(n):
        i, j = torch.randint(2, side - box - 2, (2,), generator=generator).tolist()
        mask[k, :, i : i + box, j : j + box] = 1
    return x + mask, mask


def test_focus_learns_to_put_three_times_the_share_on_objects():
    generator = torch.Generator().manual_seed(0)
    layer = DynamicStrideConv2d(1, 4, 3, 2, 1)
    optimiser = torch.optim.Adam(layer.offsets.parameters(), lr=5e-3)
    for _ in range(80):
        x, mask = boxes(generator, 16)
        with record_landings(layer) as records:
            layer(x)
        optimiser.zero_grad()
        focus_loss(records, mask).backward()
        optimiser.step()
    x, mask = boxes(torch.Generator().manual_seed(1), 32)  # not seen before
    with torch.no_grad(), record_landings(layer) as records:
        layer(x)
        share = share_inside(landing_map(records, (32, 32)), mask)
    assert share.mean() > 3 * mask.mean()
    assert min(t.min() for t in local_strides(records[0])) > 0


@pytest.mark.parametrize("variant", ["offset", "monotone"])
def test_editing_moves_the_windows_and_nothing_else(variant):
    model = nn.Sequential(
        DynamicStrideConv2d(1, 3, 3, 2, 1, variant=variant),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        DynamicStrideConv2d(3, 4, 3, 2, 1, variant=variant),
    )
    x, target = torch.rand(1, 1, 48, 48), torch.zeros(48, 48)
    target[4:18, 26:40] = 1  # .085 of the area
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    plain = model.eval()(x)
    model.train()
    landings = edit_offsets(model, x, target, steps=80, learning_rate=0.02)
    assert model.training and all(
        torch.equal(p, parameters[name]) for name, p in model.named_parameters()
    )
    assert all(p.grad is None for p in model.parameters())
    assert model[1].num_batches_tracked == 0
    with torch.no_grad(), record_landings(model.eval()) as records:
        model(x)
    torch.testing.assert_close(landing_map(records, (48, 48)), landings)
    assert share_inside(landings, target) > 2 * target.mean()
    assert min(t.min() for record in records for t in local_strides(record)) > 0
    clear_edits(model)
    torch.testing.assert_close(model(x), plain)


def test_the_loss_is_least_at_the_target_and_counts_folds():
    window = Window(1)
    zero = torch.zeros(1, 2, 8, 8)
    even = focus_loss(Landing(window, zero), torch.ones(8, 8), blur=0.0)
    assert even.item() == pytest.approx(math.log(64), abs=1e-5)
    left = torch.zeros(8, 8)
    left[:, :4] = 1
    assert focus_loss(Landing(window, zero), left, blur=0.0).item() == pytest.approx(
        math.log(64), abs=1e-5
    )
    swapped = zero.clone()
    swapped[:, 1, :, 3], swapped[:, 1, :, 4] = (
        1,
        -1,
    )  # columns 3 and 4 change places: strides 2, -1, 2
    terms = {"focus": 0.0, "displacement": 0.0, "order": 1.0, "min_stride": 0.5}
    fold = focus_loss(Landing(window, swapped), left, **terms)
    assert fold.item() == pytest.approx(8 * 1.5**2 / (2 * 7 * 8))
    assert focus_loss(Landing(window, zero), left, **terms).item() == 0


@pytest.mark.parametrize("blur", [0.0, 0.04, 0.3])
def test_the_blur_is_the_convolution_with_a_gaussian_cut_at_the_border(blur):
    image = torch.rand(2, 1, 12, 21, dtype=torch.float64)
    expected = image
    for axis, n in ((2, 12), (3, 21)):
        reach = math.ceil(2.5 * blur * n)
        along = torch.arange(-reach, reach + 1, dtype=torch.float64)
        bell = torch.exp(-0.5 * (along / max(blur * n, 1e-6)) ** 2)
        kernel = (bell / bell.sum()).reshape(1, 1, *((-1, 1) if axis == 2 else (1, -1)))
        expected = functional.conv2d(
            expected, kernel, padding=(reach, 0) if axis == 2 else (0, reach)
        )
    torch.testing.assert_close(blurred(image, blur), expected)


# --- refusals ------------------------------------------------------------------------------------


def test_refusals():
    x, weight = torch.zeros(1, 2, 6, 6), torch.zeros(4, 2, 3, 3)
    offset = torch.zeros(1, 2, 4, 4)
    with pytest.raises(
        ArrayTypeError, match=r"offset must be \(1, 2, 4, 4\) .*, found \(1, 2, 4, 5\)"
    ):
        dynamic_stride_conv2d(x, weight, None, torch.zeros(1, 2, 4, 5))
    with pytest.raises(ArrayTypeError, match="do not fit with 3 groups"):
        dynamic_stride_conv2d(x, weight, None, offset, groups=3)
    with pytest.raises(ArrayTypeError, match="smaller than one window"):
        dynamic_stride_conv2d(x[..., :2], weight, None, offset)
    with pytest.raises(ArrayTypeError, match="need 5 axes each"):
        dynamic_stride_conv3d(x, weight, None, offset)
    with pytest.raises(ArgumentError, match="stride must be at least 1, one or 2 of them, found 0"):
        dynamic_stride_conv2d(x, weight, None, offset, 0)
    with pytest.raises(ArgumentError, match=r"padding must be .*found 'full'"):
        DynamicStrideConv2d(2, 2, 3, padding="full")
    with pytest.raises(ValueError, match="not supported for strided"):
        DynamicStrideConv2d(2, 2, 3, 2, padding="same")
    with pytest.raises(ArgumentError, match="variant must be one of"):
        DynamicStrideConv2d(2, 2, 3, variant="free")
    with pytest.raises(ArgumentError, match="max_offset must be positive, found 8 and 0"):
        DynamicStrideConv2d(2, 2, 3, max_offset=0)
    with pytest.raises(ArrayTypeError, match=r"head must give \(B, 2, ...\), found \(1, 3, 6, 6\)"):
        DynamicStrideConv2d(2, 2, 3, head=nn.Conv2d(2, 3, 1))(x)
    with pytest.raises(ArgumentError, match="no layer was recorded"):
        landing_map([], (6, 6))
    with pytest.raises(
        ArgumentError,
        match=r"layer 1 read a map of \(9, 9\), but the layers before it give \(4, 4\)",
    ):
        landing_map([Landing(Window(3)), Landing(Window(3), size=(9, 9))], (6, 6))
    with pytest.raises(ArrayTypeError, match=r"offset of layer 0 must be \(B, 2, 4, 4\), found"):
        landing_map(Landing(Window(3), torch.zeros(1, 2, 3, 3)), (6, 6))
    with pytest.raises(ArrayTypeError, match=r"counts must be \(B, 1, 4, 4\), found \(1, 4, 4\)"):
        landing_map(Landing(Window(3)), (6, 6), counts=torch.ones(1, 4, 4))
    with pytest.raises(ArgumentError, match="strides are those of its window"):
        local_strides(Landing(Window(3)))
    with pytest.raises(ArgumentError, match="nothing to steer"):
        focus_loss(Landing(Window(3)), torch.ones(6, 6))
    with pytest.raises(ArgumentError, match="at least 0, and not all 0"):
        focus_loss(Landing(Window(3), offset), torch.zeros(6, 6))
    with pytest.raises(ArrayTypeError, match=r"target must be \(\*size\)"):
        focus_loss(Landing(Window(3), offset), torch.ones(6))
    with pytest.raises(ArgumentError, match="no dynamic stride layer to edit"):
        edit_offsets(nn.Conv2d(2, 2, 3), x, torch.ones(6, 6))
    with pytest.raises(ArgumentError, match="found ReLU"), record_landings(nn.ReLU(), [nn.ReLU()]):
        pass
