"""`Departure`: where one scan's shape departs from the norm in any channel, position or direction,
pooled over a neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray
from meshconv.stats.expectation import Expectation

Rows = NDArray[np.float32]

_POOL = 0.03  # standard deviation of the Gaussian over the statistic, in sides
_SMOOTH = 0.015  # of that over the covariance
_SHRINK = 0.05  # of a covariance's mean variance, added to it
_LEAST = 1e-12  # of the statistic
_QUARTILES = 1.349  # standard deviations between those of a normal distribution


@dataclass(frozen=True, eq=False)
class Departure:
    """The norm of all channels together.

    Attributes
    ----------
    reached : (N, N) bool
        The D pixels of the norm.
    scale : (C,) float64
        Standard deviations that channels are divided by.
    precision : (D, C, C) float64
        Inverse covariance of what is not expected of a scan.
    middle, spread : (D,) float64
        Median, and robust standard deviation, of the logarithm of the pooled statistic in scans of
        the norm, each judged by a norm without it.
    """

    reached: BoolArray
    scale: FloatArray
    precision: FloatArray
    middle: FloatArray
    spread: FloatArray
    _expected: Expectation

    @classmethod
    def fit(
        cls, images: NDArray[Any], reached: BoolArray, table: FloatArray, components: int | str
    ) -> Departure:
        """Return the norm of images (n, C, N, N) beside covariates (n, Z)."""
        values = np.asarray(images[:, :, reached], dtype=np.float32)
        there = np.asarray(np.isfinite(values).all(axis=1))
        spread = np.nanstd(np.where(there[:, None], values, np.nan), axis=0)
        scale = np.sqrt(np.nanmean(spread**2, axis=1))
        scale = np.where(scale > 0, scale, 1.0)
        rows, known = _flat(values, there, scale)
        expected = Expectation.fit(rows, known, table, components)
        left = expected.unseen(rows, known, table).reshape(values.shape) * there[:, None]
        precision = _precision(left, there, reached)
        pooled = _pooled(left, there, precision, reached)
        middle, spread = _robust(np.where(there, np.log(np.maximum(pooled, _LEAST)), np.nan))
        middle, spread = (_smooth(one, reached, _POOL) for one in (middle, spread))
        return cls(reached, scale, precision, middle, np.maximum(spread, 1e-6), expected)

    def z(self, image: NDArray[Any], table: FloatArray) -> FloatArray:
        """Return how unusual the shape of an image (C, N, N) is at each pixel, (N, N): a standard
        normal value, large where it is; NaN where it does not reach.
        """
        values = np.asarray(image[None][:, :, self.reached], dtype=np.float32)
        there = np.asarray(np.isfinite(values).all(axis=1))
        rows, known = _flat(values, there, self.scale)
        left = self._expected.left(rows[0], known[0], table).reshape(values.shape)
        pooled = _pooled(left * there[:, None], there, self.precision, self.reached)[0]
        out = np.full(self.reached.shape, np.nan)
        z = (np.log(np.maximum(pooled, _LEAST)) - self.middle) / self.spread
        out[self.reached] = np.where(there[0], z, np.nan)
        return out


def _robust(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return medians of columns, and standard deviations by the quartiles' distance."""
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    return middle, (high - low) / _QUARTILES


def _flat(values: Rows, there: BoolArray, scale: FloatArray) -> tuple[Rows, BoolArray]:
    """Return rows (n, C * D), 0 where they are not there, and where they are."""
    rows = np.where(there[:, None], values / scale[:, None].astype(np.float32), 0)
    known = np.repeat(there[:, None], values.shape[1], axis=1)
    return rows.reshape(len(rows), -1).astype(np.float32), known.reshape(len(rows), -1)


def _precision(left: FloatArray, there: BoolArray, reached: BoolArray) -> FloatArray:
    count = np.maximum(there.sum(axis=0), 1)
    covariance = np.einsum("nid,njd->ijd", left, left) / count
    covariance = _smooth(covariance, reached, _SMOOTH).transpose(2, 0, 1)
    mean = np.trace(covariance, axis1=1, axis2=2) / left.shape[1]
    ridge = np.maximum(_SHRINK * mean, 1e-12)[:, None, None] * np.eye(left.shape[1])
    return np.asarray(np.linalg.inv(covariance + ridge))


def _pooled(
    left: FloatArray, there: BoolArray, precision: FloatArray, reached: BoolArray
) -> FloatArray:
    """Return the pooled quadratic form (n, D) of what is not expected (n, C, D)."""
    square = np.einsum("nid,dij,njd->nd", left, precision, left, optimize=True)
    share = _smooth(there.astype(np.float64), reached, _POOL)
    return _smooth(np.where(there, square, 0), reached, _POOL) / np.maximum(share, 1e-3)


def _smooth(values: FloatArray, reached: BoolArray, blur: float) -> FloatArray:
    """Return values (..., D) blurred over the pixels that are reached."""
    sigma = blur * (len(reached) - 1)
    grid = np.zeros((*values.shape[:-1], *reached.shape))
    grid[..., reached] = values
    weight = np.maximum(gaussian_filter(reached.astype(np.float64), sigma), 1e-3)
    blurred = gaussian_filter(grid, (*(0,) * (grid.ndim - 2), sigma, sigma)) / weight
    return np.asarray(blurred[..., reached])
