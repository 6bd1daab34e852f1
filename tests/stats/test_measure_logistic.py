import numpy as np
import pytest
from scipy.special import softmax

from meshconv.errors import ArgumentError
from meshconv.stats.measure_logistic import STRENGTHS, LogisticModel


def _population(n=400, m=10, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    index = np.arange(n) % classes
    x = rng.normal(size=(n, m))
    x[:, 0] += 2 * (index == 0)
    x[:, 1] += 2 * (index == 1)
    return x, index


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_found_as_well_as_can_be_and_probabilities_are_honest(classes):
    x, index = _population(classes=classes)
    new, truth = _population(n=3000, classes=classes, seed=1)
    logits = LogisticModel.fit(x, index).logits(new)
    best = np.column_stack([new[:, 0], new[:, 1], np.ones(len(new))][:classes]).argmax(axis=1)
    accuracy = (logits.argmax(axis=1) == truth).mean()
    assert logits.shape == (3000, classes) and accuracy > (best == truth).mean() - 0.03
    confidence = softmax(logits, axis=1).max(axis=1)
    assert confidence.mean() == pytest.approx(accuracy, abs=0.08)


def test_the_penalty_is_chosen_with_subjects_kept_whole():
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(30), 6)
    index = (subjects % 2).astype(np.int64)
    x = rng.normal(size=(30, 20))[subjects] + 0.01 * rng.normal(size=(180, 20))
    grouped = LogisticModel.fit(x, index, subjects=subjects.tolist())
    leaky = LogisticModel.fit(x, index)
    assert grouped.strength < leaky.strength == STRENGTHS[-1]


def test_what_is_not_finite_is_named():
    x, index = _population(20)
    x[3, 2] = np.nan
    with pytest.raises(ArgumentError, match="measure 2 of scan 3 is not finite"):
        LogisticModel.fit(x, index)
