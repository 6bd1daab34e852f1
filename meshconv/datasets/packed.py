"""Populations that lie in one file: all vertices one after the other, all faces likewise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, IntArray, one_of
from meshconv.datasets.scan import Population, Scan
from meshconv.errors import BadFormatError
from meshconv.mesh.surface import Surface
from meshconv.stats.split import PARTS, split_indices

_SHARES = (0.6, 0.15)  # train and validation; the rest is test


@dataclass(frozen=True, eq=False)
class Packed:
    """The arrays of a file of surfaces.

    Attributes
    ----------
    vertices, faces : (V, 3), (F, 3)
        Of all surfaces; faces count each surface's own vertices.
    starts : (n + 1, 2) int64
        Where the vertices and the faces of each surface begin.
    step : float
        The unit of the vertices.
    more : dict of str to array
        What else is known, one entry for each surface.
    """

    vertices: NDArray[Any]
    faces: NDArray[Any]
    starts: IntArray
    step: float
    more: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def surface(self, k: int) -> Surface:
        """Return surface k."""
        (v, f), (v_end, f_end) = self.starts[k : k + 2]
        points = self.vertices[v:v_end].astype(np.float64) * self.step
        return Surface(points, self.faces[f:f_end].astype(np.int64))


@cache
def read_packed(
    path: Path,
    more: tuple[str, ...],
    *,
    starts: tuple[str, str] = ("vertex_offset", "face_offset"),
) -> Packed:
    """Read a file of surfaces, and the arrays named `more`.

    Raises
    ------
    BadFormatError
        If an array is missing, or their lengths do not belong together.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            vertices, faces = data["vertices"], data["faces"]
            begin = np.stack([data[name] for name in starts], axis=1).astype(np.int64)
            step = float(data["step"]) if "step" in data.files else 1.0
            known = {name: data[name] for name in more}
    except (KeyError, ValueError) as error:
        raise BadFormatError(f"not a file of these surfaces ({error})", path=path) from error
    if begin[-1].tolist() != [len(vertices), len(faces)] or (np.diff(begin, axis=0) <= 0).any():
        raise BadFormatError(
            f"surfaces end at {begin[-1].tolist()}, found {len(vertices)} vertices and"
            f" {len(faces)} faces",
            path=path,
        )
    for name, array in known.items():
        if array.ndim and len(array) not in (len(begin) - 1,) and not name.endswith("names"):
            raise BadFormatError(f"{name} has {len(array)} of {len(begin) - 1} entries", path=path)
    return Packed(vertices, faces, begin, step, known)


class PackedSurfaces(Population):
    """Some of the surfaces of a file, each with a label and with whom it is of.

    Attributes
    ----------
    indices : (n,) int64
        Which surfaces of the file these are.
    labels : (n,) int64
    subjects : tuple of n str
    classes : tuple of str
    """

    classes: tuple[str, ...]
    _name: str

    def _choose(
        self, file: Packed, kept: BoolArray, labels: IntArray, subjects: Sequence[str], part: str
    ) -> None:
        """Keep the labelled ones of a part of the split, which keeps subjects whole; always the
        same.
        """
        rows = np.flatnonzero(kept)
        whom = [str(subjects[int(k)]) for k in rows]
        inside = np.arange(len(rows))
        if one_of(part, PARTS, "part") != "all":
            inside = split_indices(len(rows), _SHARES, seed=0, groups=whom)[part]
        self._file, self.indices = file, rows[inside]
        self.labels = np.asarray(labels, dtype=np.int64)[self.indices]
        self.subjects = tuple(whom[k] for k in inside)

    def __len__(self) -> int:
        return len(self.indices)

    @abstractmethod
    def name(self, k: int) -> str:
        """Return the name of surface k of these."""

    def scan(self, k: int) -> Scan:
        """Return surface k of these."""
        surface = self._mended(self._file.surface(int(self.indices[k])))
        return Scan(surface, int(self.labels[k]), self.name(k), self.subjects[k])

    def _mended(self, surface: Surface) -> Surface:
        """Return the surface as it is handed out."""
        return surface
