"""Lung nodules of LIDC-IDRI as closed surfaces, with what four radiologists thought of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray, one_of
from meshconv.datasets.files import find_data
from meshconv.datasets.packed import PackedSurfaces, read_packed
from meshconv.errors import ArgumentError

FILE = "lidc_nodules.npz"
_ARRAYS = ("ratings", "rating_names", "patient", "diameter_mm")
# mean rating at most / at least, of the two classes; strictly less / more for malignancy
TARGETS: dict[str, tuple[float, float]] = {
    "spiculation": (1.5, 3.0),
    "lobulation": (1.5, 3.0),
    "malignancy": (3.0, 3.0),
}


class LungNodules(PackedSurfaces):
    """734 lung nodules of 462 patients: spiculated or not, lobulated or not, suspicious or not.

    Closed surfaces of genus 0 in millimetres, in the axes of the scanner (z along the patient). Two
    nodules have no places in common: a frame gives them one pose and one domain, but a pixel does
    not mean the same place in two of them. Use pooled heads, `shape_measures`, and for what readers
    saw slice by slice its sections across z. Group maps and a shared density mean little here.

    Parameters
    ----------
    target : {'spiculation', 'lobulation', 'malignancy'}
        Classes by the mean rating (1 to 5): spiculation and lobulation at most 1.5 (416, 330)
        against at least 3 (98, 119); malignancy below 3 (238) against above (402). What lies
        between is left out.
    part : {'all', 'train', 'validation', 'test'}
        60, 15 and 25 %; no patient is in two. For figures, grouped folds over 'all' are better.
    diameters : (float, float)
        Of the ball of the same volume, mm: from, and below. Malignancy goes by size (its logarithm
        alone has an AUC of .86): to ask for shape, ask within a band, 8 to 20.
    plausible : bool
        Leave out nodules of which a reader's ratings contradict each other, see `contradictory`:
        smooth balls among the spiculated. It looks at ratings alone, not at the shape.
    path : Path, optional
        The file, where it is not found by itself; or another of the same layout.

    Attributes
    ----------
    ratings : (n, 9) float64
        Mean over the readers, in the order of `rating_names`.
    diameters : (n,) float64
        mm.
    indices, labels, subjects, classes
        See `PackedSurfaces`.

    Raises
    ------
    MissingFileError, BadFormatError
        If the file is not there, or another.
    ArgumentError
        If there is no such target or part, or no nodule of these sizes.

    References
    ----------
    Armato et al., 2011, The Lung Image Database Consortium and Image Database Resource Initiative.
    doi:10.1118/1.3528204. Hancock, Magnan, 2016, doi:10.1117/1.JMI.3.4.044504.
    """

    def __init__(
        self,
        target: str = "spiculation",
        part: str = "all",
        *,
        diameters: tuple[float, float] = (0.0, np.inf),
        plausible: bool = False,
        path: Path | None = None,
    ) -> None:
        low, high = TARGETS[one_of(target, tuple(TARGETS), "target")]
        file = read_packed(path or find_data(FILE), _ARRAYS)
        self.target = target
        self.rating_names = tuple(map(str, file.more["rating_names"]))
        means = mean_ratings(file.more["ratings"])
        own = means[:, self.rating_names.index(target)]
        without, with_it = (own < low, own > high) if low == high else (own <= low, own >= high)
        size = file.more["diameter_mm"].astype(np.float64)
        kept = (without | with_it) & (size >= diameters[0]) & (size < diameters[1])
        if plausible:
            kept &= ~contradictory(file.more["ratings"], self.rating_names).any(axis=1)
        if not kept.any():
            raise ArgumentError(f"no nodule has a diameter in {tuple(diameters)} mm")
        self.classes = (f"no {target}", target)
        self._choose(file, kept, with_it.astype(np.int64), file.more["patient"].tolist(), part)
        self.ratings: FloatArray = means[self.indices]
        self.diameters: FloatArray = size[self.indices]

    def name(self, k: int) -> str:
        """Return the name of nodule k: patient, and number in the file."""
        return f"{self.subjects[k]}_{int(self.indices[k]):03d}"


def contradictory(ratings: IntArray, names: Sequence[str]) -> BoolArray:
    """Return which readings (n, readers) call a nodule marked in outline and yet a sharp ball.

    Spiculation, lobulation, sphericity and margin all at least 4. Some readers of the first scans
    took the scales of spiculation and lobulation the wrong way round; such a 5 means 1.

    Parameters
    ----------
    ratings : (n, readers, names) int
        1 to 5; 0 is no reader.
    names : sequence of str
    """
    asked = [names.index(name) for name in ("spiculation", "lobulation", "sphericity", "margin")]
    return np.asarray((ratings[:, :, asked] >= 4).all(axis=2))


def mean_ratings(ratings: IntArray) -> FloatArray:
    """Return the mean over readers of ratings (n, readers, names), where 0 is no reader."""
    given = ratings > 0
    return np.asarray(ratings.sum(axis=1) / np.maximum(given.sum(axis=1), 1), dtype=np.float64)
