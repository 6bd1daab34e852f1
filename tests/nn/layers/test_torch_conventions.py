"""What torch's users expect of every layer: where it is made, copied, exported, and fed nothing."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

import meshconv.nn
from meshconv.errors import ArgumentError
from meshconv.nn import (
    DECNN,
    AdaptiveConv2d,
    AdaptiveConv3d,
    AdaptiveNodes,
    DynamicStrideConv2d,
    DynamicStrideConv3d,
    LearnedLevels,
    PyramidPixelContext,
    ScaleEquivariantConv,
    ScaleEquivariantUNet,
    edge_strength,
    levels_for_cost,
    levels_from_density,
    levels_from_edges,
    make_adaptive,
)
from meshconv.nn.layers import convert

UNET = {"channels": (2, 3), "strides": (2,), "n_scales": 2}
CASES = {
    "dynamic 2-D": (lambda **o: DynamicStrideConv2d(4, 6, 3, 2, 1, **o), (4, 13, 10)),
    "dynamic 2-D monotone": (
        lambda **o: DynamicStrideConv2d(4, 6, 3, 2, 1, variant="monotone", groups=2, **o),
        (4, 13, 10),
    ),
    "dynamic, each tap sampled": (
        lambda **o: DynamicStrideConv2d(4, 64, 3, 4, 1, **o),
        (4, 37, 41),
    ),
    "dynamic 3-D": (lambda **o: DynamicStrideConv3d(2, 3, 3, padding="same", **o), (2, 9, 11, 10)),
    "pixel context": (lambda **o: PyramidPixelContext(10, (7, 6), **o), (10, 9, 8)),
    "pixel context, own size": (lambda **o: PyramidPixelContext(8, (7, 6), **o), (8, 7, 6)),
    "scale, lifting": (lambda **o: ScaleEquivariantConv(3, 4, 5, 2, dims=2, **o), (3, 13, 10)),
    "scale to scale": (
        lambda **o: ScaleEquivariantConv(2, 4, dims=2, scale_size=2, n_scales=3, groups=2, **o),
        (2, 3, 11, 10),
    ),
    "scale, 3-D": (lambda **o: ScaleEquivariantConv(1, 2, 3, n_scales=2, **o), (1, 8, 9, 10)),
    "unet": (lambda **o: ScaleEquivariantUNet(1, 2, dims=2, **UNET, **o), (1, 15, 12)),
    "unet, instance": (
        lambda **o: ScaleEquivariantUNet(1, 2, dims=2, norm="instance", **UNET, **o),
        (1, 15, 12),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    torch.manual_seed(0)
    make, shape = CASES[request.param]
    return make, torch.randn(2, *shape)


def shaken(layer):
    """No weight at zero, where half of the layer would be idle."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return layer.eval()


def tensors(layer):
    return [*layer.parameters(), *(b for b in layer.buffers() if b.is_floating_point())]


def test_made_in_a_precision_and_on_a_device(case):
    make, x = case
    double = make(dtype=torch.float64).eval()
    assert {t.dtype for t in tensors(double)} == {torch.float64}
    assert double(x.double()).dtype == torch.float64
    meta = make(device="meta").eval()
    assert {t.device.type for t in tensors(meta)} == {"meta"}
    y = meta(x.to("meta"))
    assert y.is_meta and y.shape == double(x.double()).shape


def test_from_meta_to_numbers_with_anothers_state(case):
    make, x = case
    layer = shaken(make())
    found = make(device="meta").to_empty(device="cpu")
    found.load_state_dict(layer.state_dict())
    torch.testing.assert_close(found.eval()(x), layer(x), rtol=0, atol=0)


def test_rounded_and_back_only_its_weights_are_rounded(case):
    make, x = case
    layer = shaken(make())
    rounded = copy.deepcopy(layer).bfloat16().float()
    exact = make()
    exact.load_state_dict({k: v.bfloat16().float() for k, v in layer.state_dict().items()})
    torch.testing.assert_close(rounded(x), exact.eval()(x), rtol=1e-5, atol=1e-6)


def test_an_empty_batch_gives_an_empty_batch(case):
    make, x = case
    layer = shaken(make())
    assert layer(x[:0]).shape == (0, *layer(x).shape[1:])


def test_half_precision_by_itself_and_by_autocast(case):
    make, x = case
    layer = shaken(make())
    exact = layer(x)
    half = copy.deepcopy(layer).half()(x.half())
    assert half.dtype == torch.float16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = layer(x)
    for rough in (half, cast):
        assert (rough.float() - exact).norm() < 0.05 * exact.norm()


