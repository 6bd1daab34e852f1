"""The density of each image is the share of its places in what is said of it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from meshconv.nn.decnn import DECNN
from meshconv.nn.density_estimator import EvidenceNetwork
from meshconv.nn.ensemble import Ensemble


def _spots(n, seed, size=33):
    """Many spots of stripes up or across; half of the images have one that has both: a place,
    3 % of the area, that no other image has.
    """
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = 0.1 * torch.randn(n, 1, size, size, generator=g)
    there = torch.zeros(n, size, size)
    at = torch.arange(size)
    stripes = torch.where(at % 2 == 0, 1.0, -1.0)
    up, across = stripes.expand(size, size), stripes[:, None].expand(size, size)
    for k in range(n):
        for spot in range(4 + int(labels[k])):
            row, column = torch.randint(3, size - 3, (2,), generator=g).tolist()
            inside = ((at[:, None] - row) ** 2 + (at - column) ** 2) <= 9
            kind = (up, across)[spot % 2] if spot < 4 else up * across
            x[k, 0] = torch.where(inside, kind, x[k, 0])
            there[k] = inside if spot == 4 else there[k]
    return x, labels, there


def test_a_small_object_among_others_gets_the_room():
    model = DECNN(
        1, 2, size=33, network_size=17, density="sample", ratio=30.0, head="mean+max", seed=0
    )
    x, labels, _ = _spots(96, 0)
    optimizer = torch.optim.AdamW(model.density.parameters(), lr=1e-2)
    torch.manual_seed(0)
    for _ in range(12):
        for batch in torch.randperm(len(x)).split(32):
            evidence = model.density.with_evidence(x[batch])[1]
            loss = functional.cross_entropy(evidence, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    x, labels, there = _spots(40, 1)
    with torch.no_grad():
        density = model.saliency(x)[:, 0]
        said = model.density.with_evidence(x)[1].argmax(1)
    area = there.sum() / there[labels == 1].numel()
    room = ((density * there).sum((1, 2)) / density.sum((1, 2)))[labels == 1].mean()
    assert float((said == labels).float().mean()) > 0.9
    assert float(room / area) > 3  # 1 if it is blind


def test_shares_are_the_slopes_of_the_soft_maximum_over_places():
    torch.manual_seed(0)
    network = EvidenceNetwork(1, (2, 3), 9, places=True).eval()
    evidence = (3 * torch.randn(4, 5, 9, 9)).requires_grad_()
    soft = 3 * torch.logsumexp(evidence.flatten(2), 2)
    share = network._share(evidence, soft)
    said = [part.softmax(1).detach() for part in soft.split([2, 3], dim=1)]
    weighed = (torch.cat(said, dim=1) * soft / 3).sum() / 2  # slopes of the tasks' mean
    slope = torch.autograd.grad(weighed, evidence)[0].sum(1, keepdim=True)
    torch.testing.assert_close(share, 81 * slope)
    torch.testing.assert_close(share.mean((1, 2, 3)), torch.ones(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):  # 8 bits place nothing
        torch.testing.assert_close(network._share(evidence, soft), share)


def test_evidence_knows_places_only_where_the_head_does():
    for head, knows in (("flatten", True), ("mean", False)):
        model = DECNN(1, 2, size=33, network_size=17, density="sample", head=head, seed=0)
        model = model.double().eval()
        x = torch.zeros(1, 1, 33, 33).double()
        x[0, 0, 10:13, 10:13] = 1
        with torch.no_grad():
            one, other = (
                model.density.with_evidence(a)[1] for a in (x, x.roll((8, 8), dims=(2, 3)))
            )
        assert torch.allclose(one, other, rtol=1e-10) is not knows


def test_only_the_loss_of_the_evidence_teaches_the_density():
    model = DECNN(1, {"a": 2, "b": 3}, size=33, network_size=17, density="sample", seed=0)
    x = torch.rand(4, 1, 33, 33)
    seen, evidence = model.equalize_with_evidence(x)
    sum(one.square().sum() for one in model.classify(seen).values()).backward()
    assert all(p.grad is None for p in model.density.parameters())
    assert evidence["a"].shape == (4, 2) and evidence["b"].shape == (4, 3)
    (evidence["a"].sum() + evidence["b"].square().sum()).backward()
    assert all(p.grad is not None for p in model.density.network.parameters())


def test_what_is_said_is_that_of_the_classifier_and_of_the_evidence():
    model = DECNN(1, 2, size=33, network_size=17, density="sample", seed=0).eval()
    x = torch.rand(3, 1, 33, 33)
    with torch.no_grad():
        seen, evidence = model.equalize_with_evidence(x)
        torch.testing.assert_close(model(x), model.classify(seen) + evidence)
        both = Ensemble({"sample": model}, apart=True)
        assert both.parts == ("sample", "sample, evidence")
        torch.testing.assert_close(both(x), model(x) / 2)
        both.weigh([0.0, 1.0])
        torch.testing.assert_close(both(x), evidence)
    assert both.shares() == {"sample": 1.0}


def test_two_estimates_of_a_measure_are_not_added():
    """Each of them is taught the whole of it."""
    for outputs in (1, {"age": 1, "sex": 2}):
        model = DECNN(1, outputs, size=33, network_size=17, density="sample", seed=0).eval()
        x = torch.rand(3, 1, 33, 33)
        with torch.no_grad():
            said, alone = model(x), model.classify(model.equalize(x))
        if outputs == 1:
            torch.testing.assert_close(said, alone, rtol=0, atol=0)
        else:
            torch.testing.assert_close(said["age"], alone["age"], rtol=0, atol=0)
            assert (said["sex"] - alone["sex"]).abs().min() > 0


@pytest.mark.parametrize("head", ["mean+max", "flatten"])
def test_gradients_of_what_is_said_see_what_moves_the_places_too(head):
    """As differences do: or explanations would be of another answer than the one given."""
    model = DECNN(1, 2, size=33, network_size=17, density="sample", ratio=30.0, head=head, seed=0)
    model = model.double().eval()
    with torch.no_grad():
        model.density.network.evidence.weight.mul_(20)  # as of a trained one
        model.heads["to_label"].weight.mul_(20)
    g = torch.Generator().manual_seed(0)
    x, way = (torch.randn(2, 1, 33, 33, generator=g, dtype=torch.float64) for _ in range(2))
    x.requires_grad_()
    slope = (torch.autograd.grad(model(x)[:, 0].sum(), x)[0] * way).sum()
    with torch.no_grad():
        there, back = (model(x + step * way)[:, 0].sum() for step in (1e-5, -1e-5))
    assert abs(slope / ((there - back) / 2e-5) - 1) < 0.1


def test_what_a_density_learns_is_not_in_doubt():
    for strength, surely in ((None, True), (1.0, True), (0.3, False)):
        model = DECNN(1, 2, size=33, network_size=17, seed=0)
        if strength is not None:
            model.init_density(torch.rand(33, 33), strength=strength)
        with torch.no_grad():
            model.density.logits += torch.randn(model.density.logits.shape)
        doubt = model.density.doubt()
        assert bool((doubt == 1).all()) is surely
