"""Scale-equivariant convolution: the defining property, the mechanism by brute force, the rest."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import (
    ScaleBatchNorm,
    ScaleDropout,
    ScaleInstanceNorm,
    ScaleMaxPool,
    ScaleProjection,
    scale_argmax,
)

R = 0.9


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# --- equivariance --------------------------------------------------------------------------------


def plain_error(
    kernel_size: int, max_frequency: float, spacing=(1.0, 1.0, 1.0), seed: int = 0
) -> float:
    """The same patch test on an ordinary convolution, one kernel for all sizes."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(64, 3))
    waves *= (max_frequency * rng.random(64) ** (1 / 3) / np.linalg.norm(waves, axis=1))[:, None]
    axes = [(np.arange(kernel_size) - kernel_size // 2) * h for h in spacing]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points, phase = rng.uniform(-20, 20, (200, 3)), rng.uniform(0, 2 * np.pi, 64)
    kernels = rng.normal(size=(len(offsets), 16))
    a, b = (
        np.cos((points[:, None] + o) @ waves.T + phase).sum(-1) @ kernels
        for o in (offsets, offsets / R)
    )
    return ((a - b) ** 2).sum() / (a**2).sum()


@pytest.mark.parametrize("max_frequency", [0.3, 0.6, 1.0])
@pytest.mark.parametrize(
    "options", [{}, {"kernel_size": 3}, {"kernel_size": 7}, {"dims": 2}, {"scale_size": 2}]
)
def test_error_by_default_is_below_the_bar_and_below_a_plain_convolution(options, max_frequency):
    layer = ScaleEquivariantConv(2, 8, **options)
    error = layer.equivariance_error(max_frequency=max_frequency)
    assert error <= 5e-5
    assert error < plain_error(layer.kernel_size[0], max_frequency) / 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"family": "multi"}, (4.6e-3, 4.2e-3, 3.2e-3)),
        ({"family": "single", "kernel_size": 7}, (1.1e-5, 9.9e-6, 1.8e-5)),
        ({"family": "single", "kernel_size": 9}, (1.6e-6, 2.8e-6, 9.5e-6)),
    ],
)
def test_the_published_bases_have_their_published_errors(options, expected):
    for frequency, published in zip((0.3, 0.6, 1.0), expected, strict=True):
        error = ScaleEquivariantConv(4, 8, **options).equivariance_error(max_frequency=frequency)
        assert published / 2 < error < published * 2.5


