"""What is measured while a classifier is fitted: chance is called chance, and probabilities are
what they say.
"""

from __future__ import annotations

import numpy as np
import pytest

from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.stats.folds import grouped_folds
from meshconv.train import quality as module
from meshconv.train.config import Settings
from meshconv.train.fit import fit
from meshconv.train.fitted import outputs_of, predict
from meshconv.train.inputs import as_prepared
from meshconv.train.quality import chance, measured
from meshconv.train.stacking import stacked

ONE_EACH = np.arange(60)


def _out_of_fold(x, index, seed, folds=5):
    """Scores of a ridge regression on the other folds, and the fold of each."""
    scores, fold = np.zeros((len(x), 2)), np.zeros(len(x), dtype=np.int64)
    for k, (learn, held) in enumerate(grouped_folds(index, folds=folds, seed=seed)):
        kernel, target = x[learn] @ x[learn].T, 2.0 * index[learn] - 1
        target = target - target.mean()
        weight = np.linalg.solve(kernel + np.eye(len(learn)), target)
        found = x[held] @ x[learn].T @ weight
        scores[held], fold[held] = np.stack([-found, found], axis=1), k
    return scores, fold


def _noise_p(runs, monkeypatch):
    monkeypatch.setattr(module, "_PERMUTATIONS", 299)
    p = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        index = rng.permutation(ONE_EACH % 2)
        p.append(chance(*_split(rng, index, seed), ONE_EACH, seed=seed))
    return np.array(p)


def _split(rng, index, seed):
    scores, fold = _out_of_fold(rng.normal(size=(60, 30)), index, seed)
    return scores, index, fold


def test_labels_that_mean_nothing_are_better_than_chance_no_oftener_than_said(monkeypatch):
    p = _noise_p(240, monkeypatch)
    assert (p < 0.05).mean() < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 240)
    assert (p < 0.01).mean() < 0.01 + 2 * np.sqrt(0.01 * 0.99 / 240)
    assert 0.3 < p.mean() < 0.7
    # the folds share what they learned from: as if they did not, it would be said twice too often
    monkeypatch.setattr(np, "sqrt", lambda _: 1.0)
    assert (_noise_p(120, monkeypatch) < 0.05).mean() > 0.1


def test_what_can_be_told_apart_is_said_to_be(monkeypatch):
    index = ONE_EACH % 2
    x = np.random.default_rng(0).normal(size=(60, 30))
    x[:, 0] += 3 * (2 * index - 1)
    scores, fold = _out_of_fold(x, index, 0)
    assert chance(scores, index, fold, ONE_EACH) < 0.002
    three = np.random.default_rng(1).integers(0, 3, 60)
    sure = 5.0 * np.eye(3)[three]
    assert chance(sure, three, ONE_EACH % 5, ONE_EACH) == 1 / 2000


def test_many_scans_of_a_subject_are_no_more_than_one():
    rng = np.random.default_rng(3)
    index = ONE_EACH % 2
    found, fold = rng.normal(size=60) + 0.5 * (2 * index - 1), ONE_EACH // 2 % 5
    scores = np.stack([-found, found], axis=1)
    once = chance(scores, index, fold, ONE_EACH)
    many = [np.repeat(one, 9, axis=0) for one in (scores, index, fold, ONE_EACH)]
    assert chance(*many) == pytest.approx(once, abs=1e-12) and 0.001 < once < 0.2
    unknown = chance(*many[:3], np.arange(540))
    assert unknown < once / 2


