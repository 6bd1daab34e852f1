"""`Study`: images of rows beside a linear model, and its statistic's maps under permutation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.components import Rows, add_products, common_weights, component_count, sampled
from meshconv.stats.covariates import covariate_table
from meshconv.stats.displacement import along, mean_normals
from meshconv.stats.group_statistic import centred, mean_images
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.strips import Strips
from meshconv.stats.targets import Targets, within_subjects

_BLOCK = 50  # permutations worked on at once
_COLUMNS = 1024  # pixels, likewise
_CELLS = 2**20  # values of models in so many orders, likewise
_HANDICAP = 1.0  # standard deviations, of images as they are beside those without components
LEVEL = 0.95  # of intervals


@dataclass(frozen=True, eq=False)
class Study:
    """Rows to be compared, at the pixels that enough of them reach.

    Attributes
    ----------
    strips : Strips
        The n rows of C channels, NaN where a row does not reach.
    reached : (N, N) bool
        The D pixels.
    model : LinearModel
    targets : Targets
    """

    strips: Strips
    reached: BoolArray
    model: LinearModel
    targets: Targets

    @classmethod
    def of(
        cls,
        images: Any,
        targets: Targets,
        row: IntArray,
        columns: FloatArray,
        covariates: ArrayLike | None,
        least_share: float,
        groups: IntArray | None = None,
    ) -> Study:
        """Return the study of images, of which several may be of one row."""
        n, subject = len(targets.subject), targets.subject if targets.within else None
        table = mean_images(covariate_table(covariates, len(row)), row)
        members = _members(np.zeros(n, dtype=np.int64) if groups is None else groups)
        if members.sum(axis=1).min() < 2:
            raise ArgumentError(
                "a group map needs two groups of two subjects or more, found groups of"
                f" {members.sum(axis=1).tolist()}"
            )
        strips = Strips(images, row, subject)
        reach = strips.reach(members)
        enough = (reach.sum(axis=0) / n >= least_share) & (reach >= 2).all(axis=0)
        if not enough.any():
            raise ArgumentError(
                f"no pixel is reached by {least_share:.0%} of the images and two of each group"
            )
        return cls(strips, enough, LinearModel.of(columns, table, subject), targets)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, C, D)."""
        return (*self.strips.shape[:2], int(self.reached.sum()))

    def parts(self) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
        """Yield lines of the grid, which of the D pixels lie there, and their values (n, C, d)."""
        return self.strips.parts(self.reached)

    def rows(self, values: NDArray[Any]) -> tuple[Rows, BoolArray]:
        """Return values (n, D) less their mean (of the subject, if rows are compared within), 0
        where they are not there, and where they are.
        """
        x, there, subject = centred(values), np.isfinite(values), self.model.subject
        return x if subject is None else np.where(there, within_subjects(x, subject), 0), there

    def observed(self) -> tuple[FloatArray, FloatArray]:
        """Return the root mean F ratio over channels, (D,), and the coefficient of the last column,
        (C, D), of the values that are there.
        """
        n, c, d = self.shape
        statistic, difference = np.empty(d), np.empty((c, d))
        for _, place, values in self.parts():
            x, there = self.rows(values.reshape(n, -1))
            ratio = self.model.known_ratio(x, there).reshape(c, -1)
            statistic[place] = np.sqrt(ratio.mean(axis=0))
            difference[:, place] = self.model.estimate(x, there, LEVEL)[0].reshape(c, -1)
        return statistic, difference

    def heights(self, channels: Sequence[str] | None) -> tuple[Rows, BoolArray] | None:
        """Return `rows` of positions along the mean normal, (n, D) each; None if the channels do
        not say them.
        """
        n, _, d = self.shape
        x, there = np.empty((n, d), dtype=np.float32), np.empty((n, d), dtype=bool)
        for _, place, values in self.parts():
            normals = None if channels is None else mean_normals(values, channels)
            if channels is None or normals is None:
                return None
            x[:, place], there[:, place] = self.rows(along(values, channels, normals))
        return x, there

    def residuals(self) -> Iterator[tuple[slice, slice, Rows]]:
        """Yield `parts` of what covariates leave of the values, each channel in its own standard
        deviation; 0 where they are not there.
        """
        for lines, place, values in self.parts():
            yield lines, place, self._left(values, self._scale)

    def _left(self, values: NDArray[Any], scale: Rows) -> Rows:
        x, there = self.rows(values.reshape(len(values), -1))
        left = self.model.residuals(x, there).reshape(values.shape)
        left /= scale[:, None]
        return left

    @cached_property
    def _scale(self) -> Rows:
        n, c, d = self.shape
        total = np.zeros(c)
        for _, _, values in self.parts():
            left = self._left(values, np.ones(c, dtype=np.float32))
            total += np.einsum("ncd,ncd->c", left, left, dtype=np.float64)
        scale = np.sqrt(total / (n * d))
        return np.where(scale > 0, scale, 1.0).astype(np.float32)

    def smoothness(self) -> float:
        """Return the full width at half maximum of the residuals, in sides (Kiebel et al., 1999,
        doi:10.1006/nimg.1999.0508: 4 log 2 over the variance of the standardized slope).
        """
        total, count, last, end = 0.0, 0, None, 0
        for lines, _, left in self.residuals():
            size = np.sqrt(np.einsum("ncd,ncd->cd", left, left))
            height, width = self.reached[lines].shape
            grid = np.full((*left.shape[:2], 1 + height, width), np.nan, dtype=np.float32)
            grid[:, :, 1:][:, :, self.reached[lines]] = left / np.where(size > 0, size, np.nan)
            if last is not None and end == lines.start:
                grid[:, :, 0] = last
            for slope in (np.diff(grid, axis=2), np.diff(grid[:, :, 1:], axis=3)):
                squared = np.einsum("nchw,nchw->chw", slope, slope)
                known = squared[np.isfinite(squared)]
                total, count = total + float(known.sum(dtype=np.float64)), count + len(known)
            last, end = grid[:, :, -1].copy(), lines.stop
        if not total > 0:
            return float("inf")
        side = max(len(self.reached) - 1, 1)
        return float(np.sqrt(4 * np.log(2) * count / total) / side)

    def filled(self, values: FloatArray) -> FloatArray:
        """Return values (..., D) as maps (..., N, N), NaN elsewhere."""
        out = np.full((*values.shape[:-1], *self.reached.shape), np.nan)
        out[..., self.reached] = values
        return out


