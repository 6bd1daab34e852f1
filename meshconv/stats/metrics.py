"""How good a classifier is on scans it has not seen, with how sure one can be of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, IntArray, as_array
from meshconv.errors import ArgumentError
from meshconv.stats.folds import subject_numbers

_SUM_ERROR = 1e-3  # of probabilities, as half precision leaves them

Interval = tuple[float, float]


@dataclass(frozen=True)
class Metrics:
    """Test figures of a classifier.

    Attributes
    ----------
    n : int
        Number of test scans.
    accuracy, balanced_accuracy : float
    auc : float
        Area under the ROC curve; the mean of one class against the rest for more than two. NaN
        where the test scans are all of one class.
    calibration_error : float
        Expected calibration error over ten equal bins of confidence; 0 is honest.
    intervals : dict of str to (low, high)
        95 % intervals of the first three: percentiles of a bootstrap over subjects. At 1 or 0 a
        bootstrap has nothing to vary, so there they are exact binomial ones (Clopper and Pearson)
        of so many independent trials: accuracy, the subjects; balanced accuracy, those of the
        rarest class, times the classes; AUC, pairs of a subject of each kind that share none. The
        last two are on the safe side.
    """

    n: int
    accuracy: float
    balanced_accuracy: float
    auc: float
    calibration_error: float
    intervals: dict[str, Interval] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        parts = []
        for name in ("accuracy", "balanced_accuracy", "auc"):
            low, high = self.intervals.get(name, (np.nan, np.nan))
            parts.append(f"{name} {getattr(self, name):.3f} [{low:.3f}, {high:.3f}]")
        return ", ".join(parts) + f", calibration error {self.calibration_error:.3f} (n = {self.n})"


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    subjects: Sequence[Any] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Return accuracy, balanced accuracy, AUC and calibration of predicted probabilities.

    Parameters
    ----------
    labels : (n,) int array_like
        True classes, 0..K-1.
    probabilities : (n, K) array_like
        Rows sum to 1.
    subjects : sequence of n, optional
        Whom each scan is of; an empty one is unknown, and another each time. Scans of one subject
        are alike, so whole subjects are resampled: without this, the intervals of repeated scans
        are too narrow.
    n_bootstrap : int
        Resamplings of the subjects for the intervals; 0 for none.
    seed : int
        Of the resamplings.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the shapes do not belong together, a label is no column of the probabilities, or a row of
        these is negative, not finite or has another sum; names the first.

    Examples
    --------
    >>> result = evaluate([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    >>> result.accuracy, result.auc
    (0.75, 1.0)
    """
    y, p = checked_predictions(labels, probabilities)
    measures: dict[str, Callable[[IntArray, FloatArray], float]] = {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced,
        "auc": _auc,
    }
    groups = subject_numbers(len(y), subjects)
    picks = list(resamples(groups, n_bootstrap, seed))
    values, trials = {name: f(y, p) for name, f in measures.items()}, _trials(y, groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample of one class has no AUC
        intervals = {
            name: _interval(values[name], [f(y[k], p[k]) for k in picks], trials[name])
            for name, f in measures.items()
            if picks
        }
    return Metrics(
        len(y), **values, calibration_error=_calibration_error(y, p), intervals=intervals
    )


def resamples(groups: IntArray, count: int, seed: int) -> Iterator[IntArray]:
    """Yield rows of as many groups as there are, drawn with replacement, each with all that belongs
    to it.
    """
    rng, n = np.random.default_rng(seed), int(groups.max()) + 1
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    for _ in range(count):
        drawn = rng.integers(0, n, n)
        yield drawn if n == len(groups) else np.concatenate([members[k] for k in drawn])


def checked_predictions(labels: ArrayLike, probabilities: ArrayLike) -> tuple[IntArray, FloatArray]:
    """Return labels (n,) and probabilities (n, K) that are what they are called, or name the first
    that is not.
    """
    p, given = (
        np.asarray(as_array(probabilities, "probabilities"), dtype=np.float64),
        np.asarray(labels),
    )
    y = given if given.dtype.kind == "b" else as_array(given, "labels")
    if p.ndim != 2 or y.shape != (len(p),) or len(y) == 0:
        raise ArgumentError(
            f"labels (n,) in 0..K-1 and probabilities (n, K) needed, found {y.shape} and {p.shape}"
        )
    bad = np.flatnonzero(~((y == np.round(y)) & (y >= 0) & (y < p.shape[1])))
    if len(bad):
        raise ArgumentError(
            f"label {bad[0]} is {y[bad[0]].item()!r}, not one of 0..{p.shape[1] - 1}, the"
            " columns of the probabilities"
            f" ({len(bad)} of {len(y)})",
            indices=bad.tolist(),
            count=len(bad),
            hint="pass the index of the class",
        )
    bad = np.flatnonzero(
        ~((np.abs(p.sum(axis=1) - 1) <= _SUM_ERROR) & (p >= -_SUM_ERROR).all(axis=1))
    )
    if len(bad):
        raise ArgumentError(
            f"row {bad[0]} of the probabilities is {np.round(p[bad[0], :5], 4).tolist()} with sum"
            f" {p[bad[0]].sum():.4g}: it must be at least 0, with sum 1 ({len(bad)} of {len(y)})",
            indices=bad.tolist(),
            count=len(bad),
            hint="leave NaN rows out; a softmax makes shares of logits",
        )
    return y.astype(np.int64), p


def _accuracy(y: IntArray, p: FloatArray) -> float:
    return float((p.argmax(axis=1) == y).mean())


def _balanced(y: IntArray, p: FloatArray) -> float:
    right = p.argmax(axis=1) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def _auc(y: IntArray, p: FloatArray) -> float:
    classes = [1] if p.shape[1] == 2 else [k for k in range(p.shape[1]) if (y == k).any()]
    return float(np.mean([roc_auc(y == k, p[:, k]) for k in classes]))


def roc_auc(positive: NDArray[np.bool_], score: FloatArray) -> float:
    """Return the area under the ROC curve (ties count half); NaN without both kinds.

    By ranks: scikit-learn's `roc_auc_score` gives the same at 25 times the cost, which a bootstrap
    would pay a thousand times.
    """
    from scipy.stats import rankdata

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    rank = rankdata(score)
    return float(
        (rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    )


def _interval(value: float, resampled: list[float], trials: int) -> Interval:
    """Return percentiles of what was resampled; where all trials were right, or none, the exact
    interval.
    """
    if value in (0.0, 1.0):
        least = 0.025 ** (
            1 / trials
        )  # the chance that gives as many right ones in a row with probability .025
        return (least, 1.0) if value else (0.0, 1 - least)
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def _trials(y: IntArray, groups: IntArray) -> dict[str, int]:
    """Return how many independent trials each figure is of, see `Metrics`.

    Why they suffice: if each of K classes, of at least m subjects, is right with probability p_k,
    all are with at most prod p_k^m <= (mean p_k)^(K m). Of the AUCs A_k, each of at least m
    disjoint pairs, all pairs are right with at most (min A_k)^m <= (mean A_k)^m.
    """
    n = int(groups.max()) + 1
    count = np.array([len(np.unique(groups[y == k])) for k in np.unique(y)])
    pairs = int(min(count.min(), n // 2))  # the rarest class against the rest
    return {
        "accuracy": n,
        "balanced_accuracy": min(n, len(count) * int(count.min())),
        "auc": max(pairs, 1),
    }


def _calibration_error(y: IntArray, p: FloatArray, bins: int = 10) -> float:
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, right - confidence, bins)
    return float(np.abs(gap).sum() / len(y))
