"""A network and measures of the same scans, together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.measure_model import MeasureModel
from meshconv.train.stacking import stacked

_PREFIX = "blend."
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Measured:
    """Measures (n, M) of scans, their families (M,), their classes (n,) and whom they are of."""

    values: FloatArray
    family: IntArray
    index: IntArray
    subjects: tuple[str, ...]

    def take(self, rows: IntArray) -> Measured:
        """Return those of some of the scans."""
        whom = tuple(self.subjects[int(k)] for k in rows)
        return replace(self, values=self.values[rows], index=self.index[rows], subjects=whom)

    def model(self, balanced: bool, seed: int) -> MeasureModel:
        """Return what they say of the classes."""
        options: dict[str, Any] = {"balanced": balanced, "seed": seed, "family": self.family}
        return MeasureModel.fit(self.values, self.index, subjects=self.subjects, **options)


@dataclass(frozen=True, eq=False)
class Blend:
    """What measures say of a scan, beside a network.

    Attributes
    ----------
    model : MeasureModel
    share : float
        Of the measures in the logarithm of the probabilities; the rest is the network's.
    """

    model: MeasureModel
    share: float

    @classmethod
    def fit(
        cls,
        measured: Measured,
        rows: IntArray,
        held: IntArray,
        raw: FloatArray,
        *,
        balanced: bool,
        seed: int,
    ) -> Self:
        """Return what measures say, with the share that is best for scans that neither has seen.

        Parameters
        ----------
        measured : Measured
        rows, held : (r,), (h,) int64
            What network and measures are learned from for the share, and judged on.
        raw : (h, K) float64
            What that network gives for the second.
        balanced, seed
            See `MeasureModel.fit`.
        """
        judge = measured.take(held)
        share = best_share(
            raw, measured.take(rows).model(balanced, seed), judge.values, judge.index
        )
        return cls(measured.model(balanced, seed), share)

    def __call__(self, raw: FloatArray, measures: FloatArray | None) -> FloatArray:
        """Return logits (n, K) of the network's (n, K) and measures (n, M) of the same scans."""
        known = self.model.logits(measured_rows(measures))
        return blended(raw, known, self.share)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"share": self.share, "strength": self.model.logistic.strength}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by the names they have in a file."""
        return {f"{_PREFIX}{name}": value for name, value in self.model.arrays().items()}

    @classmethod
    def of(cls, figures: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `as_dict` and `arrays` are of."""
        share, strength = float(figures["share"]), float(figures["strength"])
        if not 0 <= share <= 1:
            raise ValueError(f"measures with a share of {share}")
        own = {
            name.removeprefix(_PREFIX): value
            for name, value in arrays.items()
            if name.startswith(_PREFIX)
        }
        return cls(MeasureModel.of(own, strength), share)


def blended(raw: FloatArray, known: FloatArray, share: float) -> FloatArray:
    """Return the logarithms of the geometric mean of two probabilities, so weighed."""
    return np.asarray((1 - share) * log_softmax(raw, axis=1) + share * log_softmax(known, axis=1))


def measured_rows(measures: FloatArray | None) -> FloatArray:
    """Return measures (n, M), or an error that says that there are none.

    Raises
    ------
    ArgumentError
        If there are none.
    """
    if measures is None or not measures.shape[1]:
        raise ArgumentError(
            "measures=True needs scans, or images prepared with PrepareConfig(measures=True)"
        )
    return measures


def best_share(
    raw: FloatArray, model: MeasureModel, measures: FloatArray | None, index: IntArray
) -> float:
    """Return the share of measures with the least loss on scans that neither has seen.

    Each blend is judged after its temperature is set, as it will be: a network that is too sure of
    itself is not held to be wrong.
    """
    known = model.logits(measured_rows(measures))
    losses = []
    for share in _SHARES:
        logits = blended(raw, known, share)
        cooled = log_softmax(logits * stacked(logits[None], index)[0], axis=1)
        losses.append(-cooled[np.arange(len(index)), index].mean())
    return _SHARES[int(np.argmin(losses))]
