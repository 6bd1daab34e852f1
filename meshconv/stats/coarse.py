"""`Coarse`: images on a coarse grid, how rough they are there, and patches of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.stats.components import Rows
from meshconv.stats.targets import within_subjects

SIZE = 33  # nodes per side of the coarse grid
_LEAST_SHARE = 0.2  # of the images that must reach a node
_LEAST_COVER = 0.05  # of a node's weights, for an image to reach it
_DETAIL = 1 / 25  # of a side: what is narrower than this is texture
_LEAST_ENERGY = 1e-12
_SHRINK = 0.02  # of the largest variance, added to all before whitening


@dataclass(frozen=True, eq=False)
class Coarse:
    """Images on a coarse grid.

    Attributes
    ----------
    level : (n, C, m, m) float32
        Averages over area, less their mean over the images; 0 where an image does not reach.
    texture : (n, C, m, m) float32
        Logarithm of the energy of what is narrower than the grid, likewise.
    reached : (m, m) bool
        Where enough images reach.
    """

    level: Rows
    texture: Rows
    reached: BoolArray

    @classmethod
    def of(cls, images: Any) -> Coarse:
        """Return images (n, C, N, N), NaN outside their masks, one at a time: no copy is made."""
        n, channels, size, _ = images.shape
        m = min(SIZE, size)
        weights = _hats(size, m)
        width = max(3, 2 * round(size * _DETAIL / 2) + 1)
        mean = _mean(images)
        level, texture = (np.empty((n, channels, m, m), dtype=np.float32) for _ in range(2))
        share = np.zeros((channels, m, m))
        for k in range(n):
            x = images[k].astype(np.float32) - mean
            there = np.isfinite(x)
            level[k], texture[k], known = _averaged(np.where(there, x, 0), there, weights, width)
            share += known
        reached = (share / n >= _LEAST_SHARE).all(axis=0)
        return cls(_centred(level), _centred(texture), reached)

    def of_rows(self, row: IntArray, subject: IntArray, *, within: bool) -> Coarse:
        """Return means of the images of each row; less the mean of its subject, if `within`."""
        if not within and len(row) == len(subject):
            return self
        order, count = np.argsort(row, kind="stable"), np.bincount(row)
        starts = np.cumsum(count) - count
        parts = []
        for part in (self.level, self.texture):
            mean = np.add.reduceat(part[order], starts) / count[:, None, None, None]
            parts.append((within_subjects(mean, subject) if within else mean).astype(np.float32))
        return Coarse(parts[0], parts[1], self.reached)

    def places(self, most: int) -> IntArray:
        """Return reached nodes (B, 2), every one or every second or third, ..., at most `most`."""
        m = len(self.reached)
        for stride in range(1, m + 1):
            grid = np.argwhere(np.ones(((m - 1) // stride + 1,) * 2)) * stride
            found = grid[self.reached[tuple(grid.T)]]
            if len(found) <= most:
                break
        return np.asarray(found, dtype=np.int64)

    def enlarged(self, values: FloatArray, size: int) -> FloatArray:
        """Return a map (m, m) on (size, size) nodes, linear between; NaN where no image reaches."""
        at = np.arange(size) / max(size - 1, 1) * (len(values) - 1)
        grid = np.meshgrid(at, at, indexing="ij")
        known = self.reached.astype(np.float64)
        total = map_coordinates(np.where(self.reached, values, 0.0), grid, order=1)
        share = map_coordinates(known, grid, order=1)
        return np.asarray(np.where(share >= 0.5, total / np.maximum(share, 0.5), np.nan))

    def patch(self, place: IntArray, radius: int, rows: IntArray) -> Rows:
        """Return what lies around a node in some of the images, (n, D)."""
        (i, j), m = place, len(self.reached)
        down = slice(max(i - radius, 0), min(i + radius + 1, m))
        across = slice(max(j - radius, 0), min(j + radius + 1, m))
        return self.level[rows, :, down, across].reshape(len(rows), -1)


def _hats(size: int, m: int) -> Rows:
    at = np.arange(size) / max(size - 1, 1) * (m - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(at - np.arange(m)[:, None]))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _mean(images: Any) -> Rows:
    total, count = np.zeros(images.shape[1:]), np.zeros(images.shape[1:], dtype=np.int64)
    for image in images:
        there = np.isfinite(image)
        total += np.where(there, image, 0)
        count += there
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)


def _averaged(
    x: Rows, there: BoolArray, weights: Rows, width: int
) -> tuple[NDArray[Any], NDArray[Any], BoolArray]:
    """Return level and log energy of the detail of one image (C, N, N), NaN where it is not, and
    where it is.
    """
    known = there.astype(np.float32)
    area = weights @ known @ weights.T
    safe = np.where(area > _LEAST_COVER, area, np.nan)
    level = weights @ x @ weights.T / safe
    box = (1, width, width)
    smooth = uniform_filter(x, box) / np.maximum(uniform_filter(known, box), 1e-3)
    detail = np.where(there, x - smooth, 0)
    energy = weights @ (detail * detail) @ weights.T / safe
    return level, np.log(np.maximum(energy, _LEAST_ENERGY)), np.isfinite(safe)


def _centred(x: Rows) -> Rows:
    """Make the mean of the images 0, in place, and what is NaN as well."""
    there = np.isfinite(x)
    np.copyto(x, 0, where=~there)
    x -= x.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    np.copyto(x, 0, where=~there)
    return x


def whitened(x: Rows, most: int) -> Rows:
    """Return the first principal components of rows, each of about the same variance."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    used = values > 1e-6 * values[0]
    if not values[0] > 0:
        return np.zeros((len(x), 1), dtype=np.float32)
    scale = np.sqrt(values[used] + _SHRINK * values[0])
    return np.asarray(x @ vectors[:, used] / scale, dtype=np.float32)