def test_probabilities_become_what_they_say():
    rng = np.random.default_rng(0)
    honest = 2 * rng.normal(size=(3000, 3))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    index = (rng.random((3000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    for factor in (0.3, 4.0):
        assert 1 / stacked(factor * honest[None], index) == pytest.approx(factor, rel=0.06)
    found = measured({"": 4 * honest}, index, np.arange(3000) % 5)
    assert found.metrics.calibration_error < 0.02 and found.better_than_chance
    np.testing.assert_allclose(found.probabilities, shares, atol=0.03)


def test_a_few_without_a_fault_are_not_certain():
    index = np.arange(20) % 2
    sure = 30.0 * (2 * index[:, None] - 1) * [-1, 1]
    found = measured({"": sure}, index, np.arange(20) // 2 % 5)
    assert 0.9 < found.probabilities.max() < 0.97  # as 20 right ones of 20 let one say
    assert found.fewest == 10 and "a class has only 10 subjects" in found.caution


def _images(n, effect, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    images = rng.normal(size=(n, 1, 9, 9))
    images[labels == 1, :, 3:6, 3:6] += effect
    return images, labels


SETTINGS = Settings.of({"network_size": 9, "epochs": 12, "width": 4, "variation": 0.0})


def test_a_classifier_says_how_good_it_is_on_what_it_has_not_seen():
    images, labels = _images(80, 1.0, 0)
    good = fit(as_prepared(images), labels, SETTINGS)
    quality = good.quality
    assert quality.better_than_chance and quality.verdict.startswith("better than chance (AUC ")
    assert quality.folds == 5 and quality.fewest == 40 and not quality.caution
    new, truth = _images(400, 1.0, 1)
    right = (predict(good, as_prepared(new)).argmax(axis=1) == truth).mean()
    low, high = quality.metrics.intervals["accuracy"]
    assert low - 0.05 < right < high + 0.05
    shuffled = np.random.default_rng(5).permutation(labels)
    bad = fit(as_prepared(images), shuffled, SETTINGS)
    assert bad.quality.verdict.startswith("not better than chance (AUC ") and bad.quality.p > 0.01
    sure, unsure = (sum(one.quality.weights.values()) for one in (good, bad))
    assert unsure < sure / 2  # and its probabilities say so
    assert predict(bad, as_prepared(new)).max() < 0.8


def test_the_network_is_the_same_with_a_verdict_and_without():
    images, labels = _images(24, 2.0, 0)
    asked = Settings.of({**SETTINGS.options(), "verdict": 2})
    plain = Settings.of({**SETTINGS.options(), "verdict": 0})
    one, other = (fit(as_prepared(images), labels, how) for how in (asked, plain))
    assert other.quality is None and other.network.weights.tolist() == [0.5, 0.5]
    a, b = (outputs_of(f, as_prepared(images)) for f in (one, other))
    assert list(a) == list(b) == ["shared", "uniform"]
    np.testing.assert_array_equal(np.stack(list(a.values())), np.stack(list(b.values())))
    weights = [one.quality.weights[part] for part in a]
    together = np.tensordot(weights, np.stack(list(a.values())), 1)
    shares = np.exp(together) / np.exp(together).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(one, as_prepared(images)), shares, rtol=1e-4, atol=1e-6)


def test_few_subjects_are_warned_of_and_too_few_not_judged():
    images, labels = _images(12, 2.0, 0)
    subjects = tuple("abcdefghijkl")
    prepared = as_prepared(images)
    with pytest.warns(MeshConvWarning, match="small sample: a class has only 6 subjects"):
        found = fit(prepared, labels, SETTINGS).quality
    assert found.folds == 5 and "small sample" in str(found)
    alone = np.array([0] * 11 + [1])
    with pytest.warns(MeshConvWarning, match="only 1 subjects, too few to measure"):
        assert fit(prepared, alone, SETTINGS).quality is None
    object.__setattr__(prepared, "subjects", subjects[:2] * 6)  # two subjects, six scans each
    by_subject = np.arange(12) % 2
    with pytest.warns(MeshConvWarning, match="small sample: a class has only 1 subjects"):
        assert fit(prepared, by_subject, SETTINGS).quality is None


def test_one_fold_is_none():
    with pytest.raises(ArgumentError, match="verdict: at least 2 folds are needed"):
        Settings.of({"verdict": 1})
