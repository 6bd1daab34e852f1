"""Energies of functions on the sphere by degree: unchanged by every rotation."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray

_RIDGE = 1e-3  # beside the identity: holds what gaps between the points leave open


def spherical_harmonics(points: FloatArray, degree: int) -> FloatArray:
    """Return the real spherical harmonics up to a degree at unit vectors (n, 3).

    Orthonormal on the unit sphere. Columns by degree, then order -l..l.

    Returns
    -------
    values : (n, (degree + 1)^2) float64

    References
    ----------
    Holmes, Featherstone, 2002, eqs. (11) to (13), fully normalised associated Legendre functions.
    doi:10.1007/s00190-002-0216-2

    Examples
    --------
    >>> spherical_harmonics(np.array([[0.0, 0.0, 1.0]]), 1).round(4).tolist()
    [[0.2821, 0.0, 0.4886, 0.0]]
    """
    z, phi = points[:, 2], np.arctan2(points[:, 1], points[:, 0])
    sine = np.sqrt(np.maximum(1 - z**2, 0.0))
    values = np.empty((len(points), (degree + 1) ** 2))
    top = np.full(len(points), np.sqrt(1 / (4 * np.pi)))  # degree m, order m
    for m in range(degree + 1):
        if m:
            top = top * sine * np.sqrt((2 * m + 1) / (2 * m))
        before, now = np.zeros_like(top), top
        for d in range(m, degree + 1):
            if d > m:
                a = np.sqrt((4 * d * d - 1) / (d * d - m * m))
                b = np.sqrt(((d - 1) ** 2 - m * m) / (4 * (d - 1) ** 2 - 1))
                before, now = now, a * (z * now - b * before)
            middle = d * d + d
            if m == 0:
                values[:, middle] = now
            else:
                values[:, middle + m] = np.sqrt(2) * now * np.cos(m * phi)
                values[:, middle - m] = np.sqrt(2) * now * np.sin(m * phi)
    return values


def harmonic_energies(
    points: FloatArray, fields: FloatArray, weights: FloatArray, degree: int
) -> FloatArray:
    """Return how much of the fields lies in each degree, (degree + 1, k).

    The harmonics are fitted to the values by weighted least squares with a ridge of a thousandth;
    the energy of a degree is the sum of its squared coefficients, the integral of the squared part
    over the unit sphere. Fewer points than harmonics leave the ridge to choose.

    Parameters
    ----------
    points : (n, 3) float64
        Unit vectors.
    fields : (n, k) float64
    weights : (n,) float64
        Not negative: the area on the sphere that each point stands for.
    degree : int
    """
    basis = spherical_harmonics(points, degree)
    weighted = (basis * (weights * (4 * np.pi / weights.sum()))[:, None]).T
    normal = weighted @ basis + _RIDGE * np.eye(basis.shape[1])
    coefficients = np.linalg.solve(normal, weighted @ fields)
    starts = np.arange(degree + 1) ** 2
    return np.asarray(np.add.reduceat(coefficients**2, starts, axis=0))
