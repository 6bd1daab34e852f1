"""The watertight outer surface of anything made of triangles: what a film drawn over it would be.

The nodes of a lattice nearer to the input than their spacing, and all that they close off from
outside, are the inside; loose pieces are left out, membranes put across tunnels, and the border of
what remains is drawn in towards the input. Nothing depends on winding, borders or manifoldness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage, sparse

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.areas import area_vectors
from meshconv.mesh.closest import ClosestPoints
from meshconv.mesh.vector import Triple, fixed, row
from meshconv.mesh_repair.lattice import JOINED, contour, filled_tunnels, tunnels

FINENESS = 128.0
"""Nodes along the diagonal of the bounding box, where no resolution is asked for."""
_MOST_NODES = 40_000_000
_MARGIN = 4  # empty nodes around the input
_GAP = 0.25  # what stays between wrap and input, so that the two sides of a sheet keep apart
_LEAST = 0.2  # a node is at least so deep in or out: no needle faces


@dataclass(frozen=True, eq=False)
class Wrap:
    """A closed surface of genus 0 around the input, in the same frame."""

    unit: FloatArray
    """(V', 3) vertices."""
    faces: IntArray
    distance: FloatArray
    """(V',) of each vertex to the input."""
    depth: FloatArray
    """(V,) of each vertex of the input to the wrap."""
    transfer: sparse.csr_array
    """(V', V) weights of the input's vertices at the nearest point of the input."""
    tunnels: int
    """Closed by membranes."""
    pieces: int
    """Left out."""


def wrapped(unit: FloatArray, faces: IntArray, resolution: float) -> Wrap:
    """Wrap triangles of size one at a resolution: gaps up to twice that wide are closed.

    Raises
    ------
    ArgumentError
        If the lattice would have more than 40 million nodes.
    """
    used = unit[faces].reshape(-1, 3)
    low, high = used.min(axis=0) - _MARGIN * resolution, used.max(axis=0) + _MARGIN * resolution
    shape = np.ceil((high - low) / resolution).astype(np.int64) + 1
    if shape.prod(dtype=np.float64) > _MOST_NODES:
        coarse = resolution * (shape.prod(dtype=np.float64) / _MOST_NODES) ** (1 / 3)
        raise ArgumentError(
            f"wrap at {resolution:.3g} of the diagonal needs {shape.prod(dtype=np.float64):.3g} "
            f"nodes, at most {_MOST_NODES:.3g} are allowed",
            hint=f"choose at least {coarse:.3g} of the diagonal",
        )
    closest = ClosestPoints(unit, faces)
    away = _distances(closest, low, resolution, tuple(shape.tolist()))
    solid, pieces = _largest_body(away <= 1.0)
    count = tunnels(solid)
    ball = filled_tunnels(solid) if count else solid
    depth = np.clip(1.0 - away, -1.0, 1.0)
    points, triangles = contour(
        np.where(ball, np.maximum(depth, _LEAST), np.minimum(depth, -_LEAST))
    )
    place = _drawn_in(low + points * resolution, triangles, closest, resolution)
    face, weights, nearest = closest(place)
    rows = np.repeat(np.arange(len(place)), 3)
    transfer = sparse.csr_array(
        (weights.ravel(), (rows, faces[face].ravel())), shape=(len(place), len(unit))
    )
    inner = ClosestPoints(place, triangles)(unit)[2]
    return Wrap(
        place,
        triangles,
        np.linalg.norm(place - nearest, axis=1),
        np.linalg.norm(unit - inner, axis=1),
        transfer,
        count,
        pieces,
    )


def _distances(
    closest: ClosestPoints, low: FloatArray, resolution: float, shape: tuple[int, ...]
) -> FloatArray:
    """Distance of the nodes to the input in units of the lattice, infinite beyond some two."""
    near = np.zeros(shape, dtype=bool)
    place = (closest.vertices - low) / resolution
    _mark(fixed(place), closest.faces, near)
    near = ndimage.binary_dilation(near, np.ones((3, 3, 3), dtype=bool), iterations=2)
    nodes = np.column_stack(np.nonzero(near)) * resolution + low
    out = np.full(shape, np.inf)
    out[near] = np.linalg.norm(nodes - closest(nodes)[2], axis=1) / resolution
    return out


def _largest_body(near: BoolArray) -> tuple[BoolArray, int]:
    """What the nodes near the input close off from outside, its largest piece, and how many are
    left out.
    """
    outside = ndimage.label(~near, JOINED)[0]
    label, count = ndimage.label(outside != outside[0, 0, 0], JOINED)
    return label == np.bincount(label.ravel())[1:].argmax() + 1, count - 1


def _drawn_in(
    place: FloatArray, faces: IntArray, closest: ClosestPoints, resolution: float
) -> FloatArray:
    """Move the vertices to a quarter of the resolution from the input where that turns no face;
    membranes stay.
    """
    nearest = closest(place)[2]
    away = place - nearest
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    step = np.maximum(distance - _GAP * resolution, 0.0) / np.maximum(distance, 1e-300)
    step *= np.clip(2.0 - distance / resolution, 0.0, 1.0)
    before = area_vectors(place, faces)
    size = (before**2).sum(axis=1)
    for _ in range(8):
        after = area_vectors(place - step * away, faces)
        turned = (after * before).sum(axis=1) < 0.3 * np.sqrt(size * (after**2).sum(axis=1))
        turned |= (after**2).sum(axis=1) < 1e-3 * size
        if not turned.any():
            return place - step * away
        step[faces[turned]] *= 0.5
    step[faces[turned]] = 0.0
    return place - step * away


@njit(cache=True)
def _mark(place: FloatArray, faces: IntArray, near: BoolArray) -> None:
    """Mark the nodes nearest to points of the triangles half a step apart, at most."""
    for f in range(len(faces)):
        a, b, c = row(place, faces[f, 0]), row(place, faces[f, 1]), row(place, faces[f, 2])
        n = int(2.0 * max(_length(a, b), _length(b, c), _length(c, a))) + 1
        for i in range(n + 1):
            for j in range(n + 1 - i):
                u, v = i / n, j / n
                w = 1.0 - u - v
                near[
                    int(u * a[0] + v * b[0] + w * c[0] + 0.5),
                    int(u * a[1] + v * b[1] + w * c[1] + 0.5),
                    int(u * a[2] + v * b[2] + w * c[2] + 0.5),
                ] = True


@njit(cache=True)
def _length(a: Triple, b: Triple) -> float:
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
