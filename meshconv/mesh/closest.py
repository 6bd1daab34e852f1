"""Closest points on a triangle mesh, exact, for many query points at once."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._types import FloatArray, IntArray
from meshconv.mesh.curve import nearby_order
from meshconv.mesh.triangle_tree import (
    DEPTH,
    BoxTree,
    box_distance,
    build_tree,
    divide,
)
from meshconv.mesh.vector import Triple, along, dot, fixed, minus, row


class ClosestPoints:
    """The points of one mesh closest to any others: build the tree once, ask many times.

    Parameters
    ----------
    vertices : (V, 3) float64
        Any unit of length, finite.
    faces : (F, 3) int64
        At least one; of any shape, also without area.
    """

    def __init__(self, vertices: FloatArray, faces: IntArray) -> None:
        self.vertices, self.faces = fixed(vertices), fixed(faces)
        self.tree: BoxTree = build_tree(self.vertices, self.faces)

    def __call__(self, points: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return face, weights and nearest point of each point, as `closest_points` does."""
        face, weights = np.empty(len(points), dtype=np.int64), np.empty((len(points), 3))
        mesh = self.vertices, self.faces, *self.tree
        points = fixed(np.asarray(points, dtype=np.float64))
        _search(points, nearby_order(points), *mesh, face, weights)
        return face, weights, np.einsum("qk,qkd->qd", weights, self.vertices[self.faces[face]])


def closest_points(
    points: FloatArray, vertices: FloatArray, faces: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the point of a mesh closest to each of many points.

    For many questions to one mesh keep a `ClosestPoints`.

    Parameters
    ----------
    points : (K, 3) float64
    vertices : (V, 3) float64
    faces : (F, 3) int64

    Returns
    -------
    face : (K,) int64
        A face that holds the closest point; one of them where several do.
    weights : (K, 3) float64
        Of the corners of that face: 0 or more, adding up to 1.
    nearest : (K, 3) float64
        The closest point itself, to rounding.

    Examples
    --------
    >>> corners = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0]])
    >>> face, weights, nearest = closest_points(
    ...     np.array([[1.0, 1, 3], [5, -1, 0]]), corners, np.array([[0, 1, 2]])
    ... )
    >>> face.tolist(), weights.tolist(), nearest.tolist()
    ([0, 0], [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], [[1.0, 1.0, 0.0], [4.0, 0.0, 0.0]])
    """
    return ClosestPoints(vertices, faces)(points)


def plane_coordinates(p: FloatArray, corners: FloatArray) -> FloatArray:
    """Barycentric coordinates (..., 3) of p (..., 3) dropped into the plane of each triangle (...,
    3, 3).

    Negative outside the triangle; NaN or infinite where the triangle has no area.
    """
    a, b, c = np.moveaxis(corners, -2, 0)
    ab, ac, ap = b - a, c - a, p - a
    uu, uv, vv = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    up, vp = (ab * ap).sum(-1), (ac * ap).sum(-1)
    det = uu * vv - uv * uv
    with np.errstate(divide="ignore", invalid="ignore"):
        beta, gamma = (vv * up - uv * vp) / det, (uu * vp - uv * up) / det
    return np.stack([1 - beta - gamma, beta, gamma], axis=-1)


@njit(cache=True)
def _search(
    points: FloatArray,
    turns: IntArray,
    vertices: FloatArray,
    faces: IntArray,
    boxes: FloatArray,
    ends: IntArray,
    order: IntArray,
    face: IntArray,
    weights: FloatArray,
) -> None:
    """Descend into the nearer half first; a box farther than the best triangle is left out."""
    stack = np.empty(DEPTH, dtype=np.int64)
    best = 0
    for q in turns:
        p = row(points, q)  # the answer to a point nearby is a good start
        least = _distance(p, vertices, faces[best])
        top, stack[0] = 1, 0
        while top:
            top -= 1
            box = stack[top]
            if box_distance(boxes, box, p) >= least:
                continue
            if 2 * box + 2 < len(boxes):
                top = divide(boxes, stack, top, p)
                continue
            for i in range(ends[box, 0], ends[box, 1]):
                distance = _distance(p, vertices, faces[order[i]])
                if distance < least:
                    least, best = distance, order[i]
        a, b, c = faces[best, 0], faces[best, 1], faces[best, 2]
        face[q] = best
        weights[q] = closest_weights(p, row(vertices, a), row(vertices, b), row(vertices, c))


@njit(cache=True)
def _distance(p: Triple, vertices: FloatArray, corners: IntArray) -> float:
    """Squared distance of a point to a triangle."""
    a, b, c = row(vertices, corners[0]), row(vertices, corners[1]), row(vertices, corners[2])
    u, v, w = closest_weights(p, a, b, c)
    away = along(along(along((-p[0], -p[1], -p[2]), u, a), v, b), w, c)
    return dot(away, away)


@njit(cache=True)
def closest_weights(p: Triple, a: Triple, b: Triple, c: Triple) -> Triple:
    """Return the weights of the corners a, b, c at the point of the triangle closest to p.

    The height over ab is taken by orthogonalization: exact to rounding on needles too.
    """
    ab, ac, ap = minus(b, a), minus(c, a), minus(p, a)
    base = max(dot(ab, ab), 1e-300)
    shear = dot(ac, ab) / base
    height = along(ac, -shear, ab)
    steep = dot(height, height)
    if steep <= 0.0:
        return _on_border(p, a, b, c, (-1.0, -1.0, -1.0))
    w = dot(ap, height) / steep
    v = dot(ap, ab) / base - w * shear
    weights = 1.0 - v - w, v, w
    return weights if min(weights) >= 0.0 else _on_border(p, a, b, c, weights)


@njit(cache=True)
def _on_border(p: Triple, a: Triple, b: Triple, c: Triple, outside: Triple) -> Triple:
    """The weights of the closest point of the sides that p lies beyond, opposite a negative one."""
    best, least = (1.0, 0.0, 0.0), np.inf
    if outside[0] < 0.0:
        t, least = _on_segment(p, b, c)
        best = 0.0, 1.0 - t, t
    if outside[1] < 0.0:
        t, distance = _on_segment(p, c, a)
        if distance < least:
            best, least = (t, 0.0, 1.0 - t), distance
    if outside[2] < 0.0:
        t, distance = _on_segment(p, a, b)
        if distance < least:
            best = 1.0 - t, t, 0.0
    return best


@njit(cache=True)
def _on_segment(p: Triple, start: Triple, end: Triple) -> tuple[float, float]:
    """How far along the segment the closest point lies, 0 to 1, and its squared distance."""
    side, away = minus(end, start), minus(p, start)
    t = min(max(dot(away, side) / max(dot(side, side), 1e-300), 0.0), 1.0)
    away = along(away, -t, side)
    return t, dot(away, away)
