"""Point location in a triangulated plane or sphere, by walking from face to neighbouring face.

The plane is lifted to z = 1 (x, y -> x, y, 1), the sphere is itself. Then in both cases a point
lies in the face that its ray from the origin meets, and its barycentric coordinates are three
signed volumes.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray

_INSIDE = -1e-12  # barycentric slack for a point on an edge


def lift(points: FloatArray) -> FloatArray:
    """Return (V, 3): plane points at height 1, sphere points as they are."""
    if points.shape[1] == 3:
        return np.ascontiguousarray(points)
    return np.column_stack([points, np.ones(len(points))])


def face_neighbours(faces: IntArray) -> IntArray:
    """Return the face across the side opposite each corner, (F, 3); -1 on the border."""
    low = np.minimum(faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]).ravel()
    high = np.maximum(faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]).ravel()
    key = low * (int(faces.max()) + 1) + high
    order = np.argsort(key, kind="stable")
    pair = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    across = np.full(len(key), -1, dtype=np.int64)
    across[order[pair]] = order[pair + 1] // 3
    across[order[pair + 1]] = order[pair] // 3
    return across.reshape(-1, 3)


@nb.njit(cache=True, inline="always")
def volume(ax, ay, az, bx, by, bz, cx, cy, cz):  # type: ignore[no-untyped-def]
    """Six times the signed volume of (0, a, b, c), from differences so that small faces keep their
    digits.
    """
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    return ax * (uy * vz - uz * vy) + ay * (uz * vx - ux * vz) + az * (ux * vy - uy * vx)


@nb.njit(cache=True)
def walk(px, py, pz, face, points, faces, across, limit):  # type: ignore[no-untyped-def]
    """Walk to the face that holds p; return (face, w0, w1, w2, found), weights >= 0 also
    outside.
    """
    w0 = w1 = w2 = 1.0 / 3.0
    for _ in range(limit):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = points[i, 0] - px, points[i, 1] - py, points[i, 2] - pz
        bx, by, bz = points[j, 0] - px, points[j, 1] - py, points[j, 2] - pz
        cx, cy, cz = points[k, 0] - px, points[k, 1] - py, points[k, 2] - pz
        w0 = pz * (bx * cy - by * cx)
        w1 = pz * (cx * ay - cy * ax)
        w2 = pz * (ax * by - ay * bx)
        if not az == bz == cz == 0.0:  # on the sphere
            w0 += px * (by * cz - bz * cy) + py * (bz * cx - bx * cz)
            w1 += px * (cy * az - cz * ay) + py * (cz * ax - cx * az)
            w2 += px * (ay * bz - az * by) + py * (az * bx - ax * bz)
        total = w0 + w1 + w2
        if min(w0, w1, w2) >= _INSIDE * total and total > 0.0:
            return face, w0 / total, w1 / total, w2 / total, True
        step, lowest = -1, 0.0
        if w0 < lowest and across[face, 0] >= 0:
            step, lowest = across[face, 0], w0
        if w1 < lowest and across[face, 1] >= 0:
            step, lowest = across[face, 1], w1
        if w2 < lowest and across[face, 2] >= 0:
            step, lowest = across[face, 2], w2
        if step < 0:
            break
        face = step
    w0, w1, w2 = max(w0, 0.0), max(w1, 0.0), max(w2, 0.0)
    total = w0 + w1 + w2
    if total > 0.0:
        return face, w0 / total, w1 / total, w2 / total, False
    return face, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, False


@nb.njit(cache=True)
def _search(px, py, pz, points, faces):  # type: ignore[no-untyped-def]
    """Look at every face; return the one whose smallest barycentric coordinate of p is largest."""
    best, best_low = 0, -np.inf
    for face in range(len(faces)):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[j, 0], points[j, 1], points[j, 2]
        cx, cy, cz = points[k, 0], points[k, 1], points[k, 2]
        w0 = volume(px, py, pz, bx, by, bz, cx, cy, cz)
        w1 = volume(px, py, pz, cx, cy, cz, ax, ay, az)
        w2 = volume(px, py, pz, ax, ay, az, bx, by, bz)
        total = w0 + w1 + w2
        if total > 0.0 and min(w0, w1, w2) / total > best_low:
            best, best_low = face, min(w0, w1, w2) / total
    return best


@nb.njit(cache=True)
def _nearest_side(x, y, points, faces, across):  # type: ignore[no-untyped-def]
    """Return the border side nearest to (x, y): its face, the corner opposite, the place along it
    in 0..1.
    """
    best, face, corner, place = np.inf, 0, 0, 0.0
    for f in range(len(faces)):
        for k in range(3):
            if across[f, k] >= 0:
                continue
            i, j = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            dx, dy = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
            ex, ey = x - points[i, 0], y - points[i, 1]
            s = min(max((dx * ex + dy * ey) / (dx * dx + dy * dy), 0.0), 1.0)
            gap = (ex - s * dx) ** 2 + (ey - s * dy) ** 2
            if gap < best:
                best, face, corner, place = gap, f, k, s
    return face, corner, place


@nb.njit(cache=True)
def _locate(queries, starts, points, faces, across):  # type: ignore[no-untyped-def]
    found = np.empty(len(queries), dtype=np.int64)
    weights = np.zeros((len(queries), 3))
    limit = 100 + 4 * int(np.sqrt(len(faces)))
    for q in range(len(queries)):
        x, y, z = queries[q, 0], queries[q, 1], queries[q, 2]
        face, w0, w1, w2, inside = walk(x, y, z, starts[q], points, faces, across, limit)
        if not inside:
            face = _search(x, y, z, points, faces)
            face, w0, w1, w2, inside = walk(x, y, z, face, points, faces, across, 1)
        found[q], weights[q, 0], weights[q, 1], weights[q, 2] = face, w0, w1, w2
        if not inside and across.min() < 0:
            face, k, s = _nearest_side(x, y, points, faces, across)
            found[q] = face
            weights[q, k], weights[q, (k + 1) % 3], weights[q, (k + 2) % 3] = 0.0, 1.0 - s, s
    return found, weights


def locate(queries: FloatArray, points: FloatArray, faces: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the face (K,) that holds each query and the barycentric coordinates there (K, 3).

    Parameters
    ----------
    queries, points : (K, 2), (V, 2) in the plane or (K, 3), (V, 3) on the unit sphere
    faces : (F, 3)
        A triangulation without folds. A query outside it is moved to the nearest point of the
        border.
    """
    _, starts = cKDTree(points[faces].mean(axis=1)).query(queries)
    found: tuple[IntArray, FloatArray] = _locate(
        lift(queries),
        np.asarray(starts, dtype=np.int64),
        lift(points),
        faces,
        face_neighbours(faces),
    )
    return found
