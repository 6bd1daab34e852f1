"""Dilated scale-equivariant convolution: exact for integer ratios of size, on the images
themselves.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import ScaleBatchNorm
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def layer(
    channels: int = 1, *, n: int = 2, dims: int = 2, **options: object
) -> ScaleEquivariantConv:
    settings = {"dims": dims, "n_scales": 3, "scale_ratio": 1 / n, "dilated": True} | options
    return ScaleEquivariantConv(channels, 4, **settings).double()


def every(x: Tensor, n: int, dims: int) -> Tensor:
    """Every n-th pixel: the image reduced by n."""
    return x[(..., *[slice(None, None, n)] * dims)]


@pytest.mark.parametrize("frequency", [0.6, 3.0])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 3},
        {"dims": 3},
        {"kernel_size": 3},
        {"family": "multi"},
        {"scale_size": 2},
        {"spacing": (1.0, 2.5)},
    ],
)
def test_the_error_is_zero_at_every_frequency(options: dict[str, object], frequency: float) -> None:
    error = layer(**options).equivariance_error(max_frequency=frequency)
    assert error == 0 if options.get("n") != 3 else error < 1e-28  # a third is no binary number


@pytest.mark.parametrize(("n", "dims"), [(2, 2), (3, 2), (2, 3), (2, 1)])
def test_a_reduced_image_answers_one_scale_further_on_everywhere(n: int, dims: int) -> None:
    """Up to the border, where the zeros outside are reduced too."""
    lift, conv = layer(n=n, dims=dims), layer(4, n=n, dims=dims, scale_size=1)
    x = torch.randn(2, 1, *[13, 18, 11][:dims], dtype=torch.float64)
    whole, reduced = conv(lift(x)), conv(lift(every(x, n, dims)))
    torch.testing.assert_close(
        reduced[:, :, 1:], every(whole, n, dims)[:, :, :-1], rtol=1e-12, atol=1e-12
    )
    assert (reduced - every(whole, n, dims)).abs().max() > 0.1  # at the same scale it does not


def test_a_stack_with_norms_and_neighbouring_scales_is_exact_too() -> None:
    net = (
        nn.Sequential(
            layer(n_scales=4), ScaleBatchNorm(4), nn.SiLU(), layer(4, n_scales=4, scale_size=2)
        )
        .double()
        .eval()
    )
    x = torch.randn(1, 1, 24, 17, dtype=torch.float64)
    whole, reduced = net(x), net(every(x, 2, 2))
    torch.testing.assert_close(
        reduced[:, :, 1:3], every(whole, 2, 2)[:, :, :2], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_each_scale_is_a_dilated_convolution_with_the_same_taps(
    stride: int, transposed: bool
) -> None:
    conv = layer(4, scale_size=2, stride=stride, transposed=transposed)
    x = torch.randn(2, 4, 3, 9, 8, dtype=torch.float64)
    assert all(torch.equal(conv.basis[:, s], conv.basis[:, 0]) for s in range(3))
    kernels, found = conv.kernels(), conv(x)
    for s, step in enumerate((4, 2, 1)):
        expected = conv.bias[:, None, None]
        for i in range(2):
            source, kernel = x[:, :, min(s + i, 2)], kernels[s, :, :, i]
            if transposed:
                term = functional.conv_transpose2d(
                    source, kernel.transpose(0, 1), stride=stride, padding=2 * step, dilation=step
                )
            else:
                term = functional.conv2d(
                    source, kernel, stride=stride, padding=2 * step, dilation=step
                )
            expected = expected + term
        torch.testing.assert_close(found[:, :, s], expected)


def test_a_network_of_dilated_layers_takes_any_size_and_reports_zero() -> None:
    net = ScaleEquivariantUNet(
        1,
        2,
        dims=2,
        channels=(3, 4),
        strides=(2,),
        n_scales=3,
        scale_ratio=0.5,
        scale_size=2,
        dilated=True,
    )
    assert net.equivariance_error("layers") == 0
    assert net(torch.randn(1, 1, 15, 22)).shape == (1, 2, 15, 22)


@pytest.mark.parametrize("options", [{"scale_ratio": 0.9}, {"scale_ratio": 0.5, "padding": 0}])
def test_ratios_that_are_no_integers_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(
        ArgumentError,
        match="dilated kernels need 1 / scale_ratio to be an integer and padding 'same'",
    ):
        ScaleEquivariantConv(1, 1, dilated=True, **options)
