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
from meshconv.stats.components import Rows
from meshconv.stats.expectation import Expectation, Parts, Unseen, quantiles
from meshconv.stats.strips import Strips

_POOL = 0.03  # standard deviation of the Gaussian over the statistic, in sides
_SMOOTH = 0.015  # of that over the covariance
_SHRINK = 0.05  # of a covariance's mean variance, added to it
_LEAST = 1e-12  # of the statistic
_CONSTANT = 1e-12  # of a channel's mean square: less variance than this is rounding
_BLOCK = 64  # scans pooled at once
_QUARTERS = (0.25, 0.5, 0.75)
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
        cls, strips: Strips, reached: BoolArray, table: FloatArray, components: int | str
    ) -> Departure:
        """Return the norm of images beside covariates (n, Z)."""
        channels = Channels(strips, reached, _scale(strips, reached))
        expected = Expectation.fit(channels, table, components)
        unseen = expected.unseen(channels, table)
        precision = _precision(unseen, channels.shape, reached)
        found, places = np.empty(channels.shape[::2], dtype=np.float32), []
        there = np.empty(found.shape, dtype=bool)
        for place, left, known in unseen:
            found[:, place], there[:, place] = _square(left, precision[place]), known
            places.append(place)
        for k in range(0, len(found), _BLOCK):
            some = slice(k, k + _BLOCK)
            found[some] = _log_pooled(found[some], there[some], reached)
        middle, spread = np.empty(found.shape[1]), np.empty(found.shape[1])
        for place in places:
            low, middle[place], high = quantiles(found[:, place], there[:, place], _QUARTERS)
            spread[place] = (high - low) / _QUARTILES
        middle, spread = (_smooth(one, reached, _POOL) for one in (middle, spread))
        return cls(reached, channels.scale, precision, middle, np.maximum(spread, 1e-6), expected)

    def z(self, image: NDArray[Any], table: FloatArray) -> FloatArray:
        """Return how unusual the shape of an image (C, N, N) is at each pixel, (N, N): a standard
        normal value, large where it is; NaN where it does not reach.
        """
        x, there = _values(image[None][:, :, self.reached], self.scale)
        left = self._expected.left(x[0], there[0], table)
        pooled = _log_pooled(_square(left[None], self.precision), there, self.reached)[0]
        out = np.full(self.reached.shape, np.nan)
        z = (pooled - self.middle) / self.spread
        out[self.reached] = np.where(there[0], z, np.nan)
        return out


@dataclass(frozen=True, eq=False)
class Channels:
    """All channels of images, each in its scale, as `meshconv.stats.expectation.Scans`."""

    strips: Strips
    reached: BoolArray
    scale: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, C, D)."""
        return (*self.strips.shape[:2], int(self.reached.sum()))

    def __iter__(self) -> Parts:
        """Yield pixels, their values (n, C, d), and where they are there."""
        for _, place, values in self.strips.parts(self.reached):
            yield place, *_values(values, self.scale)


def _values(values: NDArray[Any], scale: FloatArray) -> tuple[Rows, BoolArray]:
    """Return values (n, C, d) in their scale, 0 where one channel is not there, and where all
    are.
    """
    there = np.isfinite(values).all(axis=1)
    x = np.asarray(values, dtype=np.float32) / scale[:, None].astype(np.float32)
    return np.where(there[:, None], x, np.float32(0)), there


def _scale(strips: Strips, reached: BoolArray) -> FloatArray:
    """Return the root mean variance (C,) of each channel; 1 of one that does not vary."""
    variance = np.empty((strips.shape[1], int(reached.sum())))
    square = np.empty_like(variance)
    for _, place, values in strips.parts(reached):
        there = np.isfinite(values).all(axis=1)
        for k in range(len(variance)):
            known = np.where(there, values[:, k], np.nan).astype(np.float64)
            variance[k, place] = np.nanvar(known, axis=0)
            square[k, place] = np.nanmean(known**2, axis=0)
    varies = np.nanmean(variance, axis=1) > _CONSTANT * np.nanmean(square, axis=1)
    return np.where(varies, np.sqrt(np.nanmean(variance, axis=1)), 1.0)


def _precision(unseen: Unseen, shape: tuple[int, int, int], reached: BoolArray) -> FloatArray:
    _, c, d = shape
    covariance = np.empty((c, c, d))
    for place, left, there in unseen:
        count = np.maximum(there.sum(axis=0), 1)
        covariance[..., place] = np.einsum("nid,njd->ijd", left, left, dtype=np.float64) / count
    covariance = _smooth(covariance, reached, _SMOOTH).transpose(2, 0, 1)
    mean = np.trace(covariance, axis1=1, axis2=2) / c
    ridge = np.maximum(_SHRINK * mean, 1e-12)[:, None, None] * np.eye(c)
    return np.asarray(np.linalg.inv(covariance + ridge))


def _square(left: NDArray[Any], precision: FloatArray) -> FloatArray:
    """Return the quadratic form (n, d) of what is not expected (n, C, d)."""
    out = np.zeros(left.shape[::2])
    for i, own in enumerate(precision.transpose(1, 2, 0)):  # one product would be of all at once
        out += left[:, i] * sum(left[:, j] * factor for j, factor in enumerate(own))
    return out


def _log_pooled(square: NDArray[Any], there: BoolArray, reached: BoolArray) -> FloatArray:
    """Return the logarithm of a quadratic form (n, D), pooled over what is there."""
    share = _smooth(there.astype(np.float64), reached, _POOL)
    pooled = _smooth(np.where(there, square, 0), reached, _POOL) / np.maximum(share, 1e-3)
    return np.asarray(np.log(np.maximum(pooled, _LEAST)))


def _smooth(values: FloatArray, reached: BoolArray, blur: float) -> FloatArray:
    """Return values (..., D) blurred over the pixels that are reached."""
    sigma = blur * (len(reached) - 1)
    grid = np.zeros((*values.shape[:-1], *reached.shape))
    grid[..., reached] = values
    weight = np.maximum(gaussian_filter(reached.astype(np.float64), sigma), 1e-3)
    blurred = gaussian_filter(grid, (*(0,) * (grid.ndim - 2), sigma, sigma)) / weight
    return np.asarray(blurred[..., reached])
