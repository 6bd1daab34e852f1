"""Covariates: age, sex, ..., as a table of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError


def covariate_table(covariates: ArrayLike | None, n: int) -> FloatArray:
    """Return covariates of n images, (n, Z); no column for None.

    Raises
    ------
    ArgumentError
        If they are no numbers, not (n,) or (n, Z), or one is not finite; names the first image.
    """
    if covariates is None:
        return np.zeros((n, 0))
    try:
        table = np.asarray(covariates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"covariates must be numbers ({error})",
            hint="texts as 0 and 1, a column for each but one; `meshconv.study` does so",
        ) from error
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != n:
        raise ArgumentError(
            f"covariates must be (n,) or (n, Z) for {n} images, found {np.shape(covariates)}"
        )
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise ArgumentError(
            f"the covariates of image {bad[0]} are not finite ({len(bad)} of {n})",
            indices=bad.tolist(),
            count=len(bad),
            hint="leave these images out",
        )
    return table
