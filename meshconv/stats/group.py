"""Maps of a study: where groups differ or a score matters, by how many millimetres, and where that
is more than chance over the whole map.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, IntArray, one_of
from meshconv.errors import ArgumentError
from meshconv.stats.correction import CORRECTIONS
from meshconv.stats.effect_map import EffectMap
from meshconv.stats.group_statistic import image_stack
from meshconv.stats.local_effect import local_effect
from meshconv.stats.permuted_maps import LEVEL, Study, tested
from meshconv.stats.targets import Targets, targets

_SURE = 0.05  # p below which a pixel predicts nothing of others


def group_map(
    images: Any,
    labels: ArrayLike,
    *,
    reference: Any = None,
    covariates: ArrayLike | None = None,
    subjects: Sequence[Any] | None = None,
    channels: Sequence[str] | None = None,
    components: int | str = "auto",
    correction: str = "peak",
    permutations: int = 500,
    blur: float = 0.02,
    least_share: float = 0.5,
    seed: int = 0,
) -> EffectMap:
    """Return where groups of registered images differ, with a permutation test of the whole map.

    Parameters
    ----------
    images : (n, C, N, N) array, memory map or ImageStack
        NaN outside each image's mask (`Prepared.images`). They are read a strip of the grid at a
        time, several times: of files, no more than about a third is in memory.
    labels : (n,) array_like
        Two groups or more.
    reference : label, optional
        The group that is taken from the last one in `difference` and `millimetres`; the first, in
        order, if None.
    covariates : (n,) or (n, Z) array_like, optional
        Age, sex as 0 and 1, ...: what they explain is taken out first, and what is left is permuted
        (Freedman and Lane).
    subjects : sequence of n, optional
        Whom each scan is of; an empty one is unknown, and another each time. If every subject is in
        one group, it counts once, by the mean of its scans, and groups are permuted between
        subjects. If every subject has scans of several groups (before and after, left and right),
        these are compared with each other, and permuted within subjects. Without subjects, several
        scans of one make chance look significant.
    channels : sequence of C str, optional
        What the channels are. With ``difference_x, _y, _z`` (or ``x, y, z``) and ``normal_x, _y,
        _z`` among them, the map has millimetres along the mean normal.
    components : int or 'auto'
        How many principal components of all scans, blind to the groups, are taken out of a second
        copy of the images; a pixel's statistic is the larger of both, in its own standard
        deviations under permutation (less 1 for the images as they are). Small local differences
        are found that individual variation would hide; 0 tests the images alone. Of more than 800
        rows, an even choice of 800 stands for the variation of all.
    correction : {'peak', 'fdr', 'cluster'}
        ``peak``: p of a single pixel as significant *anywhere*. For the other two, and what they do
        not say, see `meshconv.stats.correction`.
    permutations : int
        The smallest p is 1 / (permutations + 1).
    blur : float
        Standard deviation of the Gaussian that pools neighbouring pixels' statistics, in sides of
        the square; what is significant may reach as far beyond what differs.
    least_share : float
        Pixels reached by a smaller share of the scans, or by fewer than two of a group, are left
        out.
    seed : int
        Of the permutations.

    Raises
    ------
    ArgumentError
        If there is only one group or a group of one subject, a label or covariate is missing, some
        subjects alone have scans of two groups, or the covariates tell the groups apart for sure.
    ArrayTypeError
        If the images are not (n, C, N, N).

    Notes
    -----
    Millimetres are of the scans as they are registered. Registration without landmarks keeps most
    of a local displacement along the normal: of 2 mm on generated faces .8 to 1.0 at seven of eight
    places, .6 at the chin, which also turns the face it belongs to.

    Left and right: `meshconv.asymmetry_map`.

    References
    ----------
    Nichols, Holmes, 2002, doi:10.1002/hbm.1058 (peaks). Freedman, Lane, 1983,
    doi:10.1080/07350015.1983.10509354; Winkler et al., 2014, doi:10.1016/j.neuroimage.2014.01.060
    (covariates).
    """
    study, contrast = design(images, labels, covariates, subjects, least_share, reference=reference)
    return _mapped(study, channels, components, correction, permutations, blur, seed, contrast)


def score_map(
    images: Any,
    scores: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    subjects: Sequence[Any] | None = None,
    channels: Sequence[str] | None = None,
    components: int | str = "auto",
    correction: str = "peak",
    permutations: int = 500,
    blur: float = 0.02,
    least_share: float = 0.5,
    seed: int = 0,
) -> EffectMap:
    """Return where registered images go with a score (age, severity), with a permutation test.

    All is as in `group_map`, but for these.

    Parameters
    ----------
    scores : (n,) array_like
        Finite numbers. Several scans of a subject with the same score count once; with different
        ones, in every subject, they are compared within subjects.

    Returns
    -------
    EffectMap
        With `difference` and `millimetres` for each unit of the score.

    Raises
    ------
    ArgumentError, ArrayTypeError
        As `group_map`, or if a score is not finite or all are the same.
    """
    study, contrast = design(images, scores, covariates, subjects, least_share, score=True)
    return _mapped(study, channels, components, correction, permutations, blur, seed, contrast)


def design(
    images: Any,
    labels: ArrayLike,
    covariates: ArrayLike | None,
    subjects: Sequence[Any] | None,
    least_share: float = 0.5,
    *,
    score: bool = False,
    reference: Any = None,
) -> tuple[Study, str]:
    """Return the rows that are compared beside their model, and what with what, in words; as
    `group_map` or, of a score, `score_map` says.
    """
    given = _known(labels, images)
    names, index = np.unique(given, return_inverse=True)
    if not score and len(names) < 2:
        raise ArgumentError(f"a group map needs two groups, found {names.tolist()}")
    if reference is not None and not score:
        names, index = _from(reference, names, index)
    values: NDArray[Any] = np.asarray(given, dtype=np.float64) if score else index
    rows, row = targets(values, subjects)
    of_row = np.zeros(len(rows.subject), dtype=values.dtype)
    of_row[row] = values
    _exchangeable(rows, of_row, given, row, subjects)
    if score:
        study = Study.of(images, rows, row, of_row[:, None], covariates, least_share)
        return study, "per unit of the score"
    columns = (of_row[:, None] == np.arange(1, len(names))).astype(np.float64)
    study = Study.of(images, rows, row, columns, covariates, least_share, groups=of_row)
    return study, f"{names[-1]!s} - {names[0]!s}"


def _from(
    reference: Any, names: NDArray[Any], index: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return groups and the number of each label, the reference first."""
    place = np.flatnonzero(names == reference)
    if len(place) != 1:
        raise ArgumentError(f"reference must be one of {names.tolist()}, found {reference!r}")
    order = np.argsort(np.arange(len(names)) != place[0], kind="stable")
    return names[order], np.argsort(order)[index]


