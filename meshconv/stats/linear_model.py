"""`LinearModel`: what groups or a score explain at every pixel beyond covariates, for many orders
of the rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.targets import within_subjects

_CELLS = 2**19  # values worked on at once
_RIDGE = 1e-10  # of a pixel's normal equations: a group without values there explains nothing
_ROUNDING = 1e-7  # of a column's size
_LEAST_LEFT = 1e-9  # of the total: what is less is rounding


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Rows (n, D) = nuisance + effect + noise.

    Attributes
    ----------
    effect : (n, q) float64
        Orthonormal, orthogonal to the nuisance: |effect' x|^2 is what it explains.
    nuisance : (n, z) float64
        Orthonormal: the mean (but not within subjects) and covariates.
    columns : (n, q) float64
        What the effect was made of; the coefficient of the last is estimated.
    subject : (n,) int64, optional
        If rows are compared within subjects: all are less their subject's mean.
    """

    effect: FloatArray
    nuisance: FloatArray
    columns: FloatArray
    subject: IntArray | None = None

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the residuals of a pixel that all rows reach."""
        subjects = 0 if self.subject is None else int(self.subject.max()) + 1
        return len(self.effect) - subjects - self.effect.shape[1] - self.nuisance.shape[1]

    @classmethod
    def of(
        cls, columns: FloatArray, covariates: FloatArray, subject: IntArray | None = None
    ) -> LinearModel:
        """Return the model of columns (n, q) beside covariates (n, z).

        Raises
        ------
        ArgumentError
            If nothing is left of a column beside the covariates.
        """
        size = np.linalg.norm(covariates, axis=0)
        if subject is None:
            parts = [np.ones((len(columns), 1)), covariates - covariates.mean(axis=0)]
            covariates, size = np.hstack(parts), np.append(1.0, size)
        else:
            columns, covariates = (within_subjects(a, subject) for a in (columns, covariates))
        nuisance = _orthonormal(covariates, size)
        left = columns - nuisance @ (nuisance.T @ columns)
        effect = _orthonormal(left, np.linalg.norm(columns, axis=0))
        if effect.shape[1] < columns.shape[1]:
            raise ArgumentError(
                "the covariates (or the subjects) say all that the groups or the score say",
                hint="leave out a covariate that follows from the groups",
            )
        return cls(effect, nuisance, columns, subject)

    def residuals(self, x: NDArray[np.float32], there: BoolArray) -> NDArray[np.float32]:
        """Return rows less what the nuisance explains of the values that are there; 0 elsewhere."""
        beta, out = _solved(self.nuisance, x, there)[0], np.empty(x.shape, dtype=np.float32)
        for part in _some_columns(x):
            left = x[:, part] - self.nuisance @ beta[part].T
            out[:, part] = np.where(there[:, part], left, 0)
        return out

    def ratios(self, x: NDArray[np.float32], orders: IntArray) -> FloatArray:
        """Return F ratios (P, D) of residuals (n, D) with the rows of the model in other orders
        (P, n): by Freedman and Lane, the same as residuals in other orders.

        What is not there counts as 0, which belongs to its row as its values do.
        """
        total = np.einsum("nd,nd->d", x, x, dtype=np.float64)
        by_effect = _explained(self.effect[orders], x)
        left = total - _explained(self.nuisance[orders], x) - by_effect
        return _ratio(by_effect, left, total, self.freedom / self.effect.shape[1])

    def known_ratio(self, x: NDArray[np.float32], there: BoolArray) -> FloatArray:
        """Return F ratios (D,) of rows (n, D), 0 where they are not there, from what is there."""
        both = np.hstack([self.nuisance, self.effect])
        before, after = (_solved(part, x, there)[1] for part in (self.nuisance, both))
        total = np.einsum("nd,nd->d", x, x, dtype=np.float64)
        factor = self._freedoms(there) / self.effect.shape[1]
        return _ratio(np.maximum(after - before, 0.0), total - after, total, np.maximum(factor, 0))

    def _freedoms(self, there: BoolArray) -> FloatArray:
        known = there.sum(axis=0).astype(np.float64)
        if self.subject is not None:
            known -= there[np.unique(self.subject, return_index=True)[1]].sum(axis=0)
        return known - self.effect.shape[1] - self.nuisance.shape[1]

    def estimate(
        self, x: NDArray[np.float32], there: BoolArray, level: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return the last column's coefficient at each pixel, and half the width of its interval,
        (D,) each; `x` (n, D) is 0 where it is not there.
        """
        design = np.hstack([self.nuisance, self.columns])
        beta, explained, variance = _solved(design, x, there)
        left = np.einsum("nd,nd->d", x, x, dtype=np.float64) - explained
        freedom = np.maximum(self._freedoms(there), 1.0)
        error = np.sqrt(np.maximum(left, 0.0) / freedom * variance)
        return beta[:, -1], student.ppf(0.5 + level / 2, freedom) * error


def _ratio(
    explained: FloatArray, left: FloatArray, total: FloatArray, factor: FloatArray | float
) -> FloatArray:
    told = total > 0
    left = np.where(told, np.maximum(left, _LEAST_LEFT * total), 1.0)
    return np.asarray(np.where(told, factor * explained / left, 0.0))


def _orthonormal(columns: FloatArray, size: FloatArray) -> FloatArray:
    """Return an orthonormal basis of what columns span; what is small beside `size` is rounding."""
    used = columns / np.where(size > 0, size, 1.0)
    u, s, _ = np.linalg.svd(used, full_matrices=False)
    return np.asarray(u[:, s > _ROUNDING])


def _explained(parts: FloatArray, x: NDArray[np.float32]) -> FloatArray:
    """Return sums of squares (P, D) that orthonormal columns (P, n, q) explain of rows (n, D)."""
    p, n, q = parts.shape
    if q == 0:
        return np.zeros((p, x.shape[1]))
    sums = np.swapaxes(parts, 1, 2).reshape(p * q, n).astype(np.float32) @ x
    return np.asarray((sums.reshape(p, q, -1).astype(np.float64) ** 2).sum(axis=1))


def _solved(
    design: FloatArray, x: NDArray[np.float32], there: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return coefficients (D, p), what they explain (D,), and the last one's variance (D,) in that
    of the noise, of least squares on the values that are there.
    """
    p, d = design.shape[1], x.shape[1]
    beta, explained, variance = np.zeros((d, p)), np.zeros(d), np.zeros(d)
    for part in _some_columns(x) if p else ():
        inverse = np.linalg.inv(_normal(design, there[:, part]))
        right = (design.T @ x[:, part]).T
        beta[part] = np.einsum("dpq,dq->dp", inverse, right)
        explained[part] = np.einsum("dp,dp->d", beta[part], right)
        variance[part] = inverse[:, -1, -1]
    return beta, explained, variance


def _normal(design: FloatArray, there: BoolArray) -> FloatArray:
    """Return the matrices (d, p, p) of the normal equations on the values that are there."""
    p, some = design.shape[1], np.asarray(~there.all(axis=0))
    normal = np.tile(design.T @ design, (there.shape[1], 1, 1))
    known = there[:, some].astype(np.float64)
    for k in range(p):
        normal[some, k] = ((design[:, k, None] * design).T @ known).T
    trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    return np.asarray(normal + _RIDGE * (trace + 1e-300) * np.eye(p))


def _some_columns(x: NDArray[Any]) -> Iterator[slice]:
    """Yield columns to be worked on at once: in double precision they are twice as large."""
    step = max(1, _CELLS // len(x))
    return (slice(k, k + step) for k in range(0, x.shape[1], step))
