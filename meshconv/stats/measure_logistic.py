"""Classes from measures: logistic regression of their normal scores, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import log_softmax

from meshconv._check import FloatArray, IntArray
from meshconv.stats.folds import inner_folds
from meshconv.stats.normal_scores import NormalScores, require_finite

STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)  # C of scikit-learn


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """A multinomial logistic regression on normal scores of measures.

    Attributes
    ----------
    scores : NormalScores
    weights : (M, K) float64
    bias : (K,) float64
    strength : float
        Chosen by the likelihood on inner folds, no subject on both sides.
    """

    scores: NormalScores
    weights: FloatArray
    bias: FloatArray
    strength: float

    @classmethod
    def fit(
        cls,
        measures: FloatArray,
        index: IntArray,
        *,
        subjects: Sequence[Any] | None = None,
        balanced: bool = True,
        seed: int = 0,
    ) -> Self:
        """Return what measures (n, M) say of classes (n,), 0..K-1.

        Parameters
        ----------
        measures : (n, M) float64
        index : (n,) int64
        subjects : sequence of n, optional
        balanced : bool
            Whether rare classes weigh more.
        seed : int
            Of the inner folds.

        Raises
        ------
        ArgumentError
            If a measure is not finite.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
        >>> x[:, 1] += 3 * y
        >>> model = LogisticModel.fit(x, y)
        >>> float((model.logits(x).argmax(axis=1) == y).mean()) > 0.9
        True
        """
        require_finite(measures)
        weight = "balanced" if balanced else None
        losses = np.zeros(len(STRENGTHS))
        for rows, held in inner_folds(index, subjects, seed=seed):
            scores = NormalScores.of(measures[rows])
            learn, judge = scores(measures[rows]), scores(measures[held])
            for k, strength in enumerate(STRENGTHS):
                logits = judge @ (found := logistic(learn, index[rows], strength, weight))[0]
                own = log_softmax(logits + found[1], axis=1)[np.arange(len(held)), index[held]]
                losses[k] -= (own * _weights(index, balanced)[held]).sum()
        strength = STRENGTHS[int(losses.argmin())]
        scores = NormalScores.of(measures)
        return cls(scores, *logistic(scores(measures), index, strength, weight), strength)

    def logits(self, measures: FloatArray) -> FloatArray:
        """Return the logits (n, K) of measures (n, M)."""
        return np.asarray(self.scores(measures) @ self.weights + self.bias)


def _weights(index: IntArray, balanced: bool) -> FloatArray:
    count = np.bincount(index)
    return (1 / count[index] if balanced else np.ones(len(index))).astype(np.float64)


def logistic(
    x: FloatArray, index: IntArray, strength: float, weight: str | None
) -> tuple[FloatArray, FloatArray]:
    """Return weights (M, K) and bias (K,); of two classes half the logit each way."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=3000, class_weight=weight).fit(x, index)
    if len(model.classes_) > 2:
        return model.coef_.T, model.intercept_
    half = np.array([-0.5, 0.5])
    return model.coef_.T * half, model.intercept_ * half
