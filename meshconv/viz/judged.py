"""What a page says of predictions: figures, confusion, curves, and every prediction by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.confusion import Confusion, confusion
from meshconv.viz.curves import (
    FiguresTable,
    check_predictions,
    figures_table,
    measure_picture,
    prediction_curves,
)


class Judged(NamedTuple):
    """Predictions as the page shows them."""

    heading: str
    verdict: str
    note: str
    figures: FiguresTable | None
    confusion: Confusion | None
    curves: Sequence[tuple[str, bytes]]
    columns: Sequence[str]
    rows: Sequence[tuple[bool, Sequence[str]]]  # whether it is wrong, and its cells


_TESTED = "They count only if none of these scans was trained on. In brackets the 95 % interval."


def judged_test(
    metrics: Any,
    predictions: Any,
    classes: tuple[str, ...],
    positive: str | None,
    names: Sequence[str],
) -> Judged | None:
    """Return what is shown of test scans; None if nothing is known of them."""
    figures = None if metrics is None else figures_table(metrics)
    if predictions is None:
        return None if figures is None else Judged("Test figures", "", _TESTED, figures, *_NOTHING)
    y, shares = check_predictions(predictions)
    return Judged(
        "Test figures", "", _TESTED, figures, *_of_classes(y, shares, classes, positive, names)
    )


def judged_in_fit(
    quality: Any, classes: tuple[str, ...], positive: str | None, names: Sequence[str]
) -> Judged | None:
    """Return what is shown of the quality that was measured while the network was fitted."""
    if quality is None:
        return None
    note = (
        f"Every training scan was judged by a network that learned from other subjects, in"
        f" {quality.folds} folds. In brackets the 95 % interval."
    )
    known = ("Measured while it was fitted", str(quality), note, figures_table(quality.metrics))
    if hasattr(quality, "probabilities"):
        parts = _of_classes(quality.index, quality.probabilities, classes, positive, names)
        return Judged(*known, *parts)
    return Judged(*known, *_of_measures(quality.measured, quality.predicted, names))


_NOTHING: tuple[None, tuple[()], tuple[()], tuple[()]] = (None, (), (), ())


def _of_classes(
    y: IntArray,
    shares: FloatArray,
    classes: tuple[str, ...],
    positive: str | None,
    names: Sequence[str],
) -> tuple[Confusion, Any, Sequence[str], Any]:
    known = tuple(classes[k] if k < len(classes) else f"class {k}" for k in range(shares.shape[1]))
    best = shares.argmax(axis=1)
    found = confusion(y, best, known, positive=positive)
    rows = [
        (bool(true != guess), (name, known[true], known[guess], *(f"{p:.2f}" for p in share)))
        for name, true, guess, share in zip(_named(names, len(y)), y, best, shares, strict=True)
    ]
    columns = ("scan", "truth", "predicted", *(f"p({name})" for name in known))
    return found, prediction_curves((y, shares), known, found.positive), columns, rows


def _of_measures(
    measured: FloatArray, predicted: FloatArray, names: Sequence[str]
) -> tuple[None, Any, Sequence[str], Any]:
    count = measured.shape[1]
    which = [""] if count == 1 else [f" {k}" for k in range(count)]
    curves = [
        (f"predicted against measured{name}", measure_picture(measured[:, k], predicted[:, k]))
        for k, name in enumerate(which)
    ]
    columns = ("scan", *(f"{what}{name}" for name in which for what in ("measured", "predicted")))
    rows = [
        (False, (name, *(f"{value:.4g}" for pair in zip(y, z, strict=True) for value in pair)))
        for name, y, z in zip(_named(names, len(measured)), measured, predicted, strict=True)
    ]
    return None, curves, columns, rows


def _named(names: Sequence[str], n: int) -> Sequence[str]:
    if names and len(names) != n:
        raise ArgumentError(f"{len(names)} names for {n} predictions")
    return list(names) or [f"scan {k + 1}" for k in range(n)]
