"""`ImageNorm`: where, and how far, one scan lies outside of a norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.components import Rows
from meshconv.stats.covariates import covariate_table
from meshconv.stats.departure import Departure
from meshconv.stats.displacement import along, mean_normals
from meshconv.stats.expectation import Expectation, Parts, Unseen, robust
from meshconv.stats.group_statistic import image_stack
from meshconv.stats.strips import Strips

_LEAST = 20  # scans in a norm
_LEAST_SCALE = 1e-12
_BLOCK = 64  # scans blurred at once


@dataclass(frozen=True, eq=False)
class NormativeScore:
    """One scan beside the norm.

    Attributes
    ----------
    z : (N, N) float64
        Standard deviations outward (positive) or inward of what is expected of such a scan; NaN
        where it or the norm does not reach. Among many pixels some are beyond 2 or 3 by chance.
    departure : (N, N) float64
        How unusual the shape is there in any channel, position or direction, pooled over a small
        neighbourhood: standard normal values in scans of the norm, large where one departs from it.
        What is sideways or bent is seen here alone.
    distance : float
        Root mean square of z: about 1 for a member of the norm.
    p : float
        Share of the norm's own scans, each judged by a norm without it, that are as far out; at
        least 1 / (n + 1).
    """

    z: FloatArray
    departure: FloatArray
    distance: float
    p: float

    def __str__(self) -> str:
        top = np.unravel_index(int(np.nanargmax(np.abs(self.z))), self.z.shape)
        u, v = (k / (len(self.z) - 1) for k in top[::-1])
        return (
            f"distance from the norm {self.distance:.2f} (p = {self.p:.2g});"
            f" furthest z = {self.z[top]:+.1f}, at ({u:.2f}, {v:.2f})"
        )


@dataclass(frozen=True, eq=False)
class ImageNorm:
    """What is normal, at every pixel of the frame.

    Attributes
    ----------
    reached : (N, N) bool
        The D pixels that enough scans of the norm reach.
    normals : (3, D) float64
        Mean normals, along which scans are compared.
    scale : (D,) float64
        Robust standard deviation of what is not expected of a scan, each judged by the others,
        blurred.
    distances : (n,) float64
        Of those scans, sorted; without any that the others cannot judge: one that reaches none of
        these pixels, or alone has a value of a covariate.
    channels : tuple of str
    blur : float
    """

    reached: BoolArray
    normals: FloatArray
    scale: FloatArray
    distances: FloatArray
    channels: tuple[str, ...]
    blur: float
    _expected: Expectation
    _departure: Departure

    @classmethod
    def fit(
        cls,
        images: NDArray[Any],
        covariates: ArrayLike | None = None,
        *,
        channels: Sequence[str],
        components: int | str = "auto",
        blur: float = 0.01,
        least_share: float = 0.5,
    ) -> Self:
        """Return the norm of scans of as many subjects.

        Parameters
        ----------
        images : (n, C, N, N) array or ImageStack
            NaN outside each image's mask; one scan of each subject, at least 20. Read a strip of
            the grid at a time: they may lie in files.
        covariates : (n,) or (n, Z) array_like, optional
            Age, sex, ...: what is expected changes linearly with them.
        channels : sequence of C str
            With ``difference_x, _y, _z`` (or ``x, y, z``) and ``normal_x, _y, _z`` among them.
        components : int or 'auto'
            How many directions in which individuals vary are expected of everybody, see
            `meshconv.stats.components`; 0: only the mean is expected.
        blur : float
            Standard deviation of the Gaussian over displacements and their scale, in sides.
        least_share : float
            Pixels that a smaller share of the norm reaches are left out.

        Raises
        ------
        ArgumentError, ArrayTypeError
            If there are fewer than 20 scans, the channels do not say positions and normals, or a
            covariate is not finite.

        References
        ----------
        Marquand et al., 2016, doi:10.1016/j.biopsych.2015.12.023 (normative models).
        """
        n = len(image_stack(images))
        if n < _LEAST:
            raise ArgumentError(f"a norm needs {_LEAST} scans or more, found {n}")
        table, names = covariate_table(covariates, n), tuple(channels)
        strips = Strips(images, np.arange(n))
        reached = strips.reach(np.ones((1, n), dtype=bool))[0] / n >= least_share
        if not reached.any():
            raise ArgumentError(f"no pixel is reached by {least_share:.0%} of the images")
        heights, normals = Heights.of(strips, reached, names, blur)
        expected = Expectation.fit(heights, table, components)
        scale, distances = _spread(expected.unseen(heights, table), heights, reached, blur)
        del heights
        departure = Departure.fit(strips, reached, table, components)
        return cls(reached, normals, scale, distances, names, blur, expected, departure)

    def score(self, image: NDArray[Any], covariates: ArrayLike | None = None) -> NormativeScore:
        """Return how far one image (C, N, N) is from the norm, with its covariates (Z,).

        Raises
        ------
        ArgumentError, ArrayTypeError
            If the image is of another shape, or the covariates of another number.
        """
        shape = (len(self.channels), *self.reached.shape)
        if np.shape(image) != shape:
            raise ArrayTypeError(f"the image must be {shape}, found {np.shape(image)}")
        given = None if covariates is None else np.atleast_1d(np.asarray(covariates))[None]
        table = covariate_table(given, 1)
        if table.shape[1] != len(self._expected.beta) - 1:
            raise ArgumentError(
                f"the norm has {len(self._expected.beta) - 1} covariates, found {table.shape[1]}"
            )
        x = along(image[None][:, :, self.reached], self.channels, self.normals)
        there = np.isfinite(x)
        x = _evened(x, there, self.reached, self.blur)
        left = self._expected.left(x, there[0], table)[0]
        z = left / np.maximum(self.scale, _LEAST_SCALE)
        distance = float(_distance(_sum_of_squares(z[None]), there.sum(axis=1))[0])
        above = int((self.distances >= distance).sum())
        out = np.full(self.reached.shape, np.nan)
        out[self.reached] = np.where(there[0], z, np.nan)
        departure = self._departure.z(np.asarray(image), table)
        return NormativeScore(out, departure, distance, (1 + above) / (1 + len(self.distances)))


@dataclass(frozen=True, eq=False)
class Heights:
    """Blurred positions of the norm along its normals, as `meshconv.stats.expectation.Scans`."""

    x: Rows  # (n, D), 0 where they are not there
    there: BoolArray
    places: tuple[slice, ...]

    @classmethod
    def of(
        cls, strips: Strips, reached: BoolArray, channels: Sequence[str], blur: float
    ) -> tuple[Heights, FloatArray]:
        """Return those of images, and the normals (3, D)."""
        size = (strips.shape[0], int(reached.sum()))
        x, normals, places = np.empty(size, dtype=np.float32), np.empty((3, size[1])), []
        for _, place, values in strips.parts(reached):
            own = mean_normals(values, channels)
            if own is None:
                raise ArgumentError("channels: positions and normals are needed for a norm")
            x[:, place], normals[:, place] = along(values, channels, own), own
            places.append(place)
        there = np.isfinite(x)
        for k in range(0, len(x), _BLOCK):
            some = slice(k, k + _BLOCK)
            x[some] = _evened(x[some], there[some], reached, blur)
        return cls(x, there, tuple(places)), normals

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, 1, D)."""
        return len(self.x), 1, self.x.shape[1]

    def __iter__(self) -> Parts:
        """Yield pixels, their values (n, 1, d), and where they are there."""
        for place in self.places:
            yield place, self.x[:, None, place], self.there[:, place]


