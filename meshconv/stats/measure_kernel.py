"""`FamilyKernel`: how alike two scans are by their measures, each family of them on its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.stats.normal_scores import NormalScores

_RATES = (0.1, 0.4)  # of the Gaussians, by the mean squared difference of a family's scores
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class FamilyKernel:
    """A mean of Gaussian kernels on normal scores, one of each family of measures.

    A function of it is a sum of functions of one family each: what sections say is added to what
    curvature says, and neither is drowned by the number of the other's measures. Families weigh by
    how well their kernel goes with what is to be learned.

    Attributes
    ----------
    scores : NormalScores
    rows : (n, M) float64
        Scores of what was learned from.
    family : (M,) int64
        0..F-1.
    weights : (F,) float64
        At least 0; their sum is 1.

    References
    ----------
    Duvenaud, Nickisch, Rasmussen, 2011, Additive Gaussian processes, eq. (5). arXiv:1112.4394.
    Cortes, Mohri, Rostamizadeh, 2012, Algorithms for learning kernels based on centered alignment,
    definition 4 and section 4.1. jmlr.org/papers/v13/cortes12a
    """

    scores: NormalScores
    rows: FloatArray
    family: IntArray
    weights: FloatArray

    @classmethod
    def fit(cls, measures: FloatArray, family: IntArray, targets: FloatArray) -> Self:
        """Return the kernel of measures (n, M) of families (M,) whose weights go with targets
        (n, T).
        """
        scores = NormalScores.of(measures)
        numbers = np.unique(family, return_inverse=True)[1].astype(np.int64)
        count = int(numbers.max()) + 1
        alike = cls(scores, scores(measures), numbers, np.full(count, 1 / count))
        aligned = np.array([_alignment(one, targets) for one in alike.of_each(alike.rows)])
        if aligned.sum() <= _TINY:
            return alike
        return replace(alike, weights=aligned / aligned.sum())

    def __call__(self, measures: FloatArray) -> FloatArray:
        """Return how alike each scan is to those learned from, 0..1, (m, n), by measures (m, M)."""
        found = np.zeros((len(measures), len(self.rows)))
        for weight, one in zip(self.weights, self.of_each(self.scores(measures)), strict=True):
            found += weight * one
        return found

    def of_each(self, scores: FloatArray) -> Iterator[FloatArray]:
        """Yield the kernel (m, n) of each family, of scores (m, M)."""
        for k in range(len(self.weights)):
            mine = self.family == k
            yield _gaussians(scores[:, mine], self.rows[:, mine])


def _gaussians(a: FloatArray, b: FloatArray) -> FloatArray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    mean = np.maximum(squares, 0.0) / a.shape[1]
    return np.asarray(np.mean([np.exp(-rate * mean) for rate in _RATES], axis=0))


def _alignment(kernel: FloatArray, targets: FloatArray) -> float:
    """Return the cosine between a centred kernel and the products of centred targets; 0 if they go
    against each other.
    """
    centred = kernel - kernel.mean(axis=0)
    centred -= centred.mean(axis=1)[:, None]
    y = targets - targets.mean(axis=0)
    size = np.linalg.norm(centred) * np.linalg.norm(y.T @ y)
    return max(0.0, float(np.vdot(y, centred @ y) / size)) if size > _TINY else 0.0
