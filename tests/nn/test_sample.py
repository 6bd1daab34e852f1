"""The gather, its adjoint, and sampling that averages over area."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.area_sample import area_sample, area_splat, pyramid
from meshconv.nn.sample import gather, node_grid, splat

SHAPES = [((9, 7), (5, 4)), ((9, 7), (6,)), ((4, 6, 5), (3, 2, 4)), ((4, 6, 5), (7,))]


def _random(
    shape: tuple[int, ...], between: tuple[int, ...], seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 3, *shape, generator=g, dtype=torch.float64)
    positions = 2.6 * torch.rand(2, *between, len(shape), generator=g, dtype=torch.float64) - 1.3
    return image, positions


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize(("shape", "between"), SHAPES)
@given(seed=st.integers(0, 1000))
@settings(max_examples=8)
def test_splat_is_the_exact_adjoint_of_gather(shape, between, padding, seed):
    image, positions = _random(shape, between, seed)
    values = gather(image, positions, padding=padding)
    w = torch.randn(
        values.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    back = splat(w, positions, shape, padding=padding)
    torch.testing.assert_close((values * w).sum(), (image * back).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "between"), SHAPES)
def test_gather_reproduces_linear_functions_and_nodes(shape, between):
    axes = [torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)  # (x, y[, z])
    linear = (nodes * torch.arange(1.0, len(shape) + 1)).sum(-1)[None, None]
    positions = 2 * torch.rand(1, *between, len(shape), dtype=torch.float64) - 1
    expected = (positions * torch.arange(1.0, len(shape) + 1)).sum(-1)[:, None]
    torch.testing.assert_close(gather(linear, positions), expected)
    torch.testing.assert_close(gather(linear, nodes[None]), linear)


def test_border_splat_keeps_the_total_and_zeros_drops_what_is_outside():
    positions = torch.tensor([[[0.3, -0.2], [5.0, 5.0]]], dtype=torch.float64)
    values = torch.ones(1, 1, 2, dtype=torch.float64)
    assert float(splat(values, positions, (5, 5)).sum()) == pytest.approx(2.0)
    assert float(splat(values, positions, (5, 5), padding="zeros").sum()) == pytest.approx(1.0)
    assert float(splat(values, positions, (5, 5))[0, 0, 4, 4]) == 1.0


def test_derivatives_of_both_in_values_and_positions():
    image, positions = _random((4, 5), (3,), 3)
    image.requires_grad_(), positions.requires_grad_()
    assert torch.autograd.gradcheck(gather, (image[:1, :1], positions[:1]))
    values = gather(image, positions).detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v, p: splat(v, p, (4, 5)), (values[:1, :1], positions[:1])
    )


def test_pyramid_keeps_the_mean_and_constants():
    image = torch.rand(1, 2, 33, 33, dtype=torch.float64)
    along = torch.ones(33, dtype=torch.float64)
    along[[0, -1]] = 0.5
    for k, level in enumerate(pyramid(image, 3)):
        w = along[:: 2**k].clone()
        w[1:-1] = 1.0
        w = torch.outer(w, w)
        expected = (image * torch.outer(along, along)).sum((2, 3)) / along.sum() ** 2
        torch.testing.assert_close((level * w).sum((2, 3)) / w.sum(), expected)
    for level in pyramid(torch.ones(1, 1, 20, 20), 2):  # an even side
        torch.testing.assert_close(level, torch.ones_like(level))


def test_area_sampling_does_not_alias_and_is_plain_where_nothing_shrinks():
    n = 129
    stripes = (torch.arange(n) % 2).float().expand(1, 1, n, n)
    coarse = node_grid(33, stripes)
    assert float((gather(stripes, coarse) - 0.5).abs().max()) == pytest.approx(
        0.5
    )  # every fourth: all 0
    inner = area_sample(stripes, coarse)[..., 1:-1, 1:-1]
    assert float((inner - 0.5).abs().max()) < 1e-5
    image = torch.rand(2, 3, n, n)
    torch.testing.assert_close(area_sample(image, node_grid(n, image)), image, atol=1e-4, rtol=0)
    part = 0.2 * node_grid(33, image)  # finer than the image: bilinear
    torch.testing.assert_close(area_sample(image, part), gather(image, part.expand(2, -1, -1, -1)))


@pytest.mark.parametrize("size", [(33, 33), (21, 30), (65, 65)])
def test_area_splat_is_the_exact_adjoint_of_area_sampling(size):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    wave = 0.2 * torch.sin(3 * node_grid(17, image)).flip(-1)
    grid = (node_grid(17, image) + wave).clamp(-1, 1).requires_grad_()
    values = torch.randn(2, 3, 17, 17, generator=generator, dtype=torch.float64, requires_grad=True)
    back = area_splat(values, grid, size)
    there = (area_sample(image, grid) * values).sum()
    torch.testing.assert_close((image * back).sum(), there, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(back.sum(), values.sum(), rtol=1e-12, atol=1e-12)
    for tensor in (values, grid):  # the same derivatives on both sides
        (one,) = torch.autograd.grad((image * back).sum(), tensor, retain_graph=True)
        (other,) = torch.autograd.grad(there, tensor, retain_graph=True)
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(area_splat(values, grid, size), back)


def test_area_sampling_keeps_the_dtype():
    image = torch.rand(1, 1, 33, 33).bfloat16()
    out = area_sample(image, 0.9 * node_grid(17, image.float()))
    assert out.dtype == torch.bfloat16
    full = area_sample(image.float(), 0.9 * node_grid(17, image.float()))
    assert float((out.float() - full).abs().max()) < 4e-3  # positions were not rounded to bfloat16


def test_refusals():
    image = torch.zeros(1, 1, 5, 5)
    with pytest.raises(ArrayTypeError, match=r"2 dimensions needs positions \(B, \.\.\., 2\)"):
        gather(image, torch.zeros(1, 4, 3))
    with pytest.raises(ArgumentError, match="padding must be one of"):
        gather(image, torch.zeros(1, 4, 2), padding="wrap")
    with pytest.raises(ArrayTypeError, match="do not match"):
        splat(torch.zeros(1, 1, 3), torch.zeros(1, 4, 2), (5, 5))