def test_copied_pickled_and_saved_it_is_the_same(case):
    make, x = case
    layer = shaken(make())
    layer(x)  # what is kept between evaluations goes along
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    copies = [
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(buffer, weights_only=False),
    ]
    for same in copies:
        torch.testing.assert_close(same(x), layer(x), rtol=0, atol=0)
        with torch.no_grad():
            next(same.parameters()).mul_(2.0)
        assert not torch.equal(same(x), layer(x))


@pytest.mark.filterwarnings("ignore")
def test_traced_it_gives_the_same(case):
    make, x = case
    layer = shaken(make())
    traced = torch.jit.trace(layer, x, check_trace=False)
    torch.testing.assert_close(traced(x.flip(0)), layer(x.flip(0)))


def test_exported_it_takes_any_batch_and_size(case):
    make, x = case
    layer = shaken(make())
    auto = torch.export.Dim.AUTO
    first = x.ndim - len([n for n in x.shape[2:] if n > 3])  # scales are not free
    free = {0: auto} | dict.fromkeys(range(first, x.ndim), auto)
    program = torch.export.export(layer, (x,), dynamic_shapes=(free,)).module()
    sizes = [n + 2 + 3 * k for k, n in enumerate(x.shape[first:])]
    other = torch.randn(3, *x.shape[1:first], *sizes)
    torch.testing.assert_close(program(other), layer(other), rtol=1e-4, atol=2e-5)


