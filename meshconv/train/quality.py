"""`Quality`: how good a classifier is on scans it has not seen, measured while it is fitted, and
whether that is more than chance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import rankdata

from meshconv._check import FloatArray, IntArray
from meshconv.stats.folds import subject_numbers
from meshconv.stats.metrics import Metrics, evaluate
from meshconv.train.stacking import best_stack, cross_weighted, grown

FEW = 12  # subjects of a class below which figures are too uncertain to lean on
CHANCE = 0.01  # a p above which a classifier is said to be not better than chance
_UNSURE = 0.05  # a p below which it is only not said for sure
_PERMUTATIONS = 1999


class Verdict(ABC):
    """What is said of a network by what a cross-validation found.

    Attributes
    ----------
    p : float
        Of a prediction as good by chance.
    fewest : int
        Subjects that the figures lean on.
    """

    p: float
    fewest: int

    @property
    def better_than_chance(self) -> bool:
        """Whether `p` is below .01."""
        return self.p < CHANCE

    @property
    def caution(self) -> str:
        """What to keep in mind where there are few subjects; '' if there are enough."""
        return "" if self.fewest >= self._least else self._few

    @property
    def verdict(self) -> str:
        """In words: whether it is better than chance, by which figure, and p."""
        p = f"p < {short(2 / _PERMUTATIONS)}" if self.p <= 1 / _PERMUTATIONS else None
        p = p or f"p {short(self.p)}"
        if not self.better_than_chance:
            surely = "surely " if self.p < _UNSURE else ""
            return f"not {surely}better than chance ({self._figure(sure=False)}, {p})"
        return f"better than chance ({self._figure(sure=True)}, {p})"

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.verdict, self.caution)))

    @property
    def _least(self) -> int:
        return FEW

    @property
    @abstractmethod
    def _few(self) -> str:
        """What is said where there are few subjects."""

    @abstractmethod
    def _figure(self, *, sure: bool) -> str:
        """Return the figure that the verdict is by, with its interval if it is sure."""


@dataclass(frozen=True, eq=False)
class Quality(Verdict):
    """What a cross-validation during training found.

    Every scan was judged by a network that had learned from other subjects; the network that is
    kept learned from all of them, and is a little better.

    Attributes
    ----------
    metrics : Metrics
        Out of fold, of calibrated probabilities; 95 % intervals by subject.
    p : float
        Probability that labels which mean nothing are told apart as well, at least 1 / 2000: from
        permutations of the labels between the subjects of each fold, their spread widened for what
        the folds share.
    weights : dict of str to float
        How much each part of the `Ensemble` counts; small where it is too sure of itself.
    offset : tuple of K float
        What is added to the logits of each class: for how frequent it is, and where that pays its
        level, see `meshconv.train.stacking.best_stack`.
    folds : int
    fewest : int
        Subjects of the rarest class.
    index : (n,) int64
        Class of each scan, 0..K-1.
    probabilities : (n, K) float64
        Out of fold, calibrated: what `metrics` is of.

    References
    ----------
    Ojala, Garriga, 2010, Permutation tests for studying classifier performance, JMLR 11 (test 1).
    Nadeau, Bengio, 2003, doi:10.1023/A:1024068626366 (the variance of a cross-validation). Guo et
    al., 2017, arXiv 1706.04599 (honest probabilities).
    """

    metrics: Metrics
    p: float
    weights: dict[str, float]
    offset: tuple[float, ...]
    folds: int
    fewest: int
    index: IntArray
    probabilities: FloatArray

    @property
    def _few(self) -> str:
        return f"small sample: a class has only {self.fewest} subjects, figures are uncertain"

    def _figure(self, *, sure: bool) -> str:
        low, high = self.metrics.intervals["auc"]
        interval = f" [{short(low)}, {short(high)}]" if sure else ""
        return f"AUC {short(self.metrics.auc)}{interval}"

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values, without the arrays."""
        return {
            "metrics": self.metrics.as_dict(),
            "p": self.p,
            "weights": self.weights,
            "offset": list(self.offset),
            "folds": self.folds,
            "fewest": self.fewest,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by the names they have in a file."""
        return {"quality.index": self.index, "quality.probabilities": self.probabilities}

    @classmethod
    def of(cls, figures: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `as_dict` and `arrays` are of."""
        metrics = dict(figures["metrics"])
        metrics["intervals"] = {k: (low, high) for k, (low, high) in metrics["intervals"].items()}
        own = {name: figures[name] for name in ("p", "weights", "folds", "fewest")}
        own |= {"offset": tuple(figures["offset"]), "index": arrays["quality.index"]}
        return cls(Metrics(**metrics), probabilities=arrays["quality.probabilities"], **own)


def short(value: float) -> str:
    """Return a share with two digits and no leading zero.

    >>> short(0.441), short(1.0), short(0.0005), short(-0.2)
    ('.44', '1.00', '.0005', '-.20')
    """
    digits = 2 if abs(value) >= 0.01 else 4
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def measured(
    logits: Mapping[str, FloatArray],
    index: IntArray,
    fold: IntArray,
    *,
    offset: FloatArray | None = None,
    subjects: tuple[str, ...] | None = None,
    seed: int = 0,
) -> Quality:
    """Return the quality of predictions that were each made by networks that had not seen the
    subject.

    Parameters
    ----------
    logits : mapping of str to (n, K) float64
        Out of fold, of each part.
    index : (n,) int64
        Class of each scan, 0..K-1.
    fold : (n,) int64
        Which fold each scan was left out in, 0..F-1.
    offset : (K,) float64, optional
        What is added to all logits, see `meshconv.train.stacking.log_frequencies`; without it no
        levels are learned.
    subjects : tuple of n str, optional
        Whom each scan is of; an empty one is unknown, and another each time.
    seed : int
        Of permutations and resamplings.
    """
    each, folds = np.stack(list(logits.values())), int(fold.max()) + 1
    found = cross_weighted(each, index, fold, offset)
    probabilities = softmax(found, axis=1)
    whom = subject_numbers(len(index), subjects)
    count = [len(np.unique(whom[index == k])) for k in range(each.shape[2])]
    stack = best_stack(each, index, fold, offset)
    frequent = np.zeros(each.shape[2]) if offset is None else offset
    added = frequent + grown(stack.offset - frequent, folds)
    return Quality(
        evaluate(index, probabilities, subjects=whom.tolist(), seed=seed),
        chance(found, index, fold, whom, seed=seed),
        dict(zip(logits, grown(stack.weights, folds).tolist(), strict=True)),
        tuple(added.tolist()),
        folds,
        min(count),
        index,
        probabilities,
    )


def chance(
    scores: FloatArray, index: IntArray, fold: IntArray, whom: IntArray, *, seed: int = 0
) -> float:
    """Return the probability that scores (n, K) rank their own classes as high where labels mean
    nothing.

    Ranks are taken within each fold, of the mean of a subject's scans of a class, and every class
    counts alike. Labels are permuted within the folds: exact for one fold. But labels that test one
    fold taught the others, so the sum over F folds varies more than its permutations do; their
    spread is widened by Nadeau and Bengio's factor, the square root of 1 + F / (F - 1).
    """
    member = np.stack([fold, whom, index])
    (part, _, own), place = np.unique(member, axis=1, return_inverse=True)
    size = np.bincount(place.ravel())
    units = np.stack([np.bincount(place.ravel(), column) / size for column in scores.T], axis=1)
    rank = np.zeros_like(units)
    for k in np.unique(part):
        here = part == k
        rank[here] = rankdata(units[here], axis=0) / here.sum()
    weight = 1 / np.bincount(own, minlength=scores.shape[1])

    def statistic(labels: IntArray) -> FloatArray:
        return np.asarray((weight[labels] * rank[np.arange(len(own)), labels]).sum(axis=-1))

    orders = permuted_within(part, seed)
    by_chance, found = statistic(own[orders]), statistic(own)
    return tail(np.append(found, by_chance), len(np.unique(part)))


def permuted_within(part: IntArray, seed: int) -> IntArray:
    """Return orders (m, n) of rows, permuted within their parts alone."""
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(len(part))] * _PERMUTATIONS)
    for k in np.unique(part):
        orders[:, part == k] = rng.permuted(orders[:, part == k], axis=1)
    return orders


def tail(statistics: FloatArray, n_folds: int) -> float:
    """Return how probable the first of several statistics is, the others of permutations, widened
    for what folds share.
    """
    found, by_chance = statistics[0], statistics[1:]
    wide = np.sqrt(1 + n_folds / (n_folds - 1)) if n_folds > 1 else 1.0
    as_high = by_chance.mean() + wide * (by_chance - by_chance.mean()) >= found - 1e-12
    return float((1 + as_high.sum()) / len(statistics))
