"""`KernelMachine`: classes or ratings from measures, as functions of a `FamilyKernel`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.stats.measure_kernel import FamilyKernel

_MOST_ROWS = 1500  # learned from: a kernel has their square
_BLOCK = 1024  # scans that are asked about at once
_RIDGE = 1.0  # penalty, where a scan is as alike to itself as can be: 1
_NARROW = 0.3  # misses of a rating that cost nothing, in its standard deviation


@dataclass(frozen=True, eq=False)
class KernelMachine:
    """Functions of a `FamilyKernel`.

    Attributes
    ----------
    kernel : FamilyKernel
    weights : (n, T) float64
    bias : (T,) float64
    """

    kernel: FamilyKernel
    weights: FloatArray
    bias: FloatArray

    def __call__(self, measures: FloatArray) -> FloatArray:
        """Return what is said of measures (m, M): (m, T)."""
        parts = [measures[k : k + _BLOCK] for k in range(0, max(len(measures), 1), _BLOCK)]
        return np.concatenate([self.kernel(part) @ self.weights + self.bias for part in parts])

    @classmethod
    def of_classes(
        cls,
        measures: FloatArray,
        index: IntArray,
        *,
        family: IntArray | None = None,
        balanced: bool = True,
        seed: int = 0,
    ) -> Self:
        """Return least squares of each class, 1 where it is and 0 elsewhere: ridge regression.

        Parameters
        ----------
        measures : (n, M) float64
            Of more than 1500 scans so many are drawn, classes in proportion.
        index : (n,) int64
            Classes 0..K-1, all of them there.
        family : (M,) int64, optional
            See `meshconv.stats.measure_families.families`; all are one by default.
        balanced : bool
            Whether rare classes weigh more.
        seed : int
            Of what is drawn.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(80, 2))
        >>> index = (x.prod(axis=1) > 0).astype(int)
        >>> said = KernelMachine.of_classes(x, index)(x)
        >>> said.shape, float((said.argmax(axis=1) == index).mean()) > 0.9
        ((80, 2), True)
        """
        rows = _drawn(index, seed)
        own = index[rows]
        count = np.bincount(own)
        weight = len(own) / len(count) / count[own] if balanced else np.ones(len(own))
        shares = np.eye(len(count))[own]
        kernel = FamilyKernel.fit(measures[rows], _numbers(measures, family), shares)
        middle = np.average(shares, axis=0, weights=weight)
        system = kernel(measures[rows]) + np.diag(_RIDGE / weight)
        return cls(kernel, np.asarray(np.linalg.solve(system, shares - middle)), middle)

    @classmethod
    def of_ratings(
        cls,
        measures: FloatArray,
        ratings: FloatArray,
        *,
        family: IntArray | None = None,
        seed: int = 0,
    ) -> Self:
        """Return ratings, ages or other numbers (n, T) that measures tell, by support vectors:
        misses cost by their size, and nothing up to .3 standard deviations.

        Parameters as of `of_classes`.

        Examples
        --------
        >>> x = np.random.default_rng(0).normal(size=(80, 2))
        >>> y = np.abs(x[:, :1])
        >>> y[3] = 10.0  # one is wrong
        >>> said = KernelMachine.of_ratings(x, y)(x)
        >>> float(np.median(np.abs(said - np.abs(x[:, :1])))) < 0.3
        True
        """
        from sklearn.svm import SVR

        rows = _drawn(np.zeros(len(ratings), dtype=np.int64), seed)
        own = ratings[rows]
        middle, spread = own.mean(axis=0), own.std(axis=0)
        standard = (own - middle) / np.where(spread > 0, spread, 1.0)
        kernel = FamilyKernel.fit(measures[rows], _numbers(measures, family), standard)
        alike = kernel(measures[rows])
        weights, bias = np.zeros_like(standard), np.zeros(len(middle))
        for k, one in enumerate(standard.T):
            machine = SVR(kernel="precomputed", epsilon=_NARROW).fit(alike, one)
            weights[machine.support_, k] = machine.dual_coef_[0]
            bias[k] = machine.intercept_[0]
        return cls(kernel, weights * spread, bias * spread + middle)

    def through(self, slopes: FloatArray, bias: FloatArray) -> Self:
        """Return the functions ``self(x) @ slopes + bias``."""
        return replace(self, weights=self.weights @ slopes, bias=self.bias @ slopes + bias)


def _numbers(measures: FloatArray, family: IntArray | None) -> IntArray:
    return np.zeros(measures.shape[1], dtype=np.int64) if family is None else family


def _drawn(index: IntArray, seed: int) -> IntArray:
    """Return the rows to learn from, classes in proportion."""
    if len(index) <= _MOST_ROWS:
        return np.arange(len(index))
    rng, share = np.random.default_rng(seed), _MOST_ROWS / len(index)
    each = [rng.permutation(np.flatnonzero(index == k)) for k in np.unique(index)]
    return np.sort(np.concatenate([one[: int(np.ceil(share * len(one)))] for one in each]))