def tested(
    study: Study, components: int | str, permutations: int, blur: float, seed: int
) -> tuple[Rows, int]:
    """Return the statistic that is tested, of the rows as they are and permuted, (1 + m, D), and
    how many components were taken out.

    Each pixel's is in its standard deviations over all of these, the first included: they are
    exchangeable, and no pixel has a better chance than another to be the largest.
    """
    n, _, d = study.shape
    sample = sampled(n)
    count = component_count(components, min(study.model.freedom, len(sample)))
    order = [np.arange(n), *study.targets.orders(permutations, seed)]
    orders = np.array(order, dtype=np.min_scalar_type(n))
    found = np.empty((len(orders), d), dtype=np.float32)
    products = np.zeros((n, len(sample) if count else 0), dtype=np.float32)
    for _, place, left in study.residuals():
        found[:, place] = _ratios(study.model, left, orders)
        flat = left.reshape(n, -1)
        add_products(products, flat, flat[sample])
    _standardize(found, study.reached, blur)
    weights = common_weights(products, sample, count)
    if weights is None:
        return found, count
    local = np.empty_like(found)
    for _, place, left in study.residuals():
        flat = left.reshape(n, -1)
        flat -= weights @ flat[sample]
        local[:, place] = _ratios(study.model, left, orders)
    _standardize(local, study.reached, blur)
    found -= np.float32(_HANDICAP)
    return np.maximum(found, local, out=found), count


def _ratios(model: LinearModel, left: Rows, orders: NDArray[Any]) -> FloatArray:
    """Return the mean F ratio over channels (P, d) of residuals (n, C, d) in orders (P, n)."""
    n, c, d = left.shape
    flat, out = left.reshape(n, -1), np.empty((len(orders), d))
    columns = model.effect.shape[1] + model.nuisance.shape[1]
    step = max(1, min(_BLOCK, _CELLS // (n * columns)))
    for k in range(0, len(orders), step):
        ratio = model.ratios(flat, orders[k : k + step])
        out[k : k + step] = ratio.reshape(len(ratio), c, d).mean(axis=1)
    return out


def _standardize(maps: Rows, reached: BoolArray, blur: float) -> None:
    """Blur maps (P, D), in place, and bring each pixel to mean 0 and standard deviation 1."""
    sigma = blur * (len(reached) - 1)
    weight = np.maximum(gaussian_filter(reached.astype(np.float32), sigma), 1e-6)
    for k in range(0, len(maps), _BLOCK):
        part = maps[k : k + _BLOCK]
        grid = np.zeros((len(part), *reached.shape), dtype=np.float32)
        grid[:, reached] = part
        part[:] = (gaussian_filter(grid, (0, sigma, sigma)) / weight)[:, reached]
    for k in range(0, maps.shape[1], _COLUMNS):
        own = maps[:, k : k + _COLUMNS]
        own -= own.mean(axis=0)
        spread = own.std(axis=0)
        own /= np.where(spread > 0, spread, np.float32(1))


def _members(groups: IntArray) -> BoolArray:
    return np.asarray(groups == np.arange(groups.max() + 1)[:, None])
