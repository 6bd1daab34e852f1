"""Tasks for content-adaptive downsampling: thin things to find, and scores of where to look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from meshconv.datasets.volumes import Hippocampi
from meshconv.nn import DECNN, edge_strength
from meshconv.stats.evidence import find_evidence

Scores = Callable[[Tensor], Tensor]
Data = tuple[Tensor, Tensor]
_SIDE = 65
_ALL = {"train": 0, "validation": 1, "test": 2}


class Task(NamedTuple):
    """Images and classes by pixel to learn from and to test on; scores that spend nodes."""

    learn: Data
    test: Data
    scores: dict[str, Scores]


@cache
def scars(seed: int, part: str, *, quick: bool) -> Task:
    """Thin dark lines at a site that all images share, among discs whose borders are stronger.

    Images in one frame, 65 x 65, as geometry images are; about half of them have one to three lines
    of 8 to 14 pixels' length and two of width, .5 % of all pixels. Generated; an image belongs to
    one part only.
    """
    count = 20 if quick else 64
    x, y = _scarred(count, [seed, _ALL["train"]])
    density = _density(x, y.flatten(1).amax(1), [str(k) for k in range(count)], x.shape[2:])
    return Task((x, y), _scarred(count, [seed, _ALL[part]]), _scores(density))


def _scarred(count: int, seed: Sequence[int]) -> Data:
    random = np.random.default_rng(seed)
    at = np.stack(np.mgrid[:_SIDE, :_SIDE], axis=-1).astype(np.float64)
    images, classes = [], []
    for _ in range(count):
        image = sum(
            0.35 * np.cos(at @ random.normal(0, 0.09, 2) + t) for t in random.uniform(0, 6, 6)
        )
        for _disc in range(8):
            inside = np.linalg.norm(at - random.uniform(0, _SIDE, 2), axis=-1)
            image = image + random.choice([-1, 1]) * (inside < random.uniform(5, 11))
        scar = np.zeros((_SIDE, _SIDE), dtype=bool)
        for _line in range(random.integers(1, 4) * random.integers(0, 2)):
            angle, half = random.uniform(0, np.pi), random.uniform(4, 7)
            along = np.array([np.sin(angle), np.cos(angle)])
            gap = at - (np.array([24.0, 38.0]) + random.uniform(-4, 4, 2))
            nearest = np.clip(gap @ along, -half, half)[..., None] * along
            scar |= np.linalg.norm(gap - nearest, axis=-1) < 0.9
        images.append((image - 1.2 * scar + random.normal(0, 0.25, scar.shape))[None])
        classes.append(scar)
    x = torch.from_numpy(np.stack(images)).float()
    return x, torch.from_numpy(np.stack(classes)).long()


@cache
def hippocampi(seed: int, part: str, *, quick: bool) -> Task:
    """Sagittal slices of MRI, 56 x 48, three neighbours as channels, the anterior and posterior
    part of the hippocampus: 8 % of the pixels. Three slices of each of 30 volumes, five of others.
    """
    learn = Hippocampi("train").few(10 if quick else 30, seed=seed)
    x, y = map(torch.from_numpy, learn.stacked((40, 56, 48)))
    rows = range(1, 39, 2)
    images = torch.cat([x[:, 0, k - 1 : k + 2] for k in rows])
    there = torch.cat([(y[:, k] > 0).sum((1, 2)) > 20 for k in rows]).long()
    density = _density(images, there, [str(k) for _ in rows for k in range(len(x))], (56, 48))
    others = Hippocampi(part).few(10 if quick else 25)
    u, v = map(torch.from_numpy, others.stacked((40, 56, 48)))
    return Task(_middle(x, y, 3), _middle(u, v, 5), _scores(density))


def _middle(x: Tensor, y: Tensor, count: int) -> Data:
    """Slices about the largest section of each volume, every second."""
    largest = (y > 0).sum((2, 3)).argmax(1)
    images, classes = [], []
    for shift in range(-(count // 2), count // 2 + 1):
        at = (largest + 2 * shift).clamp(1, y.shape[1] - 2).tolist()
        images += [x[i, 0, k - 1 : k + 2] for i, k in enumerate(at)]
        classes += [y[i, k] for i, k in enumerate(at)]
    return torch.stack(images), torch.stack(classes)


# --- where to spend nodes ------------------------------------------------------------------------


def at_random(image: Tensor) -> Tensor:
    """A score for each patch of 4 x 4 pixels."""
    rows, columns = image.shape[2:]
    patches = torch.rand(len(image), 1, -(-rows // 4), -(-columns // 4))
    spread = patches.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return spread[..., :rows, :columns]


def at_edges(image: Tensor) -> Tensor:
    return functional.avg_pool2d(edge_strength(image), 3, 1, 1)


def _scores(density: Tensor) -> dict[str, Scores]:
    return {
        "edges": at_edges,
        "density": lambda image: density.expand(len(image), -1, -1, -1),
        "edges times density": lambda image: at_edges(image) * density,
    }


def _density(x: Tensor, there: Tensor, subjects: list[str], size: Sequence[int]) -> Tensor:
    """The density of a DECNN that learned which images have something, and not where, (1, 1,
    *size). It starts from where the two groups differ beyond chance.
    """

    def square(image: Tensor, side: Sequence[int] = (_SIDE, _SIDE)) -> Tensor:
        return functional.interpolate(image, tuple(side), mode="bilinear", align_corners=True)

    seen = square(x)
    found = find_evidence(seen.numpy(), there.numpy(), subjects=subjects, seed=0)
    model = DECNN(x.shape[1], 2, size=_SIDE, network_size=17, ratio=30.0, seed=0)
    model.init_density(found.map, strength=found.strength)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for rows in torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(16):
        optimizer.zero_grad()
        functional.cross_entropy(model(seen[rows]), there[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return square(model.eval().density(seen[:1]), size)
