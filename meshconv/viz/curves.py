"""Test figures for a reader: a table with intervals, the ROC curve, and how honest the
probabilities are.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.metrics import checked_predictions
from meshconv.viz.picture import pyplot
from meshconv.viz.template_engine import render

_INK, _SOFT, _LINE = "#2f2a26", "#6b645c", "#d1361f"


class Figure(NamedTuple):
    """A value in words, with its interval where it has one."""

    text: str
    interval: str = ""


class FiguresTable(NamedTuple):
    """A row a method under the names of the columns; of one method a row a figure, no columns."""

    columns: list[str]
    rows: list[tuple[str, list[Figure | None]]]


def figures_table(metrics: Any) -> FiguresTable:
    """Return test figures as a table.

    Parameters
    ----------
    metrics : Metrics, or mapping
        One `meshconv.stats.metrics.Metrics`; or name -> number, text or (value, low, high); or, to
        compare methods, name of the method -> `Metrics` or such a mapping.
    """
    if (
        isinstance(metrics, Mapping)
        and metrics
        and all(isinstance(one, Mapping) or hasattr(one, "as_dict") for one in metrics.values())
    ):
        methods = {str(name): _figures(one) for name, one in metrics.items()}
        columns = list(dict.fromkeys(name for row in methods.values() for name in row))
        return FiguresTable(
            columns, [(name, [row.get(key) for key in columns]) for name, row in methods.items()]
        )
    return FiguresTable([], [(name, [one]) for name, one in _figures(metrics).items()])


def metrics_table(metrics: Any) -> str:
    """Return test figures as an HTML table, see `figures_table`."""
    return render("figures.html", **figures_table(metrics)._asdict())


def _figures(metrics: Any) -> dict[str, Figure]:
    values = dict(metrics.as_dict() if hasattr(metrics, "as_dict") else metrics)
    intervals = values.pop("intervals", {})
    return {_words(str(name)): _figure(one, intervals.get(name)) for name, one in values.items()}


def _figure(value: Any, interval: Any) -> Figure:
    if isinstance(value, tuple | list) and len(value) == 3:
        value, interval = value[0], value[1:]
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return Figure(str(value))
    if np.isnan(value):
        return Figure("not defined")
    text = str(value) if isinstance(value, int | np.integer) else f"{value:.3f}"
    return Figure(text, "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}")


def _words(name: str) -> str:
    return {"n": "test scans", "auc": "ROC-AUC"}.get(name, name.replace("_", " "))


def prediction_curves(
    predictions: tuple[ArrayLike, ArrayLike], names: tuple[str, ...], positive: int = 1
) -> list[tuple[str, bytes]]:
    """Return the ROC curve (of two classes, of the `positive` one) and the calibration of
    predictions, each with its name.
    """
    y, p = check_predictions(predictions)
    return [
        ("ROC curve", roc_picture(y, p, names, positive)),
        ("calibration curve", calibration_picture(y, p)),
    ]


def check_predictions(predictions: tuple[ArrayLike, ArrayLike]) -> tuple[IntArray, FloatArray]:
    """Return labels (n,) and probabilities (n, K), checked.

    Raises
    ------
    ArgumentError
        If the shapes or the classes do not belong together, or a row is no probabilities: NaN,
        below 0, or with another sum than 1; names the first.
    """
    labels, probabilities = predictions
    if np.ndim(probabilities) != 2 or np.shape(probabilities)[1] < 2:
        raise ArgumentError(
            "predictions must be labels (n,) in 0..K-1 and probabilities (n, K), found"
            f" {np.shape(labels)} and {np.shape(probabilities)}"
        )
    try:
        return checked_predictions(labels, probabilities)
    except ArgumentError as error:
        raise ArgumentError(
            f"predictions must be labels and probabilities of the classes: {error.message}",
            indices=error.indices,
            count=error.count,
            hint=error.hint,
        ) from error


def roc_points(positive: Any, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return false and true positive rates from (0, 0) to (1, 1), one corner per distinct score.

    >>> roc_points(np.array([False, True]), np.array([0.1, 0.9]))[1].tolist()
    [0.0, 1.0, 1.0]
    """
    from sklearn.metrics import roc_curve

    misses, hits, _ = roc_curve(np.asarray(positive, bool), score, drop_intermediate=False)
    return np.nan_to_num(misses), np.nan_to_num(hits)


def roc_picture(
    labels: IntArray, probabilities: FloatArray, names: tuple[str, ...], positive: int = 1
) -> bytes:
    """Return a PNG of the ROC curve of each class against the rest (of the `positive` class, if
    there are two: the title names it).
    """
    two = probabilities.shape[1] == 2
    title = f"ROC curve, positive: {_name(names, positive)}" if two else "ROC curve"
    fig, axis = _axis("1 - specificity", "sensitivity", title)
    axis.plot([0, 1], [0, 1], color="#cfc8be", lw=1)
    classes = [positive] if two else list(range(probabilities.shape[1]))
    shades = [_LINE, "#3f7fbf", "#ee8a2f", "#1b3a6b", "#6b0f1a", "#6b645c"]
    for k in classes:
        x, y = roc_points(labels == k, probabilities[:, k])
        axis.plot(
            x, y, color=shades[k % 6] if len(classes) > 1 else _LINE, lw=1.8, label=_name(names, k)
        )
    if len(classes) > 1:
        axis.legend(loc="lower right", fontsize=8, frameon=False)
    return _png(fig)


def calibration_picture(labels: IntArray, probabilities: FloatArray, *, bins: int = 10) -> bytes:
    """Return a PNG of how often the verdict was right at each confidence; on the diagonal it is
    honest.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    there = count > 0
    mean = np.bincount(which, confidence, bins)[there] / count[there]
    share = np.bincount(which, right, bins)[there] / count[there]
    fig, axis = _axis("confidence", "share that was right", "calibration")
    axis.plot([0, 1], [0, 1], color="#cfc8be", lw=1)
    axis.plot(mean, share, color=_LINE, lw=1.2)
    axis.scatter(mean, share, s=12 + 120 * count[there] / count.max(), color=_LINE, zorder=3, lw=0)
    return _png(fig)


def measure_picture(measured: FloatArray, predicted: FloatArray) -> bytes:
    """Return a PNG of predictions (n,) of a measure against what was measured."""
    fig, axis = pyplot().subplots(figsize=(3.2, 3.2), dpi=160)
    ends = [min(measured.min(), predicted.min()), max(measured.max(), predicted.max())]
    axis.plot(ends, ends, color="#cfc8be", lw=1)
    axis.scatter(measured, predicted, s=9, color=_LINE, lw=0, alpha=0.7)
    _dress(axis, "measured", "predicted", "predicted against measured")
    return _png(fig)


def _name(names: tuple[str, ...], k: int) -> str:
    text = names[k] if k < len(names) else f"class {k}"
    return text.replace("$", r"\$").lstrip("_")


def _axis(x: str, y: str, title: str) -> tuple[Any, Any]:
    fig, axis = pyplot().subplots(figsize=(3.2, 3.2), dpi=160)
    _dress(axis, x, y, title)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return fig, axis


def _dress(axis: Any, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, fontsize=9, color=_SOFT)
    axis.set_ylabel(y, fontsize=9, color=_SOFT)
    axis.set_title(title, fontsize=10, color=_INK)
    axis.tick_params(labelsize=8, colors=_SOFT, length=3)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _png(fig: Any) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", bbox_inches="tight", facecolor="white")
    pyplot().close(fig)
    return buffer.getvalue()
