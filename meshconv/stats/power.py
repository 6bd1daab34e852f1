"""`power`: how many scans would be needed to find the effect that a study saw, by resampling: one
half of the rows says where the effect is, the other how large it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from meshconv._check import FloatArray, IntArray, whole_number
from meshconv.stats.components import component_count, without_components
from meshconv.stats.group import design
from meshconv.stats.permuted_maps import Study

_BLUR = 0.04  # standard deviation of the place around a peak, in sides
_LEAST = 8  # rows: of fewer, no permutation test comes below .05
_PLACES = 4.0  # independent places in a square of the noise's full width at half maximum


@dataclass(frozen=True)
class Power:
    """How large the effect is, and how many scans would find it.

    Attributes
    ----------
    effect : float
        t of the effect at its place, divided by the root of the rows: measured on rows that had no
        say in where to look. The mean over the resamplings.
    interval : (float, float)
        90 % of the resamplings, which spread more widely than the mean of them.
    needed : int or None
        Rows (subjects, unless they are compared within themselves), in the same proportions, with
        which a test of the whole map at .05 finds the effect with a probability of .8. Of half the
        rows a place is found less well than of all, so it is rather too many. None if no effect was
        seen: the mean lies within two standard errors of 0.
    n : int
        Rows of the study.
    places : float
        Independent places of the map.
    """

    effect: float
    interval: tuple[float, float]
    needed: int | None
    n: int
    places: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def found_with(self, n: int) -> float:
        """Return the probability that a study of n rows finds the effect."""
        return float(norm.sf(_critical(self.places) - max(self.effect, 0.0) * n**0.5))

    def __str__(self) -> str:
        if self.needed is None:
            return f"no effect was seen that a larger study could be planned on (n = {self.n})"
        return (
            f"about {self.needed} scans in these proportions would find the effect that was seen"
            f" with a probability of .8 (here: {self.n}, {self.found_with(self.n):.2f})"
        )


def power(
    images: NDArray[Any],
    labels: ArrayLike,
    *,
    score: bool = False,
    reference: Any = None,
    covariates: ArrayLike | None = None,
    subjects: Sequence[Any] | None = None,
    components: int | str = "auto",
    resamplings: int = 40,
    seed: int = 0,
) -> Power:
    """Return how many scans would be needed for the effect that these show.

    Parameters
    ----------
    images, labels, reference, covariates, subjects, components
        As of `meshconv.group_map`, of two groups; of more, the last is looked at.
    score : bool
        Whether the labels are a score, as of `meshconv.score_map`.
    resamplings : int
        Divisions of the rows into halves.
    seed : int
        Of the divisions.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `meshconv.group_map`.

    Notes
    -----
    The largest value of a map is there also because noise is: what it promises is not found again.
    Here the place, and the pattern of channels in it, come from one half, and t from the other. The
    threshold is Bonferroni's, over as many places as the smoothness of the noise leaves.
    """
    whole_number(resamplings, 2, "resamplings")
    study = design(images, labels, covariates, subjects, score=score, reference=reference)[0]
    left = study.residuals()
    rows = without_components(left, component_count(components, study.model.freedom))
    n, found = len(rows), []
    rng = np.random.default_rng(seed)
    for _ in range(resamplings):
        first = _half(study, rng)
        for here, there in ((first, ~first), (~first, first)):
            found.append(_effect(study, rows, here, there))
    width = min(study.smoothness(), 1.0)
    places = max(1.0, _PLACES * float(study.reached.mean()) / width**2)
    effect, error = float(np.mean(found)), float(np.std(found)) / 2**0.5
    needed = None
    if effect > 2 * error:
        needed = max(ceil(((_critical(places) + norm.ppf(0.8)) / effect) ** 2), _LEAST)
    low, high = np.percentile(found, [5, 95])
    return Power(effect, (float(low), float(high)), needed, n, places)


def _critical(places: float) -> float:
    """Return the t that a place must pass, of so many, at .05 and from both sides."""
    return float(norm.isf(0.025 / places))


def _half(study: Study, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which rows are in one half, (n,): subjects whole, values in proportion."""
    subject, column = study.targets.subject, study.model.columns[:, -1]
    mean: FloatArray = np.bincount(subject, column) / np.bincount(subject)
    order: IntArray = np.lexsort((rng.random(len(mean)), mean))
    side = np.zeros(len(mean), dtype=bool)
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    swap = rng.random(len(pairs)) < 0.5
    side[pairs[swap, 0]] = side[pairs[~swap, 1]] = True
    return side[subject]


def _effect(
    study: Study, rows: NDArray[np.float32], here: NDArray[Any], there: NDArray[Any]
) -> float:
    """Return t / root n, there, of the pattern that differs most here."""
    column = study.model.effect[:, -1]
    slope, t = _slopes(column[here], rows[here])
    by_place = t.reshape(study.values.shape[1], -1)
    grid = np.zeros(study.reached.shape)
    sigma = _BLUR * (len(grid) - 1)
    grid[study.reached] = (by_place**2).mean(axis=0)
    blurred = gaussian_filter(grid, sigma)
    blurred[~study.reached] = 0
    window = np.zeros_like(grid)
    window[np.unravel_index(int(blurred.argmax()), grid.shape)] = 1
    weight = gaussian_filter(window, sigma)[study.reached]
    pattern = slope.reshape(by_place.shape) * weight
    score = rows[there] @ pattern.ravel().astype(np.float32)
    return float(_slopes(column[there], score[:, None])[1][0] / np.sqrt(there.sum()))


def _slopes(column: FloatArray, rows: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Return slopes (D,) of rows (n, D) on a column, and their t."""
    x = column - column.mean()
    x = (x / max(float(np.linalg.norm(x)), 1e-300)).astype(np.float32)
    centred = rows - rows.mean(axis=0)
    slope = np.asarray(x @ centred, dtype=np.float64)
    left = np.einsum("nd,nd->d", centred, centred, dtype=np.float64) - slope**2
    error = np.sqrt(np.maximum(left, 1e-12) / max(len(x) - 2, 1))
    return slope, slope / error
