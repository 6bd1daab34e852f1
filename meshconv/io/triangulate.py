"""Polygons to triangles: convex ones by a fan, the others by ear clipping in their best-fit
plane.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv._compiled import compiled
from meshconv.errors import BadFormatError

# ear clipping is quadratic, and cubic for spirals and tangles: what one file may cost is bounded,
# to about a second
MAX_CONCAVE_CORNERS = 4000
_MAX_CORNERS = 200_000
_TESTS, _TESTS_PER_CORNER = 60_000_000, 200
_AT_ONCE = 100_000  # corners: each takes 300 bytes on the way
_FLAT = 1e-12  # of the polygon's area


def triangulate(
    vertices: FloatArray, corners: IntArray, counts: IntArray
) -> tuple[IntArray, IntArray, int]:
    """Return triangles as positions in `corners` (F, 3), the polygon of each, and how many cross
    themselves.

    Every count must be at least 3. Vertices are neither added nor moved, and the winding is kept.
    """
    n = len(counts)
    if counts.max() > _MAX_CORNERS:
        raise BadFormatError(
            f"face {int(counts.argmax())} has {counts.max()} corners, at most {_MAX_CORNERS} are"
            " split into triangles"
        )
    starts, out_starts = np.cumsum(counts) - counts, np.cumsum(counts - 2) - (counts - 2)
    kind = np.int32 if len(corners) < 2**31 else np.int64
    triangles: NDArray[Any] = np.empty((int((counts - 2).sum()), 3), kind)
    crossing, budget = 0, np.array([_TESTS + _TESTS_PER_CORNER * len(corners)])
    for size in np.unique(counts):
        chosen = np.flatnonzero(counts == size)
        at_once = max(1, _AT_ONCE // int(size))
        for some in np.split(chosen, range(at_once, len(chosen), at_once)):
            positions = starts[some][:, None] + np.arange(size)
            local, crossed = _split(vertices[corners[positions]], budget)
            crossing += crossed
            rows = out_starts[some][:, None] + np.arange(size - 2)
            flat = np.take_along_axis(positions, local.reshape(len(some), -1), 1)
            triangles[rows] = flat.reshape(local.shape)
    return triangles, np.repeat(np.arange(n, dtype=kind), counts - 2), crossing


def _split(points: FloatArray, budget: IntArray) -> tuple[IntArray, int]:
    """Return the triangles (k, n-2, 3) of k polygons (k, n, 3), and how many cross themselves.

    `budget` (1,) holds the geometric tests that are left for this file, and is counted down.
    """
    k, n, _ = points.shape
    steps = np.arange(1, n - 1)
    fan = np.stack([np.zeros(n - 2, np.int64), steps, steps + 1], axis=1)
    triangles = np.broadcast_to(fan, (k, n - 2, 3)).copy()
    flat = _in_plane(points)
    first, second = flat[:, 1:-1] - flat[:, :1], flat[:, 2:] - flat[:, :1]
    areas = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    concave = np.flatnonzero(
        ~(areas > _FLAT * np.abs(areas).sum(axis=1, keepdims=True)).all(axis=1)
    )
    if len(concave) and n > MAX_CONCAVE_CORNERS:
        raise BadFormatError(
            f"a concave face of {n} corners, at most {MAX_CONCAVE_CORNERS} are split into"
            " triangles",
            hint="triangulate it in the program that wrote the file",
        )
    crossed = _clip_all(flat, triangles, concave, budget) if n > 3 else 0
    if budget[0] < 0:
        raise BadFormatError(
            f"concave faces too intricate to split (one has {n} corners)",
            hint="triangulate them in the program that wrote the file",
        )
    return triangles, crossed


def _in_plane(points: FloatArray) -> FloatArray:
    """Return polygons (k, n, 3) in the plane of their Newell normal, (k, n, 2), scaled to size
    about 1.
    """
    points = points / 4 - points[:, :1] / 4  # quarters, so that no difference overflows
    scale = np.abs(points).max(axis=(1, 2), keepdims=True)
    points = np.divide(points, scale, out=np.zeros_like(points), where=scale > 0)
    normal = np.cross(points, np.roll(points, -1, axis=1)).sum(axis=1)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.where(length > 0, normal / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])
    helper = np.eye(3)[np.abs(normal).argmin(axis=1)]
    u = np.cross(helper, normal)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normal, u)
    return np.stack(
        [np.einsum("knd,kd->kn", points, u), np.einsum("knd,kd->kn", points, v)], axis=2
    )


@compiled(small=np.inf)
def _turn(q: NDArray[Any], a: int, b: int, c: int) -> float:
    return (q[b, 0] - q[a, 0]) * (q[c, 1] - q[a, 1]) - (q[b, 1] - q[a, 1]) * (q[c, 0] - q[a, 0])


@compiled(small=np.inf)
def _is_ear(
    q: NDArray[Any], after: NDArray[Any], a: int, b: int, c: int, budget: NDArray[Any]
) -> bool:
    """Tell whether no other corner of the remaining polygon lies in the triangle a, b, c."""
    d = after[c]
    while d != a:
        budget[0] -= 1
        same = (q[d, 0] == q[a, 0] and q[d, 1] == q[a, 1]) or (
            q[d, 0] == q[c, 0] and q[d, 1] == q[c, 1]
        )
        inside = _turn(q, a, b, d) >= 0 and _turn(q, b, c, d) >= 0 and _turn(q, c, a, d) >= 0
        if inside and not same:
            return False
        d = after[d]
    return True


@compiled(small=np.inf)
def _clip_ears(q: NDArray[Any], out: NDArray[Any], budget: NDArray[Any]) -> bool:
    """Write the n-2 triangles of one polygon q (n, 2) into `out`; return False if it crosses
    itself.
    """
    n = len(q)
    after, before = (np.arange(n) + 1) % n, (np.arange(n) - 1) % n
    clean, b = True, 1
    for k in range(n - 2):
        left, best, widest = n - k, b, -np.inf
        if budget[0] < 0:
            break
        for _ in range(left):
            a, c = before[b], after[b]
            turn = _turn(q, a, b, c)
            budget[0] -= 1
            if turn > widest:
                best, widest = b, turn
            if turn > 1e-12 and _is_ear(q, after, a, b, c, budget):
                best = -1
                break
            b = after[b]
        if best >= 0:  # no ear: flat rest, or a polygon that crosses itself
            b = best
            clean = clean and (left == 3 or widest <= 1e-12) and widest > -1e-12
        a, c = before[b], after[b]
        out[k, 0], out[k, 1], out[k, 2] = a, b, c
        after[a], before[c] = c, a
        b = c
    return clean


@compiled(by=2, small=1000)
def _clip_all(
    flat: NDArray[Any], triangles: NDArray[Any], concave: NDArray[Any], budget: NDArray[Any]
) -> int:
    """Clip the polygons `concave` of flat (k, n, 2); return how many of them cross themselves."""
    crossed = 0
    for j in concave:
        if not _clip_ears(flat[j], triangles[j], budget):
            crossed += 1
        if budget[0] < 0:
            break
    return crossed
