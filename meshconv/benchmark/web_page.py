"""A benchmark as one page to look at: self-contained, no script, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from meshconv.benchmark.seeds import Row, over_seeds, with_half_width
from meshconv.io.atomic import write_bytes_atomic
from meshconv.viz.template_engine import render

_FIGURES = ("accuracy", "auc", "calibration_error", "train_accuracy", "cpu_s", "epochs")
MEANINGS = (
    ("seeds", "how many runs; of the populations by name, each is another split too"),
    ("accuracy, AUC", "mean over seeds, and half the 95 % interval of that mean"),
    ("95 % by subject", "interval of the accuracy over subjects, the widest of the seeds"),
    ("calibration", "expected calibration error; 0 is honest"),
    ("training", "accuracy on what was learned: below .95 a network was not trained to the end"),
    ("epochs, CPU s", "of training; over folds their sum"),
    (
        "deletion",
        "mean probability of the predicted class while the most salient pixels are deleted first,"
        " over that at the start: lower is better; random order and t-map beside",
    ),
    ("site", "ROC-AUC of the saliency for the true site, where there is a truth"),
)
COLUMNS = (
    "model",
    "seeds",
    "accuracy",
    "95 % by subject",
    "AUC",
    "calibration",
    "training",
    "epochs",
    "CPU s",
    "deletion",
    "site",
)


def write_page(path: str | PathLike[str], rows: Sequence[Row], *, note: str = "") -> None:
    """Write the rows of a `meshconv.benchmark.run.Record` as one HTML page.

    Parameters
    ----------
    path : str or PathLike
        Written whole or not at all.
    rows : sequence of dict
    note : str
        What is to be known of all of them.

    Raises
    ------
    MissingDependencyError
        If Jinja2 is not installed.
    """
    tasks = [_task(name, rows) for name in dict.fromkeys(row["task"] for row in rows)]
    text = render(
        "benchmark.html",
        title="Benchmark",
        note=note,
        tasks=tasks,
        columns=COLUMNS,
        meanings=MEANINGS,
    )
    write_bytes_atomic(path, text.encode())


def _task(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [row for row in rows if row["task"] == name]
    cells = over_seeds(mine, ["model"], _FIGURES)
    known = [cell["accuracy"] for cell in cells if cell["accuracy"] is not None]
    best = max(known, default=None)
    return {"name": name, "rows": [_line(cell, mine, best) for cell in cells]}


def _line(cell: Row, rows: Sequence[Row], best: float | None) -> dict[str, Any]:
    mine = [row for row in rows if row["model"] == cell["model"]]
    intervals = [row["interval"] for row in mine if "interval" in row]
    low = min((low for low, _ in intervals), default=None)
    high = max((high for _, high in intervals), default=None)
    accuracy = cell["accuracy"]
    wide = "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    cells = [
        str(cell["seeds"]),
        with_half_width(cell, "accuracy"),
        wide,
        with_half_width(cell, "auc"),
        _short(cell["calibration_error"]),
        _short(cell["train_accuracy"]),
        _short(cell["epochs"], "{:.0f}"),
        _short(cell["cpu_s"], "{:.1f}"),
        _methods(mine, "deletion"),
        _methods(mine, "site"),
    ]
    bar = None
    if accuracy is not None and low is not None and high is not None:
        bar = (100 * low, 100 * accuracy, 100 * (high - low))
    return {
        "model": cell["model"],
        "cells": cells,
        "bar": bar,
        "alt": f"accuracy {_short(accuracy)}, interval {wide}",
        "best": best is not None and accuracy == best,
    }


def _short(value: float | None, pattern: str = "{:.3f}") -> str:
    return "-" if value is None else pattern.format(value)


def _methods(rows: Sequence[Row], what: str) -> str:
    """Return the mean of each method's figure, in words."""
    if what == "site":
        found = [{k: v["auc"] for k, v in row["saliency"].items()} for row in rows]
    else:
        found = [row.get(what, {}) for row in rows]
    names = dict.fromkeys(name for one in found for name in one)
    parts = []
    for name in names:
        values = [one[name] for one in found if name in one]
        parts.append(f"{name} {sum(values) / len(values):.2f}")
    return ", ".join(parts) or "-"
