"""Labelled volumes for 3-D segmentation: the hippocampi of the Medical Segmentation Decathlon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray, one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.on_demand import OnDemand
from meshconv.errors import ArgumentError, BadFormatError
from meshconv.stats.split import PARTS, split_indices

_SHARES = (0.57, 0.15)  # train and validation; 120, 31 and 59 of 210


@dataclass(frozen=True, eq=False)
class Volume:
    """One image with the class of every voxel.

    Attributes
    ----------
    image : (D, H, W) float32
        Mean 0 and variance 1 over the volume as it was measured.
    label : (D, H, W) int64
        The class of each voxel.
    spacing : (3,) float64
        Millimetres between voxels along each axis.
    name : str
    """

    image: NDArray[np.float32]
    label: IntArray
    spacing: FloatArray
    name: str

    def fitted(self, shape: Sequence[int]) -> Volume:
        """Return the volume cropped or padded to `shape` about its middle; new voxels are 0, the
        mean.
        """
        return replace(
            self, image=fit_middle(self.image, shape), label=fit_middle(self.label, shape)
        )

    def padded(self, multiple: int) -> Volume:
        """Return the volume padded so that every side is a multiple of `multiple`."""
        return self.fitted(next_multiple(self.image.shape, multiple))


class Hippocampi(OnDemand[Volume]):
    """210 magnetic resonance volumes of the hippocampus, with its anterior (1) and posterior (2)
    part.

    Parameters
    ----------
    part : {'all', 'train', 'validation', 'test'}
        120, 31 and 59 volumes, drawn without replacement. The file does not say which volumes are
        of one person (left and right), so a split may part them.
    seed : int
        Of the split.
    path : Path, optional
        The file, where it is not found by itself.

    Attributes
    ----------
    indices : (n,) int64
        Which volumes of the file these are.
    classes : tuple of str

    Raises
    ------
    MissingFileError
        If ``msd_hippocampus.npz`` is not there.
    ArgumentError, BadFormatError
        If the part is unknown, or the file is another one.

    References
    ----------
    Antonelli et al., 2022, The Medical Segmentation Decathlon. doi:10.1038/s41467-022-30695-9
    """

    _kind = "volume"

    def __init__(self, part: str = "all", *, seed: int = 0, path: Path | None = None) -> None:
        one_of(part, PARTS, "part")
        self._file = _read(path or find_data("msd_hippocampus.npz"))
        self.classes = self._file.classes
        self.indices = split_indices(len(self._file.names), _SHARES, seed=seed)[part]

    def __len__(self) -> int:
        return len(self.indices)

    def item(self, k: int) -> Volume:
        """Return volume k, 0 <= k < len(self)."""
        return self._file.volume(int(self.indices[k]))

    def few(self, n: int, *, seed: int = 0) -> Hippocampi:
        """Return `n` of these volumes at random; with one seed, fewer are always among more.

        Raises
        ------
        ArgumentError
            If there are not that many.
        """
        if not 1 <= n <= len(self):
            raise ArgumentError(f"n must lie in 1..{len(self)}, found {n}")
        chosen = object.__new__(Hippocampi)
        chosen._file, chosen.classes = self._file, self.classes
        chosen.indices = self.indices[np.random.default_rng([seed, 1]).permutation(len(self))[:n]]
        return chosen

    def stacked(
        self, shape: Sequence[int] | None = None, *, multiple: int = 8
    ) -> tuple[NDArray[np.float32], IntArray]:
        """Return all volumes on one grid, as networks take them.

        Parameters
        ----------
        shape : (3,) of int, optional
            Voxels; by default the least multiple of `multiple` that no volume of the file exceeds.
        multiple : int

        Returns
        -------
        images : (n, 1, D, H, W) float32
        labels : (n, D, H, W) int64
        """
        shape = shape or next_multiple(self._file.shapes.max(axis=0), multiple)
        volumes = [volume.fitted(shape) for volume in self]
        return np.stack([v.image for v in volumes])[:, None], np.stack([v.label for v in volumes])


def fit_middle(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Crop or zero-pad an array to `shape`: entry n // 2 of a side of n stays entry m // 2 of a
    side of m.

    A padded array fitted to its old shape is the old array.

    Raises
    ------
    ArgumentError
        If `shape` is not one positive integer for each axis.

    Examples
    --------
    >>> fit_middle(np.arange(1, 4), [6]), fit_middle(np.arange(1, 7), [3])
    (array([0, 0, 1, 2, 3, 0]), array([3, 4, 5]))
    """
    if len(shape) != array.ndim or not all(m >= 1 and m == int(m) for m in shape):
        raise ArgumentError(f"shape must be {array.ndim} positive integers, found {tuple(shape)}")
    out = np.zeros(tuple(int(m) for m in shape), dtype=array.dtype)
    into, source = [], []
    for n, m in zip(array.shape, out.shape, strict=True):
        shift = m // 2 - n // 2
        into.append(slice(max(shift, 0), min(n + shift, m)))
        source.append(slice(max(-shift, 0), min(m - shift, n)))
    out[tuple(into)] = array[tuple(source)]
    return out


def next_multiple(shape: Sequence[int] | IntArray, multiple: int) -> tuple[int, ...]:
    """Return the least multiples of `multiple` that are not below `shape`.

    >>> next_multiple((31, 40, 47), 8)
    (32, 40, 48)
    """
    if multiple < 1:
        raise ArgumentError(f"multiple must be at least 1, found {multiple}")
    return tuple(-(-int(n) // multiple) * multiple for n in shape)


@dataclass(frozen=True, eq=False)
class _File:
    names: tuple[str, ...]
    classes: tuple[str, ...]
    shapes: IntArray  # (n, 3)
    starts: IntArray  # (n,), into the two arrays below
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    spacing: FloatArray

    def volume(self, k: int) -> Volume:
        shape = tuple(self.shapes[k])
        part = slice(self.starts[k], self.starts[k] + self.shapes[k].prod())
        image = self.images[part].reshape(shape).astype(np.float32)
        image = (image - image.mean()) / max(float(image.std()), 1e-6)
        return Volume(
            image, self.labels[part].reshape(shape).astype(np.int64), self.spacing, self.names[k]
        )


@cache
def _read(path: Path) -> _File:
    try:
        with np.load(path, allow_pickle=False) as data:
            shapes = data["shapes"].astype(np.int64)
            ends = np.cumsum(shapes.prod(axis=1))
            names, classes = tuple(data["ids"].tolist()), tuple(data["label_names"].tolist())
            images, labels = data["images"], data["labels"]
            spacing = data["spacing_mm"].astype(np.float64)
    except (KeyError, ValueError) as error:
        raise BadFormatError(f"not the file of hippocampi ({error})", path=path) from error
    if not len(images) == len(labels) == ends[-1]:
        raise BadFormatError(
            f"shapes need {ends[-1]} voxels, found {len(images)} of the images and"
            f" {len(labels)} of the labels",
            path=path,
        )
    return _File(names, classes, shapes, ends - shapes.prod(axis=1), images, labels, spacing)
