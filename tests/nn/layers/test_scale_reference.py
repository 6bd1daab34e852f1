"""A second scale-equivariant network, written voxel by voxel from the paper, against the module
with its weights.

Nothing here calls meshconv's basis, kernels or layers: the module only lends its parameters, by
name.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet

Array = NDArray[np.float64]
RATIO, EPS = 0.9, 1e-5


# --- the basis, one number at a time -------------------------------------------------------------


def hermite(n: int, x: float) -> float:
    """Probabilists' polynomials by their recurrence He_{n+1} = x He_n - n He_{n-1}."""
    return 1.0 if n == 0 else x if n == 1 else x * hermite(n - 1, x) - (n - 1) * hermite(n - 2, x)


def reference_basis(family: str, k: int, e: int, dims: int, n_scales: int) -> Array:
    """(F, S, k, ..., k), each function divided by its norm at scale 0."""
    if family == "single":
        functions = [(orders, 1.0) for orders in itertools.product(range(e), repeat=dims)]
    else:
        low = [orders for orders in itertools.product(range(5), repeat=dims) if sum(orders) <= 4]
        functions = [(orders, 1.2**-q) for q in range(9) for orders in low][: e**dims]
    basis = np.zeros((len(functions), n_scales, *[k] * dims))
    for (f, (orders, width)), s in itertools.product(enumerate(functions), range(n_scales)):
        sigma = width * RATIO**s
        for at in itertools.product(range(k), repeat=dims):
            x = [(i - k // 2) / sigma for i in at]
            value = sigma**-dims * math.exp(-sum(c * c for c in x) / 2)
            basis[(f, s, *at)] = value * math.prod(
                hermite(n, c) for n, c in zip(orders, x, strict=True)
            )
    return basis / np.array([np.sqrt((b[0] ** 2).sum()) for b in basis]).reshape(
        -1, *[1] * (dims + 1)
    )


# --- layers as sums over voxels ------------------------------------------------------------------


def correlate(x: Array, kernel: Array, stride: int) -> Array:
    """(I, *N) with (O, I, *k) to (O, *M), zeros outside; one tap of the kernel after another."""
    k, dims = kernel.shape[-1], x.ndim - 1
    padded = np.pad(x, [(0, 0)] + [(k // 2, k // 2)] * dims)
    out = np.zeros((len(kernel), *(-(-n // stride) for n in x.shape[1:])))
    for tap in itertools.product(range(k), repeat=dims):
        here = tuple(slice(t, t + n, stride) for t, n in zip(tap, x.shape[1:], strict=True))
        out += np.tensordot(kernel[(..., *tap)], padded[(slice(None), *here)], axes=1)
    return out


def spread(x: Array, kernel: Array, stride: int, size: tuple[int, ...]) -> Array:
    """The transposed convolution: every input voxel adds its kernel (O, I, *k) around stride * its
    place.
    """
    k = kernel.shape[-1]
    out = np.zeros((len(kernel), *(n + 2 * k for n in size)))
    for at in itertools.product(*map(range, x.shape[1:])):
        here = tuple(slice(stride * a - k // 2 + k, stride * a + k // 2 + 1 + k) for a in at)
        out[(slice(None), *here)] += np.tensordot(kernel, x[(slice(None), *at)], axes=(1, 0))
    return out[(slice(None), *[slice(k, k + n) for n in size])]


class Reference:
    """The paper's layers and network on (C, S, *N) arrays, with parameters taken by name."""

    def __init__(self, state: dict[str, Array], basis: Array, n_scales: int) -> None:
        self.state, self.basis, self.n_scales = state, basis, n_scales

    def lift(self, x: Array, name: str, stride: int) -> Array:
        weight = self.state[name + ".weight"]  # (O, I, F)
        basis = (
            self.basis if weight.shape[-1] > 1 else np.ones((1, self.n_scales, *[1] * (x.ndim - 1)))
        )
        kernels = np.tensordot(weight, basis, axes=1)  # (O, I, S, *k)
        each = [correlate(x, kernels[:, :, s], stride) for s in range(self.n_scales)]
        return np.stack(each, axis=1) + self.bias(name, x.ndim + 1)

    def conv(
        self, x: Array, name: str, stride: int = 1, size: tuple[int, ...] | None = None
    ) -> Array:
        """Scale to scale; the transposed one with a `size`."""
        weight = self.state[name + ".weight"]  # (O, I, scale_size, F)
        basis = (
            self.basis if weight.shape[-1] > 1 else np.ones((1, self.n_scales, *[1] * (x.ndim - 2)))
        )
        each = []
        for s in range(self.n_scales):
            terms = []
            for i in range(weight.shape[2]):
                kernel, source = (
                    np.tensordot(weight[:, :, i], basis[:, s], axes=1),
                    x[:, min(s + i, self.n_scales - 1)],
                )
                terms.append(
                    correlate(source, kernel, stride)
                    if size is None
                    else spread(source, kernel, stride, size)
                )
            each.append(sum(terms))
        return np.stack(each, axis=1) + self.bias(name, x.ndim)

    def bias(self, name: str, ndim: int) -> Array:
        return self.state[name + ".bias"].reshape(-1, *[1] * (ndim - 1))

    def after(self, x: Array, name: str) -> Array:
        """Batch norm by its running statistics, and x sigmoid(x)."""
        mean, var, weight, bias = (
            self.state[f"{name}.0.{key}"].reshape(-1, *[1] * (x.ndim - 1))
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        y = (x - mean) / np.sqrt(var + EPS) * weight + bias
        return y / (1 + np.exp(-y))

    def down(self, x: Array, name: str, stride: int, *, lifting: bool = False) -> Array:
        """Two convolutions, each with norm and activation, plus the convolved input."""
        first = (
            self.lift(x, f"{name}.body.0", stride)
            if lifting
            else self.conv(x, f"{name}.body.0", stride)
        )
        y = self.conv(self.after(first, f"{name}.body.1"), f"{name}.body.2")
        y = self.after(y, f"{name}.body.3")
        shortcut = f"{name}.shortcut"
        if shortcut + ".weight" not in self.state:
            return y + x
        return y + (self.lift(x, shortcut, stride) if lifting else self.conv(x, shortcut, stride))

    def level(self, x: Array, name: str, strides: list[int], *, top: bool = False) -> Array:
        down = self.down(x, f"{name}.down", strides[0], lifting=top)
        deeper = len(strides) > 1
        below = (
            self.level(down, f"{name}.below", strides[1:])
            if deeper
            else self.down(down, f"{name}.below", 1)
        )
        up = self.conv(
            np.concatenate([down, below]), f"{name}.up", strides[0], x.shape[1 if top else 2 :]
        )
        up = self.after(up, f"{name}.after")
        y = self.conv(up, f"{name}.refine.body.0")
        return up + (y if top else self.after(y, f"{name}.refine.body.1"))


def with_statistics(net: torch.nn.Module) -> dict[str, Array]:
    """Make every number of the state other than it was made, and return it in double precision."""
    generator = torch.Generator().manual_seed(3)
    for name, value in net.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
        if name.endswith("running_var") or "after.0.weight" in name:
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return {name: value.double().numpy() for name, value in net.state_dict().items()}


# --- comparisons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "k", "e", "dims"),
    [("multi", 5, 3, 3), ("multi", 3, 2, 3), ("multi", 5, 4, 2), ("single", 7, 2, 3)],
)
def test_the_basis_is_the_papers(family: str, k: int, e: int, dims: int) -> None:
    layer = ScaleEquivariantConv(1, 1, kernel_size=k, n_basis=e, dims=dims, family=family)
    np.testing.assert_allclose(
        layer.basis, reference_basis(family, k, e, dims, 4), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 1},
        {"stride": 2},
        {"scale_size": 1, "stride": 2},
        {"scale_size": 3, "stride": 1},
        {"scale_size": 2, "stride": 2, "transposed": True},
        {"scale_size": 2, "stride": 1, "transposed": True},
        {"scale_size": 1, "kernel_size": 1},
        {"kernel_size": 1, "stride": 2},
    ],
)
def test_a_layer_in_the_papers_configuration(options: dict[str, int]) -> None:
    torch.manual_seed(0)
    layer = ScaleEquivariantConv(2, 3, family="multi", **options).double()
    x = torch.randn(1, 2, *([4] if "scale_size" in options else []), 5, 4, 6, dtype=torch.float64)
    state = {f"conv.{name}": value.numpy() for name, value in layer.state_dict().items()}
    ours = Reference(state, reference_basis("multi", 5, 3, 3, 4), 4)
    stride = options.get("stride", 1)
    if layer.scale_size is None:
        expected = ours.lift(x[0].numpy(), "conv", stride)
    else:
        size = (5 * stride - 1, 4 * stride, 6 * stride) if options.get("transposed") else None
        size = (5, 4, 6) if size and stride == 1 else size
        expected = ours.conv(x[0].numpy(), "conv", stride, size)
    found = layer(x, expected.shape[2:]) if options.get("transposed") else layer(x)
    np.testing.assert_allclose(found[0].detach(), expected, atol=1e-6)


@pytest.mark.parametrize("scale_size", [1, 2])
def test_a_whole_network_in_the_papers_configuration(scale_size: int) -> None:
    """Kernel 5, three orders, scales 0.9**0..3, several sigmas, residual units of two, batch norm,
    mean projection.
    """
    torch.manual_seed(0)
    net = ScaleEquivariantUNet(
        2, 1, family="multi", channels=(2, 3, 4), strides=(2, 2), scale_size=scale_size
    ).eval()
    state = with_statistics(net)
    x = torch.randn(1, 2, 8, 7, 5)
    ours = Reference(state, reference_basis("multi", 5, 3, 3, 4), 4)
    expected = ours.level(x[0].double().numpy(), "net", [2, 2], top=True).mean(axis=1)
    with torch.no_grad():
        found = net(x)[0]
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


# --- weights of the published kind ---------------------------------------------------------------


class Published(torch.nn.Module):
    """The published network, told again with torch's plain functions: reversed axes, strided layers
    without padding, the batch's unbiased variance in every mode. Parameters by MONAI's names.
    """

    def __init__(self, state: dict[str, torch.Tensor], dims: int, strides: list[int]) -> None:
        super().__init__()
        self.state, self.dims, self.strides = state, dims, strides
        basis = reference_basis("multi", 5, 3, dims, 4)
        self.basis = torch.from_numpy(basis.transpose(0, 1, *range(dims + 1, 1, -1)).copy())
        self.plain = [None, None, torch.conv2d, torch.conv3d][dims]
        self.spread = [None, None, torch.conv_transpose2d, torch.conv_transpose3d][dims]

    def conv(self, xs, name, stride=1, *, up=False):
        """One tensor per scale in, one per scale out."""
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        out = []
        for s in range(4):
            single = weight.shape[-1] == 1
            basis = torch.ones(1, *[1] * self.dims).double() if single else self.basis[:, s]
            kernel = torch.einsum("oif,f...->oi...", weight.flatten(2), basis)
            pad = 0 if single or stride > 1 else 2
            if up:
                y = self.spread(xs[s], kernel.transpose(0, 1).contiguous(), None, stride, pad)
            else:
                y = self.plain(xs[s], kernel, None, stride, pad)
            out.append(y + bias.view(1, -1, *[1] * self.dims))
        return out

    def after(self, xs, name):
        x = torch.stack(xs, dim=2)
        axes = [0, *range(2, x.ndim)]
        mean = x.mean(axes, keepdim=True)
        n = x.numel() / x.shape[1]
        variance = ((x - mean) ** 2).sum(axes, keepdim=True) / (n - 1)
        shape = 1, -1, *[1] * (x.ndim - 2)
        y = (x - mean) / (variance + EPS).sqrt() * self.state[f"{name}.weight"].view(shape)
        y = y + self.state[f"{name}.bias"].view(shape)
        return list((y * torch.sigmoid(y)).unbind(2))

    def unit(self, xs, name, stride=1, depth=2, *, bare=False):
        y = xs
        for i in range(depth):
            y = self.conv(y, f"{name}.conv.unit{i}.conv", stride if i == 0 else 1)
            if not (bare and i == depth - 1):
                y = self.after(y, f"{name}.conv.unit{i}.adn.N")
        known = f"{name}.residual.weight" in self.state
        beside = self.conv(xs, f"{name}.residual", stride) if known else xs
        return [a + b for a, b in zip(y, beside, strict=True)]

    def level(self, xs, name, strides, *, top=False):
        down = self.unit(xs, f"{name}.0", strides[0])
        inner = f"{name}.1.submodule"
        below = self.level(down, inner, strides[1:]) if strides[1:] else self.unit(down, inner)
        both = [torch.cat(pair, dim=1) for pair in zip(down, below, strict=True)]
        up = self.after(
            self.conv(both, f"{name}.2.0.conv", strides[0], up=True), f"{name}.2.0.adn.N"
        )
        return self.unit(up, f"{name}.2.1", depth=1, bare=top)

    def forward(self, x):
        return torch.stack(self.level([x] * 4, "model", self.strides, top=True)).mean(0)


def published_state(dims: int, channels: list[int], n_strides: int) -> dict[str, torch.Tensor]:
    """Random weights by MONAI's names, shapes from the channels alone."""
    generator = torch.Generator().manual_seed(7)
    functions, state = 3**dims, {}

    def put(name, *shape, norm=False):
        for key, size in (("weight", shape), ("bias", shape[:1])):
            value = torch.randn(*size, generator=generator, dtype=torch.float64) * 0.2
            state[f"{name}.{key}"] = value + (norm and key == "weight")

    def unit(name, inputs, outputs, depth, *, lift=False, strided=False, bare=False):
        for i in range(depth):
            taken = inputs if i == 0 else outputs
            scales = [] if lift and i == 0 else [1]
            put(f"{name}.conv.unit{i}.conv", outputs, taken, *scales, functions)
            if not (bare and i == depth - 1):
                put(f"{name}.conv.unit{i}.adn.N", outputs, norm=True)
        if lift or strided or inputs != outputs:
            size = functions if strided else 1
            put(f"{name}.residual", outputs, inputs, *([] if lift else [1]), size)

    def level(name, inputs, outputs, cs, n, *, top=False):
        unit(f"{name}.0", inputs, cs[0], 2, lift=top, strided=True)
        back = cs[0] if n > 1 else cs[1]
        if n > 1:
            level(f"{name}.1.submodule", cs[0], cs[0], cs[1:], n - 1)
        else:
            unit(f"{name}.1.submodule", cs[0], cs[1], 2)
        put(f"{name}.2.0.conv", outputs, cs[0] + back, 1, functions)
        put(f"{name}.2.0.adn.N", outputs, norm=True)
        unit(f"{name}.2.1", outputs, outputs, 1, bare=top)

    level("model", 2, 1, channels, n_strides, top=True)
    return state


@pytest.mark.parametrize(("dims", "strides", "side"), [(2, [2, 2, 2], 29), (3, [2], 9)])
def test_published_weights_give_the_published_output(dims, strides, side) -> None:
    channels = [2, 3, 4, 5][: len(strides) + 1]
    state = published_state(dims, channels, len(strides))
    x = torch.randn(2, 2, *[side] * dims, dtype=torch.float64)
    expected = Published(state, dims, strides)(x)
    net = ScaleEquivariantUNet.from_reference(
        state, 2, 1, dims=dims, channels=channels, strides=strides, dtype=torch.float64
    ).eval()
    assert set(state) != set(net.state_dict()) and len(state) == len(net.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(
            net(x), expected, rtol=0, atol=1e-9 * float(expected.abs().max())
        )
    del state["model.0.residual.bias"]
    with pytest.raises(RuntimeError, match=r"net\.down\.shortcut\.bias"):
        ScaleEquivariantUNet.from_reference(
            state, 2, 1, dims=dims, channels=channels, strides=strides
        )
