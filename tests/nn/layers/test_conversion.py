"""Ordinary networks with adaptive layers: alike at the start, names kept, nothing edited."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from meshconv.errors import ArgumentError
from meshconv.nn import (
    DynamicStrideConv2d,
    PyramidPixelContext,
    convert,
    landing_map,
    record_landings,
)
from meshconv.nn.layers.scaled_conv import scale_transfer


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """He et al. 2016, as torchvision names its parts, but narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8, 1), BasicBlock(8, 8, 1))
        self.layer2 = nn.Sequential(BasicBlock(8, 12, 2), BasicBlock(12, 12, 1))
        self.layer3 = nn.Sequential(BasicBlock(12, 16, 2), BasicBlock(16, 16, 1))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(x, 1))


@pytest.fixture
def trained():
    """A network whose statistics are not the ones it was made with."""
    torch.manual_seed(0)
    model = ResNet()
    for _ in range(3):
        model(torch.randn(4, 3, 64, 64) + 0.5)
    return model.eval()


X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
KINDS = {
    "dynamic_stride": {},
    "adaptive": {"stages": ["layer2", "layer3"]},
    "recalibration": {"example": X},
    "scale_equivariant": {},
}
CHANGED = {
    "dynamic_stride": ("conv1", "layer2.0.conv1", "layer3.0.conv1"),
    "adaptive": ("layer2", "layer3"),
    "recalibration": tuple(f"layer{i}.{j}.bn2.recalibration" for i in (1, 2, 3) for j in (0, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_output_the_same_names_and_the_given_model_untouched(trained, kind):
    state, text = copy.deepcopy(trained.state_dict()), repr(trained)
    expected = trained(X)
    made = convert(trained, kind, **KINDS[kind])
    torch.testing.assert_close(made(X), expected, rtol=0, atol=1e-6)
    assert made.converted == CHANGED.get(kind, made.converted) and made.converted
    own = made.state_dict()
    assert set(state) <= set(own)
    assert all(torch.equal(own[key].view_as(value), value) for key, value in state.items())
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)
    assert repr(trained) == text and torch.equal(trained(X), expected)
    assert all(torch.equal(trained.state_dict()[key], value) for key, value in state.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_ordinary_state_loads_strictly_and_its_own_state_too(trained, kind):
    made = convert(ResNet(), kind, **KINDS[kind]).eval()
    made.load_state_dict(trained.state_dict())
    torch.testing.assert_close(made(X), trained(X), rtol=0, atol=1e-6)
    shaken = convert(trained, kind, **KINDS[kind])
    with torch.no_grad():
        for name, parameter in shaken.named_parameters():
            if name not in trained.state_dict():
                parameter.add_(0.1)
    made.load_state_dict(shaken.state_dict())
    torch.testing.assert_close(made(X), shaken(X), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="Missing key"):
        made.load_state_dict({"fc.bias": torch.zeros(5)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_training_moves_it_and_copies_are_independent(trained, kind):
    made = convert(trained, kind, **KINDS[kind]).train()
    same = pickle.loads(pickle.dumps(copy.deepcopy(made)))
    before = copy.deepcopy(made).eval()(X)
    optimiser = torch.optim.SGD(made.parameters(), lr=0.1)
    made(X).square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    optimiser.step()
    assert (made.eval()(X) - before).abs().max() > 1e-4
    torch.testing.assert_close(same.eval()(X), before, rtol=0, atol=0)


def test_windows_of_a_converted_network_move_and_land(trained):
    made = convert(trained, "dynamic_stride", layers="conv1", min_stride=0.5)
    assert isinstance(made.conv1, DynamicStrideConv2d) and made.converted == ("conv1",)
    nn.init.normal_(made.conv1.offsets.head.last.weight, std=1.0)
    with torch.no_grad(), record_landings(made.conv1) as records:
        moved = made(X)
    assert (moved - trained(X)).abs().max() > 1e-3
    assert landing_map(records, (64, 64)).shape == (2, 1, 64, 64)


def test_attention_is_shaped_by_the_example(trained):
    made = convert(trained, "recalibration", example=X, shared=True)
    layers = [m for m in made.modules() if isinstance(m, PyramidPixelContext)]
    assert len(layers) == 6 and all(layer.shared for layer in layers)


@pytest.mark.parametrize("kernel", [(3,), (5,), (7,), (3, 5)])
def test_kernels_are_carried_between_scales_as_their_functions_are(kernel):
    """At scale 0 a kernel is itself, exactly; a Hermite function becomes the narrower one."""
    transfer = scale_transfer(kernel, 3, 0.8, 1.0, "single")
    size = transfer.shape[1]
    assert torch.equal(transfer[0], torch.eye(size, dtype=transfer.dtype))
    for s in (1, 2):
        carried = functions(kernel, 1.0).flatten(1) @ transfer[s]
        torch.testing.assert_close(carried, functions(kernel, 0.8**s).flatten(1))


def functions(kernel, sigma):
    """exp(-x^2 / 2 sigma^2) He_n(x / sigma) / sigma, n < k on each axis; all products, (F, *k)."""
    out = torch.ones(1, *[1] * len(kernel), dtype=torch.float64)
    for axis, k in enumerate(kernel):
        x = torch.arange(-(k // 2), k // 2 + 1, dtype=torch.float64) / sigma
        rows = [torch.ones_like(x), x]
        for n in range(1, k):
            rows.append(x * rows[n] - n * rows[n - 1])
        one = torch.stack(rows[:k]) * torch.exp(-(x**2) / 2) / sigma
        one = one.view(1, k, *[k if a == axis else 1 for a in range(len(kernel))])
        out = (out[:, None] * one).flatten(0, 1)
    return out


def test_scales_of_a_converted_network_answer_to_a_smaller_object():
    """A smooth blob reduced by one step: scale s + 1 answers as scale s did."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
    made = convert(model, "scale_equivariant", n_scales=3, scale_ratio=0.8)
    along = torch.arange(-32.0, 33.0)

    def blob(width):
        return torch.exp(-(along[:, None] ** 2 + along**2) / (2 * width**2))[None, None]

    def answers(width):
        found = []
        for s in range(3):
            with torch.no_grad():
                made.scale_weights.copy_(torch.eye(3)[s])
                found.append(made(blob(width))[0, :, 32, 32])
        return torch.stack(found)

    large, small = answers(8.0), answers(6.4)
    change = (small[1:] - large[:-1]).norm() / large[:-1].norm()
    assert change < 0.02
    assert (small[0] - large[0]).norm() > 2 * (small[1] - large[0]).norm()


def test_what_cannot_be_converted_is_named(trained):
    with pytest.raises(ArgumentError, match="kind must be one of 'dynamic_stride', 'adaptive'"):
        convert(trained, "deformable")
    with pytest.raises(ArgumentError, match=r"needs the stages to convert.*of conv1, bn1, relu"):
        convert(trained, "adaptive")
    with pytest.raises(ArgumentError, match=r"'avgpool'.*has no adaptive form"):
        convert(trained, "adaptive", stages=["layer3", "avgpool"])
    with pytest.raises(ArgumentError, match=r"missing a required argument: 'example'"):
        convert(trained, "recalibration")
    with pytest.raises(ArgumentError, match=r"unexpected keyword argument 'levels'"):
        convert(trained, "scale_equivariant", levels=2)
    with pytest.raises(ArgumentError, match="no residual block"):
        convert(nn.Linear(2, 2), "recalibration", example=torch.zeros(1, 2))
    with pytest.raises(ArgumentError, match="nothing to convert in Linear: it has no strided"):
        convert(nn.Linear(2, 2), "dynamic_stride")
    with pytest.raises(ArgumentError, match=r"layer 'bn1' is a BatchNorm2d; there are conv1"):
        convert(trained, "dynamic_stride", layers=["bn1"])
    with pytest.raises(ArgumentError, match=r"layer '0'.*needs an odd kernel"):
        convert(nn.Sequential(nn.Conv2d(1, 1, 4)), "scale_equivariant")
    with pytest.raises(ArgumentError, match=r"layer '0'.*has no form at several scales"):
        convert(nn.Sequential(nn.ConvTranspose2d(1, 1, 3)), "scale_equivariant")


def test_a_layer_in_two_places_stays_one(trained):
    conv = nn.Conv2d(2, 2, 3, 2, 1)
    model = nn.Sequential(conv, nn.ReLU(), conv)
    for kind in ("dynamic_stride", "scale_equivariant"):
        made = convert(model, kind)
        assert made[0] is made[2]
        x = torch.randn(1, 2, 16, 16)
        torch.testing.assert_close(made(x), model(x), rtol=0, atol=1e-6)
