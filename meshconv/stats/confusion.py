"""Which class was taken for which, and how often each was recognized, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from meshconv._check import IntArray
from meshconv.errors import ArgumentError

Share = tuple[int, int, float, float]  # of how many, of how many, and the ends of the interval


def wilson(hits: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share, hits of n (0..1 for n = 0).

    References
    ----------
    Wilson, 1927, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> low, high = wilson(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if not 0 <= hits <= n:
        raise ArgumentError(f"hits must be within 0 and n, found {hits} of {n}")
    if n == 0:
        return 0.0, 1.0
    z = float(norm.isf((1 - level) / 2))
    share, centre = hits / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / centre
    half = z / centre * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half if hits else 0.0, middle + half if hits < n else 1.0


@dataclass(frozen=True, eq=False)
class Confusion:
    """What the classes were taken for.

    Attributes
    ----------
    counts : (K, K) int64
        Rows are the true classes, columns the predicted ones.
    classes : tuple of K str
    positive : int
        The class that sensitivity is of, if there are two.
    """

    counts: IntArray
    classes: tuple[str, ...]
    positive: int

    def recognized(self) -> list[tuple[str, Share]]:
        """Return how many of a class were recognized as it: of two classes sensitivity and
        specificity, of more each class.
        """
        k = len(self.classes)
        order = [self.positive, 1 - self.positive] if k == 2 else range(k)
        names = [f"recognized as {name}" for name in self.classes]
        if k == 2:
            names[self.positive] = f"sensitivity (of {self.classes[self.positive]})"
            names[1 - self.positive] = f"specificity (of {self.classes[1 - self.positive]})"
        found = []
        for j in order:
            hits, n = int(self.counts[j, j]), int(self.counts[j].sum())
            found.append((names[j], (hits, n, *wilson(hits, n))))
        return found


def confusion(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str], *, positive: str | None = None
) -> Confusion:
    """Return the confusion of labels and predictions (n,), both 0..K-1.

    Parameters
    ----------
    labels, predicted : (n,) int array_like
    classes : sequence of K str
    positive : str, optional
        Which of two classes sensitivity is of; the second if None.

    Raises
    ------
    ArgumentError
        If there is no such class.

    Examples
    --------
    >>> confusion([0, 0, 1], [0, 1, 1], ("well", "ill")).counts.tolist()
    [[1, 1], [0, 1]]
    """
    names = tuple(classes)
    if positive is not None and positive not in names:
        raise ArgumentError(f"positive must be one of {list(names)}, found {positive!r}")
    y, z = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    counts = np.bincount(y * len(names) + z, minlength=len(names) ** 2)
    place = len(names) - 1 if positive is None else names.index(positive)
    return Confusion(counts.reshape(len(names), len(names)), names, place)
