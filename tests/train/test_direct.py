"""Direct heads in closed form: what they say is the ridge regression of what their member sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.stats.ridge import fit_ridge
from meshconv.train.config import TrainConfig
from meshconv.train.direct import solve_direct_heads

N, SIZE, NODES = 60, 17, 9


def network(*densities: str) -> Ensemble:
    kinds: dict[str, Any] = {"size": SIZE, "network_size": NODES, "direct": True, "seed": 0}
    members = {of: DECNN(2, 3, density=of, **kinds) for of in densities}
    return Ensemble(members, apart=True).eval()


def pictures(index: Any) -> Any:
    images = np.random.default_rng(0).normal(size=(N, 2, SIZE, SIZE)).astype(np.float32)
    images[index == 1, 0, 4:9] += 0.7
    images[index == 2, 1, 10:15] += 0.7
    return torch.from_numpy(images)


def solve(both: Ensemble, images: Any, index: Any, subjects: Any = ("",) * N, **how: Any) -> None:
    asked = TrainConfig(class_weight=how.pop("class_weight", "balanced"))
    solve_direct_heads(both, [images], index, subjects, config=asked, **how)


def logits_of(both: Ensemble, images: Any) -> Any:
    return {part: found.numpy() for part, found in both.by_part(images).items()}


@torch.no_grad()
def test_each_head_is_the_ridge_regression_of_what_its_member_sees() -> None:
    index = np.arange(N) % 3
    images = pictures(index)
    both = network("shared", "uniform")
    both.networks["shared"].init_density(np.arange(SIZE)[None].repeat(SIZE, 0).astype(float))
    solve(both, images, index, [str(k // 6) for k in range(N)])
    seen = both.equalize(images)
    for k, head in both.direct_heads.items():
        x = seen[:, k, : both.in_channels].flatten(1).numpy()
        corners = head.contrast.double().numpy()
        ridge = fit_ridge(x, corners[index], subject=np.arange(N) // 6)
        told = (x @ ridge.weights + ridge.bias) @ corners.T
        found = logits_of(both, images)[both.parts[2 * k + 1]]
        scale = (found * told).sum() / (told * told).sum()
        assert scale > 0 and np.allclose(found, scale * told, atol=1e-4)
    assert not np.allclose(*(logits_of(both, images)[both.parts[k]] for k in (1, 3)), atol=0.1)


@torch.no_grad()
def test_classes_that_are_rare_weigh_as_much_and_weights_count() -> None:
    index = np.repeat([0, 1, 2], [40, 10, 10])
    corners = network("uniform").direct_heads[0].contrast.double().numpy()
    given = np.where(np.arange(N) < 30, 1.0, 3.0)
    for weight in (None, given):
        images, both = pictures(index), network("uniform")
        solve(both, images, index, sample_weight=weight)
        x = both.equalize(images)[:, 0, :2].flatten(1).numpy()
        each = (1.0 if weight is None else given) / np.array([40, 10, 10])[index]
        ridge = fit_ridge(x, corners[index], weight=each)
        told = (x @ ridge.weights + ridge.bias) @ corners.T
        found = logits_of(both, images)["uniform, direct"]
        assert np.corrcoef(found.ravel(), told.ravel())[0, 1] > 1 - 1e-6


@torch.no_grad()
def test_probabilities_of_chance_are_alike_and_those_of_classes_are_right() -> None:
    index = np.arange(N) % 3
    images, both = pictures(index), network("uniform")
    solve(both, images, index)
    assert (logits_of(both, images)["uniform, direct"].argmax(axis=1) == index).mean() > 0.95
    solve(both, images, np.random.default_rng(1).permutation(index))
    found = torch.from_numpy(logits_of(both, images)["uniform, direct"]).softmax(dim=1)
    assert float((found - 1 / 3).abs().max()) < 0.2


@torch.no_grad()
def test_a_class_that_weighs_nothing_has_no_say() -> None:
    index = np.arange(N) % 3
    images, both = pictures(index), network("uniform")
    solve(both, images, index, class_weight={0: 1.0, 1: 2.0, 2: 0.0})
    found = logits_of(both, images)["uniform, direct"]
    assert np.isfinite(found).all()
    two = index < 2
    assert (found[two].argmax(axis=1) == index[two]).mean() > 0.95
    images[~two] = 7.0
    again = network("uniform")
    solve(again, images, index, class_weight={0: 1.0, 1: 2.0, 2: 0.0})
    np.testing.assert_allclose(
        logits_of(again, images)["uniform, direct"][two], found[two], atol=1e-5
    )
    alone = network("uniform")
    solve(alone, images, index, class_weight={0: 1.0, 1: 0.0, 2: 0.0})
    assert not logits_of(alone, images)["uniform, direct"].any()


@torch.no_grad()
def test_a_map_that_is_not_sure_narrows_the_prior_of_its_head_alone() -> None:
    index, place = np.arange(N) % 3, np.zeros((SIZE, SIZE))
    place[3:6, 9:12] = 1.0
    noise = np.random.default_rng(0).normal(size=(2, N, 2, SIZE, SIZE))
    images, others = torch.from_numpy(noise + 0.4 * (index - 1)[:, None, None, None] * place)
    both = network("shared", "uniform").double()
    both.networks["shared"].init_density(place, strength=0.0)
    assert both.networks["shared"].saliency(images[:1]).std() == 0  # it says nothing of where
    solve(both, images, index)
    doubt = both.networks["shared"].density.doubt()[0, 0]
    assert doubt.max() > 3 * doubt.min()
    seen = both.equalize(images)[:, 0, : both.in_channels]
    narrowed = (seen * doubt[::2, ::2] ** 1.5).flatten(1).float().numpy()
    corners = both.direct_heads[0].contrast.double().numpy()
    ridge = fit_ridge(narrowed, corners[index])
    told = (narrowed @ ridge.weights + ridge.bias) @ corners.T
    found = logits_of(both, images)["shared, direct"]
    assert np.corrcoef(found.ravel(), told.ravel())[0, 1] > 1 - 1e-6
    said = logits_of(both, others)
    right = {part: (one.argmax(1) == index).mean() for part, one in said.items()}
    assert right["shared, direct"] > right["uniform, direct"] + 0.1
