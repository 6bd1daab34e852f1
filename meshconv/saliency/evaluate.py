"""How true a saliency is: against a known truth, and by what the classifier loses without the places it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, field_array
from meshconv.errors import ArgumentError


@dataclass(frozen=True)
class Agreement:
    """A saliency beside the truth.

    Attributes
    ----------
    auc : float
        Chance that a vertex inside the region has more saliency than one outside (ties count half).
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
    """Compare a saliency with a known truth, both (V,) on the same vertices (or pixels).

    Parameters
    ----------
    saliency, truth : (V,) array_like
        At least 0.
    areas : (V,) array_like, optional
        Of each vertex; equal. Everything is weighted by it, so that a denser mesh does not count more.
    threshold : float
        The region is where the truth exceeds this share of its largest value.

    Raises
    ------
    ArgumentError
        If the region is empty or is everything.

    Examples
    --------
    >>> found = agreement([0, 0, 1, 3], [0, 0, 0, 1])
    >>> found.auc, found.mass, found.mass_over_chance
    (1.0, 0.75, 3.0)
    """
    s = field_array(saliency, len(np.asarray(saliency)), "saliency")
    t = field_array(truth, len(s), "truth")
    w = np.ones(len(s)) if areas is None else field_array(areas, len(s), "areas")
    inside = t > threshold * t.max()
    if not inside.any() or inside.all():
        raise ArgumentError(f"the true region has {int(inside.sum())} of {len(t)} vertices: nothing to compare")
    total = (w * s).sum()
    return Agreement(
        _weighted_auc(s, inside, w),
        _correlation(s, t, w),
        float((w * s)[inside].sum() / total) if total > 0 else 0.0,
        float(w[inside].sum() / w.sum()),
        bool(inside[s.argmax()]),
    )


def _weighted_auc(score: FloatArray, inside: NDArray[np.bool_], weight: FloatArray) -> float:
    _, rank = np.unique(score, return_inverse=True)
    n = rank.max() + 1
    there = np.bincount(rank, weight * inside, n)
    elsewhere = np.bincount(rank, weight * ~inside, n)
    below = np.cumsum(elsewhere) - elsewhere / 2
    return float((there * below).sum() / (there.sum() * elsewhere.sum()))


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
    """Delete the most salient pixels first, and see how the probability of the predicted class falls.

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
        Share of pixels deleted, from 0 to 1, and mean probability then. A good saliency falls early: the
        area under the curve is small.
    """
    n, _, size, _ = images.shape
    order = np.argsort(-np.broadcast_to(saliency, (n, size, size)).reshape(n, -1), axis=1, kind="stable")
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
