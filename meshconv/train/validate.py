"""Cross-validation that keeps each subject on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.train.inputs import subjects_of
from meshconv.train.metrics import Metrics, evaluate, grouped_folds
from meshconv.train.prepared import Prepared


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Figures of a classifier on scans that it had not seen.

    Attributes
    ----------
    metrics : Metrics
        Of all scans, each predicted by the model of the fold that left it out; intervals by subject.
    folds : tuple of Metrics
        Of each fold alone (without intervals).
    classes : (K,) array
    probabilities : (n, K) float64
        The predictions that `metrics` is of.
    """

    metrics: Metrics
    folds: tuple[Metrics, ...]
    classes: NDArray[Any]
    probabilities: FloatArray


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
        E.g. `SurfaceClassifier`; is not changed. Give it a template and a cache, or pass `Prepared` images, to
        prepare each scan once only; a template made of all scans lets the test scans have a say in the frame,
        though not in its labels. A checkpoint ``run.ckpt`` becomes ``run.fold0.ckpt`` and so on: every fold is a
        run of its own.
    scans : sequence or array
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
        raise ArgumentError(f"Found input variables with inconsistent numbers of samples: [{len(scans)}, {len(y)}]")
    classes, index = np.unique(y, return_inverse=True)
    if subjects is None and not hasattr(scans, "subjects") and not isinstance(scans, np.ndarray):
        scans = list(scans)
    whom = subjects if subjects is not None else subjects_of(scans) or None
    probabilities, each = np.zeros((len(y), len(classes))), []
    for train, test in grouped_folds(y, whom, folds=folds, seed=seed):
        fitted = _fresh(classifier, len(each)).fit(_rows(scans, train), y[train])
        probabilities[test] = fitted.predict_proba(_rows(scans, test))
        each.append(evaluate(index[test], probabilities[test], n_bootstrap=0))
    metrics = evaluate(index, probabilities, subjects=whom, seed=seed)
    return CrossValidation(metrics, tuple(each), classes, probabilities)


def _fresh(classifier: Any, fold: int) -> Any:
    """Return an unfitted copy, with a checkpoint of the fold's own if there is to be one."""
    from sklearn.base import clone

    new = clone(classifier)
    checkpoint = getattr(new, "checkpoint", None)
    if checkpoint is None:
        return new
    path = Path(checkpoint)
    return new.set_params(checkpoint=path.with_name(f"{path.stem}.fold{fold}{path.suffix}"))


def _rows(scans: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(scans, Prepared):
        return scans.take(rows)
    return scans[rows] if isinstance(scans, np.ndarray) else [scans[int(k)] for k in rows]
