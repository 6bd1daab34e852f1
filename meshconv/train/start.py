"""Where networks look as training begins, from the images that are learned from alone."""

from __future__ import annotations

from typing import Any

import torch

from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.resample.area_element import area_element
from meshconv.stats.evidence import find_evidence
from meshconv.stats.folds import hold_out, rarest
from meshconv.train.labels import Labels
from meshconv.train.study import Study
from meshconv.train.turns import learn_in_turn
from meshconv.train.two_stage import Images


def start_looking(network: DECNN | Ensemble, learn: Study, images: Images, labels: Labels) -> None:
    """Let densities start from where the classes differ, know the area of their frame, and go on
    learning in turn with weights of their own, if that is asked for and there was evidence to start
    from: where labels say nothing, densities stay flat.

    Parameters
    ----------
    network : DECNN or Ensemble
        Untrained.
    learn : Study
        Of the images to learn from.
    images : (n, C, N, N) float32 Tensor, or an object that gives the rows asked for as one
        The same, standardized.
    labels : (n,) Tensor, or mapping of task to such
        What is to be learned of them.
    """
    settings, template = learn.settings, learn.template
    members = network.networks if isinstance(network, Ensemble) else {"": network}
    alone = settings.network.density
    looking = [one for name, one in members.items() if (name or alone) != "uniform"]
    if not looking:
        return
    subjects, seed, turns = (
        learn.prepared.subjects,
        settings.train.seed,
        settings.train.density_turns,
    )
    if settings.network.warm_start:
        raw, values = learn.prepared.images, learn.target.values
        found = find_evidence(raw, values, subjects=subjects, seed=seed)
        for one in looking:
            one.init_density(found.map, strength=found.strength)
        turns = turns if found.strength else 0
    if template is not None:
        area = area_element(template, images.shape[-1])
        for one in looking:
            one.set_area(area)
    if turns and rarest(learn.strata, subjects)[0] > 1:
        halves = hold_out(learn.strata, subjects, share=0.5, seed=seed)
        weight = None if learn.weight is None else torch.from_numpy(learn.weight).float()
        how: dict[str, Any] = {"config": learn.config, "sample_weight": weight}
        for one in looking:
            learn_in_turn(one, images, labels, halves, **how)
