"""Skulls of Darwin's finches and their relatives."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import numpy as np

from meshconv._check import one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.packed import PackedSurfaces, read_packed
from meshconv.datasets.scan import Scan
from meshconv.datasets.surface_cache import kept_surface
from meshconv.errors import RepairWarning
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair

FILE = "finch_skulls.npz"
LABELS = ("clade", "genus")


class FinchSkulls(PackedSurfaces):
    """98 bird skulls: Darwin's finches (51) or their relatives (47), or nine genera.

    Closed surfaces of genus 0 in millimetres, drawn around the scans by ``repair(wrap=...)``: only
    37 of these are one piece of genus 0. Skulls have places in common (beak, orbits, brain case),
    so a frame can say where clades differ; what lies inside, or behind a hole finer than the wrap's
    resolution, is gone. The three or four skulls of one species are much alike, so a split keeps
    species whole, and a genus of a single species cannot be learned and tested.

    Parameters
    ----------
    label : {'clade', 'genus'}
    part : {'all', 'train', 'validation', 'test'}
        60, 15 and 25 %; no species is in two.
    resolution : float
        Of the wrap, over the diagonal of the bounding box.
    cache : str or PathLike, optional
        A folder for the finished surfaces, one file each: a wrap costs some seconds.
    path : Path, optional
        The file, where it is not found by itself.

    Attributes
    ----------
    indices, labels, subjects, classes
        See `PackedSurfaces`; a subject is a species.

    Raises
    ------
    MissingFileError, BadFormatError
        If the file is not there, or another.
    ArgumentError
        If there is no such part or label.

    References
    ----------
    Lau, Choi, 2025, arXiv 2511.06426
    """

    def __init__(
        self,
        label: str = "clade",
        part: str = "all",
        *,
        resolution: float = 1 / 64,
        cache: str | PathLike[str] | None = None,
        path: Path | None = None,
    ) -> None:
        one_of(label, LABELS, "label")
        file = read_packed(
            path or find_data(FILE), ("names", "species", *LABELS), starts=("vptr", "fptr")
        )
        names, labels = np.unique(file.more[label], return_inverse=True)
        self.classes = tuple(map(str, names))
        self.resolution, self.cache = resolution, None if cache is None else Path(cache)
        everyone = np.ones(len(file), dtype=bool)
        self._choose(file, everyone, labels, file.more["species"].tolist(), part)

    def name(self, k: int) -> str:
        """Return the name of skull k: species and letter."""
        return str(self._file.more["names"][self.indices[k]])

    def raw(self, k: int) -> Surface:
        """Return skull k as it is in the file: many pieces, handles, holes."""
        return self._file.surface(int(self.indices[k]))

    def scan(self, k: int) -> Scan:
        """Return skull k, wrapped."""
        name = f"finch_{self.name(k)}_{self.resolution:g}"
        surface = kept_surface(self.cache, name, lambda: self._mended(self.raw(k)))
        return Scan(surface, int(self.labels[k]), self.name(k), self.subjects[k])

    def _mended(self, surface: Surface) -> Surface:
        extent = float(np.linalg.norm(np.ptp(surface.vertices, axis=0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)  # the class says what is lost
            return repair(surface, wrap=self.resolution * extent).surface
