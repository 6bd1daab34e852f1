"""Warping by a density, back, and the convolution between."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from meshconv.errors import ArrayTypeError
from meshconv.nn.area_sample import area_sample
from meshconv.nn.density_conv import DensityEqualizingConv2d, unwarp, warp
from meshconv.nn.equalize import bounded_density, equalizing_grid
from meshconv.nn.sample import node_grid
from meshconv.resample.geometry_image import GeometryImage


def _density(n: int = 65) -> torch.Tensor:
    x, y = node_grid(n, torch.zeros(())).unbind(-1)
    return (1 + 4 * torch.exp(-((x - 0.2) ** 2 + (y + 0.3) ** 2) / 0.1))[:, None]


def _integral(image: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(image, 2, 1).mean()


def test_what_is_dense_gets_room_in_proportion():
    """Inside a region the share of the warped picture is the region's share of the density."""
    density = _density()
    region = (density > 2).float()
    share = float(_integral(density * region) / _integral(density))
    assert float(_integral(warp(region, density))) == pytest.approx(share, abs=0.003)
    assert float(_integral(region)) < 0.5 * share


def test_unwarp_undoes_warp():
    x, y = node_grid(129, torch.zeros(())).unbind(-1)
    image = (torch.sin(2 * x) * torch.cos(3 * y))[:, None]
    back = unwarp(warp(image, _density()), _density())
    assert float((back - image).abs().max()) < 0.02


def test_shapes_follow_the_image():
    density = _density()
    assert warp(torch.rand(2, 3, 65, 65), density, size=33).shape == (2, 3, 33, 33)
    assert warp(torch.rand(3, 65, 65), density[0]).shape == (3, 65, 65)
    assert warp(np.random.default_rng(0).random((65, 65)), density[0, 0].double()).shape == (65, 65)
    assert warp(torch.rand(3, 65, 65), density.expand(4, -1, -1, -1)).shape == (4, 3, 65, 65)
    with pytest.raises(ArrayTypeError, match="2 images and 3 densities"):
        warp(torch.rand(2, 1, 65, 65), density.expand(3, -1, -1, -1))
    with pytest.raises(ArrayTypeError, match="2, 3 or 4 axes"):
        warp(torch.rand(65), density)
    with pytest.raises(ArrayTypeError, match="floating point"):
        warp(torch.ones(65, 65, dtype=torch.int64), density)


def test_nan_outside_the_mask_of_a_geometry_image_stays_outside():
    u, v = np.meshgrid(np.linspace(-1, 1, 65), np.linspace(-1, 1, 65))
    mask = u**2 + v**2 <= 1
    image = GeometryImage(np.where(mask, 3.0, np.nan)[None], ("three",), mask)
    warped = warp(image, _density().double())
    inside = warped[~torch.isnan(warped)]
    assert torch.isnan(warped[0, 0, 0]) and len(inside) > 0.6 * warped.numel()
    torch.testing.assert_close(inside, torch.full_like(inside, 3.0))  # nothing bled in


def test_constant_density_is_an_ordinary_convolution():
    layer = DensityEqualizingConv2d(3, 4, 5)
    x = torch.rand(2, 3, 33, 33)
    plain = functional.conv2d(x, layer.conv.weight, layer.conv.bias, padding=2)
    torch.testing.assert_close(layer(x, torch.ones(1, 1, 33, 33)), plain, atol=2e-5, rtol=0)


def test_convolution_works_on_the_equalized_square_and_trains_density_and_weights():
    logits = torch.randn(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    density = bounded_density(logits, size=33)
    layer = DensityEqualizingConv2d(1, 1, 3, unwarp=False, size=17, bias=False)
    x = torch.rand(2, 1, 33, 33, generator=torch.Generator().manual_seed(1))
    y = layer(x, density)
    expected = layer.conv(area_sample(x, equalizing_grid(density, size=17)))
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    assert float(logits.grad.abs().min()) > 0 and float(layer.conv.weight.grad.abs().min()) > 0
    assert "size=17" in repr(layer)
