"""`group_evidence`: where groups of images differ, and whether knowing it helps to tell new images apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.datasets.population import GroupStatistic, checked_groups, one_hot
from meshconv.errors import ArgumentError
from meshconv.train.metrics import grouped_folds, rarest, roc_auc, subject_numbers

_SHARPNESS = 7.0  # a pixel's weight is exp(sharpness * statistic), the statistic scaled to 0..1
_LEAST_WEIGHT = 1e-2  # of the largest; what weighs less is left out
_COLUMNS = 1024  # pixels worked on at once
_RIDGE = 1e-2  # of the kernel's mean diagonal
_BY_CHANCE, _CERTAIN = 2.0, 4.0  # standard errors above chance


def group_evidence(
    images: NDArray[Any],
    labels: IntArray,
    *,
    subjects: Sequence[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[FloatArray, float]:
    """Return `group_statistic`, and how surely places chosen by it tell images apart that it has not seen, 0 to 1.

    In each fold the statistic of the other folds weighs the pixels of a ridge regression of the labels, which then
    judges the images of the fold. That sees a difference spread over many pixels, none of which stands out.

    Parameters
    ----------
    images : (n, C, N, N) array
        NaN outside each image's mask.
    labels : (n,) int64
        Groups 0..K-1, none empty.
    subjects : sequence of n, optional
        Whom each image is of; images of one subject are in one fold, and count as one.
    folds : int
        At least 2; fewer are made if the rarest group has fewer subjects.
    seed : int
        Of the folds.

    Returns
    -------
    statistic : (N, N) float64
        Of all images.
    evidence : float
        0 for an area under the ROC curve (mean over the groups) up to two standard errors above chance, 1 from four,
        linear between; 0 too if a group has a single subject.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `group_statistic`, or if there are fewer than 2 folds.

    References
    ----------
    Hanley and McNeil, 1982, doi:10.1148/radiology.143.1.7063747 (the standard error of an area without effect).
    """
    if folds < 2:
        raise ArgumentError(f"evidence needs at least 2 folds, found {folds}")
    y = checked_groups(images, labels)
    statistic = GroupStatistic(images)
    found, folds = statistic(y), min(folds, rarest(y, subjects)[0])
    if folds < 2 or not statistic.total.any():
        return found, 0.0
    scores, whom = np.zeros((len(y), int(y.max()) + 1)), subject_numbers(len(y), subjects)
    for learn, held in grouped_folds(y, subjects, folds=folds, seed=seed):
        scores[held] = _judged(statistic, y, learn, held)
    above = np.mean([roc_auc(y == k, scores[:, k]) - 0.5 for k in range(scores.shape[1])])
    error = np.mean([_standard_error(y == k, whom) for k in range(scores.shape[1])])
    return found, float(np.clip((above / error - _BY_CHANCE) / (_CERTAIN - _BY_CHANCE), 0.0, 1.0))


def _judged(statistic: GroupStatistic, labels: IntArray, learn: IntArray, held: IntArray) -> FloatArray:
    """Return scores (held, K) of a ridge regression on the other images' pixels, weighted by their statistic."""
    weight = np.broadcast_to(_weight(statistic(labels, learn)), statistic.shape).ravel()
    used = np.flatnonzero((weight > _LEAST_WEIGHT) & (statistic.total > 0))
    scale = np.sqrt(weight[used] / statistic.total[used]).astype(np.float32)
    kernel = np.zeros((len(labels), len(learn)))
    for k in range(0, len(used), _COLUMNS):  # a block at a time: no further copy of the images
        pixels = statistic.centred[:, used[k : k + _COLUMNS]] * scale[k : k + _COLUMNS]
        pixels -= pixels[learn].mean(axis=0)
        kernel += pixels @ pixels[learn].T
    own = kernel[learn]
    if not np.trace(own) > 0:  # what differs in the others differs nowhere among these
        return np.zeros((len(held), int(labels.max()) + 1))
    target = one_hot(labels)[:, learn].T.astype(np.float64)
    target -= target.mean(axis=0)
    ridge = _RIDGE * np.trace(own) / len(learn) * np.eye(len(learn))
    return np.asarray(kernel[held] @ np.linalg.solve(own + ridge, target))


def _weight(statistic: FloatArray) -> FloatArray:
    """Return weights 0..1 of the pixels, 1 at the peak, 0 where hardly any image reaches."""
    low, high = np.nanmin(statistic), np.nanmax(statistic)
    below = (high - statistic) / (high - low) if high > low else 0 * statistic
    return np.nan_to_num(np.exp(-_SHARPNESS * below))


def _standard_error(positive: BoolArray, whom: IntArray) -> float:
    """Return that of an area under the ROC curve without effect, each subject counted once in a group."""
    p, q = len(np.unique(whom[positive])), len(np.unique(whom[~positive]))
    return float(np.sqrt((p + q + 1) / (12 * p * q)))
