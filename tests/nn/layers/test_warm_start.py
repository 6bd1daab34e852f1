"""Heads taught alone, then frozen; local strides as channels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn import (
    DynamicStrideConv2d,
    DynamicStrideConv3d,
    Landing,
    box_masks,
    landing_map,
    local_strides,
    log_strides,
    record_landings,
    share_inside,
    warm_start_offsets,
)


@pytest.fixture
def bright():
    """Images that are flat but for a rough square somewhere, and its box."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(48, 1, 48, 48)
    corners = torch.randint(2, 34, (48, 2), generator=generator)
    for image, (y, x) in zip(images, corners.tolist(), strict=True):
        image[0, y : y + 12, x : x + 12] = torch.rand(12, 12, generator=generator)
    return images, torch.cat([corners, corners + 12], dim=1).float()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        DynamicStrideConv2d(1, 6, 5, 4, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, 2, 1)
    )


def shares(model: nn.Module, images: torch.Tensor, boxes: torch.Tensor) -> float:
    mask = box_masks(boxes, images.shape[2:])
    with torch.no_grad(), record_landings(model.eval()) as records:
        model(images)
    landings = landing_map(records[:1], images.shape[2:])
    return float((share_inside(landings, mask) / mask.flatten(1).mean(1)).mean())


@pytest.mark.parametrize("target", ["edges", "boxes", "maps"])
def test_windows_go_to_the_target_and_stay_there(bright, target):
    images, boxes = bright
    model = network().train()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    goal = {"edges": "edges", "boxes": boxes, "maps": box_masks(boxes, (48, 48))}[target]
    before = shares(model, images, boxes)
    model.train()
    losses = warm_start_offsets(model, images, goal, steps=150)
    assert len(losses) == 150 and losses[-20:].mean() < losses[:20].mean()
    assert model.training and model[1].training
    assert shares(model, images, boxes) > 1.4 * before
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in model.named_parameters() if "offsets.head" in n}
    for key, value in model.state_dict().items():  # all else as it was
        assert torch.equal(value, state[key]) or "offsets.head" in key
    model(images).square().mean().backward()
    assert all(p.grad is None for n, p in model.named_parameters() if n in frozen)
    with torch.no_grad(), record_landings(model) as records:
        model(images)
    assert min(float(t.min()) for t in local_strides(records[0])) > 0


def test_heads_left_free_and_the_same_seed_the_same_heads(bright):
    images, _ = bright
    models = [network(), network()]
    for model in models:
        warm_start_offsets(model, images, steps=5, freeze=False)
        assert all(p.requires_grad for p in model.parameters())
        assert all(p.grad is None for p in model.parameters())
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_volumes_and_one_map_for_all():
    layer = DynamicStrideConv3d(1, 2, 3, 2, 1)
    goal = torch.zeros(12, 12, 12)
    goal[2:5, 2:5, 2:5] = 1.0
    losses = warm_start_offsets(layer, torch.rand(4, 1, 12, 12, 12), goal, steps=20, batch_size=2)
    assert losses[-1] < losses[0]


def test_an_image_without_edges_asks_for_nothing(bright):
    images = torch.zeros(4, 1, 48, 48)
    assert warm_start_offsets(network(), images, steps=3).isfinite().all()


def test_what_does_not_fit_is_named(bright):
    images, boxes = bright
    with pytest.raises(ArgumentError, match="no dynamic stride layer"):
        warm_start_offsets(nn.Conv2d(1, 1, 3), images)
    with pytest.raises(ArgumentError, match="target must be 'edges', maps or boxes, found 'faces'"):
        warm_start_offsets(network(), images, "faces")
    with pytest.raises(ArrayTypeError, match=r"found \(3, 4\) for 48 images"):
        warm_start_offsets(network(), images, boxes[:3])


def test_boxes_cover_their_pixels():
    mask = box_masks(torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.0, 0.5, 1.0, 1.0]]), (4, 5))
    assert mask.sum(dim=(1, 2, 3)).tolist() == [4.0, 0.5]
    assert mask[0, 0, 1:3, :2].min() == 1 and mask[1, 0, 0, 0] == 0.5


# --- strides as channels -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size"), [(DynamicStrideConv2d, (16, 13)), (DynamicStrideConv3d, (9, 8, 7))]
)
def test_logarithms_of_the_strides_follow_the_responses(kind, size):
    torch.manual_seed(0)
    dims = len(size)
    layer = kind(2, 3, 3, 2, 1, stride_channels=True)
    x = torch.randn(2, 2, *size)
    y = layer(x)
    assert y.shape[1] == 3 + dims and not y[:, 3:].any()
    nn.init.normal_(layer.offsets.head.last.weight, std=0.5)
    y = layer(x)
    plain = kind(2, 3, 3, 2, 1)
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(y[:, :3], plain(x))
    assert torch.equal(y[:, 3:], log_strides(layer.offsets(x), layer.window))
    assert y[:, 3:].abs().max() > 0.01


def test_an_even_stretch_is_its_logarithm():
    """Windows at 3 p instead of 2 p: log 3/2 along this axis, 0 along the other."""
    layer = DynamicStrideConv2d(1, 1, 3, 2, 1)
    offset = torch.zeros(1, 2, 6, 5)
    offset[0, 1] = torch.arange(5.0)
    found = log_strides(offset, layer.window)
    torch.testing.assert_close(found[:, 1], torch.full((1, 6, 5), 0.4054651))
    assert not found[:, 0].any()
    strides = local_strides(Landing(layer.window, offset))[1]
    assert torch.equal(strides, torch.full((1, 6, 4), 3.0))
    assert not log_strides(torch.ones(1, 2, 1, 1), layer.window).any()  # one window has no stride
