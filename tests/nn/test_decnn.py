"""DECNN: it sees what a uniform network of the same cost cannot, says where, and runs
everywhere.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.decnn import DECNN
from meshconv.nn.equalize import area_ratio, equalizing_grid, folds
from meshconv.nn.heads import DirectHead
from meshconv.nn.layers.adapted_backbone import ADAPTED
from meshconv.nn.sample import gather, node_grid

SITE = (23, 46)  # row, column of the fine pattern in 65 x 65


def _stripes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a small patch of stripes of period 4: across in one class, along in the other."""
    n = 65
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    row, col = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    patch = torch.exp(-((row - SITE[0]) ** 2 + (col - SITE[1]) ** 2) / (2 * 4.0**2))
    wave = torch.stack([torch.cos(torch.pi / 2 * row), torch.cos(torch.pi / 2 * col)])
    return (0.5 * torch.randn(count, n, n, generator=g) + patch * wave[labels])[:, None], labels


def _train(model: DECNN, x: torch.Tensor, labels: torch.Tensor, epochs: int) -> DECNN:
    fast = [{"params": model.density.parameters(), "lr": 0.1}]
    slow = [{"params": [*model.backbone.parameters(), *model.heads.parameters()]}]
    optimizer = torch.optim.AdamW(slow + fast, lr=3e-3)
    g = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=g).split(32):
            loss = functional.cross_entropy(model(x[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def test_sees_fine_detail_on_a_coarse_grid_and_shows_where():
    """Stripes of period 4 vanish on a uniform 17 x 17 grid; a density from the t-map brings them
    back.
    """
    (x, labels), (x_test, labels_test) = _stripes(256, 1), _stripes(256, 2)
    accuracy = {}
    for density in ("shared", "uniform"):
        model = DECNN(1, 2, size=65, network_size=17, density=density, width=8, dropout=0.0, seed=0)
        if density == "shared":
            difference = (x[labels == 1].mean(0) - x[labels == 0].mean(0)).abs()
            model.init_density(functional.avg_pool2d(difference, 9, 1, 4))
        torch.manual_seed(0)
        _train(model, x, labels, 8)
        with torch.no_grad():
            accuracy[density] = float((model(x_test).argmax(1) == labels_test).float().mean())
            saliency = model.saliency(x_test[:1])[0, 0]
        if density == "shared":
            top = divmod(int(saliency.argmax()), 65)
            assert abs(top[0] - SITE[0]) <= 5 and abs(top[1] - SITE[1]) <= 5
    assert accuracy["shared"] > 0.95 and accuracy["uniform"] < 0.7


def test_density_per_sample_follows_what_it_is_paid_for():
    """A density that may move is trained to give room to a bright spot, wherever it lies."""
    g = torch.Generator().manual_seed(0)
    centres = torch.randint(12, 53, (64, 2), generator=g)
    row, col = torch.meshgrid(torch.arange(65), torch.arange(65), indexing="ij")
    squared = (row - centres[:, :1, None]) ** 2 + (col - centres[:, 1:, None]) ** 2
    x = torch.exp(-squared / (2 * 4.0**2))[:, None]
    model = DECNN(1, 2, size=65, network_size=17, density="sample", seed=0)
    optimizer = torch.optim.Adam(model.density.parameters(), lr=0.02)
    for _ in range(40):
        loss = -(model.saliency(x) * x).sum() / x.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    at_spot = (model.saliency(x) * x).sum() / x.sum()
    elsewhere = (model.saliency(x.roll(1, 0)) * x).sum() / x.sum()
    assert float(at_spot.detach()) > 2.0 * float(elsewhere.detach())


def test_the_saliency_is_the_magnification():
    model = DECNN(1, 2, size=65, network_size=65, seed=0)
    nn.init.normal_(model.density.logits, std=2.0, generator=torch.Generator().manual_seed(0))
    x = torch.zeros(1, 1, 65, 65)
    with torch.no_grad():
        saliency = model.saliency(x)
        magnified = area_ratio(equalizing_grid(saliency, direction="forward"))[0]
        grid = model.sampling_grid(x)
    cells = functional.avg_pool2d(saliency, 2, 1)[0, 0]
    assert float(((magnified - cells) / cells).abs().max()) < 0.05
    assert int(folds(grid)) == 0


def test_area_is_in_the_flow_but_not_in_the_saliency():
    model = DECNN(1, 2, size=65, network_size=33, seed=0)
    x = torch.zeros(1, 1, 65, 65)
    area = (
        1 + 3 * (node_grid(65, x)[0, ..., 0] > 0).float()
    )  # the right half is four times as large in space
    model.set_area(area)
    with torch.no_grad():
        assert torch.equal(model.saliency(x), torch.ones_like(x))
        middle = float(model.sampling_grid(x)[0, 16, 16, 0])
    # half the surface lies left of u = 11/16, that is x = 3/8
    assert middle == pytest.approx(0.375, abs=0.05)
    model.set_area(torch.where(area > 1, area, torch.nan))
    assert torch.isfinite(model.log_area).all()


def test_init_density_ranks_places_like_the_map():
    model = DECNN(1, 2, size=65, seed=0)
    statistic = torch.full((129, 129), torch.nan)
    statistic[20:109, 20:109] = torch.linspace(0, 7, 89)
    model.init_density(statistic.numpy())
    logits = model.density.logits.detach()
    assert float(logits.min()) == -4 and float(logits.max()) == 4
    saliency = model.saliency(torch.zeros(1, 1, 65, 65))[0, 0].detach()
    assert (
        bool((saliency[32, 12:44].diff() > 0).all()) and float(saliency.max() / saliency.min()) > 5
    )
    model.init_density(statistic, strength=0.25)
    assert float(model.density.logits.min()) == -1 and float(model.density.logits.max()) == 1
    model.init_density(torch.ones(9, 9))
    assert not model.density.logits.any()
    with pytest.raises(ArrayTypeError, match="finite value"):
        model.init_density(torch.full((9, 9), torch.nan))


def test_a_uniform_density_learns_nothing_and_samples_evenly():
    model = DECNN(2, 3, size=65, network_size=33, density="uniform", seed=0)
    x = torch.rand(2, 2, 65, 65)
    model(x).sum().backward()
    assert model.density.logits.grad is None
    assert torch.equal(model.sampling_grid(x), node_grid(33, x))


def test_several_tasks_share_one_density():
    model = DECNN(1, {"sex": 2, "class": 4}, size=65, seed=0)
    x = torch.rand(3, 1, 65, 65)
    logits = model(x)
    assert {task: tuple(z.shape) for task, z in logits.items()} == {"sex": (3, 2), "class": (3, 4)}
    logits["class"].sum().backward()
    assert float(model.density.logits.grad.abs().max()) > 0
    for bad in (0, {}, {"a": 0}, {"no.dots": 2}):
        with pytest.raises(ArgumentError, match="n_classes must be at least 1"):
            DECNN(1, bad)


@pytest.mark.parametrize("head", ["mean", "mean+max"])
def test_a_pooled_head_forgets_where_things_are(head):
    """On a periodic image moved by whole strides the flat head says something else, the pooled one
    the same.
    """
    conv = [nn.Conv2d(2, 6, 3, stride=2, padding=1, padding_mode="circular"), nn.SiLU()]
    x = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    moved = x.roll((6, 10), (2, 3))
    pooled, flat = (
        DECNN(
            2, 3, size=33, network_size=32, backbone=nn.Sequential(*conv), head=kind, seed=0
        ).eval()
        for kind in (head, "flatten")
    )
    features = pooled.backbone(x)
    x, moved = x[:, None], moved[:, None]  # of one density
    torch.testing.assert_close(pooled.classify(moved), pooled.classify(x))
    assert not torch.allclose(flat.classify(moved), flat.classify(x), atol=1e-3)
    parts = [features.mean((2, 3))] + [features.amax((2, 3))] * (head == "mean+max")
    torch.testing.assert_close(
        pooled.classify(x), pooled.heads["to_label"](torch.cat(parts, dim=1))
    )


@pytest.mark.parametrize("head", ["mean", "mean+max"])
def test_a_pooled_network_sees_no_places_and_weighs_by_the_density(head):
    model = DECNN(2, {"a": 2, "b": 3}, size=65, network_size=33, head=head, seed=0).eval()
    x = torch.rand(2, 2, 65, 65)
    assert not model.coordinates and model.backbone(model.equalize(x)[:, 0]).shape[2:] == (9, 9)
    assert model(x)["b"].shape == (2, 3)
    model(x)["a"].sum().backward()
    assert float(model.density.logits.grad.abs().max()) > 0
    with pytest.raises(ArgumentError, match="features with places"):
        DECNN(
            2,
            2,
            head=head,
            backbone=nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )


def test_direct_heads_begin_with_nothing_and_learn_what_is_linear():
    """Labels that are a linear function of all nodes: beyond a tiny backbone, not beyond direct
    heads.
    """
    x = torch.randn(400, 1, 17, 17, generator=torch.Generator().manual_seed(0))
    labels = (
        torch.einsum(
            "bchw,chw->b", x, torch.randn(1, 17, 17, generator=torch.Generator().manual_seed(1))
        )
        > 0
    ).long()
    networks = {
        direct: DECNN(
            1,
            2,
            size=17,
            network_size=17,
            width=1,
            density="uniform",
            direct=direct,
            dropout=0.0,
            seed=0,
        )
        for direct in (True, False)
    }
    start = {direct: model.eval()(x[:5]) for direct, model in networks.items()}
    torch.testing.assert_close(start[True], start[False])
    right = {}
    for direct, model in networks.items():
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(60):
            loss = functional.cross_entropy(model(x[:300]), labels[:300])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right[direct] = float((model(x[300:]).argmax(1) == labels[300:]).float().mean())
    assert right[True] > right[False] + 0.1


def test_to_direct_heads_all_classes_are_alike():
    """One step of plain gradient descent from zero: the classes in another order give the logits in
    that order.
    """
    x, labels, order = torch.randn(20, 7), torch.arange(20) % 5, torch.tensor([3, 1, 4, 0, 2])

    def step(labels: torch.Tensor) -> torch.Tensor:
        head = DirectHead(7, 5)
        functional.cross_entropy(head(x), labels).backward()
        with torch.no_grad():
            head.weight -= head.weight.grad
            return head(x)

    torch.testing.assert_close(step(order[labels])[:, order], step(labels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_result_is_of_the_dtype_of_network_and_image(dtype):
    model = DECNN(1, 2, size=17, network_size=9, width=2, direct=True, seed=0).eval().to(dtype)
    nn.init.normal_(model.density.logits, generator=torch.Generator().manual_seed(0))
    x = torch.rand(2, 1, 17, 17, generator=torch.Generator().manual_seed(1))
    found = model(x.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), model.float()(x), atol=0.05, rtol=0.05)


def test_the_direct_head_of_a_single_output_is_linear_in_the_image():
    head, x = DirectHead(9, 1), torch.randn(4, 9)
    assert not head(x).any()  # at first
    with torch.no_grad():
        nn.init.normal_(head.weight)
        torch.testing.assert_close(head(x), x @ head.weight.T)


@pytest.mark.parametrize("k", [2, 4])
def test_what_direct_heads_add_sums_to_zero_over_the_classes(k):
    model = DECNN(1, k, size=17, network_size=9, width=2, direct=True, seed=0).eval()
    before = model(x := torch.randn(3, 1, 17, 17))
    with torch.no_grad():
        for weight in model.direct.parameters():
            nn.init.normal_(weight)
        after = model(x)
    assert model.direct["to_label"].weight.shape[0] == k - 1
    torch.testing.assert_close((after - before.detach()).sum(1), torch.zeros(3), atol=1e-4, rtol=0)
    assert k == 1 or not torch.allclose(after, before, atol=0.1)


def test_a_density_for_each_sample_gives_room_alone_unless_asked():
    assert {
        density: DECNN(1, 2, size=33, density=density).emphasis
        for density in ("shared", "task", "sample")
    } == {
        "shared": 1.0,
        "task": 1.0,
        "sample": 0.0,
    }
    assert DECNN(1, 2, size=33, density="sample", emphasis=2.0).emphasis == 2.0


def test_many_inputs_of_direct_heads_move_the_logits_no_faster():
    """One step of Adam from zero, all inputs 1: the logits move by the number of inputs, up to what
    few ones move.
    """
    moved = {}
    for n in (100, 6 * 33**2, 24 * 33**2):
        head = DirectHead(n, 2)
        optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
        functional.cross_entropy(
            head(torch.ones(4, n)), torch.ones(4, dtype=torch.int64)
        ).backward()
        optimizer.step()
        moved[n] = float(head(torch.ones(1, n)).detach().abs().max())
    assert moved[6 * 33**2] == pytest.approx(moved[100] * 6 * 33**2 / 100, rel=1e-3)
    assert moved[24 * 33**2] == pytest.approx(moved[6 * 33**2], rel=1e-3)


@pytest.mark.parametrize("density", ["shared", "task", "sample"])
def test_what_the_network_sees_is_scaled_by_the_density(density):
    tasks = {"a": 2, "b": 3}
    made = [
        DECNN(
            2,
            tasks,
            size=33,
            network_size=17,
            density=density,
            emphasis=power,
            coordinates=False,
            seed=0,
        ).eval()
        for power in (0.0, 1.5)
    ]
    x = torch.rand(3, 2, 33, 33) + 1
    for model in made:
        nn.init.normal_(model.density.logits, std=2.0, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, scaled = (model.equalize(x) for model in made)
        rho = torch.cat(
            [made[0].saliency(x, task=task) for task in tasks][: made[0].n_densities], dim=1
        )
        grid = made[0].sampling_grid(x)
    factor = (scaled / plain)[:, :, 0]  # both channels are scaled alike
    torch.testing.assert_close(factor, (scaled / plain)[:, :, 1])
    torch.testing.assert_close(factor.square().mean((2, 3)), torch.ones(factor.shape[:2]))
    for b in range(3):
        for k in range(factor.shape[1]):
            at = grid[[k if density == "task" else b if density == "sample" else 0]]
            own = gather(rho[b : b + 1, k : k + 1], at)[0, 0] ** 1.5
            torch.testing.assert_close(
                factor[b, k] / factor[b, k, 0, 0], own / own[0, 0], rtol=1e-4, atol=1e-4
            )
    with pytest.raises(ArgumentError, match="emphasis must lie in"):
        DECNN(1, 2, emphasis=-1.0)


@pytest.mark.parametrize("head", ["flatten", "mean"])
@pytest.mark.parametrize("backbone", ADAPTED)
def test_layers_that_adapt_begin_as_the_small_backbone_and_all_learn(backbone, head):
    options = {"size": 33, "network_size": 33, "head": head, "seed": 0}
    x = torch.randn(4, 2, 33, 33, generator=torch.Generator().manual_seed(0))
    plain, made = DECNN(2, 2, **options), DECNN(2, 2, backbone=ADAPTED[backbone], **options)
    assert made.heads["to_label"].weight.shape == plain.heads["to_label"].weight.shape
    made.backbone.train()(made.equalize(x)[:, 0]).square().mean().backward()
    learns = {name for name, p in made.backbone.named_parameters() if p.grad is not None}
    assert learns == {name for name, _ in made.backbone.named_parameters()}
    made.zero_grad()
    if backbone in ("dynamic_stride", "recalibration"):
        made.load_state_dict(plain.state_dict(), strict=False)
        torch.testing.assert_close(made.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["flatten", "mean"])
def test_adaptive_features_at_the_coarsest_level_are_those_of_the_small_backbone(head):
    options = {"size": 33, "network_size": 33, "head": head, "seed": 0}
    how = ("small", ADAPTED["adaptive"])
    plain, made = (DECNN(2, 2, backbone=b, **options).eval() for b in how)
    made.backbone[0].load_state_dict(plain.backbone.state_dict())
    seen = torch.randn(2, 4 if head == "flatten" else 2, 33, 33)
    coarse = made.backbone[1](made.backbone[0](seen, 9))
    torch.testing.assert_close(coarse, plain.backbone(seen), rtol=1e-4, atol=1e-5)
    assert (made.backbone(seen) - coarse).abs().max() > 1e-2


def test_any_backbone_of_the_user():
    backbone = nn.Sequential(nn.Conv2d(2, 5, 3), nn.AdaptiveAvgPool2d(1))
    model = DECNN(2, 3, size=65, network_size=33, backbone=backbone, seed=0)
    x = torch.rand(2, 2, 65, 65)
    features = backbone(model.eval().equalize(x)[:, 0]).flatten(1)
    torch.testing.assert_close(model(x), model.heads["to_label"](features))
    assert model(x).shape == (2, 3)


def test_a_shared_density_settles_and_one_for_each_image_does_not():
    x = torch.rand(2, 1, 33, 33)
    shared, own = (
        DECNN(1, 2, size=33, network_size=17, density=kind, seed=0).eval()
        for kind in ("shared", "sample")
    )
    assert shared.settle() and not shared.density.logits.requires_grad
    assert not own.settle() and own.density.logits.requires_grad
    torch.testing.assert_close(shared.classify(shared.equalize(x)), shared(x))


@pytest.mark.parametrize(
    ("density", "network_size"), [("shared", 33), ("sample", 33), ("shared", 65)]
)
def test_parameter_count(density, network_size):
    model = DECNN(9, 2, density=density, network_size=network_size, width=16)
    assert 10_000 <= sum(p.numel() for p in model.parameters()) <= 100_000


def test_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two, other = DECNN(1, 2, seed=1), DECNN(1, 2, seed=1), DECNN(1, 2, seed=2)
    assert torch.equal(torch.rand(1), expected)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True)]
    assert all(same) and not torch.equal(one.backbone[0][0].weight, other.backbone[0][0].weight)


@pytest.mark.parametrize("density", ["shared", "sample"])
def test_evaluation_does_not_depend_on_batch_mates(density):
    model = DECNN(2, 2, size=65, density=density, seed=0).eval()
    nn.init.normal_(model.density.logits, generator=torch.Generator().manual_seed(0))
    x = torch.rand(4, 2, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[:1], model(x[:1]), atol=1e-6, rtol=1e-5)


def test_autocast_keeps_positions_in_float32():
    model = DECNN(2, 2, size=65, density="sample", seed=0).eval()
    x = torch.rand(2, 2, 65, 65)
    with torch.no_grad():
        expected = model(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, grid = model(x), model.sampling_grid(x)
    assert logits.dtype == torch.bfloat16 and grid.dtype == torch.float32
    assert float((logits.float() - expected).abs().max()) < 0.05 * float(expected.abs().max() + 1)


def test_float64_throughout():
    model = DECNN(1, 2, size=33, network_size=17, density="sample", seed=0).double()
    x = torch.rand(2, 1, 33, 33, dtype=torch.float64)
    assert model(x).dtype == model.saliency(x).dtype == torch.float64


@pytest.mark.parametrize(
    ("density", "head"),
    [
        ("shared", "flatten"),
        ("shared", "mean+max"),
        pytest.param("sample", "flatten", marks=pytest.mark.slow),
    ],
)
def test_export_with_a_dynamic_batch(density, head):
    steps = (
        1 if density == "shared" else 4
    )  # each step makes the graph, and the time to trace it, longer
    model = DECNN(
        2, {"a": 2, "class": 3}, size=65, density=density, head=head, steps=steps, seed=0
    ).eval()
    nn.init.normal_(model.density.logits, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.rand(4, 2, 65, 65),), dynamic_shapes=({0: batch},))
    for count in (1, 7):
        x = torch.rand(count, 2, 65, 65)
        with torch.no_grad():
            torch.testing.assert_close(
                program.module()(x)["class"], model(x)["class"], atol=1e-5, rtol=1e-5
            )


@pytest.mark.parametrize("head", ["flatten", "mean+max"])
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compile_in_one_graph(backend, head):
    model = DECNN(
        2, 2, size=33, network_size=17, density="sample", head=head, steps=1, seed=0
    ).eval()
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    x = torch.rand(4, 2, 33, 33)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x), atol=1e-4, rtol=1e-4)


def test_refusals():
    with pytest.raises(ArgumentError, match="density must be one of"):
        DECNN(1, 2, density="learned")
    with pytest.raises(ArgumentError, match="backbone must be one of"):
        DECNN(1, 2, backbone="resnet")
    with pytest.raises(ArgumentError, match="head must be one of"):
        DECNN(1, 2, head="max")
    with pytest.raises(ArgumentError, match="network_size must lie in"):
        DECNN(1, 2, network_size=1)
    with pytest.raises(
        ArrayTypeError, match=r"images must be \(B, 3, N, N\), found \(2, 1, 65, 65\)"
    ):
        DECNN(3, 2, size=65)(torch.zeros(2, 1, 65, 65))


def test_one_density_for_each_task():
    model = DECNN(2, {"a": 2, "b": 3}, size=33, network_size=17, density="task", seed=0).eval()
    x = torch.rand(3, 2, 33, 33)
    left, right = torch.zeros(33, 33), torch.zeros(33, 33)
    left[:, :8], right[:, -8:] = 1, 1
    model.init_density(left, task="a")
    model.init_density(right, task="b")
    for task, side in (("a", left), ("b", right)):
        density = model.saliency(x, task=task)[0, 0].detach()
        assert float(density[side > 0].mean()) > 3 * float(density[side == 0].mean())
        alone = DECNN(2, {task: len(model(x)[task][0])}, size=33, network_size=17, seed=1).eval()
        alone.init_density(side)
        alone.backbone.load_state_dict(model.backbone.state_dict())
        alone.heads[f"to_{task}"].load_state_dict(model.heads[f"to_{task}"].state_dict())
        torch.testing.assert_close(model(x)[task], alone(x)[task])
    model(x)["a"].sum().backward()
    gradient = model.density.logits.grad
    assert bool(gradient[0].any()) and not bool(gradient[1].any())
    assert model.settle()
    with pytest.raises(ArgumentError, match="task"):
        model.saliency(x, task="c")


def test_images_that_are_not_square_and_tasks_that_are_not_there_are_refused():
    model = DECNN(1, 2, size=17, network_size=9)
    with pytest.raises(ArrayTypeError, match=r"\(B, 1, N, N\), found \(2, 1, 17, 40\)"):
        model(torch.zeros(2, 1, 17, 40))
    with pytest.raises(ArgumentError, match="task"):
        model.saliency(torch.zeros(1, 1, 17, 17), task="nope")


def test_an_infinite_statistic_draws_the_density_most():
    model = DECNN(1, 2, size=17, network_size=9)
    statistic = torch.zeros(17, 17)
    statistic[2, 2], statistic[12, 12] = torch.inf, 1.0
    model.init_density(statistic)
    density = model.saliency(torch.zeros(1, 1, 17, 17))[0, 0]
    assert float(density[2, 2]) > float(density[7, 7]) and bool(torch.isfinite(density).all())
