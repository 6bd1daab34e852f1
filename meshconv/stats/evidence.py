"""`find_evidence`: where and in what groups of images differ, and whether that is more than chance:
their mean, their spread, their texture, patterns of small places, pairs of places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.coarse import Coarse
from meshconv.stats.group_statistic import checked_groups, group_statistic, image_stack
from meshconv.stats.kinds import Kind, all_kinds
from meshconv.stats.targets import Targets, targets

_BY_CHANCE, _CERTAIN = 2e-3, 1e-4  # p that is no evidence, and p that is full evidence
_LEAST_PERMUTATIONS = 20
_LEAST_P = 1e-9  # a tail fitted to so few permutations knows nothing of less
_EULER = 0.5772156649015329
# the peak, in standard deviations, that chance reaches with probability `_BY_CHANCE`
_JUST_BEYOND = -np.sqrt(6) / np.pi * (np.log(-np.log1p(-_BY_CHANCE)) + _EULER)
_WORDS = {
    "mean": "in their mean",
    "everywhere": "in their mean, a little in many places",
    "residual": "in their mean, beyond what individuals have in common,",
    "texture": "in texture",
    "spread": "in spread",
    "linear": "in a pattern",
    "local": "in a pattern that is not linear",
    "pair": "in how two places go together, these two:",
}


@dataclass(frozen=True)
class Finding:
    """One kind of difference, beyond chance.

    Attributes
    ----------
    kind : str
        ``mean``, ``everywhere`` (mean, all of the map taken together), ``residual`` (mean, less
        the principal components of all images, blind to the targets), ``spread``, ``texture``,
        ``linear`` (a pattern of a small place), ``local`` (one that is not linear), ``pair`` (of
        places).
    task : int
        Of several targets, which.
    places : tuple of (u, v)
        The peak, or both places of a pair, in the unit square (u along columns, v along rows).
    p : float
        Of a peak as high anywhere on the map of this kind by chance, if it were the only kind.
    """

    kind: str
    task: int
    places: tuple[tuple[float, float], ...]
    p: float

    def __str__(self) -> str:
        where = " and ".join(f"({u:.2f}, {v:.2f})" for u, v in self.places)
        if self.kind == "everywhere":
            return _WORDS[self.kind]
        return f"{_WORDS[self.kind]} {'' if self.kind == 'pair' else 'around '}{where}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where images of different targets differ, and how sure that is.

    Attributes
    ----------
    map : (N, N) float64
        Large where they differ; NaN where hardly any image reaches. Kinds are weighted by the
        square of what their own peak is above chance, in standard deviations of permuted peaks;
        ``residual`` by no more than ``mean``, or than what is just beyond chance.
    strength : float
        0 for p of .002 and more, 1 for .0001 and less, linear in log p between.
    p : float
        Of a peak as high as the map's own, of any kind, of any task and anywhere, by chance.
    findings : tuple of Finding
        The kinds that are beyond chance, the surest first.
    """

    map: FloatArray
    strength: float
    p: float
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        if not self.findings:
            return f"nothing was found in which the groups differ (p = {self.p:.2g})"
        several = len({found.task for found in self.findings}) > 1
        said = [f"task {found.task}: {found}" if several else str(found) for found in self.findings]
        return f"the groups differ {'; '.join(said)} (p = {self.p:.2g})"


def find_evidence(
    images: Any,
    values: NDArray[Any],
    *,
    subjects: Sequence[Any] | None = None,
    permutations: int = 120,
    seed: int = 0,
) -> Evidence:
    """Return where images differ with groups or scores, in whatever way, and whether that is more
    than chance.

    Images are averaged to 33 x 33 nodes. At each node, or every second or third, eight kinds of
    statistics of the targets are compared with the same of permuted targets. The first half of the
    permutations says what each place gives by chance, the second half what the largest place and
    the best kind give: with the same for both, chance would look significant.

    Parameters
    ----------
    images : (n, C, N, N) array or ImageStack
        NaN outside each image's mask.
    values : (n,) or (n, T) array
        Whole numbers are groups (two or more), floating ones are scores; columns are tasks.
    subjects : sequence of n, optional
        Whom each image is of; an empty one is unknown, and another each time. A subject counts once
        for each value, by the mean of its images. Values are exchanged between subjects, or within
        them where a subject has images of several values.
    permutations : int
        At least 20. They cost most of the time; each half sets a scale, so few make p rough.
    seed : int
        Of the permutations.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the shapes do not belong together, a value is not finite, a task has one value alone, or
        there are too few permutations.

    Notes
    -----
    The tail of p is that of a Gumbel distribution, fitted to the second half's peaks. p is at
    least one over the number of orders in which the values could lie. Where a density is meant to
    help, this says *where*, not that it will: see held-out scans for that.

    References
    ----------
    Kriegeskorte, Goebel, Bandettini, 2006, Information-based functional brain mapping,
    doi:10.1073/pnas.0600244103 (searchlights); Nichols, Holmes, 2002, doi:10.1002/hbm.1058 (peaks
    under permutations); Winkler et al., 2016, doi:10.1016/j.neuroimage.2016.05.068 (tails of few
    permutations).

    Examples
    --------
    >>> import numpy as np
    >>> rng, groups = np.random.default_rng(0), np.arange(60) % 2
    >>> images = rng.normal(size=(60, 1, 17, 17))
    >>> images[groups == 1, :, 4:7, 4:7] += 2
    >>> found = find_evidence(images, groups)
    >>> found.strength, "in their mean" in str(found)
    (1.0, True)
    """
    if permutations < _LEAST_PERMUTATIONS:
        raise ArgumentError(
            f"evidence needs at least {_LEAST_PERMUTATIONS} permutations, found {permutations}"
        )
    if len(image_stack(images)) != len(values):
        raise ArgumentError(f"values must be one for each of {len(images)} images")
    found, row = targets(values, subjects)
    size = images.shape[-1]
    coarse = Coarse.of(images)
    if not coarse.reached.any() or found.log_arrangements < -np.log(_BY_CHANCE):
        return _nothing(coarse, size)
    coarse = coarse.of_rows(row, found.subject, within=found.within)
    kinds = all_kinds(coarse, found, permutations, seed)
    return _together(kinds, coarse, found, size)