@pytest.mark.parametrize("max_frequency", [0.1, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_below_a_plain_convolution_up_to_the_limit_of_the_grid(kernel_size, max_frequency):
    error = ScaleEquivariantConv(2, 8, kernel_size=kernel_size).equivariance_error(
        max_frequency=max_frequency
    )
    assert error < 0.8 * plain_error(kernel_size, max_frequency)


@pytest.mark.parametrize(
    ("spacing", "options"),
    [
        ((1.0, 1.0, 2.5), {}),
        ((2.0, 2.0, 0.8), {}),
        ((0.5, 0.9, 0.6), {}),
        ((0.5, 0.9, 0.6), {"kernel_size": 3}),
        ((0.4, 1.0, 1.0), {"kernel_size": 7}),
        ((1.0, 1.0, 3.0), {"kernel_size": 7}),
        ((1.0, 2.0), {"dims": 2}),
        ((1.0, 1.0, 3.0), {}),
        ((1.0, 3.0, 3.0), {}),
        ((0.8, 0.8, 2.4), {"scale_size": 2}),
        ((1.0, 1.5, 1.0), {"scale_size": 2}),
    ],
)
def test_anisotropic_voxels_meet_the_same_bar(spacing, options):
    """Three taps do so to 1 : 1.8, five and seven to 1 : 3; beyond, voxels do not resolve the
    field.
    """
    layer = ScaleEquivariantConv(2, 8, spacing=spacing, **options)
    assert layer.equivariance_error() <= 5e-5
    if layer.dims == 3:
        relative = tuple(h / min(spacing) for h in spacing)
        assert layer.equivariance_error() < plain_error(layer.kernel_size[0], 0.6, relative) / 40


@pytest.mark.parametrize(
    ("sigma", "side", "width"),
    [
        (0.5, 1.0, 0.5),
        (0.5, 3.0, 1.5),
        (1.0, 1.0, 1.0),
        (1.0, 1.4, 1.0),
        (1.0, 3.0, 2.1),
        (1.2, 1.6, 1.2),
    ],
)
def test_only_along_long_voxels_are_the_functions_stretched(sigma, side, width):
    """The width as read off the response to a slow wave, exp(-(width w)^2 / 2); few taps match it
    within 2 %.
    """
    basis = ScaleEquivariantConv(
        1, 1, dims=2, n_scales=3, kernel_size=7, sigma=sigma, spacing=(1.0, side)
    ).basis
    for axis, (h, expected) in enumerate(((1.0, sigma), (side, width))):
        w, along = 0.2 / expected, basis[0].double().sum(dim=2 - axis)  # (S, k)
        response = along @ torch.cos(w * h * torch.arange(-3.0, 4.0)).double() / along.sum(dim=1)
        found = (-2 * response.log()).sqrt() / w
        torch.testing.assert_close(
            found, expected * R ** torch.arange(3.0).double(), rtol=0.03, atol=0
        )


def field(points, waves, phase):
    return torch.cos(torch.einsum("...d,wd->...w", points, waves) + phase).sum(-1)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_layer_itself_commutes_with_a_change_of_size(dims):
    """(Phi L_r f)[s + 1](0) = (Phi f)[s](0), on sampled images of f and of f reduced."""
    lift = ScaleEquivariantConv(1, 4, dims=dims, bias=False).double()
    conv = ScaleEquivariantConv(4, 3, dims=dims, scale_size=2, bias=False).double()
    waves, phase = torch.randn(64, dims).double() * 0.25, torch.rand(64).double() * 6
    grid = torch.stack(
        torch.meshgrid(*[torch.arange(-4.0, 5.0)] * dims, indexing="ij"), -1
    ).double()
    a, b = (conv(lift(field(g, waves, phase)[None, None])) for g in (grid, grid / R))
    middle = (0, slice(None), slice(None), *[4] * dims)
    here, there = a[middle][:, :2], b[middle][:, 1:3]
    error = (there - here).norm()
    assert error < 0.02 * here.norm()
    assert error < (b[middle][:, :2] - here).norm() / 10  # the same scale does not agree


def test_error_from_frequency_responses_equals_the_error_from_patches():
    layer = ScaleEquivariantConv(1, 3, dims=2, family="multi", scale_size=None).double()
    reported = layer.equivariance_error(n_points=50)
    generator = torch.Generator().manual_seed(0)  # the same draws in the same order
    direction = torch.randn(1, 1, 64, 2, generator=generator, dtype=torch.float64)
    radius = torch.rand(1, 1, 64, 1, generator=generator, dtype=torch.float64) ** 0.5
    waves = (direction / direction.norm(dim=-1, keepdim=True) * radius * 0.6)[0, 0]
    points = (torch.rand(50, 2, generator=generator, dtype=torch.float64) - 0.5) * 40
    phase = (torch.rand(1, 1, 64, generator=generator, dtype=torch.float64) * 2 * math.pi)[0, 0]
    offsets = torch.cartesian_prod(*[torch.arange(-2.0, 3.0).double()] * 2)
    kernels = layer.kernels().detach()[:, :, 0, 0].flatten(2)  # (S, O, k)
    a = torch.einsum("pk,sok->spo", field(points[:, None] + offsets, waves, phase), kernels)
    b = torch.einsum("pk,sok->spo", field(points[:, None] + offsets / R, waves, phase), kernels)
    patches = (b[1:] - a[:-1]).square().sum() / a[:-1].square().sum()
    assert reported == pytest.approx(float(patches), rel=1e-9)


# --- the basis -----------------------------------------------------------------------------------

HERMITE = [
    np.ones_like,
    lambda x: x,
    lambda x: x**2 - 1,
    lambda x: x**3 - 3 * x,
    lambda x: x**4 - 6 * x**2 + 3,
]


def psi(orders, sigma, k, dims):
    x = np.meshgrid(*[np.arange(-(k // 2), k // 2 + 1.0)] * dims, indexing="ij")
    value = sigma**-dims * np.exp(-sum(c**2 for c in x) / (2 * sigma**2))
    for n, c in zip(orders, x, strict=True):
        value = value * HERMITE[n](c / sigma)
    return value


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("family", "k", "e"), [("single", 7, 3), ("multi", 5, 3), ("multi", 5, 4)])
def test_sampled_bases_are_the_formula(family, k, e, dims):
    layer = ScaleEquivariantConv(1, 1, dims=dims, kernel_size=k, n_basis=e, family=family)
    if family == "single":
        functions = [(o, 1.0) for o in itertools.product(range(e), repeat=dims)]
    else:
        total = [o for o in itertools.product(range(5), repeat=dims) if sum(o) <= 4]
        functions = [(o, s) for s in (1.0, 1 / 1.2) for o in total][: e**dims]
    expected = np.array([[psi(o, q * R**s, k, dims) for s in range(4)] for o, q in functions])
    expected /= np.sqrt((expected[:, :1] ** 2).sum(axis=tuple(range(2, 2 + dims)), keepdims=True))
    assert layer.basis.shape == (e**dims, 4, *[k] * dims)
    np.testing.assert_allclose(layer.basis, expected, atol=1e-6)


def share_outside_span(layer):
    """Largest relative norm of an axis-swapped basis outside the span of the basis, scales taken
    together.
    """
    basis = layer.basis.double()
    flat = basis.flatten(1)
    shares = []
    for order in itertools.permutations(range(layer.dims)):
        swapped = basis.permute(0, 1, *[2 + d for d in order]).flatten(1)
        rest = swapped - swapped @ torch.linalg.pinv(flat) @ flat
        shares.append(float(rest.norm() / swapped.norm()))
    return max(shares)


@pytest.mark.parametrize("family", ["matched", "single"])
def test_the_basis_is_closed_under_axis_swaps(family):
    assert share_outside_span(ScaleEquivariantConv(1, 1, family=family)) < 1e-6
    assert share_outside_span(ScaleEquivariantConv(1, 1, family=family, dims=2, n_basis=4)) < 1e-6


def test_the_papers_basis_is_not_closed():
    assert share_outside_span(
        ScaleEquivariantConv(1, 1, family="multi", n_scales=1)
    ) == pytest.approx(0.335, abs=1e-3)


@pytest.mark.parametrize("family", ["matched", "single", "multi"])
def test_unit_norm_at_the_first_scale(family):
    basis = ScaleEquivariantConv(1, 1, family=family).basis
    assert torch.allclose(basis[:, 0].flatten(1).norm(dim=1), torch.ones(27), atol=1e-6)


def test_long_kernels_make_matched_and_sampled_agree():
    bases = [
        ScaleEquivariantConv(1, 1, dims=1, kernel_size=13, sigma=1.6, n_scales=2, family=f).basis
        for f in ("matched", "single")
    ]
    assert (bases[0] - bases[1]).abs().max() < 1e-3


def test_spacing_samples_the_same_functions_further_apart():
    fine = ScaleEquivariantConv(1, 1, dims=2, kernel_size=(5, 9), family="single").basis[
        :, :, :, ::2
    ]
    coarse = ScaleEquivariantConv(
        1, 1, dims=2, kernel_size=5, family="single", spacing=(0.7, 1.4)
    ).basis
    ratio = fine[:, :1].flatten(1).norm(dim=1)
    assert torch.allclose(fine / ratio[:, None, None, None], coarse, atol=1e-6)


# --- the mechanism, by brute force ---------------------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 2), (2, "same")])
def test_lifting_is_one_convolution_per_scale(dims, stride, padding):
    layer = ScaleEquivariantConv(2, 3, dims=dims, stride=stride, padding=padding)
    x = torch.randn(2, 2, *[11, 8, 9][:dims])
    convolve = [functional.conv1d, functional.conv2d, functional.conv3d][dims - 1]
    for s in range(4):
        kernel = torch.einsum("oif,f...->oi...", layer.weight, layer.basis[:, s])
        expected = convolve(
            x, kernel, layer.bias, stride=stride, padding=2 if padding == "same" else padding
        )
        torch.testing.assert_close(layer(x)[:, :, s], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("scale_size", "stride"), [(1, 1), (2, 2), (3, 1), (6, 1)])
def test_scale_to_scale_sums_over_neighbouring_scales_and_repeats_the_last(
    scale_size, stride, transposed
):
    layer = ScaleEquivariantConv(2, 3, scale_size=scale_size, stride=stride, transposed=transposed)
    x = torch.randn(2, 2, 4, 7, 6, 5)
    y = layer(x)
    for s in range(4):
        expected = layer.bias[None, :, None, None, None]
        for i in range(scale_size):
            kernel = torch.einsum("oif,f...->oi...", layer.weight[:, :, i], layer.basis[:, s])
            source = x[:, :, min(s + i, 3)]
            if transposed:
                term = functional.conv_transpose3d(
                    source, kernel.transpose(0, 1), stride=stride, padding=2
                )
            else:
                term = functional.conv3d(source, kernel, stride=stride, padding=2)
            expected = expected + term
        torch.testing.assert_close(y[:, :, s], expected, rtol=1e-4, atol=1e-5)


@given(st.integers(4, 13), st.integers(4, 13), st.integers(1, 3))
def test_the_transposed_form_returns_to_any_size(height, width, stride):
    down = ScaleEquivariantConv(
        1, 2, dims=2, scale_size=1, stride=stride, bias=False, n_scales=2
    ).double()
    up = ScaleEquivariantConv(
        2, 1, dims=2, scale_size=1, stride=stride, bias=False, n_scales=2, transposed=True
    ).double()
    up.weight.data = down.weight.data.transpose(0, 1).clone()
    x = torch.randn(1, 1, 2, height, width).double()
    y = down(x)
    z = torch.randn_like(y)
    back = up(z, output_size=(height, width))
    assert back.shape == x.shape
    assert torch.isclose((y * z).sum(), (x * back).sum(), rtol=1e-9)  # the exact adjoint


def test_transposed_lifting():
    layer = ScaleEquivariantConv(2, 3, dims=2, transposed=True, stride=2, output_padding=1)
    x = torch.randn(1, 2, 5, 4)
    kernel = torch.einsum("oif,fab->ioab", layer.weight, layer.basis[:, 2])
    expected = functional.conv_transpose2d(
        x, kernel, layer.bias, stride=2, padding=2, output_padding=1
    )
    assert expected.shape[-2:] == (10, 8)
    torch.testing.assert_close(layer(x)[:, :, 2], expected, rtol=1e-4, atol=1e-5)


def test_one_by_one_has_one_kernel_for_all_scales_and_its_bias():
    layer = ScaleEquivariantConv(3, 2, kernel_size=1, scale_size=1)
    x = torch.randn(2, 3, 4, 3, 3, 3)
    expected = torch.einsum("oi,bi...->bo...", layer.weight[:, :, 0, 0], x) + layer.bias.view(
        1, 2, 1, 1, 1, 1
    )
    torch.testing.assert_close(layer(x), expected)
    assert layer.weight.numel() == 6
    assert layer.bias.abs().min() > 0


@pytest.mark.parametrize("scale_size", [None, 2])
def test_gradients(scale_size):
    layer = ScaleEquivariantConv(
        1, 2, dims=2, kernel_size=3, n_scales=2, n_basis=2, scale_size=scale_size
    ).double()
    x = torch.randn(
        1, 1, *([2] if scale_size else []), 2, 3, dtype=torch.float64, requires_grad=True
    )

    def run(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.bias))


# --- evaluation, precision, compilation ----------------------------------------------------------


def test_kernels_are_built_once_in_evaluation_and_never_stale():
    layer = ScaleEquivariantConv(1, 1, dims=2).eval()
    x = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        first, kept = layer(x), layer._kernels()
        layer(x)
        assert layer._kernels() is kept
        layer.weight.data.mul_(2.0)
        layer.bias.data.mul_(2.0)
        torch.testing.assert_close(layer(x), 2 * first)
        layer.double()
        torch.testing.assert_close(layer(x.double()).float(), 2 * first)
        layer.basis.mul_(0.0)
        assert torch.equal(
            layer(x.double()), layer.bias.expand(1, 4, 8, 8)[:, None][:, 0, None].double()
        )
    layer(x.double()).sum().backward()  # and gradients reach the weights in evaluation too
    assert layer.weight.grad is not None
    with torch.inference_mode():
        layer.weight.data.add_(1.0)
        layer(x.double())
    layer.requires_grad_(False)
    layer(
        x.double().requires_grad_()
    ).sum().backward()  # the kernels kept in inference mode serve here
    assert "_cache" not in copy.deepcopy(layer).state_dict()


@pytest.mark.parametrize("transposed", [False, True])
def test_bfloat16_autocast(transposed):
    layer = ScaleEquivariantConv(2, 2, dims=3, scale_size=1, stride=2, transposed=transposed)
    x = torch.randn(1, 2, 4, 8, 8, 8)
    exact = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(x)
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough - exact).norm() < 0.02 * exact.norm()
    rough.float().sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_export_and_compile_give_the_same():
    net = torch.nn.Sequential(
        ScaleEquivariantConv(1, 2, dims=2),
        ScaleInstanceNorm(2),
        ScaleEquivariantConv(2, 2, dims=2, scale_size=2),
        ScaleBatchNorm(2),
        ScaleMaxPool(2),
        ScaleProjection(),
    ).eval()
    x, other = torch.randn(2, 1, 8, 10), torch.randn(3, 1, 12, 9)
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        net, (x,), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    torch.testing.assert_close(exported(other), net(other))
    torch.testing.assert_close(
        torch.compile(net, backend="aot_eager", fullgraph=True)(other), net(other)
    )


# --- norms, pooling, projection ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2, 4, 5, 6), (3, 2, 4, 5, 6, 3)])
def test_norms_take_their_statistics_over_scales_and_space(shape):
    x = torch.randn(shape) * 3 + 1
    for norm, axes in [
        (ScaleBatchNorm(2), (0, *range(2, len(shape)))),
        (ScaleInstanceNorm(2), tuple(range(2, len(shape)))),
    ]:
        mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=0)
        torch.testing.assert_close(norm(x), (x - mean) / (var + 1e-5).sqrt(), rtol=1e-4, atol=1e-5)
    assert torch.equal(ScaleInstanceNorm(2)(torch.ones(1, 2, 1, 1, 1)), torch.zeros(1, 2, 1, 1, 1))


def test_evaluation_ignores_batch_mates_exactly():
    norm = ScaleBatchNorm(2)
    norm(torch.randn(4, 2, 3, 5, 5))
    norm.eval()
    x = torch.randn(3, 2, 3, 5, 5)
    assert torch.equal(norm(x)[:1], norm(x[:1]))


def test_dropout_drops_a_channel_over_all_scales():
    y = ScaleDropout(0.5)(torch.ones(8, 16, 3, 4, 4)).flatten(2)
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y.amax(2), y.amin(2))
    layer = ScaleDropout(0.5).eval()
    assert torch.equal(layer(y), y)


def test_pooling_and_projection():
    x = torch.randn(2, 3, 4, 6, 6)
    torch.testing.assert_close(ScaleMaxPool(2)(x)[:, :, 1], functional.max_pool2d(x[:, :, 1], 2))
    assert torch.equal(ScaleProjection("max")(x), x.max(2).values)
    torch.testing.assert_close(ScaleProjection("mean")(x), x.mean(2))


def test_the_strongest_scale_follows_the_size_of_a_blob():
    """Lindeberg: the scale-normalised Laplacian of a Gaussian blob of width t peaks at filter width
    t.
    """
    layer = ScaleEquivariantConv(
        1, 1, dims=2, kernel_size=25, sigma=4.0, n_scales=8, family="single", bias=False
    )
    layer.weight.data.zero_()
    orders = list(itertools.product(range(3), repeat=2))
    norms = [np.linalg.norm(psi(o, 1.0 * 4.0, 25, 2)) for o in orders]
    for o in [(0, 2), (2, 0)]:
        layer.weight.data[0, 0, orders.index(o)] = norms[orders.index(o)]
    grid = torch.stack(torch.meshgrid(*[torch.arange(-12.0, 13.0)] * 2, indexing="ij"), -1)
    found = []
    for step in (2, 3, 4, 5):
        blob = torch.exp(-grid.square().sum(-1) / (2 * (4.0 * R**step) ** 2))
        found.append(int(scale_argmax(layer(blob[None, None]))[0, 12, 12]))
    assert found == [2, 3, 4, 5]


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 4}, "dims must be 1, 2 or 3, found 4"),
        ({"kernel_size": 4}, "kernel_size must be odd, and 1 on all axes or none, found 4"),
        ({"kernel_size": (3, 1, 3)}, r"odd, and 1 on all axes or none, found \(3, 1, 3\)"),
        ({"kernel_size": (3, 3)}, r"one per axis \(3\), found \(3, 3\)"),
        ({"family": "wave"}, "family must be one of 'matched', 'single', 'multi', found 'wave'"),
        ({"scale_ratio": 1.1}, "0 < scale_ratio < 1"),
        ({"scale_size": 0}, "scale_size must be an integer >= 1, found 0"),
        ({"stride": 0}, "stride must be an integer >= 1"),
        ({"spacing": (1.0, -1.0, 1.0)}, "spacing must be 3 positive lengths"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        ScaleEquivariantConv(1, 1, **options)


def test_bad_input_is_named():
    with pytest.raises(
        ArrayTypeError, match=r"input must be \(B, 2, 4, H, W\), found \(1, 2, 3, 8, 8\)"
    ):
        ScaleEquivariantConv(2, 1, dims=2, scale_size=1)(torch.zeros(1, 2, 3, 8, 8))
    with pytest.raises(ArgumentError, match=r"p must lie in \[0, 1\]"):
        ScaleDropout(1.5)
    with pytest.raises(ArgumentError, match="how must be one of 'max', 'mean'"):
        ScaleProjection("sum")
