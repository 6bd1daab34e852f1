"""`NormalScores`: measures by their rank, as standard normal numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError

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
        """Return the scores by the rows of x (n, M); raise `ArgumentError` if a measure is not
        finite.
        """
        require_finite(x)
        return cls(np.quantile(x, np.linspace(0, 1, _KNOTS), axis=0))

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the scores of x (n, M); equal values have the mean of their ranks.

        Raises
        ------
        ArgumentError
            If a measure is not finite, or there are more or fewer of them.
        """
        if x.shape[1:] != self.knots.shape[1:]:
            raise ArgumentError(f"measures {x.shape}, learned from {self.knots.shape[1]} of a scan")
        require_finite(x)
        grid = np.linspace(0, 1, _KNOTS)
        shares = np.empty_like(x, dtype=np.float64)
        for k, knots in enumerate(self.knots.T):
            up = np.interp(x[:, k], knots, grid)
            down = np.interp(-x[:, k], -knots[::-1], -grid[::-1])
            shares[:, k] = (up - down) / 2
        constant = self.knots[0] == self.knots[-1]
        scores = ndtri(np.clip(shares, _END, 1 - _END))
        return np.where(constant, 0.0, scores)


def require_finite(measures: FloatArray) -> None:
    """Raise `ArgumentError` if a measure (n, M) is not finite; names the first."""
    bad = np.argwhere(~np.isfinite(measures))
    if len(bad):
        row, column = bad[0].tolist()
        raise ArgumentError(f"measure {column} of scan {row} is not finite", count=len(bad))
