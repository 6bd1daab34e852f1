"""How true a saliency is: against a known truth, and by what the classifier loses without the
places it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from meshconv._check import FloatArray, as_array, field_array
from meshconv.errors import ArgumentError, ArrayTypeError

_DIGITS = 12  # of a share of the largest value, that count
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Agreement:
    """A saliency beside the truth.

    Attributes
    ----------
    auc : float
        Chance that a vertex inside the region has more saliency than one outside (ties count half,
        and what differs by 1e-12 of the largest is a tie).
    correlation : float
        Pearson's, with the truth's values; 0 where one of them is constant.
    mass : float
        Share of the saliency that lies in the region.
    area_share : float
        Share of the area that the region has: what `mass` is by chance.
    top_inside : bool
        Whether the most salient vertex is in the region.
    """

    auc: float
    correlation: float
    mass: float
    area_share: float
    top_inside: bool

    @property
    def mass_over_chance(self) -> float:
        """Mass / area share."""
        return self.mass / self.area_share

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {**asdict(self), "mass_over_chance": self.mass_over_chance}


def agreement(
    saliency: ArrayLike, truth: ArrayLike, *, areas: ArrayLike | None = None, threshold: float = 0.3
) -> Agreement:
    """Compare a saliency with a known truth, both (V,) on the same vertices, or (N, N) on the same
    pixels.

    Parameters
    ----------
    saliency, truth : (V,) or (N, N) array_like
        At least 0 (but for rounding): of a signed saliency take the absolute value, or its positive
        part.
    areas : as `saliency`, optional
        Of each vertex or pixel, at least 0; equal. Everything is weighted by it, so that a denser
        mesh does not count more.
    threshold : float
        The region is where the truth exceeds this share of its largest value.

    Raises
    ------
    ArgumentError
        If a value is negative, or the region is empty, is everything, or is without area (or all
        else is).
    ArrayTypeError, NonFiniteError
        If the shapes differ, or a value is not finite.

    Examples
    --------
    >>> found = agreement([0, 0, 1, 3], [0, 0, 0, 1])
    >>> found.auc, found.mass, found.mass_over_chance
    (1.0, 0.75, 3.0)
    """
    shape = np.shape(saliency)
    s, t = _at_least_zero(saliency, shape, "saliency"), _at_least_zero(truth, shape, "truth")
    w = np.ones(len(s)) if areas is None else _at_least_zero(areas, shape, "areas")
    inside = t > threshold * t.max(initial=0.0)
    if not inside.any() or inside.all():
        raise ArgumentError(
            f"the true region has {int(inside.sum())} of {len(t)} vertices: nothing to compare"
        )
    if not w[inside].sum() > 0 or not w[~inside].sum() > 0:
        where = "the true region" if w[~inside].sum() > 0 else "all but the true region"
        raise ArgumentError(
            f"{where} has no area: nothing to compare", hint="areas of the vertices, above 0"
        )
    total = (w * s).sum()
    level = _without_rounding(s)
    return Agreement(
        float(roc_auc_score(inside, level, sample_weight=w)),
        _correlation(level, t, w),
        float((w * s)[inside].sum() / total) if total > 0 else 0.0,
        float(w[inside].sum() / w.sum()),
        bool(inside[s.argmax()]),
    )


def _without_rounding(values: FloatArray) -> FloatArray:
    """Return the values as shares of the largest, those equal that rounding alone tells apart: a
    map that was constant before it was brought to other vertices has no ranks.
    """
    return np.asarray(np.round(values / max(values.max(), _TINY), _DIGITS))


def _at_least_zero(values: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    """Return finite values of this shape that are at least 0 (or -1e-6 of the largest: rounding),
    in one row.
    """
    array = as_array(values, name)
    if array.shape != shape:
        raise ArrayTypeError(
            f"{name} must have the shape of the saliency {shape}, found {array.shape}"
        )
    row = field_array(array.ravel(), array.size, name)
    low = row.min(initial=0.0)
    if low < -1e-6 * row.max(initial=0.0):
        raise ArgumentError(
            f"{name} must be at least 0, found {low:.4g} at {row.argmin()}"
            f" ({int((row < 0).sum())} negative)",
            hint="np.abs or np.maximum(..., 0)",
        )
    return row


def _correlation(a: FloatArray, b: FloatArray, weight: FloatArray) -> float:
    x, y = a - np.average(a, weights=weight), b - np.average(b, weights=weight)
    norm = np.sqrt((weight * x * x).sum() * (weight * y * y).sum())
    return float((weight * x * y).sum() / norm) if norm > 0 else 0.0


def deletion_curve(
    predict: Callable[[NDArray[np.float32]], FloatArray],
    images: NDArray[np.float32],
    saliency: FloatArray,
    *,
    steps: int = 10,
    fill: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Delete the most salient pixels first, and see how the probability of the predicted class
    falls.

    Parameters
    ----------
    predict : callable
        Probabilities (n, K) of images (n, C, N, N).
    images : (n, C, N, N) float32
        Standardized, so that `fill` = 0 is the mean.
    saliency : (N, N) or (n, N, N) array
    steps : int
    fill : float
        What takes a deleted pixel's place.

    Returns
    -------
    share, probability : (steps + 1,) float64
        Share of pixels deleted, from 0 to 1, and mean probability then. A good saliency falls
        early: the area under the curve is small.
    """
    n, _, size, _ = images.shape
    order = np.argsort(
        -np.broadcast_to(saliency, (n, size, size)).reshape(n, -1), axis=1, kind="stable"
    )
    first = predict(images)
    chosen = first.argmax(axis=1)
    shares = np.linspace(0, 1, steps + 1)
    curve = [float(first[np.arange(n), chosen].mean())]
    for share in shares[1:]:
        gone = np.zeros((n, size * size), dtype=bool)
        np.put_along_axis(gone, order[:, : round(share * size * size)], True, axis=1)
        left = np.where(gone.reshape(n, 1, size, size), np.float32(fill), images)
        curve.append(float(predict(left)[np.arange(n), chosen].mean()))
    return shares, np.array(curve)
