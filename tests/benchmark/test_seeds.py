"""Means over seeds with their intervals; an experiment that is broken off and gone on with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from meshconv.benchmark.seeds import (
    SHARE,
    as_words,
    differences,
    mean_and_half_width,
    over_seeds,
    repeat,
    with_half_width,
)
from meshconv.errors import CheckpointError


@pytest.mark.parametrize("n", [3, 5, 11, 40])
def test_the_half_width_is_students(n):
    values = np.random.default_rng(n).normal(3, 2, n).tolist()
    mean, half = mean_and_half_width(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-12)
    assert mean_and_half_width([1.5]) == (1.5, None)


def test_two_seeds_have_a_range_and_no_interval_leaves_what_is_possible():
    rows = [{"who": "a", "auc": value} for value in (0.92, 1.0)]
    (two,) = over_seeds(rows, ["who"], ["auc"])
    assert two["auc +-"] is None and two["auc range"] == [0.92, 1.0]
    assert with_half_width(two, "auc") == "0.960 (0.920 to 1.000)"
    assert as_words(two) == "who a  seeds 2  auc 0.96 (0.92 to 1)"
    (three,) = over_seeds([*rows, {"who": "a", "auc": 0.9}], ["who"], ["auc"])
    assert with_half_width(three, "auc") == "0.940 ± 0.131"  # of anything, not of a share
    assert with_half_width(three, "auc", limits=SHARE) == "0.940 (0.809 to 1.000)"
    below = {"auc": 0.1, "auc +-": 0.2}
    assert with_half_width(below, "auc", limits=SHARE) == "0.100 (0.000 to 0.300)"
    assert with_half_width({"auc": 0.5, "auc +-": 0.5}, "auc", limits=SHARE) == "0.500 ± 0.500"


def test_rows_without_a_figure_are_left_out_of_it():
    rows = [{"who": "a", "x": 1.0}, {"who": "a", "x": None}, {"who": "b"}]
    rows += [{"who": "a", "x": 2.0}, {"who": "a", "x": 3.0}]
    first, second = over_seeds(rows, ["who"], ["x"])
    assert (
        first["x"] == 2.0
        and first["seeds"] == 4
        and first["x +-"] == pytest.approx(4.30265 / 3**0.5, 1e-4)
    )
    assert second == {"who": "b", "seeds": 1, "x": None, "x +-": None}
    assert with_half_width(first, "x", "{:.1f}") == "2.0 ± 2.5"
    assert with_half_width(second, "x") == "-"
    assert as_words(first) == "who a  seeds 4  x 2 +- 2.5"


def test_differences_are_within_seeds():
    """The seeds differ by far more than the methods: the interval is that of the difference."""
    rng = np.random.default_rng(0)
    level, gap = 100 * rng.random(6), 0.3 + 0.1 * rng.random(6)
    rows = [{"who": "a", "set": "s", "seed": k, "x": level[k]} for k in range(6)]
    rows += [{"who": "b", "set": "s", "seed": k, "x": level[k] + gap[k]} for k in range(5, -1, -1)]
    (row,) = differences(rows, "who", ("b", "a"), "set", ["x"])
    assert (row["x"], row["x +-"]) == pytest.approx(mean_and_half_width(gap.tolist()))
    assert row["who"] == "b - a" and row["seeds"] == 6


def test_a_run_broken_off_is_gone_on_with(tmp_path):
    path, made = tmp_path / "r.json", []
    path.write_text(json.dumps({"time": [1, 2]}))

    def rows_of(seed, options, there):
        for who in ("a", "b"):
            if any((row["seed"], row["who"]) == (seed, who) for row in there):
                continue
            if len(made) == 3 and options["epochs"] == 1 and not stop.pop():
                raise KeyboardInterrupt
            made.append((seed, who))
            yield {"seed": seed, "who": who, "x": float(seed)}

    def means(rows):
        return over_seeds(rows, ["who"], ["x"])

    stop = [False]
    with pytest.raises(KeyboardInterrupt):
        repeat(path, {"seeds": 2, "epochs": 1}, rows_of, means)
    assert len(json.loads(path.read_text())["runs"]) == 3
    stop = [True]
    record = repeat(path, {"seeds": 2, "epochs": 1}, rows_of, means, resume=True)
    assert made == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert record == json.loads(path.read_text()) and record["time"] == [1, 2]
    assert [row["x"] for row in record["summary"]] == [0.5, 0.5]
    with pytest.raises(CheckpointError, match=r"epochs': 1.*epochs': 2"):
        repeat(path, {"seeds": 2, "epochs": 2}, rows_of, means, resume=True)
    assert len(repeat(path, {"seeds": 1, "epochs": 2}, rows_of, means)["runs"]) == 2
