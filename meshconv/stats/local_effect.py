"""An effect beyond what the rest of the surface predicts: how much a place differs, in people who
are alike elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.permuted_maps import Study

_TILES = 8  # per side, that are estimated each with its own surroundings left out
_GUARD = 0.15  # sides around a tile that have no say in what is predicted there
_SHARE = 0.1  # of the degrees of freedom, that are taken for predictors


def local_effect(
    study: Study, values: NDArray[Any], level: float, *, differs: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the coefficient of the last column at each pixel, and half the width of its interval,
    (D,) each, among rows that are alike elsewhere.

    Parameters
    ----------
    study : Study
    values : (n, D) array
        NaN where a row does not reach.
    level : float
        Of the interval.
    differs : (D,) bool
        Where there is an effect for sure: these pixels predict nothing elsewhere.

    Notes
    -----
    Individuals differ by several times what is looked for, smoothly: most of it is seen elsewhere
    on the same surface. So each tile's model has for covariates the first principal components of
    all that is farther away than a guard, found blind to the effect (of the residuals of the whole
    model), as in an analysis of covariance. An effect that is local does not touch its covariates:
    its estimate is not biased by them, only more certain; nor are those of other places, which
    would else be compared beside an effect that is not theirs. Of one that reaches farther, what is
    the same everywhere counts as predicted.
    """
    there, x, model = np.isfinite(values), study.rows(values), study.model
    count = int(model.freedom * _SHARE)
    if count == 0:
        return model.estimate(x, there, level)
    place = np.argwhere(study.reached) / max(len(study.reached) - 1, 1)
    tile = np.minimum((place * _TILES).astype(np.int64), _TILES - 1)
    whole = (x @ x.T).astype(np.float64)
    effect, half = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for own in np.unique(tile, axis=0):
        inside = (tile == own).all(axis=1)
        low, high = own / _TILES - _GUARD, (own + 1) / _TILES + _GUARD
        near = x[:, differs | ((place >= low) & (place <= high)).all(axis=1)]
        told = _beside(model, whole - (near @ near.T).astype(np.float64), count)
        effect[inside], half[inside] = told.estimate(x[:, inside], there[:, inside], level)
    return effect, half


def _beside(model: LinearModel, products: FloatArray, count: int) -> LinearModel:
    """Return the model with the first components of rows of these products (n, n) as covariates."""
    full = np.hstack([model.nuisance, model.effect])
    left = products - full @ (full.T @ products)
    left = left - (left @ full) @ full.T
    values, vectors = np.linalg.eigh((left + left.T) / 2)
    kept = values[-count:] > 1e-9 * max(float(values[-1]), 1e-300)
    scores = products @ vectors[:, -count:][:, kept]
    basis, triangle = np.linalg.qr(np.hstack([model.nuisance, scores]))
    size = np.abs(np.diag(triangle))
    return replace(
        model, nuisance=basis[:, size > 1e-9 * max(float(size.max(initial=0.0)), 1e-300)]
    )
