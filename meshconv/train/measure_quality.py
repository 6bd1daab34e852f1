"""`MeasureQuality`: how well measures are predicted of scans that were not seen, found while the
network is fitted, and whether that is more than chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.stats.folds import subject_numbers
from meshconv.stats.measure_metrics import MeasureMetrics, evaluate_measure
from meshconv.train.quality import Quality, Verdict, permuted_within, short, tail

_FEW = 30  # subjects below which figures are too uncertain to lean on
_HOTTEST = 100.0  # bound of the temperature: predictions are then the mean


@dataclass(frozen=True, eq=False)
class MeasureQuality(Verdict):
    """What a cross-validation during training found.

    Every scan was predicted by a network that had learned from other subjects.

    Attributes
    ----------
    each : tuple of MeasureMetrics
        Of each measure, out of fold; 95 % intervals by subject.
    p : float
        Probability that measures which mean nothing are predicted as well, at least 1 / 2000, as
        that of `Quality`: of the largest correlation of any measure, within the folds.
    temperature : (T,) float64
        What a prediction's distance from the mean is divided by, so that its square error is least
        on scans that were not seen; at least 1. In `predicted` it is that of the other folds.
    folds, fewest : int
        Number of folds, and of subjects.
    measured, predicted : (n, T) float64
        Out of fold: what `each` is of.
    """

    each: tuple[MeasureMetrics, ...]
    p: float
    temperature: FloatArray
    folds: int
    fewest: int
    measured: FloatArray
    predicted: FloatArray

    @property
    def metrics(self) -> MeasureMetrics | dict[str, MeasureMetrics]:
        """The figures of the measure; by name, if there are several."""
        several = {f"measure {k}": one for k, one in enumerate(self.each)}
        return self.each[0] if len(self.each) == 1 else several

    @property
    def _least(self) -> int:
        return _FEW

    @property
    def _few(self) -> str:
        return f"small sample: only {self.fewest} subjects, figures are uncertain"

    def _figure(self, *, sure: bool) -> str:
        said = []
        for one in self.each:
            low, high = one.intervals["r2"]
            interval = f" [{short(low)}, {short(high)}]" if sure else ""
            said.append(f"R2 {short(one.r2)}{interval}")
        return "; ".join(said)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values, without the arrays."""
        own: dict[str, Any] = {"p": self.p, "folds": self.folds, "fewest": self.fewest}
        own["temperature"] = self.temperature.tolist()
        return {"measures": [one.as_dict() for one in self.each], **own}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by the names they have in a file."""
        return {"quality.measured": self.measured, "quality.predicted": self.predicted}

    @classmethod
    def of(cls, figures: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `as_dict` and `arrays` are of."""
        each = []
        for one in figures["measures"]:
            intervals = {name: (low, high) for name, (low, high) in one["intervals"].items()}
            each.append(MeasureMetrics(**{**one, "intervals": intervals}))
        own: dict[str, Any] = {name: figures[name] for name in ("p", "folds", "fewest")}
        own["temperature"] = np.array(figures["temperature"], dtype=np.float64)
        measured, predicted = arrays["quality.measured"], arrays["quality.predicted"]
        return cls(tuple(each), measured=measured, predicted=predicted, **own)


AnyQuality = Quality | MeasureQuality


def measures_measured(
    predicted: FloatArray,
    measured: FloatArray,
    fold: IntArray,
    *,
    subjects: tuple[str, ...] | None = None,
    seed: int = 0,
) -> MeasureQuality:
    """Return the quality of predictions (n, T) that were each made by a network that had not seen
    the subject.

    Parameters
    ----------
    predicted, measured : (n, T) float64
    fold : (n,) int64
        Which fold each scan was left out in, 0..F-1.
    subjects : tuple of n str, optional
        Whom each scan is of; an empty one is unknown, and another each time.
    seed : int
        Of permutations and resamplings.
    """
    whom = subject_numbers(len(fold), subjects)
    p = chance_of_measures(predicted, measured, fold, whom, seed=seed)
    temperature, predicted = _calibrated(predicted, measured, fold)
    each = tuple(
        evaluate_measure(y, z, subjects=whom.tolist(), seed=seed)
        for y, z in zip(measured.T, predicted.T, strict=True)
    )
    n_folds, n_subjects = int(fold.max()) + 1, len(np.unique(whom))
    return MeasureQuality(each, p, temperature, n_folds, n_subjects, measured, predicted)


def _calibrated(
    predicted: FloatArray, measured: FloatArray, fold: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the temperatures (T,), and predictions by those of the other folds."""
    y, z = measured.copy(), predicted.copy()
    for k in np.unique(fold):
        here = fold == k
        y[here] -= y[here].mean(axis=0)
        z[here] -= z[here].mean(axis=0)
    out = np.empty_like(predicted)
    for k in np.unique(fold):
        here = fold == k
        rest = here if here.all() else ~here
        centre = measured[rest].mean(axis=0)
        out[here] = centre + (predicted[here] - centre) / _temperature(z[rest], y[rest])
    return _temperature(z, y), out


def _temperature(predicted: FloatArray, measured: FloatArray) -> FloatArray:
    """Return the inverse slope of measured on predicted, both (n, T) less their means."""
    slope = (predicted * measured).sum(axis=0) / np.maximum((predicted**2).sum(axis=0), 1e-300)
    return np.asarray(1 / np.clip(slope, 1 / _HOTTEST, 1.0))


def chance_of_measures(
    predicted: FloatArray, measured: FloatArray, fold: IntArray, whom: IntArray, *, seed: int = 0
) -> float:
    """Return the probability that predictions (n, T) go as well with measures (n, T) that mean
    nothing.

    Both are means of a subject's scans, less the mean of their fold; the statistic is the largest
    correlation of a measure. Permuted and widened as in `meshconv.train.quality.chance`.
    """
    (part, _), place = np.unique(np.stack([fold, whom]), axis=1, return_inverse=True)
    size = np.bincount(place.ravel())[:, None]

    def by_subject(values: FloatArray) -> FloatArray:
        sums = np.stack([np.bincount(place.ravel(), column) for column in values.T], axis=1)
        mean = sums / size
        for k in np.unique(part):
            mean[part == k] -= mean[part == k].mean(axis=0)
        return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=0), 1e-300))

    y, z = by_subject(measured), by_subject(predicted)
    orders = np.vstack([np.arange(len(part)), permuted_within(part, seed)])
    together = np.stack([y[order].T @ z for order in orders]) if len(z) else np.zeros((1, 1, 1))
    return tail(np.diagonal(together, axis1=1, axis2=2).max(axis=1), len(np.unique(part)))
