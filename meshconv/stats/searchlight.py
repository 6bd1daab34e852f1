"""Statistics of places, for a target and many permutations of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.stats.components import Rows
from meshconv.stats.targets import Targets

_RIDGE = 0.02  # of the linear score, for each row
_BLOCK = 32  # places worked on at once


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of targets and their permutations (P, n, q), T tasks.

    All are of orthonormal columns, so that two groups, many, and a score are the same case.
    """

    targets: Targets
    columns: Rows

    def of_rows(self, rows: IntArray) -> Statistics:
        """Return the same of some of the rows."""
        return Statistics(self.targets, np.ascontiguousarray(self.columns[:, rows]))

    def by_task(self, values: FloatArray, axis: int) -> FloatArray:
        """Return sums over the columns of each task."""
        return np.asarray(np.add.reduceat(values, self.targets.starts, axis=axis))

    def mean(self, x: Rows) -> FloatArray:
        """Return F ratios of columns of rows (n, D), (P, T, D): variance that the targets explain /
        that which they do not.
        """
        p, n, q = self.columns.shape
        sums = np.swapaxes(self.columns, 1, 2).reshape(p * q, n) @ x
        explained = self.by_task(sums.reshape(p, q, -1).astype(np.float64) ** 2, 1)
        total = np.einsum("nd,nd->d", x, x, dtype=np.float64)
        width = self.targets.widths[:, None]
        left = np.maximum(total - explained, 1e-9 * total)
        freedom = max(n - 1 - int(width.max()), 1)
        return np.asarray(freedom / width * explained / np.where(total > 0, left, 1.0))

    def score(self, features: Rows, ridge: float) -> FloatArray:
        """Return correlations (P, T) of the targets with what a ridge regression on features
        (n, D) predicts of each row from all others (in closed form).
        """
        p, n, q = self.columns.shape
        y = np.swapaxes(self.columns, 0, 1).reshape(n, p * q)
        own = features.T @ features + np.float32(ridge) * np.eye(
            features.shape[1], dtype=np.float32
        )
        back = np.linalg.solve(own, features.T)
        leverage = np.einsum("nd,dn->n", features, back) + np.float32(1 / n)
        left = y - features @ (back @ y) - y.mean(axis=0)
        predicted = y - left / np.maximum(1 - leverage, np.float32(1e-4))[:, None]
        predicted -= predicted.mean(axis=0)
        with_y, size = (
            self.by_task(np.einsum("nc,nc->c", predicted, other).reshape(p, q), 1)
            for other in (y, predicted)
        )
        return np.asarray(with_y / np.sqrt(np.maximum(size * self.targets.widths, 1e-20)))

    def linear(self, z: Rows) -> FloatArray:
        """Return `score` on the components themselves."""
        return self.score(z, _RIDGE * len(z))

    def local(self, z: Rows, chosen: IntArray) -> FloatArray:
        """Return `score` of a kernel ridge regression, exp(-distance^2 / median), spanned by the
        chosen rows (Nystroem).
        """
        gap, nodes = _squared_distances(z, z[chosen]), z[chosen].astype(np.float64)
        width = max(float(np.median(gap)), 1e-12)
        # in double precision: where most rows are alike, rounding is as large as the width
        own = np.exp(-_squared_distances(nodes, nodes) / width) + 1e-3 * np.eye(len(chosen))
        features = np.linalg.solve(np.linalg.cholesky(own), np.exp(-gap / width).T).T
        features = features.astype(np.float32)
        return self.score(features - features.mean(axis=0), 1.0)

    def spread(self, z: Rows) -> FloatArray:
        """Return root mean F ratios of the components' absolute values, (P, T)."""
        size = np.abs(z)
        return np.sqrt(self.mean(size - size.mean(axis=0)).mean(axis=-1))

    def pairs(self, parts: Rows, k: int) -> FloatArray:
        """Return how far permutation k of the targets goes with products of components of every
        two places, (T, B, B); parts (B, n, c).
        """
        b, n, c = parts.shape
        table = np.swapaxes(parts, 0, 1).reshape(n, b * c)
        squares = np.empty((self.columns.shape[2], b, b))
        for j, column in enumerate(self.columns[k].T):
            weighted = (table * column[:, None]).T
            for first in range(0, b, _BLOCK):  # all at once would be more than the images
                last = min(first + _BLOCK, b)
                moments = weighted[first * c : last * c] @ table
                moments *= moments
                squares[j, first:last] = moments.reshape(-1, c, b, c).sum(axis=(1, 3))
        return self.by_task(squares, 0)


def _squared_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    square = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(square, 0)
