"""An effect beyond what the rest of the surface predicts: how much a place differs, in people who
are alike elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.stats.components import sampled
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.permuted_maps import Study

_TILES = 8  # per side, that are estimated each with its own surroundings left out
_GUARD = 0.15  # sides around a tile that have no say in what is predicted there
_SHARE = 0.1  # of the degrees of freedom, that are taken for predictors
_SMALL = 1e-9  # of the largest variance or size


def local_effect(
    study: Study, x: NDArray[np.float32], there: BoolArray, level: float, *, differs: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the coefficient of the last column at each pixel, and half the width of its interval,
    (D,) each, among rows that are alike elsewhere.

    Parameters
    ----------
    study : Study
    x, there : (n, D) array
        `Study.rows` of a measure, as the height.
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
    model, sample = study.model, sampled(len(x))
    count = int(min(model.freedom, len(sample)) * _SHARE)
    if count == 0:
        return model.estimate(x, there, level)
    place = np.argwhere(study.reached) / max(len(study.reached) - 1, 1)
    tile = np.minimum((place * _TILES).astype(np.int64), _TILES - 1)
    some = x if len(sample) == len(x) else x[sample]
    whole = (some @ some.T).astype(np.float64)
    effect, half = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for own in np.unique(tile, axis=0):
        inside = (tile == own).all(axis=1)
        low, high = own / _TILES - _GUARD, (own + 1) / _TILES + _GUARD
        near = differs | ((place >= low) & (place <= high)).all(axis=1)
        around = some[:, near]
        products = whole - (around @ around.T).astype(np.float64)
        loads = _loads(model, products, sample, count).astype(np.float32)
        pattern = some.T @ loads
        pattern[near] = 0
        beside = _beside(model, x @ pattern)
        effect[inside], half[inside] = beside.estimate(x[:, inside], there[:, inside], level)
        del beside
    return effect, half


def _loads(model: LinearModel, products: FloatArray, sample: IntArray, count: int) -> FloatArray:
    """Return how much of each row of the sample the first components are made of, (m, count),
    blind to the model, from the products (m, m) of these rows.
    """
    full, _ = np.linalg.qr(np.hstack([model.nuisance, model.effect])[sample])
    left = products - full @ (full.T @ products)
    left = left - (left @ full) @ full.T
    values, vectors = np.linalg.eigh((left + left.T) / 2)
    return np.asarray(vectors[:, -count:][:, values[-count:] > _SMALL * max(values[-1], 1e-300)])


def _beside(model: LinearModel, scores: NDArray[np.float32]) -> LinearModel:
    """Return the model with scores (n, k) as covariates."""
    basis, triangle = np.linalg.qr(np.hstack([model.nuisance, scores]))
    size = np.abs(np.diag(triangle))
    told = size > _SMALL * max(float(size.max(initial=0)), 1e-300)
    return replace(model, nuisance=basis if told.all() else basis[:, told])
