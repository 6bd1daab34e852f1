"""The verdict on measures: no oftener better than chance than said; calibrated; kept in a file."""

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from meshconv.train import quality as module
from meshconv.train.measure_quality import MeasureQuality, chance_of_measures, measures_measured

FOLD = np.arange(40) % 5


def _out_of_fold(x, y, ridge=5.0):
    predicted = np.zeros_like(y)
    for k in range(5):
        model = Ridge(ridge).fit(x[k != FOLD], y[k != FOLD])
        predicted[k == FOLD] = model.predict(x[k == FOLD]).reshape(-1, y.shape[1])
    return predicted


def _noise_p(runs, monkeypatch, outputs=1):
    monkeypatch.setattr(module, "_PERMUTATIONS", 199)
    rng, p = np.random.default_rng(1), []
    for seed in range(runs):
        x, y = rng.normal(size=(40, 12)), rng.normal(size=(40, outputs))
        p.append(chance_of_measures(_out_of_fold(x, y), y, FOLD, np.arange(40), seed=seed))
    return np.array(p)


@pytest.mark.parametrize("outputs", [1, 3])
def test_measures_that_mean_nothing_are_better_than_chance_no_oftener_than_said(
    monkeypatch, outputs
):
    p = _noise_p(160, monkeypatch, outputs)
    assert (p < 0.05).mean() < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 160)
    assert 0.3 < p.mean() < 0.75


def test_predictions_are_shrunk_as_far_as_other_folds_say():
    """Too bold ones are brought back, good ones left; of noise the mean is left."""
    rng = np.random.default_rng(0)
    y = 50 + 10 * rng.normal(size=(40, 1))
    bold = 50 + 3 * (y - 50) + 5 * rng.normal(size=y.shape)
    found = measures_measured(bold, y, FOLD)
    assert found.temperature[0] == pytest.approx(3, rel=0.1) and found.each[0].r2 > 0.9
    noise = measures_measured(50 + 10 * rng.normal(size=y.shape), y, FOLD)
    assert noise.temperature[0] > 4 and noise.each[0].r2 > -0.3
    assert not noise.better_than_chance and noise.p > 0.01


def test_several_scans_of_a_subject_count_once_and_a_file_keeps_it_all():
    rng = np.random.default_rng(2)
    y, z = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    who = tuple(f"s{k}" for k in range(40))
    once = measures_measured(z, y, FOLD, subjects=who)
    twice = [np.repeat(a, 2, axis=0) for a in (z, y, FOLD)]
    again = measures_measured(*twice, subjects=tuple(np.repeat(who, 2)))
    assert again.p == once.p and again.fewest == 40
    told = json.loads(json.dumps(once.as_dict()))
    back = MeasureQuality.of(told, once.arrays())
    assert str(back) == str(once) and back.each == once.each
    assert set(once.metrics) == {"measure 0", "measure 1"}