PAIRS = [
    (DynamicStrideConv2d, nn.Conv2d),
    (DynamicStrideConv3d, nn.Conv3d),
    (AdaptiveConv2d, nn.Conv2d),
    (AdaptiveConv3d, nn.Conv3d),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_plain_convolutions_state_loads_strictly(ours, theirs, bias):
    plain, layer = theirs(4, 6, 3, groups=2, bias=bias), ours(4, 6, 3, groups=2, bias=bias)
    layer.load_state_dict(plain.state_dict())
    assert torch.equal(layer.weight, plain.weight)
    wrong = plain.state_dict() | {"weight": torch.zeros(1)}
    with pytest.raises(RuntimeError, match="size mismatch"):
        layer.load_state_dict(wrong)
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({})


def test_a_plain_networks_state_loads_strictly_and_half_of_a_head_does_not():
    def network(conv):
        return nn.Sequential(conv(1, 2, 3), nn.Sequential(conv(2, 2, 3), nn.BatchNorm2d(2)))

    plain, moving = network(nn.Conv2d), network(DynamicStrideConv2d)
    moving.load_state_dict(plain.state_dict())
    x = torch.randn(2, 1, 9, 9)
    torch.testing.assert_close(moving(x), plain(x), rtol=0, atol=1e-6)
    own = moving.state_dict()
    del own["0.offsets.head.last.weight"]
    with pytest.raises(RuntimeError, match=r"offsets\.head\.last\.weight"):
        moving.load_state_dict(own)


@pytest.mark.parametrize(("dims", "scale_size"), [(2, None), (2, 2), (3, None), (1, 2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dilated", [{}, {"dilated": True, "scale_ratio": 0.5}])
def test_groups_of_scales_are_convolutions_side_by_side(dims, scale_size, transposed, dilated):
    options = {"dims": dims, "n_scales": 2, "scale_size": scale_size, "transposed": transposed}
    options |= dilated
    both = ScaleEquivariantConv(4, 6, 3, groups=2, **options)
    alone = [ScaleEquivariantConv(2, 3, 3, **options) for _ in range(2)]
    for k, one in enumerate(alone):
        one.load_state_dict(
            {"weight": both.weight[3 * k : 3 * k + 3], "bias": both.bias[3 * k : 3 * k + 3]}
        )
    x = torch.randn(2, 4, *([2] if scale_size else []), *([9, 8, 7][:dims]))
    expected = torch.cat([one(part) for one, part in zip(alone, x.chunk(2, 1), strict=True)], 1)
    torch.testing.assert_close(both(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_of_scales_are_those_of_a_padded_image(mode):
    layer = ScaleEquivariantConv(2, 3, 5, 2, dims=2, padding_mode=mode)
    bare = ScaleEquivariantConv(2, 3, 5, 2, "valid", dims=2)
    bare.load_state_dict(layer.state_dict())
    x = torch.randn(2, 2, 11, 8)
    padded = nn.functional.pad(x, (2, 2, 2, 2), mode=mode)
    torch.testing.assert_close(layer(x), bare(padded))
    with pytest.raises(ArgumentError, match="padding_mode must be one of 'zeros', found 'reflect'"):
        ScaleEquivariantConv(2, 3, dims=2, transposed=True, padding_mode="reflect")
    with pytest.raises(ArgumentError, match=r"groups must divide the channels \(2, 3\), found 2"):
        ScaleEquivariantConv(2, 3, groups=2)


@pytest.mark.parametrize("density", ["shared", "sample"])
def test_decnn_on_meta_and_without_images(density):
    model = DECNN(3, 2, size=17, network_size=9, density=density).eval()
    assert model(torch.randn(0, 3, 17, 17)).shape == (0, 2)
    made = DECNN(3, 2, size=17, network_size=9, density=density, device="meta").eval()
    assert made(torch.randn(2, 3, 17, 17, device="meta")).shape == (2, 2)
    y = copy.deepcopy(model).to("meta")(torch.randn(2, 3, 17, 17, device="meta"))
    assert y.is_meta and y.shape == (2, 2)


def test_adaptive_convolutions_are_made_anywhere():
    layer = AdaptiveConv2d(2, 3, 3, device="meta", dtype=torch.float64)
    assert layer.weight.is_meta and layer.weight.dtype == torch.float64
    with pytest.raises(ArgumentError, match="zero padding"):
        AdaptiveConv2d(2, 3, 3, padding_mode="reflect")


def test_adaptive_nodes_of_no_image():
    x, level = torch.randn(0, 2, 8, 8), torch.ones(1, 1, 8, 8)
    y = AdaptiveConv2d(2, 3, 3)(AdaptiveNodes.from_image(x, level)).to_image()
    assert y.shape == (0, 3, 8, 8)


@pytest.fixture
def adaptive():
    torch.manual_seed(0)
    down = nn.Conv2d(4, 4, 3, 2, 1)
    stage = nn.Sequential(down, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), stage, nn.Conv2d(6, 2, 1))

    def mask(image, size):
        return levels_for_cost(image.square().mean(dim=1, keepdim=True), 2, 0.4, size=size)

    return make_adaptive(model.eval(), "1", mask=mask)


def test_a_compiled_adaptive_network_is_the_same_for_other_masks_and_sizes(adaptive):
    compiled = torch.compile(adaptive, backend="eager")
    with torch.no_grad():
        for shape in ((2, 3, 16, 16), (2, 3, 16, 16), (1, 3, 21, 18)):
            x = torch.randn(*shape)
            torch.testing.assert_close(compiled(x), adaptive(x), rtol=0, atol=1e-6)


def test_an_adaptive_network_without_numbers_and_without_images(adaptive):
    x = torch.randn(2, 3, 16, 16, device="meta")
    meta = copy.deepcopy(adaptive).to("meta")
    for level in (1, torch.ones(1, 1, 16, 16)):
        y = meta(x, level)
        assert y.is_meta and y.shape == (2, 2, 16, 16)
    with pytest.raises(ArgumentError, match="levels on the meta device have no values"):
        meta(x, torch.ones(1, 1, 16, 16, device="meta"))
    assert adaptive(torch.randn(0, 3, 16, 16), 1).shape == (0, 2, 16, 16)


MASKS = {
    "edges": lambda image, size: levels_from_edges(image, 2, size=size),
    "budget": lambda image, size: levels_for_cost(edge_strength(image), 2, 0.3, size=size),
    "density": lambda image, size: levels_from_density(edge_strength(image), 2, size=size),
    "learned": LearnedLevels(3, 2, cost=0.4),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("anchor", ["first", "centre"])
def test_an_adaptive_network_asks_its_mask_of_no_image(mask, anchor):
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, groups=1), nn.MaxPool2d(3, 2, 1))
    stage = nn.Sequential(*pooled, nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, 1, 1, groups=2))
    model = nn.Sequential(stage, nn.Conv2d(4, 2, 1)).eval()
    network = make_adaptive(model, "0", mask=MASKS[mask], anchor=anchor).eval()
    x = torch.randn(2, 3, 19, 14)
    assert network(x[:0]).shape == (0, *network(x).shape[1:])
    assert network.macs(x[:0]) == 0


def test_a_converted_network_of_no_image():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)).eval()
    x = torch.randn(2, 3, 19, 14)
    for kind in ("scale_equivariant", "dynamic_stride"):
        network = convert(model, kind).eval()
        assert network(x[:0]).shape == (0, *model(x).shape[1:])
        torch.testing.assert_close(network(x), model(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["scale_equivariant", "dynamic_stride"])
def test_a_converted_network_exports_with_any_batch_and_size(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)).eval()
    network, sides = convert(model, kind).eval(), dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    exported = torch.export.export(
        network, (torch.randn(2, 1, 16, 20),), dynamic_shapes=(sides,)
    ).module()
    for shape in ((3, 1, 21, 18), (5, 1, 16, 27)):
        x = torch.randn(*shape)
        torch.testing.assert_close(exported(x), network(x), rtol=0, atol=1e-5)


def test_public_names_are_all_there_and_need_no_torch_until_used():
    for name in meshconv.nn.__all__:
        assert getattr(meshconv.nn, name) is not None
    code = "import sys, meshconv; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
