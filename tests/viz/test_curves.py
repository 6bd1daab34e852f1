"""Figures for a reader: the ROC curve's area, tables, escaping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.errors import ArgumentError
from meshconv.stats.metrics import evaluate, roc_auc
from meshconv.viz.curves import check_predictions, metrics_table, roc_points


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
def test_area_under_the_drawn_curve_is_the_auc(pairs: list[tuple[bool, int]]) -> None:
    """Trapezoids under the points = the rank statistic, ties included."""
    positive, score = np.array([p for p, _ in pairs]), np.array([s for _, s in pairs], dtype=float)
    if positive.all() or not positive.any():
        return
    x, y = roc_points(positive, score)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc(positive, score))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)


def test_tables_of_one_method_of_several_and_of_plain_numbers() -> None:
    one = evaluate([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]], n_bootstrap=50)
    table = metrics_table(one)
    low, high = one.intervals["accuracy"]
    assert f"0.750 <small>[{low:.3f} to {high:.3f}]</small>" in table and "ROC-AUC" in table
    several = metrics_table({"ours": one, "a <b> & c": {"accuracy": 0.5, "seconds": 3}})
    assert '<th scope="row">a &lt;b&gt; &amp; c</th>' in several and "<b>" not in several
    assert several.count("<tr>") == 3 and "<td>3</td>" in several
    plain = metrics_table({"accuracy": (0.9, 0.8, 0.95), "note": "<i>", "ok": True})
    assert (
        "0.900 <small>[0.800 to 0.950]</small>" in plain
        and "&lt;i&gt;" in plain
        and "True" in plain
    )
    assert "not defined" in metrics_table({"auc": float("nan")})


@pytest.mark.parametrize(
    "predictions",
    [([0, 1], [[0.5, 0.5]]), ([0, 2], [[1, 0], [0, 1]]), ([0], [0.5]), ([], np.zeros((0, 2)))],
)
def test_predictions_that_do_not_fit_are_refused(predictions: tuple) -> None:
    with pytest.raises(ArgumentError, match="predictions must be labels"):
        check_predictions(predictions)
