"""Folds and parts held out: classes in proportion, no subject on both sides."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import IntArray
from meshconv.errors import ArgumentError, MeshConvWarning
from meshconv.stats.split import numbered

_MOST_FOLDS = 20  # that a share to hold out is made of, if it is not a very small or large one


def warn_shared_subjects(train: Iterable[Any], test: Iterable[Any]) -> None:
    """Warn if a subject is on both sides: the figures would flatter. Empty ones are unknown and do
    not count.
    """
    both = sorted({*map(str, train)} & {*map(str, test)} - {""})
    if both:
        listed = ", ".join(both[:5]) + (", ..." if len(both) > 5 else "")
        warnings.warn(
            f"{len(both)} subjects are in train and test ({listed}): the figures flatter;"
            " split by subject",
            MeshConvWarning,
            stacklevel=3,
        )


def grouped_folds(
    labels: ArrayLike, subjects: Sequence[Any] | None = None, *, folds: int = 5, seed: int = 0
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (train, test) indices: classes in proportion, no subject on both sides.

    Raises
    ------
    ArgumentError
        If a class has fewer members (or subjects) than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    y = np.asarray(labels)
    groups, (members, value) = subject_numbers(len(y), subjects), rarest(y, subjects)
    if members < folds:
        raise ArgumentError(
            f"n_splits={folds} cannot be greater than the number of members in each class:"
            f" class {value!r} has {members}",
            hint=f"folds={members} or fewer" if members > 1 else "add scans of it",
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(np.zeros(len(y)), y, groups):
        yield train.astype(np.int64), test.astype(np.int64)


def inner_folds(
    index: IntArray, subjects: Sequence[Any] | None, *, seed: int
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (train, test) indices of up to five folds, by which something is chosen inside a fit:
    those in which every class is learned from; none where a class has a single subject.
    """
    fewest = rarest(index, subjects)[0]
    if fewest < 2:
        return
    for rows, held in grouped_folds(index, subjects, folds=min(5, fewest), seed=seed):
        if len(np.unique(index[rows])) == len(np.unique(index)):
            yield rows, held


def hold_out(
    labels: ArrayLike, subjects: Sequence[Any] | None = None, *, share: float = 0.2, seed: int = 0
) -> tuple[IntArray, IntArray]:
    """Return (train, held out) indices: classes in proportion, no subject on both sides.

    Parameters
    ----------
    labels : (n,) array_like
    subjects : sequence of n, optional
        Whom each scan is of; an empty one is unknown, and another each time.
    share : float
        Of the scans that are held out, above 0 and below 1. Some of several equal folds are held
        out (1 of 5 for .2, 3 of 10 for .3), and there are never more folds than members of the
        rarest class: with 5 members, .3 becomes 1 of 3.
    seed : int

    Raises
    ------
    ArgumentError
        If `share` is out of range, or a class has a single member (or subject).
    """
    if not 0 < share < 1:
        raise ArgumentError(f"the share held out must lie above 0 and below 1, found {share!r}")
    held, folds = _fraction(share, rarest(labels, subjects)[0])
    parts = [test for _, test in grouped_folds(labels, subjects, folds=folds, seed=seed)]
    return np.sort(np.concatenate(parts[held:])), np.sort(np.concatenate(parts[:held]))


def _fraction(share: float, most: int) -> tuple[int, int]:
    """Return the fraction (k, m) nearest to a share, 0 < k < m <= most; of equally near ones the
    shortest.
    """
    denominators = {*range(2, _MOST_FOLDS + 1), round(1 / share), round(1 / (1 - share))}
    found = [
        (min(max(round(share * m), 1), m - 1), m)
        for m in sorted(denominators)
        if 2 <= m <= max(most, 2)
    ]
    return min(found, key=lambda of: (round(abs(of[0] / of[1] - share), 9), of[1]))


def rarest(labels: ArrayLike, subjects: Sequence[Any] | None) -> tuple[int, Any]:
    """Return how many subjects the rarest class has, and that class."""
    y, groups = np.asarray(labels), subject_numbers(len(np.asarray(labels)), subjects)
    count = [(len(np.unique(groups[y == value])), value.item()) for value in np.unique(y)]
    return min(count, key=lambda of: of[0])


def subject_numbers(n: int, subjects: Sequence[Any] | None) -> IntArray:
    """Number the subjects of n scans, (n,); an unknown one is another each time."""
    if subjects is not None and len(subjects) != n:
        raise ArgumentError(
            f"subjects must have one entry for each of {n} scans, found {len(subjects)}"
        )
    return numbered([""] * n if subjects is None else map(str, subjects), unknown="")
