"""`power`: how many scans would be needed to find the effect that a study saw, by resampling.

Half of the rows say where the effect is, the other half how large; studies of other sizes are drawn
of what the effect leaves of the rows, and tested as `group_map` tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.stats import norm

from meshconv._check import BoolArray, FloatArray, IntArray, whole_number
from meshconv.stats.correction import peak
from meshconv.stats.group import design
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.permuted_maps import Study, tested
from meshconv.stats.strips import Strips
from meshconv.stats.targets import targets

_GRID = 33  # nodes per side that studies are drawn on, at most
_BLUR = 0.04  # standard deviation of the place around a peak, in sides
_EDGE = 0.2  # of the largest weight, where the place ends
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the rows of the study
_LEAST, _MOST = 12, 600  # rows of a study that is drawn
_PERMUTATIONS, _TESTED_AT = 60, 0.05
_OFFSETS = (1.645, 5.0)  # a study of no rows finds at .05 or, of many places, less
_WANTED = 0.8  # probability that the effect is found


@dataclass(frozen=True)
class Power:
    """How many scans would find the effect that was seen.

    Attributes
    ----------
    needed : int or None
        Rows (subjects, unless they are compared within themselves), in the same proportions, of
        which a study finds the effect with a probability of .8; None if no study of four times the
        rows would, or no effect was seen: what one half shows, the other does not.
    sizes : tuple of int
    found : tuple of float
        Share of the studies drawn, of each size, that were significant anywhere at .05.
    n : int
        Rows of the study.
    slope, offset : float
        The probability to be found is Phi(slope * sqrt(rows) - offset), fitted to all that were
        drawn.
    """

    needed: int | None
    sizes: tuple[int, ...]
    found: tuple[float, ...]
    n: int
    slope: float
    offset: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Power:
        """Return what `as_dict` is of."""
        lists = {name: tuple(told[name]) for name in ("sizes", "found")}
        return cls(**{**told, **lists})

    def found_with(self, n: int) -> float:
        """Return the probability that a study of n rows finds the effect."""
        return float(norm.cdf(self.slope * n**0.5 - self.offset))

    def __str__(self) -> str:
        here = f"here: {self.n}, {self.found_with(self.n):.2f}"
        if self.needed is None:
            return (
                f"an effect that {max(self.sizes)} scans would find with a probability of .8 was"
                f" not seen ({here})"
            )
        return (
            f"about {self.needed} scans in these proportions would find the effect that was seen"
            f" with a probability of .8 ({here})"
        )


def power(
    images: NDArray[Any],
    labels: ArrayLike,
    *,
    score: bool = False,
    reference: Any = None,
    covariates: ArrayLike | None = None,
    subjects: Sequence[Any] | None = None,
    resamplings: int = 24,
    seed: int = 0,
) -> Power:
    """Return how many scans would be needed for the effect that these show.

    Parameters
    ----------
    images, labels, reference, covariates, subjects
        As of `meshconv.group_map`, of two groups; of more, the last is looked at.
    score : bool
        Whether the labels are a score, as of `meshconv.score_map`.
    resamplings : int
        Studies drawn of each size.
    seed : int
        Of the divisions and drawings.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `meshconv.group_map`.

    Notes
    -----
    The largest value of a map is also there because noise is: what it promises is not found again.
    Here the place, and the pattern of channels in it, come from one half of the rows, and how far
    images go along that pattern from the other. Half the rows find the place less well than all
    do, so it is rather too many. Covariates are taken out first.

    References
    ----------
    Kriegeskorte et al., 2009, doi:10.1038/nn.2303 (why not the same rows for both).
    """
    whole_number(resamplings, 2, "resamplings")
    step = max(1, (images.shape[-1] - 1) // (_GRID - 1))
    coarse = images[:, :, ::step, ::step]
    study = design(coarse, labels, covariates, subjects, score=score, reference=reference)[0]
    column = study.model.effect[:, -1]
    rows, rng, n = _residuals(study), np.random.default_rng(seed), len(column)
    sizes = sorted({int(np.clip(round(factor * n), _LEAST, _MOST)) for factor in _FACTORS})
    seen = [_effect(study, column, rows, _half(study, rng)) for _ in range(resamplings)]
    shares = np.array([share for _, share in seen])
    mean, error = float(shares.mean()), float(shares.std()) / 2**0.5  # the halves overlap
    if not mean > 2 * error:
        return Power(None, tuple(sizes), (0.0,) * len(sizes), n, 0.0, _OFFSETS[0])
    noise = rows - np.outer(column - column.mean(), _slope(column, rows)).astype(np.float32)
    hits = np.zeros(len(sizes))
    for pattern, _ in seen:
        effect = np.float32(mean) * pattern
        hits += [_is_found(study, noise, effect, _drawn(column, size, rng)) for size in sizes]
    slope, offset = _curve(np.array(sizes), hits, resamplings)
    least = ((norm.ppf(_WANTED) + offset) / max(slope, 1e-9)) ** 2
    needed = max(ceil(least), _LEAST) if least <= max(sizes) else None
    found = tuple((hits / resamplings).tolist())
    return Power(needed, tuple(sizes), found, n, slope, offset)


def _residuals(study: Study) -> NDArray[np.float32]:
    """Return the residuals of the whole study, (n, C * D)."""
    out = np.empty(study.shape, dtype=np.float32)
    for _, place, left in study.residuals():
        out[:, :, place] = left
    return out.reshape(len(out), -1)


def _half(study: Study, rng: np.random.Generator) -> BoolArray:
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
    study: Study, column: FloatArray, rows: NDArray[np.float32], here: BoolArray
) -> tuple[NDArray[np.float32], float]:
    """Return the pattern of the effect (D,) for each unit of the column, from some rows, and how
    much of it the others show: 1 if all.
    """
    slope = _slope(column[here], rows[here])
    x = column[here] - column[here].mean()
    left = np.square(rows[here] - np.outer(x, slope)).mean(axis=0) + 1e-9
    by_place = (slope**2 / left).reshape(study.shape[1], -1).mean(axis=0)
    grid = np.zeros(study.reached.shape)
    sigma = _BLUR * (len(grid) - 1)
    grid[study.reached] = by_place
    blurred = np.where(study.reached, gaussian_filter(grid, sigma), -1.0)
    window = np.zeros_like(grid)
    window[np.unravel_index(int(blurred.argmax()), grid.shape)] = 1
    weight = gaussian_filter(window, sigma)[study.reached]
    pattern = (slope.reshape(-1, len(weight)) * (weight > _EDGE * weight.max())).ravel()
    again = _slope(column[~here], rows[~here])
    share = float(again @ pattern) / max(float(pattern @ pattern), 1e-300)
    return pattern.astype(np.float32), share


def _slope(column: FloatArray, rows: NDArray[np.float32]) -> FloatArray:
    """Return slopes (D,) of rows (n, D) on a column."""
    x = column - column.mean()
    return np.asarray((x @ rows) / max(float(x @ x), 1e-300))


def _drawn(column: FloatArray, size: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return rows drawn with replacement, and values in the column's proportions, for them."""
    order = np.argsort(column, kind="stable")
    values = column[order[(np.arange(size) * len(column)) // size]]
    return rng.integers(0, len(column), size), values


def _is_found(
    study: Study,
    noise: NDArray[np.float32],
    effect: NDArray[np.float32],
    drawn: tuple[IntArray, FloatArray],
) -> bool:
    """Return whether a study of rows that were drawn is significant anywhere."""
    rows, values = drawn
    images = noise[rows] + np.outer(values, effect).astype(np.float32)
    model = LinearModel.of(values[:, None], np.zeros((len(rows), 0)))
    alike = targets(np.unique(values.round(12), return_inverse=True)[1])[0]
    grid = np.full((len(rows), study.shape[1], *study.reached.shape), np.nan, dtype=np.float32)
    grid[:, :, study.reached] = images.reshape(len(rows), study.shape[1], -1)
    made = Study(Strips(grid, np.arange(len(rows))), study.reached, model, alike)
    maps, _ = tested(made, "auto", _PERMUTATIONS, 0.02, int(rows[0]))
    return bool(peak(maps, study.reached).min() <= _TESTED_AT)


def _curve(sizes: IntArray, hits: FloatArray, of: int) -> tuple[float, float]:
    """Return slope and offset of the likeliest probit curve over the root of the size."""
    root = np.sqrt(sizes)

    def loss(at: FloatArray) -> float:
        p = np.clip(norm.cdf(at[0] * root - at[1]), 1e-9, 1 - 1e-9)
        return float(-(hits * np.log(p) + (of - hits) * np.log(1 - p)).sum())

    start = np.array([2 / root.mean(), _OFFSETS[0]])
    best = minimize(loss, start, method="L-BFGS-B", bounds=[(0.0, None), _OFFSETS])
    return float(best.x[0]), float(best.x[1])
