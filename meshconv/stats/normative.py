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
from meshconv.stats.covariates import covariate_table
from meshconv.stats.departure import Departure
from meshconv.stats.displacement import along, mean_normals
from meshconv.stats.expectation import Expectation, robust
from meshconv.stats.group_statistic import image_stack

Rows = NDArray[np.float32]

_LEAST = 20  # scans in a norm


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
        Of those scans, sorted.
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
        images : (n, C, N, N) array
            NaN outside each image's mask; one scan of each subject, at least 20.
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
        reached = np.isfinite(images).all(axis=1).mean(axis=0) >= least_share
        normals = mean_normals(images[:, :, reached], names)
        if normals is None:
            raise ArgumentError("channels: positions and normals are needed for a norm")
        x, there = _heights(images, reached, names, normals, blur)
        expected = Expectation.fit(x, there, table, components)
        left = expected.unseen(x, there, table)
        scale = _blurred(robust(left, there)[None] ** 2, reached, blur)[0] ** 0.5
        distances = np.sort(_distance(left / np.maximum(scale, 1e-12), there))
        departure = Departure.fit(images, reached, table, components)
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
        x, there = _heights(image[None], self.reached, self.channels, self.normals, self.blur)
        z = self._expected.left(x[0], there[0], table) / np.maximum(self.scale, 1e-12)
        distance = float(_distance(z[None], there)[0])
        above = int((self.distances >= distance).sum())
        out = np.full(self.reached.shape, np.nan)
        out[self.reached] = np.where(there[0], z, np.nan)
        departure = self._departure.z(np.asarray(image), table)
        return NormativeScore(out, departure, distance, (1 + above) / (1 + len(self.distances)))


def _distance(z: FloatArray, there: BoolArray) -> FloatArray:
    return np.sqrt((z**2).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _heights(
    images: NDArray[Any],
    reached: BoolArray,
    channels: Sequence[str],
    normals: FloatArray,
    blur: float,
) -> tuple[Rows, BoolArray]:
    """Return blurred positions along normals, (n, D), 0 where they are not there, and where."""
    x = along(images[:, :, reached], channels, normals)
    there = np.isfinite(x)
    x = np.where(there, x, 0)
    share = _blurred(there.astype(np.float32), reached, blur)
    return np.where(there, _blurred(x, reached, blur) / np.maximum(share, 1e-3), 0), there


def _blurred(rows: NDArray[Any], reached: BoolArray, blur: float) -> NDArray[Any]:
    """Return rows (n, D) blurred over the pixels that are reached."""
    sigma = blur * (len(reached) - 1)
    grid = np.zeros((len(rows), *reached.shape), dtype=rows.dtype)
    grid[:, reached] = rows
    weight = np.maximum(gaussian_filter(reached.astype(np.float32), sigma), 1e-3)
    return np.asarray((gaussian_filter(grid, (0, sigma, sigma)) / weight)[:, reached])
