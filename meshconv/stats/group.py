"""Group maps: where two or more groups of scans differ, and where that is more than chance over the
whole map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import BoolArray, FloatArray
from meshconv.errors import ArgumentError
from meshconv.stats.group_statistic import (
    centred,
    f_ratio,
    f_ratio_of_known,
    image_stack,
    mean_images,
    one_hot,
)
from meshconv.stats.split import numbered

_BLOCK = 100  # permutations worked on at once


@dataclass(frozen=True, eq=False)
class GroupMap:
    """Where groups differ, in the frame.

    Attributes
    ----------
    statistic : (N, N) float64
        Root of the mean F ratio over channels: |t| for one channel and two groups. Of the scans
        that reach a pixel; NaN where too few do.
    p : (N, N) float64
        Probability of a statistic as large *anywhere on the map* if labels meant nothing (corrected
        for the number of pixels); in (0, 1]; NaN likewise.
    difference : (C, N, N) float64
        Mean of the last group minus mean of the first, of the scans that reach a pixel; NaN
        likewise.
    """

    statistic: FloatArray
    p: FloatArray
    difference: FloatArray

    def significant(self, level: float = 0.05) -> BoolArray:
        """Return where p is at most `level`, (N, N)."""
        return np.asarray(np.nan_to_num(self.p, nan=1.0) <= level)


def group_map(
    images: NDArray[Any],
    labels: ArrayLike,
    *,
    subjects: Sequence[Any] | None = None,
    permutations: int = 500,
    seed: int = 0,
    least_share: float = 0.5,
) -> GroupMap:
    """Return where groups of registered images differ, with a permutation test of the maximum.

    Parameters
    ----------
    images : (n, C, N, N) array
        NaN outside each image's mask (`Prepared.images`).
    labels : (n,) array_like
        Two groups or more.
    subjects : sequence of n, optional
        Whom each scan is of; an empty one is unknown, and another each time. Every subject then
        counts once, by the mean of its scans, and labels are permuted between subjects. Without it
        each scan counts as a subject of its own, and several scans of one subject make chance look
        significant.
    permutations : int
        The smallest p is 1 / (permutations + 1).
    seed : int
    least_share : float
        Pixels reached by a smaller share of the scans, or by fewer than two of a group, are left
        out.

    Raises
    ------
    ArgumentError
        If there is only one group or a group of one subject, a label is missing, or a subject has
        scans of two groups: the labels of its scans cannot be exchanged with those of others.
    ArrayTypeError
        If the images are not (n, C, N, N).

    References
    ----------
    Nichols, Holmes, 2002, Nonparametric permutation tests for functional neuroimaging.
    doi:10.1002/hbm.1058
    """
    if permutations < 0:
        raise ArgumentError(f"permutations must be at least 0, found {permutations}")
    given = _known(labels)
    if len(given) != len(image_stack(images)):
        raise ArgumentError(
            f"labels must be one for each of {len(images)} images, found {len(given)}"
        )
    if subjects is not None:
        images, given = _by_subject(images, given, subjects)
    values, y, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(values) < 2 or counts.min() < 2:
        raise ArgumentError(
            f"a group map needs two groups of two subjects or more, found groups of {counts.tolist()}"
        )
    n_channels = images.shape[1]
    member = one_hot(y)
    reached = np.isfinite(images).all(axis=1)
    enough = (np.tensordot(member, reached, 1) >= 2).all(axis=0) & (
        reached.mean(axis=0) >= least_share
    )
    if not enough.any():
        raise ArgumentError(
            f"no pixel is reached by {least_share:.0%} of the images and two of each group"
        )
    picked = images[:, :, enough]
    known = np.isfinite(picked).reshape(len(y), -1)
    x = centred(picked)
    ratio = partial(f_ratio, x) if known.all() else partial(f_ratio_of_known, x, known)
    found = _root(ratio(member), n_channels)
    top = _chance(ratio, member, n_channels, permutations, seed)
    above = len(top) - np.searchsorted(top, found * (1 - 1e-6), side="left")
    means = (member @ x) / (member @ known.astype(np.float32))
    return GroupMap(
        _filled(found, enough),
        _filled((1 + above) / (1 + permutations), enough),
        _filled((means[-1] - means[0]).reshape(n_channels, -1), enough),
    )


def _chance(
    ratio: Callable[[NDArray[Any]], FloatArray],
    member: NDArray[Any],
    n_channels: int,
    permutations: int,
    seed: int,
) -> FloatArray:
    """Return the largest statistic of each of the maps that permuted labels give, sorted."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(member.shape[1]) for _ in range(permutations)]
    largest = [
        _root(ratio(np.stack([member[:, o] for o in orders[k : k + _BLOCK]])), n_channels).max(
            axis=-1
        )
        for k in range(0, permutations, _BLOCK)
    ]
    return np.sort(np.concatenate(largest)) if largest else np.zeros(0)


def _by_subject(
    images: NDArray[Any], labels: NDArray[Any], subjects: Sequence[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the mean image of each subject, of what is there, and its label."""
    if len(subjects) != len(images):
        raise ArgumentError(
            f"subjects must be one for each of {len(images)} images, found {len(subjects)}"
        )
    whose = numbered(map(str, subjects), unknown="")
    first = np.unique(whose, return_index=True)[1]
    mixed = np.flatnonzero(labels != labels[first][whose])
    if len(mixed):
        k = int(mixed[0])
        raise ArgumentError(
            f"subject {str(subjects[k])!r} has scans of groups {labels[first[whose[k]]]!s} and {labels[k]!s}"
            f" ({len(np.unique(whose[mixed]))} such subjects): their labels cannot be exchanged with those of others",
            hint="keep the scans of one group for each subject; differences within subjects need a paired test",
        )
    return mean_images(images, whose), labels[first]


def _known(labels: ArrayLike) -> NDArray[Any]:
    """Return labels if all are known; NaN and None are no group."""
    given = (
        labels.tolist() if isinstance(labels, np.ndarray) else list(cast("Sequence[Any]", labels))
    )
    missing = [
        k
        for k, value in enumerate(given)
        if value is None or (isinstance(value, float) and isnan(value))
    ]
    if missing:
        raise ArgumentError(
            f"Input y contains NaN: label {missing[0]} ({len(missing)} of {len(given)})",
            indices=missing,
            count=len(missing),
            hint="leave these images out",
        )
    return np.asarray(labels)


def _root(ratio: FloatArray, n_channels: int) -> FloatArray:
    return np.sqrt(ratio.reshape(*ratio.shape[:-1], n_channels, -1).mean(axis=-2))


def _filled(values: FloatArray, there: BoolArray) -> FloatArray:
    out = np.full((*values.shape[:-1], *there.shape), np.nan)
    out[..., there] = values
    return out
