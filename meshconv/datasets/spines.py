"""Dendritic spines as closed surfaces, sorted into classes by eight experts."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from meshconv._check import IntArray
from meshconv.datasets.files import find_data
from meshconv.datasets.packed import PackedSurfaces, read_packed
from meshconv.errors import ArgumentError, RepairWarning
from meshconv.mesh.surface import Surface
from meshconv.mesh_repair.repair import repair

FILE = "spines.npz"
CLASSES = ("Stubby", "Mushroom", "Thin", "Filopodia", "Outlier")
_ARRAYS = ("label", "votes", "dendrite")


class DendriticSpines(PackedSurfaces):
    """249 spines of 40 dendrites: stubby (50), mushroom (117), thin (67); with five classes also
    filopodia (8) and outliers (7).

    Closed surfaces of genus 0 in micrometres: of the 31 that have handles in the file, these are
    cut and capped. The microscope stretches along z, and surfaces are ragged. Spines have no places
    in common beyond a head and a neck: a frame gives them a pose, not places. A single expert
    agrees with the consensus on .74 of them.

    Parameters
    ----------
    part : {'all', 'train', 'validation', 'test'}
        60, 15 and 25 %; no dendrite is in two.
    n_classes : {3, 5}
        Without, or with, filopodia and outliers.
    path : Path, optional
        The file, where it is not found by itself; or another of the same layout.

    Attributes
    ----------
    votes : (n, 8) int64
        The class that each expert gave.
    indices, labels, subjects, classes
        See `PackedSurfaces`; a subject is a dendrite.

    Raises
    ------
    MissingFileError, BadFormatError
        If the file is not there, or another.
    ArgumentError
        If there is no such part or number of classes.

    References
    ----------
    Pchitskaya et al., 2023, SpineTool is an open-source software for analysis of morphology of
    dendritic spines. doi:10.1038/s41598-023-37406-4
    """

    def __init__(self, part: str = "all", *, n_classes: int = 3, path: Path | None = None) -> None:
        if n_classes not in (3, 5):
            raise ArgumentError(f"n_classes must be 3 or 5, found {n_classes!r}")
        file = read_packed(path or find_data(FILE), _ARRAYS)
        labels = file.more["label"].astype(np.int64)
        self.classes = CLASSES[:n_classes]
        kept = (labels >= 0) & (labels < n_classes)
        self._choose(file, kept, labels, file.more["dendrite"].tolist(), part)
        self.votes: IntArray = file.more["votes"].astype(np.int64)[self.indices]

    def name(self, k: int) -> str:
        """Return the name of spine k: dendrite, and number in the file."""
        return f"{self.subjects[k]}_{int(self.indices[k]):03d}"

    def _mended(self, surface: Surface) -> Surface:
        if surface.euler_characteristic == 2:
            return surface
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)  # the class says that handles are cut
            return repair(surface, target="sphere", remove_handles=True).surface
