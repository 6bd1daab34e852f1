"""Direct heads that are parts of their own: linear functions of what members of an ensemble see,
found in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshconv._check import FloatArray, IntArray
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.nn.heads import DirectHead
from meshconv.nn.sample import gather
from meshconv.stats.folds import subject_numbers
from meshconv.stats.ridge import fit_ridge
from meshconv.train.config import TrainConfig
from meshconv.train.labels import class_weights
from meshconv.train.ranks import Ranks
from meshconv.train.run import device_of
from meshconv.train.stacking import stacked
from meshconv.train.two_stage import Images, seen_once, two_stages

_DOUBT = 1.5  # power of what a density in doubt would be more: few scans need a narrow prior


def solve_direct_heads(
    network: Ensemble,
    views: Sequence[Images],
    index: IntArray,
    subjects: Sequence[str],
    sample_weight: FloatArray | None = None,
    *,
    config: TrainConfig,
) -> None:
    """Make each direct head a ridge regression of the classes on what its member sees, as it would
    be emphasized had the map that the density started from been certain.

    A density waits until its map is beyond chance, for it says where groups differ. A head says
    nothing of that, and scans held out say how much it counts: few scans point to the right place
    long before that is sure. (Shifts of 2.5 mm, 100 faces, the seven of 24 whose evidence had a p
    above .002: mean AUC on 200 others .72 so, .70 with a power of 1, .61 by what is sure.)

    Classes are corners of a simplex, so that this is linear discriminant analysis (Hastie, Buja,
    Tibshirani, 1995, doi:10.1214/aos/1176324456), of the penalty that is best for subjects left
    out: a fraction of a second. Its logits are scaled so that probabilities of subjects left out
    are honest.

    Parameters
    ----------
    network : Ensemble
        In evaluation mode, its densities as they stay.
    views : sequence of (n, C, N, N) float32 Tensor, or object that gives the rows asked for as one
        Standardized images, and, to learn from them as well, their mirror images.
    index : (n,) int64
        Classes, 0..K-1.
    subjects : sequence of n str
        Left out together; an empty one is unknown, and another each time.
    sample_weight : (n,) float64, optional
        Above 0.
    config : TrainConfig
        Of whose class weights and seed.
    """
    heads = network.direct_heads
    if not heads:
        return
    weight = class_weights({"": torch.from_numpy(index)}, config)[""].double().numpy()[index]
    weight = weight if sample_weight is None else weight * sample_weight
    counts = np.flatnonzero(np.tile(weight > 0, len(views)))  # a class may weigh nothing
    rows = (index, weight, subject_numbers(len(index), subjects))
    part = _Part(*(np.tile(one, len(views))[counts] for one in rows))
    if len(np.unique(part.index)) < 2:
        return

    def solved() -> list[tuple[Tensor, Tensor]]:
        device = device_of(network)
        seen = torch.cat([seen_once(two_stages(network), one, device) for one in views])
        seen = seen if len(counts) == len(seen) else seen[torch.from_numpy(counts)]
        image = seen[:, :, : network.in_channels]
        members = list(network.networks.values())
        doubts = {k: _doubt(members[k], views[0][:1].to(device)) for k in heads}
        return [
            part.solved(head, image[:, k], doubts[k].to(seen), config.seed)
            for k, head in heads.items()
        ]

    for head, found in zip(heads.values(), Ranks.here().from_first(solved), strict=True):
        head.set(*found)


@dataclass(frozen=True, eq=False)
class _Part:
    """Classes, weights and subjects of rows (n,)."""

    index: IntArray
    weight: FloatArray
    subject: IntArray

    def solved(
        self, head: DirectHead, seen: Tensor, doubt: Tensor, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Return what to `set` a head to, of what it sees, (n, C, m, m), as if that were times the
        doubt (m, m).
        """
        corners = head.contrast.cpu().double().numpy()
        features = seen.mul_(doubt).flatten(1).cpu().float().numpy()
        found = fit_ridge(
            features, corners[self.index], weight=self.weight, subject=self.subject, seed=seed
        )
        logits = found.held_out @ corners.T
        scale = stacked(logits[None], self.index[found.rows])[0]
        weights = doubt.cpu().double().expand(seen.shape[1:]).reshape(-1, 1)
        return weights * torch.from_numpy(scale * found.weights), torch.from_numpy(
            scale * found.bias
        )


def _doubt(member: DECNN, image: Tensor) -> Tensor:
    """Return by what the nodes that a member sees, (m, m), are emphasized where its density is in
    doubt.
    """
    with torch.no_grad():
        doubt = gather(member.density.doubt(), member.sampling_grid(image))[0, 0]
    return doubt**_DOUBT