def _spread(
    unseen: Unseen, heights: Heights, reached: BoolArray, blur: float
) -> tuple[FloatArray, FloatArray]:
    """Return the blurred standard deviation (D,) of what is not expected, and the distances of
    the scans that others judge, sorted.
    """
    scale = np.empty(heights.x.shape[1])
    for place, left, there in unseen:
        scale[place] = robust(left[:, 0], there)
    scale = _blurred(scale[None] ** 2, reached, blur)[0] ** 0.5
    total, count = np.zeros((2, len(heights.x)))
    for place, left, there in unseen:
        total += _sum_of_squares(left[:, 0] / np.maximum(scale[place], _LEAST_SCALE))
        count += there.sum(axis=1)
    return scale, np.sort(_distance(total, count)[count > 0])


def _sum_of_squares(z: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("nd,nd->n", z, z))


def _distance(total: FloatArray, count: FloatArray) -> FloatArray:
    return np.sqrt(total / np.maximum(count, 1))


def _evened(x: Rows, there: BoolArray, reached: BoolArray, blur: float) -> Rows:
    """Return heights (n, D) blurred over what is there, 0 elsewhere."""
    share = _blurred(there.astype(np.float32), reached, blur)
    known = _blurred(np.where(there, x, np.float32(0)), reached, blur)
    return np.where(there, known / np.maximum(share, np.float32(1e-3)), 0)


def _blurred(rows: NDArray[Any], reached: BoolArray, blur: float) -> NDArray[Any]:
    """Return rows (n, D) blurred over the pixels that are reached."""
    sigma = blur * (len(reached) - 1)
    grid = np.zeros((len(rows), *reached.shape), dtype=rows.dtype)
    grid[:, reached] = rows
    weight = np.maximum(gaussian_filter(reached.astype(np.float32), sigma), 1e-3)
    return np.asarray((gaussian_filter(grid, (0, sigma, sigma)) / weight)[:, reached])
