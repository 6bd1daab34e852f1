"""Adrenal glands: closed surfaces of the masks of AdrenalMNIST3D, normal or with hyperplasia."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meshconv._check import IntArray, one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.mask import surface_of_mask
from meshconv.datasets.scan import Population, Scan
from meshconv.datasets.surface_cache import kept_surface
from meshconv.mesh.surface import Surface

FILE = "adrenalmnist3d_64.npz"
SPLITS = ("train", "val", "test")
CLASSES = ("normal", "hyperplasia")


class AdrenalSurfaces(Population):
    """The glands of one part of the official split: 1188 / 98 / 298, about a fifth with
    hyperplasia.

    Closed surfaces of genus 0 in voxels, made from the 64^3 masks when asked
    for (`surface_of_mask`). All masks stand in one orientation, none is a mirror image of the
    others. Which two glands are of one patient is not told, so `Scan.subject` is empty; the
    official split is the split.

    Parameters
    ----------
    split : {'train', 'val', 'test'}
    n_vertices : int
    smoothing : float
        See `surface_of_mask`.
    cache : str or PathLike, optional
        A folder for the finished surfaces, one file each.

    Attributes
    ----------
    labels : (n,) int64
        0 normal, 1 hyperplasia.
    classes : tuple of str

    Raises
    ------
    MissingFileError
        If ``adrenalmnist3d_64.npz`` is not there; see `meshconv.datasets.files`.

    References
    ----------
    Yang et al., 2023, MedMNIST v2. doi:10.1038/s41597-022-01721-8
    """

    classes = CLASSES

    def __init__(
        self,
        split: str = "train",
        *,
        n_vertices: int = 700,
        smoothing: float = 1.25,
        cache: str | PathLike[str] | None = None,
    ) -> None:
        self.split, self.n_vertices, self.smoothing = (
            one_of(split, SPLITS, "split"),
            n_vertices,
            smoothing,
        )
        self.cache = None if cache is None else Path(cache)
        with np.load(find_data(FILE), allow_pickle=False) as data:
            self._packed: NDArray[np.uint8] = data[f"{split}_images"]
            self.labels: IntArray = data[f"{split}_labels"].ravel().astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, k: int) -> str:
        """Return the name of gland k: split and number."""
        return f"adrenal_{self.split}_{k:04d}"

    def mask(self, k: int) -> NDArray[np.bool_]:
        """Return the mask of gland k, (64, 64, 64)."""
        return np.unpackbits(self._packed[k], axis=-1).astype(bool)

    def scan(self, k: int) -> Scan:
        """Return gland k."""
        return Scan(self._surface(k), int(self.labels[k]), self.name(k), "")

    def _surface(self, k: int) -> Surface:
        name = f"{self.name(k)}_{self.n_vertices}_{self.smoothing:g}"

        def made() -> Surface:
            return surface_of_mask(
                self.mask(k), smoothing=self.smoothing, n_vertices=self.n_vertices
            )

        return kept_surface(self.cache, name, made)
