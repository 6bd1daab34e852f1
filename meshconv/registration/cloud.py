"""`Cloud`: points with normals, among which partners are sought by place and direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.rigid import Pose
from meshconv.mesh.surface import Surface

NORMAL, CURVATURE = 0.25, 0.0092  # one radian, one curvature 1/size, in sizes


def _none() -> FloatArray:
    return np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of a surface with what tells them apart.

    Attributes
    ----------
    points, normals : (K, 3) float64
    size : float
        The length in which the others are measured: one radian between normals counts as a quarter
        of it.
    curvature : (K,) float64, optional
        Blurred mean curvature times the size; part of the matching where it is given.
    """

    points: FloatArray
    normals: FloatArray
    size: float
    curvature: FloatArray = field(default_factory=_none)

    @classmethod
    def of(cls, surface: Surface, rows: IntArray, size: float) -> Cloud:
        """Return some vertices of a surface, without curvature."""
        return cls(surface.vertices[rows], surface.vertex_normals[rows], size)

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def features(self) -> FloatArray:
        """Positions, normals and curvature as lengths, (K, 6 or 7)."""
        return features(self.points, self.normals, self.curvature, self.size)

    @cached_property
    def tree(self) -> cKDTree:
        """Nearest neighbours in `features`."""
        return cKDTree(self.features)

    def moved(self, pose: Pose) -> Cloud:
        """Return the cloud in another pose; its size is that of where it goes, and stays."""
        return Cloud(
            pose.points(self.points), pose.directions(self.normals), self.size, self.curvature
        )

    def few(self, count: int) -> Cloud:
        """Return about `count` of the points, evenly picked."""
        rows = evenly(len(self), count)
        curvature = self.curvature[rows] if self.curvature.size else self.curvature
        return Cloud(self.points[rows], self.normals[rows], self.size, curvature)


def features(
    points: FloatArray, normals: FloatArray, curvature: FloatArray, size: float
) -> FloatArray:
    """Return positions, normals (..., K, 3) and curvature (K,), if there is one, as lengths
    (..., K, 6 or 7).
    """
    columns = [points, NORMAL * size * normals]
    if curvature.size:
        column = (CURVATURE * size * curvature)[:, None]
        columns.append(np.broadcast_to(column, (*points.shape[:-1], 1)))
    return np.concatenate(columns, axis=-1)


def evenly(n: int, count: int) -> IntArray:
    """Return `count` indices at even distances in 0..n-1, all of them if there are fewer."""
    return np.linspace(0, n - 1, min(n, count)).astype(np.int64)


def even_subset(surface: Surface, count: int) -> IntArray:
    """Return `count` vertices, each standing for the same area.

    They are the same ones in every pose, unit and numbering.
    """
    area = np.bincount(surface.faces.ravel(), np.repeat(surface.face_areas, 3), surface.n_vertices)
    centre = area @ surface.vertices / area.sum()
    order = np.argsort(((surface.vertices - centre) ** 2).sum(axis=1), kind="stable")
    order = order[area[order] > 0]
    share = np.cumsum(area[order])
    picked = np.searchsorted(share, share[-1] * (np.arange(count) + 0.5) / count)
    return order[np.unique(np.minimum(picked, len(order) - 1))]
