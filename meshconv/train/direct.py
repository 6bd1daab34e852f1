"""Direct heads that are parts of their own: linear functions of what members of an ensemble see,
found in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshconv._check import FloatArray, IntArray
from meshconv.nn.ensemble import Ensemble
from meshconv.nn.heads import DirectHead
from meshconv.stats.folds import subject_numbers
from meshconv.stats.ridge import fit_ridge
from meshconv.train.labels import class_weights
from meshconv.train.mirror import FrameMirror
from meshconv.train.ranks import Ranks
from meshconv.train.run import device_of
from meshconv.train.stacking import stacked
from meshconv.train.study import Study
from meshconv.train.target import ClassTarget
from meshconv.train.two_stage import Images, seen_once


def solve_direct_heads(
    network: Ensemble,
    images: Images,
    study: Study,
    mirror: FrameMirror | None = None,
) -> None:
    """Make each direct head a ridge regression of the classes on what its member sees.

    Classes are corners of a simplex, so that this is linear discriminant analysis (Hastie, Buja,
    Tibshirani, 1995, doi:10.1214/aos/1176324456), of the penalty that is best for subjects left
    out: a fraction of a second. Its logits are scaled so that probabilities of subjects left out
    are honest.

    Parameters
    ----------
    network : Ensemble
        In evaluation mode, its densities as they stay.
    images : (n, C, N, N) float32 Tensor, or an object that gives the rows asked for as one
        Standardized.
    study : Study
        Whose classes, weights and subjects are those of the images.
    mirror : FrameMirror, optional
        Learn from mirror images as well.
    """
    heads, target = network.direct_heads, study.target
    if not heads or not isinstance(target, ClassTarget):
        return
    subject = subject_numbers(len(images), study.prepared.subjects)
    known = torch.from_numpy(target.index)
    of_class = class_weights({"": known}, study.config)[""].double().numpy()
    weight = of_class[target.index] * (1.0 if study.weight is None else study.weight)

    def solved() -> list[tuple[Tensor, Tensor]]:
        device = device_of(network)
        looks = [images] if mirror is None else [images, _Mirrored(images, mirror)]
        seen = torch.cat([seen_once(network, one, device) for one in looks])
        part = _Part(
            np.tile(target.index, len(looks)),
            np.tile(weight, len(looks)),
            np.tile(subject, len(looks)),
            study.config.seed,
        )
        return [part.solved(head, seen[:, k, : network.in_channels]) for k, head in heads.items()]

    for head, found in zip(heads.values(), Ranks.here().from_first(solved), strict=True):
        head.set(*found)


@dataclass(frozen=True, eq=False)
class _Part:
    """Classes, weights and subjects of rows (n,)."""

    index: IntArray
    weight: FloatArray
    subject: IntArray
    seed: int

    def solved(self, head: DirectHead, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return what to `set` a head to, of what it sees, (n, C, m, m)."""
        corners = head.contrast.cpu().double().numpy()
        features = seen.flatten(1).cpu().float().numpy()
        found = fit_ridge(
            features, corners[self.index], weight=self.weight, subject=self.subject, seed=self.seed
        )
        logits = found.held_out @ corners.T
        scale = stacked(logits[None], self.index[found.rows])[0]
        return torch.from_numpy(scale * found.weights), torch.from_numpy(scale * found.bias)


@dataclass(frozen=True, eq=False)
class _Mirrored:
    """Mirror images of standardized images."""

    images: Images
    mirror: FrameMirror

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> Sequence[int]:
        """That of the images."""
        return self.images.shape

    @property
    def ndim(self) -> int:
        """Their axes."""
        return self.images.ndim

    def __getitem__(self, rows: Any, /) -> Tensor:
        return self.mirror.mirrored(self.images[rows])
