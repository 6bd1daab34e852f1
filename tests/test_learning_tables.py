"""The intervals that the benchmarks' learning tables print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "_learning.py"


@pytest.mark.parametrize("n", [2, 5, 11, 40])
def test_the_half_width_is_students(n):
    spec = importlib.util.spec_from_file_location("_learning", FILE)
    learning = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(learning)
    values = np.random.default_rng(n).normal(3, 2, n).tolist()
    mean, half = learning.mean_and_half_width(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-12)
    assert learning.mean_and_half_width([1.5]) == (1.5, None)
