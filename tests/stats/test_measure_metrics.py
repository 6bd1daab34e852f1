"""R2 and its like in closed form; intervals that hold the truth."""

import numpy as np
import pytest

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.measure_metrics import evaluate_measure


def test_closed_forms():
    y = np.array([1.0, 2.0, 3.0, 6.0])
    assert evaluate_measure(y, y).r2 == 1 and evaluate_measure(y, y).mean_absolute_error == 0
    mean = evaluate_measure(y, np.full(4, y.mean()))
    assert mean.r2 == pytest.approx(0) and np.isnan(mean.correlation)
    shifted = evaluate_measure(y, y + 1)
    assert shifted.correlation == pytest.approx(1) and shifted.mean_absolute_error == 1
    assert shifted.r2 == pytest.approx(1 - 4 / 14)
    assert np.isnan(evaluate_measure(np.ones(3), y[:3]).r2)


def test_intervals_hold_the_truth_and_widen_for_repeated_scans():
    rng, inside, wider = np.random.default_rng(0), 0, []
    for _ in range(40):
        y = rng.normal(size=60)
        z = 0.8 * y + 0.6 * rng.normal(size=60)
        low, high = evaluate_measure(y, z, n_bootstrap=200).intervals["correlation"]
        inside += low <= 0.8 <= high
        twice = [np.repeat(a, 3) for a in (y, z)]
        plain = evaluate_measure(*twice, n_bootstrap=200).intervals["correlation"]
        who = np.repeat(np.arange(60), 3)
        grouped = evaluate_measure(*twice, subjects=who, n_bootstrap=200)
        wider.append(np.ptp(grouped.intervals["correlation"]) / np.ptp(plain))
    assert inside >= 34 and np.mean(wider) == pytest.approx(3**0.5, abs=0.25)


def test_what_is_no_prediction_is_refused():
    with pytest.raises(ArrayTypeError, match="must be"):
        evaluate_measure([1.0, 2.0], [1.0])
    with pytest.raises(ArgumentError, match="finite"):
        evaluate_measure([1.0, np.nan], [1.0, 2.0])
    assert "R2 1" in str(evaluate_measure([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]))
