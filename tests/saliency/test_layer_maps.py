"""Maps of what layers did, on the nodes of the image."""

import numpy as np
import pytest
import torch

from meshconv.cli import scans
from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.nn.layers.adapted_backbone import ADAPTED
from meshconv.nn.layers.dynamic_stride import DynamicStrideConv2d
from meshconv.saliency.attribute import METHODS, attribute
from meshconv.train.config import BACKBONES

HILL = torch.zeros(33, 33)
HILL[5:13, 18:28] = 1


def _network(backbone, *, hill=True, **options):
    how = ADAPTED.get(backbone, backbone)
    made = DECNN(1, 2, size=33, network_size=33, backbone=how, seed=0, **options)
    if hill:
        made.init_density(HILL)
    return made.eval()


def _images(count=2):
    return torch.randn(count, 1, 33, 33, generator=torch.Generator().manual_seed(1))


def test_a_plain_backbone_sees_each_place_as_often_as_the_density_says():
    net = _network("small")
    seen = attribute(net, _images(), method="landing")
    density = attribute(net, _images())
    inner = np.s_[:, 3:-3, 3:-3]
    assert np.corrcoef(seen[inner].ravel(), density[inner].ravel())[0, 1] > 0.99
    np.testing.assert_allclose(seen[inner].mean(), density[inner].mean(), rtol=0.1)
    flat = attribute(_network("small", hill=False), _images(), method="landing")
    np.testing.assert_allclose(flat, 1.0, atol=1e-5)


def test_windows_that_are_moved_to_one_side_are_counted_there():
    net = _network("dynamic_stride", hill=False)
    layers = [m for m in net.backbone.modules() if isinstance(m, DynamicStrideConv2d)]
    for layer in layers:
        layer.offsets.register_forward_hook(_towards_the_left)
    seen = attribute(net, _images(), method="landing")
    assert seen[:, 8:25, 4:12].mean() > 1.2 * seen[:, 8:25, 20:28].mean()


def _towards_the_left(_module, _inputs, offset):
    moved = offset.clone()
    moved[:, 1] = -torch.linspace(0, 4, offset.shape[-1])
    return moved


def test_attention_is_one_before_training_and_what_its_layers_keep_after():
    net = _network("recalibration")
    np.testing.assert_allclose(attribute(net, _images(), method="attention"), 1.0, atol=1e-6)
    with torch.no_grad():
        for name, parameter in net.backbone.named_parameters():
            if "recalibration" in name:
                parameter.add_(0.5 * torch.randn_like(parameter))
    kept = attribute(net, _images(), method="attention")
    assert kept.shape == (2, 33, 33) and kept.std() > 1e-3 and np.isfinite(kept).all()


def test_levels_count_the_nodes_that_were_spent_most_of_them_at_the_edge():
    net = _network("adaptive", hill=False)
    image = torch.zeros(1, 1, 33, 33)
    image[..., 12:] = 1.0
    spent = attribute(net, image, method="levels")[0]
    assert spent[:, 10:14].mean() > 4 * spent[:, 22:].mean()
    assert 0.2 < spent.mean() <= 0.31  # of the nodes of the plain network


def test_a_density_puts_the_nodes_of_levels_where_it_is():
    wide = attribute(_network("adaptive"), torch.ones(1, 1, 33, 33), method="levels")[0]
    assert wide[HILL.numpy() > 0].mean() > 3 * wide[20:, :12].mean()


@pytest.mark.parametrize(
    ("backbone", "method"),
    [
        ("small", "attention"),
        ("small", "levels"),
        ("adaptive", "landing"),
        ("adaptive", "attention"),
        ("recalibration", "levels"),
    ],
)
def test_a_map_that_the_backbone_has_not_is_refused_with_what_has_it(backbone, method):
    with pytest.raises(ArgumentError, match=method) as caught:
        attribute(_network(backbone), _images(), method=method)
    assert caught.value.hint


def test_each_task_with_a_density_of_its_own_has_a_map_of_its_own():
    net = DECNN(1, {"a": 2, "b": 2}, size=33, network_size=17, density="task", seed=0).eval()
    net.init_density(HILL, task="b")
    one, other = (attribute(net, _images(), method="landing", task=t) for t in ("a", "b"))
    inside = HILL.numpy() > 0
    assert other[:, inside].mean() > 2 * one[:, inside].mean()


def test_the_command_line_and_the_settings_offer_what_there_is():
    assert scans.METHODS == METHODS
    assert ("small", *ADAPTED) == BACKBONES
