"""Closest points on a triangle mesh, for many query points at once."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray

_CANDIDATES = 12  # faces tried per query: those with the nearest centroids


def closest_points(
    queries: FloatArray, vertices: FloatArray, faces: IntArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the face (K,), the barycentric coordinates (K, 3) and the point (K, 3) closest to each
    query.

    Exact among the faces with the nearest centroids, which on a mesh of even triangles are enough.
    """
    tree = cKDTree(vertices[faces].mean(axis=1))
    count = min(_CANDIDATES, len(faces))
    near = tree.query(queries, count)[1].reshape(len(queries), count)
    weights = _barycentric(queries[:, None], vertices[faces[near]])
    points = np.einsum("qfk,qfkd->qfd", weights, vertices[faces[near]])
    best = ((points - queries[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    row = np.arange(len(queries))
    return near[row, best], weights[row, best], points[row, best]


def _barycentric(p: FloatArray, corners: FloatArray) -> FloatArray:
    """Barycentric coordinates (..., 3) of the point of each triangle (..., 3, 3) closest to p (...,
    3).
    """
    a, b, c = np.moveaxis(corners, -2, 0)
    inside = plane_coordinates(p, corners)
    outside = ~(inside.min(axis=-1) >= 0)  # NaN of a face without area counts as outside
    edges = np.stack(
        [_on_segment(p, a, b, 0, 1), _on_segment(p, b, c, 1, 2), _on_segment(p, c, a, 2, 0)],
        axis=-2,
    )
    at = np.einsum("...ek,...kd->...ed", edges, corners)
    pick = ((at - p[..., None, :]) ** 2).sum(-1).argmin(-1)
    on_edge = np.take_along_axis(edges, pick[..., None, None], axis=-2)[..., 0, :]
    return np.where(outside[..., None], on_edge, inside)


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


def _on_segment(p: FloatArray, start: FloatArray, end: FloatArray, i: int, j: int) -> FloatArray:
    side = end - start
    length2 = np.maximum((side * side).sum(-1), np.finfo(np.float64).tiny)
    t = np.clip(((p - start) * side).sum(-1) / length2, 0.0, 1.0)
    out = np.zeros((*t.shape, 3))
    out[..., i], out[..., j] = 1 - t, t
    return out
