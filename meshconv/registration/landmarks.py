"""Landmarks of a scan: points on its faces that stand for vertices of a template."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, as_array
from meshconv.errors import AccuracyWarning, ArgumentError, IndexOutOfRangeError
from meshconv.mesh.closest import closest_points
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.mesh.surface import Surface

_OFF_SURFACE = 0.02  # landmarks farther than this from the scan, in sizes, are not on it


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Corresponding points: where on the scan (corners of a face, barycentric coordinates), which
    vertices of the template.
    """

    corners: IntArray  # (K, 3)
    weights: FloatArray  # (K, 3)
    template_vertex: IntArray  # (K,)

    def __len__(self) -> int:
        return len(self.corners)

    def values(self, field: FloatArray) -> FloatArray:
        """Return a vertex field (V, d) of the scan at the landmarks, (K, d)."""
        return np.einsum("kc,kcd->kd", self.weights, field[self.corners])


_NONE = np.zeros(0, dtype=np.int64)
NO_LANDMARKS = Landmarks(_NONE.reshape(0, 3), np.zeros((0, 3)), _NONE)


def find_landmarks(surface: Surface, marked: IntArray, landmarks: ArrayLike | None) -> Landmarks:
    """Return the landmarks that are there, as points of the scan's faces; raise if they do not fit
    the template's.

    `marked` (K,) are the template's vertices that they stand for.
    """
    if landmarks is None:
        return NO_LANDMARKS
    given = as_array(landmarks, "landmarks")
    expected = len(marked)
    if given.shape not in {(expected,), (expected, 3)} or (
        given.ndim == 1 and given.dtype.kind == "f"
    ):
        raise ArgumentError(
            f"landmarks must be {expected} vertex indices or ({expected}, 3) points, as many as the"
            f" template has; found {given.dtype} of shape {given.shape}"
        )
    if given.ndim == 1:
        if len(given) and not -1 <= int(given.min()) <= int(given.max()) < surface.n_vertices:
            raise IndexOutOfRangeError(
                f"landmarks {given.min()}..{given.max()}, the scan has vertices"
                f" 0..{surface.n_vertices - 1}",
                hint="-1 says that a landmark is missing",
            )
        there = given >= 0
        named, count = np.unique(given[there], return_counts=True)
        if (count > 1).any():
            raise ArgumentError(
                f"vertex {named[count > 1][0]} of the scan is given for {count.max()} landmarks"
            )
        points = surface.vertices[given[there]]
    else:
        there = np.isfinite(given).all(axis=1)
        points = given[there]
    face, weights, nearest = closest_points(points, surface.vertices, surface.faces)
    near = np.linalg.norm(nearest - points, axis=1) < _OFF_SURFACE * np.sqrt(surface.area)
    if not near.all():
        warnings.warn(
            f"{int((~near).sum())} of {expected} landmarks lie off the scan (cropped away?) and are"
            " left out",
            AccuracyWarning,
            stacklevel=4,
        )
    return Landmarks(surface.faces[face[near]], weights[near], marked[there][near])


def pose_by_landmarks(points: FloatArray, there: FloatArray) -> Pose | None:
    """Return the pose that brings points (K, 3) there, where three or more are not on a line."""
    spread = np.zeros(2)
    if len(points) >= 3:
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if not spread[1] > 1e-3 * spread[0]:
        return None
    return fit_similarity(points, there, np.ones(len(points)), with_scale=True)
