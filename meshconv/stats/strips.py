"""`Strips`: the rows of a study, read a strip of the grid at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import BoolArray, IntArray
from meshconv.stats.group_statistic import mean_images

_CELLS = 2**21  # values in a strip, if a share of them all is not more
_SHARE = 1 / 32


@dataclass(frozen=True, eq=False)
class Strips:
    """Rows (n, C, N, N), of one image or the mean of several; never more of them in memory than a
    strip of the grid, wherever they lie.

    Attributes
    ----------
    images : (m, C, N, N) array or ImageStack
        NaN where an image does not reach.
    row : (m,) int64
        Which of the rows 0..n-1 each image is of.
    subject : (n,) int64, optional
        If rows are compared within subjects: then a row reaches what all of its subject reach.
    """

    images: Any
    row: IntArray
    subject: IntArray | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, C, N, N)."""
        c, height, width = self.images.shape[1:]
        return int(self.row.max()) + 1, c, height, width

    def __iter__(self) -> Iterator[slice]:
        """Yield the grid rows of each strip, from the first to the last."""
        size, line = self.shape[2], len(self.row) * self.shape[1] * self.shape[3]
        height = max(1, int(max(_CELLS, _SHARE * line * size)) // line)
        return (slice(k, min(k + height, size)) for k in range(0, size, height))

    def read(self, lines: slice) -> NDArray[Any]:
        """Return the rows on some lines of the grid, (n, C, h, N)."""
        part = np.asarray(self.images[:, :, lines])
        if self.shape[0] < len(self.row):
            part = mean_images(part, self.row)
        elif not np.array_equal(self.row, np.arange(len(self.row))):
            part = part[np.argsort(self.row)]
        return part if self.subject is None else np.where(self._whole(part), part, np.nan)

    def reach(self, members: BoolArray) -> IntArray:
        """Return how many of some rows, (K, n), reach a pixel in all channels, (K, N, N)."""
        out = np.zeros((len(members), *self.shape[2:]), dtype=np.int64)
        for lines in self:
            there = np.isfinite(self.read(lines)).all(axis=1)
            for group, own in enumerate(members):
                out[group, lines] = there[own].sum(axis=0)
        return out

    def parts(self, reached: BoolArray) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
        """Yield lines of the grid, which of the D pixels of a mask (N, N) lie there, and their
        values (n, C, d).
        """
        ends = np.append(0, np.cumsum(reached.sum(axis=1)))
        for lines in self:
            inside = reached[lines]
            if inside.any():
                place = slice(int(ends[lines.start]), int(ends[lines.stop]))
                yield lines, place, self.read(lines)[:, :, inside]

    def _whole(self, part: NDArray[Any]) -> BoolArray:
        """Return where all rows of a row's subject reach, (n, 1, h, N)."""
        subject = self.subject if self.subject is not None else np.arange(len(part))
        order = np.argsort(subject, kind="stable")
        first = np.flatnonzero(np.diff(subject[order], prepend=-1))
        reached = np.isfinite(part).all(axis=1)[order]
        return np.asarray(np.logical_and.reduceat(reached, first)[subject][:, None])
