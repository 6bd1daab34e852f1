"""Left ventricles of the heart at end-diastole: open surfaces, five groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from meshconv._check import one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.packed import PackedSurfaces, read_packed

FILE = "ventricles_ed.npz"
GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")
WALLS = ("endo", "epi", "both")


class Ventricles(PackedSurfaces):
    """The left ventricles of 50 patients, ten of each group: normal, dilated or hypertrophic
    cardiomyopathy, infarction, abnormal right ventricle.

    Disks in millimetres, open at the base (one border). For research only. They have places in
    common (apex, base, septum), so a frame can say where groups differ; but they are deep cups of
    few landmarks, and a turn about the long axis is told by the shape alone. The voxel spacing was
    assumed: absolute sizes may be off by 10 to 20 % between patients. The right ventricle, which
    marks the group RV, is not in them.

    Parameters
    ----------
    part : {'all', 'train', 'validation', 'test'}
        60, 15 and 25 %; no patient is in two.
    wall : {'endo', 'epi', 'both'}
        The inner or the outer surface of the muscle, or both of each patient, one after the other.
    path : Path, optional
        The file, where it is not found by itself; or another of the same layout.

    Attributes
    ----------
    indices, labels, subjects, classes
        See `PackedSurfaces`.

    Raises
    ------
    MissingFileError, BadFormatError
        If the file is not there, or another.
    ArgumentError
        If there is no such part or wall.

    References
    ----------
    Bernard et al., 2018, Deep learning techniques for automatic MRI cardiac multi-structures
    segmentation and diagnosis. doi:10.1109/TMI.2018.2837502
    """

    classes = GROUPS

    def __init__(self, part: str = "all", *, wall: str = "endo", path: Path | None = None) -> None:
        one_of(wall, WALLS, "wall")
        file = read_packed(path or find_data(FILE), ("patient", "surface", "group"))
        labels = np.array([GROUPS.index(group) for group in file.more["group"].tolist()])
        kept = (file.more["surface"] == wall) | (wall == "both")
        subjects = [f"patient{number:03d}" for number in file.more["patient"].tolist()]
        self._choose(file, kept, labels, subjects, part)

    def name(self, k: int) -> str:
        """Return the name of surface k: patient and wall."""
        return f"{self.subjects[k]}_{self._file.more['surface'][self.indices[k]]}"
