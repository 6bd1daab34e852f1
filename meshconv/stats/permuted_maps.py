"""`Study`: images of rows beside a linear model, and its statistic's maps under permutation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.components import component_count, without_components
from meshconv.stats.covariates import covariate_table
from meshconv.stats.displacement import along, mean_normals
from meshconv.stats.group_statistic import centred, mean_images
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.targets import Targets, within_subjects

_BLOCK = 50  # permutations worked on at once
_HANDICAP = 1.0  # standard deviations, of images as they are beside those without components
LEVEL = 0.95  # of intervals


@dataclass(frozen=True, eq=False)
class Study:
    """Rows to be compared, at the pixels that enough of them reach.

    Attributes
    ----------
    values : (n, C, D) array
        NaN where a row does not reach.
    reached : (N, N) bool
        The D pixels.
    model : LinearModel
    targets : Targets
    """

    values: NDArray[Any]
    reached: BoolArray
    model: LinearModel
    targets: Targets

    @classmethod
    def of(
        cls,
        images: NDArray[Any],
        targets: Targets,
        row: IntArray,
        columns: FloatArray,
        covariates: ArrayLike | None,
        least_share: float,
        groups: IntArray | None = None,
    ) -> Study:
        """Return the study of images, of which several may be of one row."""
        n, subject = len(targets.subject), targets.subject
        table = covariate_table(covariates, len(row))
        if n < len(images):
            images, table = mean_images(images, row), mean_images(table, row)
        else:
            images, table = images[np.argsort(row)], table[np.argsort(row)]
        reached = np.isfinite(images).all(axis=1)
        if targets.within:
            whole = np.array([reached[subject == k].all(axis=0) for k in range(subject.max() + 1)])
            reached = whole[subject]
        enough = reached.mean(axis=0) >= least_share
        members = _members(np.zeros(n, dtype=np.int64) if groups is None else groups)
        if members.sum(axis=1).min() < 2:
            raise ArgumentError(
                "a group map needs two groups of two subjects or more, found groups of"
                f" {members.sum(axis=1).tolist()}"
            )
        for group in members:
            enough &= reached[group].sum(axis=0) >= 2
        if not enough.any():
            raise ArgumentError(
                f"no pixel is reached by {least_share:.0%} of the images and two of each group"
            )
        values = images[:, :, enough]
        if targets.within:
            values = np.where(reached[:, None, enough], values, np.nan)
        model = LinearModel.of(columns, table, subject if targets.within else None)
        return cls(values, enough, model, targets)

    @property
    def there(self) -> BoolArray:
        """Where rows reach, (n, C * D)."""
        return np.isfinite(self.values).reshape(len(self.values), -1)

    def rows(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return values (n, D) less their mean (of the subject, if rows are compared within), 0
        where they are not there.
        """
        x = centred(values)
        subject = self.model.subject
        return (
            x if subject is None else np.where(np.isfinite(values), within_subjects(x, subject), 0)
        )

    def statistic(self) -> FloatArray:
        """Return the root mean F ratio over channels, (D,), of the values that are there."""
        ratio = self.model.known_ratio(self.rows(self._flat), self.there)
        return np.sqrt(ratio.reshape(self.values.shape[1], -1).mean(axis=0))

    def difference(self) -> FloatArray:
        """Return the coefficient of the last column, (C, D)."""
        found = self.model.estimate(self.rows(self._flat), self.there, LEVEL)[0]
        return found.reshape(self.values.shape[1:])

    def heights(self, channels: Sequence[str] | None) -> NDArray[np.float32] | None:
        """Return positions along the mean normal, (n, D), NaN where a row does not reach; None if
        the channels do not say them.
        """
        normals = None if channels is None else mean_normals(self.values, channels)
        if channels is None or normals is None:
            return None
        return along(self.values, channels, normals)

    def coefficient(self, values: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Return the coefficient of the last column of values (n, D), and half its interval, (D,)
        each.
        """
        return self.model.estimate(self.rows(values), np.isfinite(values), LEVEL)

    def residuals(self) -> NDArray[np.float32]:
        """Return what covariates leave of the values (n, C * D), each channel in its own standard
        deviation; 0 where they are not there.
        """
        left = self.model.residuals(self.rows(self._flat), self.there)
        by_channel = left.reshape(self.values.shape)
        scale = np.sqrt(np.square(by_channel, dtype=np.float64).mean(axis=(0, 2)))
        by_channel /= np.where(scale > 0, scale, 1.0)[:, None]
        return left

    def smoothness(self) -> float:
        """Return the full width at half maximum of the residuals, in sides (Kiebel et al., 1999,
        doi:10.1006/nimg.1999.0508: 4 log 2 over the variance of the standardized slope).
        """
        left = self.residuals().reshape(self.values.shape)
        size = np.sqrt(np.square(left).sum(axis=0))
        grid = np.full((*left.shape[:2], *self.reached.shape), np.nan, dtype=np.float32)
        grid[:, :, self.reached] = left / np.where(size > 0, size, np.nan)
        slopes = [np.square(np.diff(grid, axis=axis)).sum(axis=0) for axis in (2, 3)]
        known = np.concatenate([slope[np.isfinite(slope)] for slope in slopes])
        if not len(known) or not known.mean() > 0:
            return float("inf")
        side = max(len(self.reached) - 1, 1)
        return float(np.sqrt(4 * np.log(2) / known.mean(dtype=np.float64)) / side)

    def filled(self, values: FloatArray) -> FloatArray:
        """Return values (..., D) as maps (..., N, N), NaN elsewhere."""
        out = np.full((*values.shape[:-1], *self.reached.shape), np.nan)
        out[..., self.reached] = values
        return out

    @property
    def _flat(self) -> NDArray[Any]:
        return self.values.reshape(len(self.values), -1)


def tested(
    study: Study, components: int | str, permutations: int, blur: float, seed: int
) -> tuple[NDArray[np.float32], int]:
    """Return the statistic that is tested, of the rows as they are and permuted, (1 + m, D), and
    how many components were taken out.

    Each pixel's is in its standard deviations over all of these, the first included: they are
    exchangeable, and no pixel has a better chance than another to be the largest.
    """
    count = component_count(components, study.model.freedom)
    n = len(study.values)
    orders = np.stack([np.arange(n), *study.targets.orders(permutations, seed)])
    left = study.residuals()
    found = _maps(study, left, orders, blur)
    if count:
        local = _maps(study, without_components(left, count), orders, blur)
        found = np.maximum(found - np.float32(_HANDICAP), local, out=found)
    return found, count


def _maps(
    study: Study, rows: NDArray[np.float32], orders: IntArray, blur: float
) -> NDArray[np.float32]:
    """Return standardized maps (1 + m, D) of the mean F ratio over channels, blurred."""
    sigma = blur * (len(study.reached) - 1)
    weight = np.maximum(gaussian_filter(study.reached.astype(np.float32), sigma), 1e-6)
    out = np.empty((len(orders), int(study.reached.sum())), dtype=np.float32)
    for k in range(0, len(orders), _BLOCK):
        ratio = study.model.ratios(rows, orders[k : k + _BLOCK])
        part = ratio.reshape(len(ratio), study.values.shape[1], -1).mean(axis=1)
        grid = np.zeros((len(part), *study.reached.shape), dtype=np.float32)
        grid[:, study.reached] = part
        out[k : k + _BLOCK] = (gaussian_filter(grid, (0, sigma, sigma)) / weight)[:, study.reached]
    out -= out.mean(axis=0)
    spread = out.std(axis=0)
    out /= np.where(spread > 0, spread, np.float32(1))
    return out


def _members(groups: IntArray) -> BoolArray:
    return np.asarray(groups == np.arange(groups.max() + 1)[:, None])
