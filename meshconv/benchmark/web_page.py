"""A benchmark as one page to look at: self-contained, no script, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from meshconv.benchmark.seeds import SHARE, Row, over_seeds, with_half_width
from meshconv.io.atomic import write_bytes_atomic
from meshconv.viz.template_engine import render

_FIGURES = ("accuracy", "auc", "calibration_error", "train_accuracy", "cpu_s", "epochs")
_BAR = "95 % by subject"  # the column with a bar under its figures
MEANINGS = (
    ("seeds", "how many runs; of populations and folders, each is another split into folds"),
    (
        "accuracy, AUC",
        "mean over seeds, and half the 95 % interval of that mean; in brackets the ends of that"
        " interval where it reaches 0 or 1, of two seeds the least and the greatest",
    ),
    (_BAR, "interval of the accuracy over subjects, the widest of the seeds; below it from 0 to 1"),
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
    _BAR,
    "AUC",
    "calibration",
    "training",
    "epochs",
    "CPU s",
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
        bar_in=COLUMNS.index(_BAR) - 1,
        meanings=MEANINGS,
    )
    write_bytes_atomic(path, text.encode())


def _task(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [row for row in rows if row["task"] == name]
    cells = over_seeds(mine, ["model"], _FIGURES)
    known = [cell["accuracy"] for cell in cells if cell["accuracy"] is not None]
    best = max(known, default=None)
    found = [_saliency(what, mine) for what in ("deletion", "site")]
    rows = [_line(cell, mine, best) for cell in cells]
    return {"name": name, "rows": rows, "saliency": [one for one in found if one["methods"]]}


def _line(cell: Row, rows: Sequence[Row], best: float | None) -> dict[str, Any]:
    mine = [row for row in rows if row["model"] == cell["model"]]
    intervals = [row["interval"] for row in mine if "interval" in row]
    low = min((low for low, _ in intervals), default=None)
    high = max((high for _, high in intervals), default=None)
    accuracy = cell["accuracy"]
    wide = "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    cells = [
        str(cell["seeds"]),
        with_half_width(cell, "accuracy", limits=SHARE),
        wide,
        with_half_width(cell, "auc", limits=SHARE),
        _short(cell["calibration_error"]),
        _short(cell["train_accuracy"]),
        _short(cell["epochs"], "{:.0f}"),
        _short(cell["cpu_s"], "{:.1f}"),
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


def _saliency(what: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a table of each model's figure by method, means over seeds."""
    found = [(row["model"], *pair) for row in rows for pair in _by_method(what, row)]
    methods = list(dict.fromkeys(method for _, method, _ in found))
    lines = []
    for model in dict.fromkeys(name for name, _, _ in found):
        own = {m: [v for name, n, v in found if (name, n) == (model, m)] for m in methods}
        shown = [_short(sum(v) / len(v) if v else None, "{:.2f}") for v in own.values()]
        lines.append((model, shown))
    return {"name": what, "methods": methods, "rows": lines}


def _by_method(what: str, row: Row) -> list[tuple[str, float]]:
    if what == "site":
        return [(method, one["auc"]) for method, one in row["saliency"].items()]
    return list(row.get(what, {}).items())
