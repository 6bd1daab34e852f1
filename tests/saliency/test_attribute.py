import numpy as np
import pytest
import torch
from torch import nn

from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.saliency.attribute import attribute, unit_range


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
    np.testing.assert_allclose(attribute(net, x, method="gradient", target=target), expected.detach(), rtol=1e-5)


def test_density_is_what_the_model_gives_and_has_mean_one(model):
    found = attribute(model, torch.zeros(3, 1, 33, 33))
    assert found.shape == (3, 33, 33) and found.min() > 0
    assert found[0, 4:13, 18:29].mean() > 2 * found[0, 20:, :10].mean()
    np.testing.assert_array_equal(found[0], model.saliency(torch.zeros(1, 1, 33, 33))[0, 0].detach())


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
