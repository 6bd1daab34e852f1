"""How well a measure (age, severity) is predicted of scans that were not seen, with how sure one
can be of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.folds import subject_numbers
from meshconv.stats.metrics import Interval, resamples


@dataclass(frozen=True)
class MeasureMetrics:
    """Test figures of predictions of one measure.

    Attributes
    ----------
    n : int
        Number of test scans.
    r2 : float
        Share of the variance that is explained; below 0 if the mean would have done better. NaN
        where the measure does not vary.
    mean_absolute_error : float
        In the measure's unit.
    correlation : float
        Between measured and predicted; NaN where one of them does not vary.
    intervals : dict of str to (low, high)
        95 % intervals of the three: percentiles of a bootstrap over subjects.
    """

    n: int
    r2: float
    mean_absolute_error: float
    correlation: float
    intervals: dict[str, Interval] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        parts = []
        for name in ("r2", "mean_absolute_error", "correlation"):
            low, high = self.intervals.get(name, (np.nan, np.nan))
            words = {"r2": "R2"}.get(name, name.replace("_", " "))
            parts.append(f"{words} {getattr(self, name):.3g} [{low:.3g}, {high:.3g}]")
        return ", ".join(parts) + f" (n = {self.n})"


def evaluate_measure(
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    subjects: Sequence[Any] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> MeasureMetrics:
    """Return R2, mean absolute error and correlation of predictions.

    Parameters
    ----------
    measured, predicted : (n,) array_like
    subjects : sequence of n, optional
        Whom each scan is of; an empty one is unknown, and another each time. Whole subjects are
        resampled.
    n_bootstrap : int
        Resamplings for the intervals; 0 for none.
    seed : int
        Of the resamplings.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If both are not (n,), or a value is not finite.

    Examples
    --------
    >>> evaluate_measure([1.0, 2.0, 3.0], [1.5, 2.0, 2.5]).r2
    0.75
    """
    y, z = (np.asarray(values, dtype=np.float64) for values in (measured, predicted))
    if y.ndim != 1 or y.shape != z.shape or len(y) == 0:
        raise ArrayTypeError(f"measured and predicted must be (n,), found {y.shape} and {z.shape}")
    if not (np.isfinite(y).all() and np.isfinite(z).all()):
        raise ArgumentError("measured and predicted values must be finite")
    measures: dict[str, Callable[[FloatArray, FloatArray], float]] = {
        "r2": r_squared,
        "mean_absolute_error": lambda a, b: float(np.abs(a - b).mean()),
        "correlation": _correlation,
    }
    picks = list(resamples(subject_numbers(len(y), subjects), n_bootstrap, seed))
    intervals = {
        name: _interval([f(y[k], z[k]) for k in picks]) for name, f in measures.items() if picks
    }
    return MeasureMetrics(
        len(y), **{name: f(y, z) for name, f in measures.items()}, intervals=intervals
    )


def r_squared(measured: FloatArray, predicted: FloatArray) -> float:
    """Return the share of the variance that is explained; NaN if there is none."""
    total = float(((measured - measured.mean()) ** 2).sum())
    left = float(((measured - predicted) ** 2).sum())
    return 1 - left / total if total > 0 else float("nan")


def _correlation(a: FloatArray, b: FloatArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


def _interval(resampled: list[float]) -> Interval:
    known = [value for value in resampled if np.isfinite(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
