"""`group_evidence`: where groups of images differ, and whether knowing it helps to tell new images
apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.folds import grouped_folds, rarest, subject_numbers
from meshconv.stats.group_statistic import GroupStatistic, checked_groups, mean_images, one_hot

_SHARPNESS = 7.0  # a pixel's weight is exp(sharpness * statistic), the statistic scaled to 0..1
_LEAST_WEIGHT = 1e-2  # of the largest; what weighs less is left out
_COLUMNS = 1024  # pixels worked on at once
_RIDGE = 1e-2  # of the kernel's mean diagonal
_BY_CHANCE, _CERTAIN = 2e-3, 1e-4  # p that is no evidence, and p that is full evidence


def group_evidence(
    images: NDArray[Any],
    labels: IntArray,
    *,
    subjects: Sequence[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> tuple[FloatArray, float]:
    """Return `group_statistic`, and how surely places chosen by it tell images apart that it has
    not seen, 0 to 1.

    In each fold the statistic of the other folds weighs the pixels of a ridge regression of the
    labels, which then judges the images of the fold. That sees a difference spread over many
    pixels, none of which stands out.

    Parameters
    ----------
    images : (n, C, N, N) array
        NaN outside each image's mask.
    labels : (n,) int64
        Groups 0..K-1, none empty.
    subjects : sequence of n, optional
        Whom each image is of; an empty one is unknown, and another each time. Every subject counts
        once in a group, by the mean of its images, and is in one fold.
    folds : int
        At least 2; fewer are made if the rarest group has fewer subjects.
    seed : int
        Of the folds.

    Returns
    -------
    statistic : (N, N) float64
        Of all images.
    evidence : float
        From the probability p that a group's images are ranked above the others' as far by chance
        (rank sums; the least of the groups, times their number): 0 for p of .002 and more, 1 for
        .0001 and less, linear in log p between. 0 too if a group has a single subject; two groups
        of six that are told apart without a fault give .2, two of eight 1. As each fold's labels
        taught the other folds, ranks are not quite independent: of sets of pure noise 1 to 3 in 100
        gave any evidence, none or 1 in 400 full evidence.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `group_statistic`, or if there are fewer than 2 folds.

    References
    ----------
    Mann and Whitney, 1947, doi:10.1214/aoms/1177730491 (the probability of a sum of ranks).
    """
    if folds < 2:
        raise ArgumentError(f"evidence needs at least 2 folds, found {folds}")
    y = checked_groups(images, labels)
    statistic, whom = GroupStatistic(images), subject_numbers(len(y), subjects)
    found = statistic(y)
    each, member = np.unique(np.stack([whom, y]), axis=1, return_inverse=True)
    if each.shape[1] < len(y):
        statistic, (whom, y) = GroupStatistic(mean_images(images, member.ravel())), each
    folds = min(folds, rarest(y, whom.tolist())[0])
    if folds < 2 or not np.nan_to_num(found).any():
        return found, 0.0
    scores = np.zeros((len(y), int(y.max()) + 1))
    for learn, held in grouped_folds(y, whom.tolist(), folds=folds, seed=seed):
        scores[held] = _judged(statistic, y, learn, held)
    log_p = np.log(_by_chance(scores, y))
    return found, float(
        np.clip((np.log(_BY_CHANCE) - log_p) / np.log(_BY_CHANCE / _CERTAIN), 0.0, 1.0)
    )


def _by_chance(scores: FloatArray, labels: IntArray) -> float:
    """Return the probability that some group's own scores (n, K) rank as high by chance."""
    from scipy.stats import mannwhitneyu

    n_groups = scores.shape[1]
    p = [
        mannwhitneyu(scores[labels == k, k], scores[labels != k, k], alternative="greater").pvalue
        for k in range(n_groups)
    ]
    return float(
        np.clip(min(p) * (n_groups if n_groups > 2 else 1), np.finfo(np.float64).tiny, 1.0)
    )


def _judged(
    statistic: GroupStatistic, labels: IntArray, learn: IntArray, held: IntArray
) -> FloatArray:
    """Return scores (held, K) of a ridge regression on the other images' pixels, weighted by their
    statistic.
    """
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
