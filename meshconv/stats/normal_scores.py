"""`NormalScores`: measures by their rank, as standard normal numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri

from meshconv._check import FloatArray

_KNOTS = 101
_END = 0.005  # nearest to 0 and 1 that a share comes


@dataclass(frozen=True, eq=False)
class NormalScores:
    """Each column by its rank among those that it was made of, as a standard normal number.

    So units, tails and outliers do not matter: any increasing function of a measure gives the same.

    Attributes
    ----------
    knots : (101, M) float64
        Quantiles of each column.
    """

    knots: FloatArray

    @classmethod
    def of(cls, x: FloatArray) -> Self:
        """Return the scores by the rows of x (n, M)."""
        return cls(np.quantile(x, np.linspace(0, 1, _KNOTS), axis=0))

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the scores of x (n, M); equal values have the mean of their ranks."""
        grid = np.linspace(0, 1, _KNOTS)
        shares = np.empty_like(x, dtype=np.float64)
        for k, knots in enumerate(self.knots.T):
            up = np.interp(x[:, k], knots, grid)
            down = np.interp(-x[:, k], -knots[::-1], -grid[::-1])
            shares[:, k] = (up - down) / 2
        constant = self.knots[0] == self.knots[-1]
        scores = ndtri(np.clip(shares, _END, 1 - _END))
        return np.where(constant, 0.0, scores)
