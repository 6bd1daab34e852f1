"""An ensemble is its members, each times its weight, and nothing more."""

from __future__ import annotations

import pytest
import torch

from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.saliency.attribute import attribute

SIZE, NODES = 17, 9


def _member(density, **options):
    kinds = {"size": SIZE, "network_size": NODES, "width": 2, "seed": 3, "direct": True}
    one = DECNN(2, 3, density=density, **{**kinds, **options})
    if density != "uniform":
        one.init_density(torch.arange(float(SIZE)).expand(SIZE, SIZE))
    if one.direct is not None:
        for head in one.direct.values():
            torch.nn.init.normal_(head.weight, std=0.1)
    return one.eval()


def _both(*, apart):
    return Ensemble({of: _member(of) for of in ("shared", "uniform")}, apart=apart).eval()


X = torch.randn(4, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_one_network_of_weight_one_is_that_network():
    alone = _member("shared")
    torch.testing.assert_close(Ensemble({"shared": alone})(X), alone(X))
    torch.testing.assert_close(Ensemble({"shared": alone}).saliency(X), alone.saliency(X))


@pytest.mark.parametrize("apart", [False, True])
def test_logits_are_the_weighted_sum_of_the_parts(apart):
    both = _both(apart=apart)
    each = both.by_part(X)
    assert tuple(each) == both.parts and len(each) == (4 if apart else 2)
    torch.testing.assert_close(both(X), sum(each.values()) / len(each))
    both.weigh([0.0] * (len(each) - 1) + [2.0], [0.0, 1.0, -1.0])
    torch.testing.assert_close(both(X), 2 * each[both.parts[-1]] + torch.tensor([0.0, 1.0, -1.0]))
    whole = both.networks["shared"](X)
    own = [logits for part, logits in each.items() if part.startswith("shared")]
    torch.testing.assert_close(sum(own), whole)


def test_every_member_is_trained_for_itself_without_the_direct_heads():
    both = _both(apart=True)
    assert list(both.direct_heads) == [0, 1] and not _both(apart=False).direct_heads
    for member, logits in both.classify(both.equalize(X)).items():
        both.zero_grad()
        logits.square().sum().backward(retain_graph=True)
        moved = {
            ".".join(name.split(".")[1:3])
            for name, value in both.named_parameters()
            if value.grad is not None and value.grad.any() and "density" not in name
        }
        assert moved == {f"{member}.backbone", f"{member}.heads"}


def test_the_saliency_is_the_mean_density_and_the_grid_the_weightiest():
    both = _both(apart=True)
    both.weigh([0.5, 0.25, 0.25, 0.0])
    assert both.shares() == {"shared": 0.75, "uniform": 0.25}
    expected = 0.75 * both.networks["shared"].saliency(X) + 0.25
    torch.testing.assert_close(both.saliency(X), expected)
    torch.testing.assert_close(both.sampling_grid(X), both.networks["shared"].sampling_grid(X))
    both.weigh([0.0, 0.0, 1.0, 0.0])
    assert attribute(both, X).std() < 1e-6  # where it looks everywhere, no place stands out
    torch.testing.assert_close(both.sampling_grid(X), both.networks["uniform"].sampling_grid(X))
    both.weigh([0.0] * 4)
    assert both.shares() == {"shared": 0.5, "uniform": 0.5}


def test_gradcam_is_that_of_the_members():
    both = _both(apart=True)
    both.weigh([0.5, 0.25, 0.25, 0.0])
    target = torch.tensor([0, 1, 2, 0])
    one, other = (
        attribute(both.networks[of], X, method="gradcam", target=target)
        for of in ("shared", "uniform")
    )
    found = attribute(both, X, method="gradcam", target=target)
    assert abs(found - (0.75 * one + 0.25 * other)).max() < 1e-9
    with pytest.raises(ArgumentError, match="task"):
        attribute(both, X, task="other")


def test_members_that_do_not_go_together_are_refused():
    for members in (
        {},
        {"a": _member("shared"), "b": _member("uniform", network_size=5)},
        {"a": _member("shared"), "b": _member("uniform", coordinates=False)},
        {"a": DECNN(2, {"sex": 2, "age": 3}, size=SIZE, network_size=NODES)},
    ):
        with pytest.raises(ArgumentError, match="one or more networks of one task"):
            Ensemble(members)


def test_a_direct_head_gives_what_it_is_set_to():
    both = _both(apart=True)
    rng = torch.Generator().manual_seed(1)
    seen = both.equalize(X)[:, 0, : both.in_channels].flatten(1)
    weights, level = torch.randn(seen.shape[1], 2, generator=rng), torch.tensor([0.5, -1.0])
    head = both.direct_heads[0]
    head.set(weights, level)
    along = both.by_part(X)["shared, direct"] @ torch.linalg.pinv(head.contrast).T
    torch.testing.assert_close(along, seen @ weights + level)
