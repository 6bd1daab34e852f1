"""Cross-validation that keeps each subject on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from meshconv._check import FloatArray, IntArray
from meshconv.datasets.scan import Part, Population
from meshconv.errors import ArgumentError
from meshconv.stats.folds import grouped_folds
from meshconv.stats.metrics import Metrics, evaluate
from meshconv.train.fitted import Fitted, outputs_of
from meshconv.train.inputs import as_prepared
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.scans import subjects_of
from meshconv.train.skipped import Skipped
from meshconv.train.stacking import cross_weighted, log_frequencies

_PROBABILITIES = "probabilities"  # of what has no parts


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Figures of a classifier on scans that it had not seen.

    Attributes
    ----------
    metrics : Metrics
        Of all scans, each predicted by the model of the fold that left it out; intervals by
        subject.
    folds : tuple of Metrics
        Of each fold alone (without intervals).
    classes : (K,) array
    probabilities : (n, K) float64
        The predictions that `metrics` is of; NaN for a scan that was skipped.
    skipped : tuple of Skipped
        Scans that could not be prepared and count in no figure, where the classifier has
        ``on_error="skip"``.
    """

    metrics: Metrics
    folds: tuple[Metrics, ...]
    classes: NDArray[Any]
    probabilities: FloatArray
    skipped: tuple[Skipped, ...] = ()


def cross_validate(
    classifier: Any,
    scans: Any,
    labels: ArrayLike,
    *,
    subjects: Sequence[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> CrossValidation:
    """Fit a fresh copy of a classifier on all folds but one, in turn, and predict that one.

    Parameters
    ----------
    classifier : scikit-learn classifier
        E.g. `SurfaceClassifier`; is not changed. Give it a template and a cache, or pass `Prepared`
        images, to prepare each scan once only; a template made of all scans lets the test scans
        have a say in the frame, though not in its labels. A checkpoint ``run.ckpt`` becomes
        ``run.fold0.ckpt`` and so on: every fold is a run of its own. A `SurfaceClassifier` makes no
        verdict in each fold: how much its parts count in one fold is learned from what they said of
        the others.
    scans : sequence or array
        With ``on_error="skip"``, those that cannot be prepared are left out of training and test,
        and listed.
    labels : (n,) array_like
    subjects : sequence of n, optional
        Whom each scan is of; what the scans say if None.
    folds : int
    seed : int
        Of the split.

    Raises
    ------
    ArgumentError
        If a class has fewer members (or subjects) than there are folds.
    """
    y = np.asarray(labels)
    if len(y) != len(scans):
        raise ArgumentError(
            f"Found input variables with inconsistent numbers of samples: [{len(scans)}, {len(y)}]"
        )
    classes, index = np.unique(y, return_inverse=True)
    if subjects is None and not hasattr(scans, "subjects") and not isinstance(scans, np.ndarray):
        scans = list(scans)
    whom = subjects if subjects is not None else subjects_of(scans) or None
    fold, skipped = np.full(len(y), -1), list[Skipped]()
    said: dict[str, FloatArray] = {}
    for k, (train, test) in enumerate(grouped_folds(y, whom, folds=folds, seed=seed)):
        fitted = _fresh(classifier, k).fit(_rows(scans, train), y[train])
        sound, bad = _test_images(fitted, scans, test)
        kept = np.setdiff1d(test, [one.index for one in bad])
        for part, values in _said(fitted, sound, weigh=bool(getattr(classifier, "verdict", 0))):
            said.setdefault(part, np.full((len(y), len(classes)), np.nan))[kept] = values
        fold[kept], skipped = k, skipped + bad
    skipped.sort(key=lambda one: one.index)
    left, probabilities = np.flatnonzero(fold >= 0), np.full((len(y), len(classes)), np.nan)
    how = getattr(classifier, "class_weight", None)
    probabilities[left] = _weighed(said, left, index, fold, how)
    known = None if whom is None else [whom[int(k)] for k in left]
    metrics = evaluate(index[left], probabilities[left], subjects=known, seed=seed)
    each = [np.flatnonzero(fold == k) for k in range(folds)]
    of_folds = tuple(evaluate(index[k], probabilities[k], n_bootstrap=0) for k in each)
    return CrossValidation(metrics, of_folds, classes, probabilities, tuple(skipped))


def _said(fitted: Any, sound: Any, *, weigh: bool) -> list[tuple[str, FloatArray]]:
    """Return the logits of each part of what is still to be weighed, or probabilities."""
    learned = getattr(fitted, "fitted_", None)
    if weigh and isinstance(learned, Fitted) and learned.blend is None:
        return list(outputs_of(learned, fitted.prepared(sound)).items())
    return [(_PROBABILITIES, fitted.predict_proba(sound))]


def _weighed(
    said: dict[str, FloatArray],
    rows: IntArray,
    index: IntArray,
    fold: IntArray,
    class_weight: Any,
) -> FloatArray:
    """Return the probabilities of some scans."""
    if _PROBABILITIES in said:
        return said[_PROBABILITIES][rows]
    logits = np.stack([values[rows] for values in said.values()])
    offset = log_frequencies(index[rows], class_weight)
    return np.asarray(softmax(cross_weighted(logits, index[rows], fold[rows], offset), axis=1))


def _test_images(fitted: Any, scans: Any, test: IntArray) -> tuple[Any, list[Skipped]]:
    """Return what to predict, and what is left out of it: only where the classifier is to skip bad
    scans.
    """
    rows = _rows(scans, test)
    learned = getattr(fitted, "fitted_", None)
    if getattr(fitted, "on_error", "raise") != "skip" or not isinstance(learned, Fitted):
        return rows, []
    if learned.template is None:
        return rows, []
    how = {name: getattr(fitted, name) for name in ("cache", "workers", "client")}
    done = as_prepared(
        rows,
        lambda some: prepare(some, **learned.preparation, **how, on_error="skip", progress=False),
    )
    bad = [(int(test[one.index]), one) for one in done.skipped]
    return done, [replace(one, index=k, name=_renumbered(one, k)) for k, one in bad]


def _renumbered(one: Skipped, k: int) -> str:
    """Return the name of a scan that is number k of the whole."""
    return f"scan {k}" if one.name == f"scan {one.index}" and k != one.index else one.name


def _fresh(classifier: Any, fold: int) -> Any:
    """Return an unfitted copy without a verdict of its own, with a checkpoint of the fold's own if
    there is to be one.
    """
    from sklearn.base import clone

    new = clone(classifier)
    if hasattr(new, "verdict"):
        new.set_params(verdict=0)
    checkpoint = getattr(new, "checkpoint", None)
    if checkpoint is None:
        return new
    path = Path(checkpoint)
    return new.set_params(checkpoint=path.with_name(f"{path.stem}.fold{fold}{path.suffix}"))


def _rows(scans: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(scans, Prepared):
        return scans.take(rows)
    if isinstance(scans, Population) and hasattr(scans, "subjects"):
        return Part(scans, rows.tolist())
    return scans[rows] if isinstance(scans, np.ndarray) else [scans[int(k)] for k in rows]
