"""What a set of images in one frame says as a set: where its groups differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError, ArrayTypeError

_LEAST_SHARE = 0.2  # pixels that fewer scans than this reach say nothing
_COLUMNS = 1024  # pixels worked on at once
_CELLS = 2**19  # values, likewise
_ROWS = 8  # images worked on at once


def centred(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return images (n, D) less their mean, NaN (outside the mask) replaced by 0, i.e. by the
    mean.
    """
    flat = np.asarray(images).reshape(len(images), -1)
    out = np.empty(flat.shape, dtype=np.float32)
    step = max(1, min(_COLUMNS, _CELLS // len(flat)))
    for k in range(0, flat.shape[1], step):  # whole copies would be four times the images
        x = np.asarray(flat[:, k : k + step], dtype=np.float32)
        there = np.isfinite(x)
        mean = np.where(there, x, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        out[:, k : k + step] = np.where(there, x - mean, np.float32(0))
    return out


def f_ratio(
    x: NDArray[np.float32], membership: NDArray[Any], *, total: FloatArray | None = None
) -> FloatArray:
    """Return the F ratio of a one-way analysis of variance in each column.

    Parameters
    ----------
    x : (n, D) float32
        About centred, see `centred`: sums of squares of large numbers would lose digits.
    membership : (..., K, n) array
        One-hot groups; leading axes are separate analyses (permutations). Rows may be in no group,
        if `total` is given.
    total : (D,) float64, optional
        Sum of squares of each column over the rows of any group, where it is known.

    Returns
    -------
    ratio : (..., D) float64
        Variance between / variance within; t^2 for two groups. 0 where nothing varies.
    """
    sums = (membership.astype(np.float32) @ x).astype(np.float64)
    total = np.einsum("nd,nd->d", x, x, dtype=np.float64) if total is None else total
    return _f_ratio_of_sums(sums, membership.sum(axis=-1), total)


def _f_ratio_of_sums(sums: FloatArray, sizes: NDArray[Any], total: FloatArray) -> FloatArray:
    """Return `f_ratio` from the sums (..., K, D) and sizes (..., K) of groups, and the sum of
    squares (D,).
    """
    size = sizes[..., None].astype(np.float64)
    n, groups = size.sum(axis=-2), sizes.shape[-1]
    explained = (sums**2 / np.maximum(size, 1)).sum(axis=-2)
    within = np.maximum(total - explained, 1e-12 * total)
    between = np.maximum(explained - sums.sum(axis=-2) ** 2 / n, 0.0)
    return np.asarray((n - groups) / (groups - 1) * between / np.where(total > 0, within, 1.0))


def f_ratio_of_known(
    x: NDArray[np.float32], there: BoolArray, membership: NDArray[Any]
) -> FloatArray:
    """Return `f_ratio` in each column from the values that are there alone.

    Parameters
    ----------
    x : (n, D) float32
        Centred on the mean of what is there, 0 elsewhere, see `centred`.
    there : (n, D) bool
    membership : (..., K, n) array
        As in `f_ratio`. A group without values in a column does not count in it.

    Returns
    -------
    ratio : (..., D) float64
        0 also where fewer than two groups have values, or none has more than one.
    """
    size = membership.astype(np.float32) @ there.astype(np.float32)
    sums = (membership.astype(np.float32) @ x).astype(np.float64)
    between = (sums**2 / np.maximum(size, 1)).sum(axis=-2)
    groups = (size > 0).sum(axis=-2)
    total = np.einsum("nd,nd->d", x, x, dtype=np.float64)
    within = np.maximum(total - between, 1e-12 * total)
    freedom = (there.sum(axis=0) - groups) / np.maximum(groups - 1, 1)
    told = (groups > 1) & (freedom > 0) & (total > 0)
    return np.asarray(np.where(told, freedom * between / np.where(total > 0, within, 1.0), 0.0))


def one_hot(labels: IntArray) -> NDArray[np.float32]:
    """Return membership (K, n) of labels 0..K-1."""
    return (np.arange(labels.max() + 1)[:, None] == labels).astype(np.float32)


def group_statistic(images: Any, labels: IntArray, *, blur: float = 0.01) -> FloatArray:
    """Return where groups of images differ, (N, N): blurred root of the mean F ratio over channels.

    Parameters
    ----------
    images : (n, C, N, N) array or ImageStack
        NaN outside each image's mask.
    labels : (n,) int64
        Groups 0..K-1, none empty.
    blur : float
        Standard deviation of the Gaussian, in sides of the square.

    Returns
    -------
    statistic : (N, N) float64
        |t| for one channel and two groups; about 1 where they do not differ; NaN where hardly any
        image reaches. A NaN counts as the mean of all images, which pulls the statistic towards 0
        where many are missing: a place to look at first, not a test. For that see
        `meshconv.stats.group.group_map`.

    Raises
    ------
    ArgumentError, ArrayTypeError
        If the images are not (n, C, N, N), there is not one label for each, or a group is empty;
        names it.
    """
    return GroupStatistic(images, blur)(checked_groups(images, labels))


def image_stack(images: Any) -> Any:
    """Return images if they are (n, C, N, N), or say what they are."""
    if np.ndim(images) != 4 or images.shape[2] != images.shape[3]:
        raise ArrayTypeError(
            f"images must be (n, C, N, N), found {np.shape(images)}",
            hint="images[:, None] for a single channel",
        )
    return images


def mean_images(images: NDArray[Any], whose: IntArray) -> NDArray[Any]:
    """Return the mean of the images (n, ...) of each number 0..S-1, of what is there: (S, ...)."""
    order = np.argsort(whose, kind="stable")
    first = np.flatnonzero(np.diff(whose[order], prepend=-1))
    own = images[order]
    there = np.isfinite(own)
    known = np.add.reduceat(there, first, dtype=np.int64)
    total = np.add.reduceat(np.where(there, own, 0), first)
    mean = np.full(total.shape, np.nan, dtype=np.result_type(images.dtype, np.float32))
    return np.divide(total, known, out=mean, where=known > 0, casting="unsafe")


def checked_groups(images: Any, labels: IntArray) -> IntArray:
    """Return labels that are 0..K-1 with no group empty, one for each image."""
    y = np.asarray(labels)
    if y.shape != (len(image_stack(images)),) or y.dtype.kind not in "iub":
        raise ArgumentError(
            f"labels must be {len(images)} integers, one for each image, found {y.dtype} {y.shape}"
        )
    y = y.astype(np.int64)
    count = np.bincount(y, minlength=2) if len(y) and y.min() >= 0 else np.zeros(1)
    if not count.all():
        raise ArgumentError(
            f"labels must be 0..K-1 with no group empty, found groups {np.unique(y).tolist()}",
            hint="np.unique(labels, return_inverse=True)[1]",
        )
    return y


class GroupStatistic:
    """`group_statistic` of one set of images, for any labels and any rows of it.

    Images are gone through in blocks, twice: they may lie in files.
    """

    def __init__(self, images: Any, blur: float = 0.01) -> None:
        self._images = images
        self._mean, reach = _mean_and_reach(images)
        self._there = reach > _LEAST_SHARE
        self._sigma = blur * (images.shape[-1] - 1)
        self._weight = np.maximum(
            gaussian_filter(self._there.astype(np.float64), self._sigma), 1e-6
        )

    def __call__(self, labels: IntArray, rows: IntArray | None = None) -> FloatArray:
        """Return the statistic, (N, N), of labels (n,), from these rows alone if they are given."""
        used = np.zeros(len(labels), dtype=bool)
        used[slice(None) if rows is None else rows] = True
        member = one_hot(labels) * used
        sums = np.zeros((len(member), self._mean.size))
        total = np.zeros(self._mean.size)
        for k in range(0, len(labels), _ROWS):
            part = np.asarray(self._images[k : k + _ROWS], dtype=np.float32)
            x = np.where(np.isfinite(part), part - self._mean, np.float32(0))
            x = x.reshape(len(part), -1)[used[k : k + _ROWS]]
            sums += member[:, k : k + _ROWS][:, used[k : k + _ROWS]] @ x
            total += np.einsum("nd,nd->d", x, x, dtype=np.float64)
        ratio = _f_ratio_of_sums(sums, member.sum(axis=1), total).reshape(self._mean.shape)
        root = np.where(self._there, np.sqrt(ratio.mean(axis=0)), 0.0)
        return np.where(self._there, gaussian_filter(root, self._sigma) / self._weight, np.nan)


def _mean_and_reach(images: Any) -> tuple[NDArray[np.float32], FloatArray]:
    """Return the mean of what is there, (C, N, N), and the share of the images that reach a pixel
    in all channels, (N, N).
    """
    total, count = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], dtype=np.int64)
    reach = np.zeros(images.shape[2:], dtype=np.int64)
    for k in range(0, len(images), _ROWS):
        part = np.asarray(images[k : k + _ROWS])
        there = np.isfinite(part)
        total += np.where(there, part, 0).sum(axis=0, dtype=np.float64)
        count += there.sum(axis=0)
        reach += there.all(axis=1).sum(axis=0)
    return (total / np.maximum(count, 1)).astype(np.float32), reach / len(images)
