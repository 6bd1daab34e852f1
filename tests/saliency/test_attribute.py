import numpy as np
import pytest
import torch
from torch import nn

from meshconv.errors import ArgumentError, MeshConvError
from meshconv.nn.decnn import DECNN
from meshconv.saliency.attribute import attribute, contributions, unit_range


@pytest.fixture(scope="module")
def model():
    made = DECNN(1, 2, size=33, network_size=17, width=8, seed=0)
    hill = torch.zeros(33, 33)
    hill[4:13, 18:29] = 1
    made.init_density(hill)
    return made.eval()


def test_gradient_times_input_of_a_linear_model_is_weight_times_input():
    linear = nn.Linear(2 * 9, 3, bias=False)
    net = nn.Sequential(nn.Flatten(), linear)
    x = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 1])
    expected = (linear.weight[target].reshape(4, 2, 3, 3) * x).sum(dim=1).abs()
    np.testing.assert_allclose(
        attribute(net, x, method="gradient", target=target), expected.detach(), rtol=1e-5
    )


def test_contributions_add_up_to_what_the_image_changes():
    """Completeness: from the mean image to the image, whatever the network; linear ones exactly."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(50, 20), nn.Softplus(), nn.Linear(20, 3)).eval()
    x, target = torch.randn(4, 2, 5, 5), torch.tensor([0, 1, 2, 1])
    before, after = (net(v) for v in (torch.zeros_like(x), x))
    changed = (after - before).gather(1, target[:, None])[:, 0].detach().double().numpy()
    found = contributions(net, x, target=target)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), changed, rtol=2e-3, atol=2e-3)
    shown = attribute(net, x, method="integrated", target=target)
    np.testing.assert_array_equal(shown, np.maximum(found, 0))
    predicted = net(x).argmax(dim=1)
    np.testing.assert_array_equal(contributions(net, x), contributions(net, x, target=predicted))


def test_a_pixel_that_the_network_does_not_see_contributes_nothing():
    net = _Bright()
    x = torch.rand(2, 1, 33, 33, generator=torch.Generator().manual_seed(0))
    assert np.abs(contributions(net, x)).max() > 0
    with torch.no_grad():
        net.backbone.weight.zero_()
    assert np.abs(contributions(net, x)).max() == 0


def test_density_is_what_the_model_gives_and_has_mean_one(model):
    found = attribute(model, torch.zeros(3, 1, 33, 33))
    assert found.shape == (3, 33, 33) and found.min() > 0
    assert found[0, 4:13, 18:29].mean() > 2 * found[0, 20:, :10].mean()
    np.testing.assert_array_equal(
        found[0], model.saliency(torch.zeros(1, 1, 33, 33))[0, 0].detach()
    )


class _Bright(DECNN):
    """A network whose only feature is how bright the equalized image is, node by node."""

    def __init__(self):
        super().__init__(1, 2, size=33, network_size=17, backbone=nn.Conv2d(1, 1, 1), seed=0)
        with torch.no_grad():
            self.backbone.weight.fill_(1.0)
            self.backbone.bias.zero_()
            self.heads["to_label"].weight[0].fill_(-1.0)
            self.heads["to_label"].weight[1].fill_(1.0)


def test_grad_cam_comes_back_to_the_place_it_came_from():
    net = _Bright()
    hill = torch.zeros(33, 33)
    hill[20:, 20:] = 1
    net.init_density(hill)  # the equalized square is far from the source square
    v, u = torch.meshgrid(torch.linspace(0, 1, 33), torch.linspace(0, 1, 33), indexing="ij")
    spot = torch.exp(-((u - 0.3) ** 2 + (v - 0.6) ** 2) / 0.02)[None, None]
    cam = attribute(net, spot, method="gradcam")[0]
    assert np.corrcoef(cam.ravel(), spot.ravel())[0, 1] > 0.98
    row, column = np.unravel_index(cam.argmax(), cam.shape)
    assert abs(column / 32 - 0.3) < 0.05 and abs(row / 32 - 0.6) < 0.05


def test_per_sample_grids_come_back_too():
    net = DECNN(1, 2, size=17, network_size=9, width=4, density="sample", seed=0).eval()
    x = torch.randn(3, 1, 17, 17, generator=torch.Generator().manual_seed(1))
    found = attribute(net, x, method="gradcam")
    alone = np.concatenate([attribute(net, x[k : k + 1], method="gradcam") for k in range(3)])
    np.testing.assert_allclose(found, alone, atol=1e-5)


def _noise(n=2, size=17, seed=1):
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=["shared", "task"])
def several(request):
    made = DECNN(
        1,
        {"sex": 2, "age": 3},
        size=17,
        network_size=9,
        width=4,
        density=request.param,
        direct=True,
        coordinates=False,
        seed=0,
    )
    for k, task in enumerate(made.tasks):
        hill = torch.zeros(17, 17)
        hill[8 * k : 8 * k + 8] = 1
        made.init_density(hill, task=task)
    return made


def _alone(several, task):
    """The network of one task, cut out of that of several."""
    k, one = several.tasks.index(task), several.n_densities == 1
    classes = several.heads[f"to_{task}"].out_features
    net = DECNN(
        1, classes, size=17, network_size=9, width=4, direct=True, coordinates=False, seed=1
    )
    own = f".to_{task}."
    kept = {
        name: value
        for name, value in several.state_dict().items()
        if ".to_" not in name or own in name
    }
    weights = {name.replace(own, ".to_label."): value for name, value in kept.items()}
    weights["density.logits"] = several.density.logits if one else several.density.logits[k : k + 1]
    net.load_state_dict(weights)
    return net


@pytest.mark.parametrize("method", ["density", "gradient", "gradcam"])
def test_of_several_tasks_each_has_the_map_of_its_own_network(several, method):
    x = _noise()
    for task in several.tasks:
        found, expected = (
            attribute(several, x, method=method, task=task),
            attribute(_alone(several, task), x, method=method),
        )
        np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())
    if method == "density" and several.n_densities == 1:
        np.testing.assert_array_equal(attribute(several, x), found)
    else:
        with pytest.raises(ArgumentError, match="has the tasks sex, age: say which"):
            attribute(several, x, method=method)
    with pytest.raises(ArgumentError, match="task must be one of 'sex', 'age', found 'height'"):
        attribute(several, x, method=method, task="height")


@pytest.mark.parametrize("method", ["gradient", "gradcam"])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([0], r"target must be 2 integers, one for each image, found torch.int64 \(1,\)"),
        ([0.0, 1.0], "target must be 2 integers, .* found torch.float32"),
        ([0, 2], r"target must be classes 0\.\.1, found 0 to 2"),
        ([-1, 0], r"target must be classes 0\.\.1, found -1 to 0"),
    ],
)
def test_a_target_that_names_no_class_is_refused(method, target, message):
    net = DECNN(1, 2, size=17, network_size=9, width=4, seed=0)
    with pytest.raises(MeshConvError, match=message):
        attribute(net, _noise(), method=method, target=torch.tensor(target))


@pytest.mark.parametrize("method", ["density", "gradient", "gradcam"])
def test_a_frozen_network_and_one_without_gradients_are_explained_too(method):
    net, x = DECNN(1, 2, size=17, network_size=9, width=4, seed=0), _noise()
    expected = attribute(net, x, method=method)
    with torch.no_grad():
        np.testing.assert_array_equal(attribute(net, x, method=method), expected)
    np.testing.assert_array_equal(attribute(net.requires_grad_(False), x, method=method), expected)


@pytest.mark.parametrize("method", ["density", "gradient", "gradcam"])
def test_the_model_is_left_in_the_mode_it_was_in(method):
    net = DECNN(1, 2, size=17, network_size=9, width=4, dropout=0.5, seed=0).train()
    net.density.eval()  # a part that is kept fixed
    first = attribute(net, _noise(), method=method)
    assert net.training and net.backbone.training and not net.density.training
    np.testing.assert_array_equal(first, attribute(net, _noise(), method=method))  # no dropout
    with pytest.raises(MeshConvError):
        attribute(net, _noise()[:, :, :, None], method=method)
    assert net.training


def test_half_precision_is_explained_too():
    linear = nn.Linear(9, 2, bias=False)
    net, x = (
        nn.Sequential(nn.Flatten(), linear),
        torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)),
    )
    expected = attribute(net, x, method="gradient", target=torch.tensor([0, 1]))
    found = attribute(net.bfloat16(), x.bfloat16(), method="gradient", target=torch.tensor([0, 1]))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_what_a_plain_network_cannot_give_is_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    for method in ("density", "gradcam"):
        with pytest.raises(ArgumentError, match="needs a DECNN, found Sequential"):
            attribute(net, torch.zeros(1, 1, 3, 3), method=method)
    with pytest.raises(ArgumentError, match="method must be one of"):
        attribute(net, torch.zeros(1, 1, 3, 3), method="magic")


def test_unit_range():
    assert unit_range(np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(unit_range(np.array([1.0, np.nan, 5.0])), [0.0, np.nan, 1.0])
