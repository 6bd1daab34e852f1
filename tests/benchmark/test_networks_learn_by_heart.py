"""Published networks on twenty real surfaces: what cannot learn these by heart cannot learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import meshconv as mc
from meshconv.benchmark import raw_recipes, raw_scans
from meshconv.nn.seeding import seeded

_SCANS, _EPOCHS, _KNOWN = 20, 200, 19


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "batch"), [("DiffusionNet, places", 1), ("PointNet++", 10), ("DGCNN", 10)]
)
def test_twenty_spines_are_learned_by_heart(name, batch, data_dir, monkeypatch):
    """As they are, without variation: augmentation is what keeps them from it on purpose."""
    monkeypatch.setattr(raw_recipes, "POINTS", 128)
    monkeypatch.setattr(raw_scans._Fit, "batch_size", property(lambda fit: batch))
    spines = mc.DendriticSpines(n_classes=3)
    rows = np.concatenate([np.flatnonzero(spines.labels == k)[:7] for k in range(3)])[:_SCANS]
    recipe = raw_recipes.RECIPES[name]
    scans = [recipe.prepare(spines[int(k)].surface) for k in rows]
    labels = torch.from_numpy(spines.labels[rows])
    if "DiffusionNet" not in name:
        recipe = replace(recipe, varied=lambda scan: (scan[0][: raw_recipes.POINTS],))
    model, known = recipe.build(len(spines.classes), 0), 0
    with seeded(0):
        fit = raw_scans._Fit(model, recipe, False, scans, labels)
        optimizer = fit.optimizer()
        for epoch in range(_EPOCHS):
            fit.one_epoch(optimizer)
            if epoch % 5 == 4:
                known = int((fit.answers(scans).argmax(dim=1) == labels).sum())
            if known >= _KNOWN:
                break
    assert known >= _KNOWN, f"{name}: {known} of {_SCANS} after {epoch + 1} epochs"