def group_evidence(
    images: Any,
    labels: IntArray,
    *,
    subjects: Sequence[Any] | None = None,
    seed: int = 0,
) -> tuple[FloatArray, float]:
    """Return the map and the strength of `find_evidence`; without evidence, `group_statistic`.

    Parameters
    ----------
    images : (n, C, N, N) array or ImageStack
        NaN outside each image's mask.
    labels : (n,) int64
        Groups 0..K-1, none empty.
    subjects, seed
        See `find_evidence`.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `group_statistic` and `find_evidence`.
    """
    y = checked_groups(images, labels)
    found = find_evidence(images, y, subjects=subjects, seed=seed)
    return (found.map, found.strength) if found.strength else (group_statistic(images, y), 0.0)


def _nothing(coarse: Coarse, size: int) -> Evidence:
    return Evidence(coarse.enlarged(np.zeros(coarse.reached.shape), size), 0.0, 1.0, ())


def _together(kinds: list[Kind], coarse: Coarse, found: Targets, size: int) -> Evidence:
    """Return the evidence of all kinds and tasks."""
    peaks = np.concatenate([kind.peaks for kind in kinds], axis=1)  # (1 + half, kinds * T)
    top = peaks.max(axis=1)
    scale = max(float(top[1:].std()), 1e-9)
    p = max(_gumbel((top[0] - top[1:].mean()) / scale), np.exp(-found.log_arrangements))
    strength = np.clip((np.log(_BY_CHANCE) - np.log(p)) / np.log(_BY_CHANCE / _CERTAIN), 0, 1)
    weights = np.concatenate([_weights(kind, kinds) for kind in kinds])
    maps = [kind.on_grid(coarse, task) for kind in kinds for task in range(kind.peaks.shape[1])]
    total = np.tensordot(weights / weights.sum(), np.stack(maps), 1)
    total -= np.nanmin(total)
    certain = sorted(
        (kind.peaks[0, task], k, task)
        for k, kind in enumerate(kinds)
        for task in range(kind.peaks.shape[1])
        if _gumbel(kind.peaks[0, task]) * peaks.shape[1] <= _BY_CHANCE
    )
    findings = tuple(
        Finding(kinds[k].name, task, kinds[k].where(task, len(coarse.reached)), _gumbel(peak))
        for peak, k, task in reversed(certain)
    )
    return Evidence(
        coarse.enlarged(total, size), float(strength), float(p), findings if strength else ()
    )


def _weights(kind: Kind, kinds: list[Kind]) -> FloatArray:
    """Return what a kind weighs in the map, by task, (T,).

    What is left without what individuals have in common makes few scans as sure as many are of the
    mean, but leaves out what of a difference goes along with that: in the map it weighs at most as
    much as the mean, or as what is just beyond chance. (Eight shifts of faces, ridge regression
    under the density: 100 faces, accuracy .78 with it, .74 without; 400 faces, .935 so, .923 with
    its full weight.)
    """
    found = kind.peaks[0]
    if kind.name == "residual":
        mean = next(one for one in kinds if one.name == "mean")
        found = np.minimum(found, np.maximum(mean.peaks[0], _JUST_BEYOND))
    return np.asarray(np.maximum(found, 0.0) ** 2 + 1e-9)


def _gumbel(standardized: float) -> float:
    """Return how probable a larger value is, of a Gumbel distribution of mean 0 and variance 1."""
    p = -np.expm1(-np.exp(-(np.pi / np.sqrt(6) * standardized + _EULER)))
    return float(max(p, _LEAST_P))