def _mapped(
    study: Study,
    channels: Sequence[str] | None,
    components: int | str,
    correction: str,
    permutations: int,
    blur: float,
    seed: int,
    contrast: str,
) -> EffectMap:
    correct = CORRECTIONS[one_of(correction, tuple(CORRECTIONS), "correction")]
    if permutations < 0:
        raise ArgumentError(f"permutations must be at least 0, found {permutations}")
    maps, count = tested(study, components, permutations, blur, seed)
    p = correct(maps, study.reached)
    del maps
    (statistic, difference), smoothness = study.observed(), study.smoothness()
    heights = study.heights(channels)
    if heights is None:
        nothing = np.full(study.reached.shape, np.nan)
        whole = local = (nothing, np.stack([nothing, nothing]))
    else:
        whole = _with_interval(study, *study.model.estimate(*heights, LEVEL))
        local = _with_interval(study, *local_effect(study, *heights, LEVEL, differs=p <= _SURE))
    return EffectMap(
        statistic=study.filled(statistic),
        p=study.filled(p),
        difference=study.filled(difference),
        millimetres=whole[0],
        interval=whole[1],
        local=local[0],
        local_interval=local[1],
        smoothness=smoothness,
        contrast=contrast,
        correction=correction,
        components=count,
        n=study.shape[0],
        permutations=permutations,
    )


def _with_interval(
    study: Study, values: FloatArray, half: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return maps of values and of the ends of their intervals."""
    return study.filled(values), study.filled(np.stack([values - half, values + half]))


def _exchangeable(
    rows: Targets,
    of_row: NDArray[Any],
    given: NDArray[Any],
    row: IntArray,
    subjects: Sequence[Any] | None,
) -> None:
    """Refuse rows whose labels cannot be exchanged."""
    sizes = np.bincount(rows.subject)
    if rows.within or sizes.max() == 1:
        return
    several = int(np.argmax(sizes > 1))
    scans = np.flatnonzero(rows.subject[row] == several)
    name = str(cast("Sequence[Any]", subjects)[int(scans[0])])
    own = list(dict.fromkeys(str(value) for value in given[scans]))
    raise ArgumentError(
        f"subject {name!r} has scans of groups {' and '.join(own[:2])}"
        f" ({int((sizes > 1).sum())} such subjects): their labels cannot be exchanged with those"
        " of others",
        hint="keep the scans of one group for each subject, or subjects with scans of several",
    )


def _known(labels: ArrayLike, images: NDArray[Any]) -> NDArray[Any]:
    """Return labels if there is one for each image and all are known; NaN and None are no group."""
    count = len(image_stack(images))
    given = (
        labels.tolist() if isinstance(labels, np.ndarray) else list(cast("Sequence[Any]", labels))
    )
    if len(given) != count:
        raise ArgumentError(f"labels must be one for each of {count} images, found {len(given)}")
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
