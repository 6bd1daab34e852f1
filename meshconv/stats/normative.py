"""`NormativeModel`: where, and how far, one scan lies outside of a norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.components import component_count
from meshconv.stats.covariates import covariate_table
from meshconv.stats.displacement import along, mean_normals
from meshconv.stats.group_statistic import image_stack

Rows = NDArray[np.float32]

_LEAST = 20  # scans in a norm
_CLIP = 4.0  # robust standard deviations beyond which a value does not count
_ROUNDS = 4  # of filling in what scans of the norm do not reach
_MAD = 1.4826  # standard deviation of a normal distribution / median absolute deviation
_INSIDE = 0.9995  # standard deviation of a normal distribution less what is beyond 4


@dataclass(frozen=True, eq=False)
class NormativeScore:
    """One scan beside the norm.

    Attributes
    ----------
    z : (N, N) float64
        Standard deviations outward (positive) or inward of what is expected of such a scan; NaN
        where it or the norm does not reach. Among many pixels some are beyond 2 or 3 by chance.
    distance : float
        Root mean square of z: about 1 for a member of the norm.
    p : float
        Share of the norm's own scans, each judged by a norm without it, that are as far out; at
        least 1 / (n + 1).
    """

    z: FloatArray
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
class _Expectation:
    """What is expected of a scan: of its covariates, and of what it has in common with others."""

    beta: FloatArray  # (1 + Z, D)
    rows: Rows  # (n, D), of the norm, less what covariates say, clipped
    ridge: float  # added to their products; inf if nothing in common is expected

    @classmethod
    def fit(
        cls, x: Rows, there: BoolArray, table: FloatArray, components: int | str
    ) -> _Expectation:
        design = _design(table)
        middle = np.nan_to_num(np.nanmedian(np.where(there, x, np.nan), axis=0))
        beta = np.linalg.lstsq(design, np.where(there, x, middle), rcond=None)[0]
        left = np.where(there, x - design @ beta, 0)
        limit = _CLIP * _robust(left, there)  # a few odd scans must not move the norm
        beta = beta + np.linalg.lstsq(design, np.clip(left, -limit, limit), rcond=None)[0]
        rows = np.where(there, np.clip(x - design @ beta, -limit, limit), 0).astype(np.float32)
        count = component_count(components, len(rows) - design.shape[1])
        if count == 0:
            return cls(beta, rows, np.inf)
        for _ in range(_ROUNDS):  # what is not there is what others would make of the rest
            products = (rows @ rows.T).astype(np.float64)
            values = np.linalg.eigvalsh(products)[::-1]
            ridge = max(float(values[count]), 1e-9 * float(values[0]), 1e-300)
            if there.all():
                break
            hat = np.linalg.solve(products + ridge * np.eye(len(rows)), products)
            rows = np.where(there, rows, hat.astype(np.float32).T @ rows)
        return cls(beta, rows, ridge)

    def unseen(self, x: Rows, there: BoolArray, table: FloatArray) -> FloatArray:
        """Return what is left (n, D) of each scan of the norm, as if the norm were of the others.

        In closed form, of the pixels that the scan reaches: with w = A^-1 e_i and A the rows'
        products and the ridge, w' rows / w_i is what ridge regression on the other rows leaves.
        """
        design = _design(table)
        left = np.where(there, x - design @ self.beta, 0)
        if np.isfinite(self.ridge):
            products = (self.rows @ self.rows.T).astype(np.float64)
            for k, known in enumerate(there):
                hidden = self.rows[:, ~known]
                own = products - (hidden @ hidden.T) + self.ridge * np.eye(len(x))
                weight = np.linalg.solve(own, np.eye(len(x))[k])
                left[k] += (weight / weight[k]) @ self.rows - self.rows[k]
        leverage = np.einsum("np,pn->n", design, np.linalg.pinv(design))
        return np.where(there, left / (1 - leverage)[:, None], 0)

    def left(self, x: Rows, there: BoolArray, table: FloatArray) -> FloatArray:
        """Return what is left (D,) of another scan, from where it is there."""
        left = np.where(there, x - (_design(table) @ self.beta)[0], 0)
        if np.isfinite(self.ridge):
            rows = self.rows[:, there].astype(np.float64)
            own = rows @ rows.T + self.ridge * np.eye(len(rows))
            left[there] -= np.linalg.solve(own, rows @ left[there]) @ rows
        return np.asarray(left)


def _design(table: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(table)), table])


def _robust(left: NDArray[Any], there: BoolArray) -> FloatArray:
    """Return the standard deviation (D,) of what is there, of which a few may be anything."""
    size = np.nan_to_num(np.nanmedian(np.where(there, np.abs(left), np.nan), axis=0)) * _MAD
    inside = there & (np.abs(left) <= _CLIP * size)
    mean = np.where(inside, left, 0) ** 2
    return np.asarray(np.sqrt(mean.sum(axis=0) / np.maximum(inside.sum(axis=0), 1)) / _INSIDE)


@dataclass(frozen=True, eq=False)
class NormativeModel:
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
    _expected: _Expectation

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
    ) -> NormativeModel:
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
        expected = _Expectation.fit(x, there, table, components)
        left = expected.unseen(x, there, table)
        scale = _blurred(_robust(left, there)[None] ** 2, reached, blur)[0] ** 0.5
        distances = np.sort(_distance(left / np.maximum(scale, 1e-12), there))
        return cls(reached, normals, scale, distances, names, blur, expected)

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
        return NormativeScore(out, distance, (1 + above) / (1 + len(self.distances)))


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
