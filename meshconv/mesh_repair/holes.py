"""Closing a border with a patch that continues the surface: triangulate, refine, fair.

References
----------
P. Liepa, Filling holes in meshes, Symposium on Geometry Processing 2003. The triangulation
minimises area plus bending by dynamic programming; refinement and edge flips follow section 4
there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh import connectivity
from meshconv.mesh_repair.degenerate import flat_faces
from meshconv.mesh_repair.patch import fair, refine

_LONGEST = (
    120  # longer borders are first cut in two by a short chord: the dynamic programme is cubic
)


@dataclass(frozen=True, eq=False)
class Patch:
    """New vertices (N, 3), numbered from the old count on, and the faces (T, 3) that close one
    border.
    """

    unit: FloatArray
    faces: IntArray
    flat: bool
    """True where some face has no area, as in the crack of a T-junction."""


def fill_hole(unit: FloatArray, faces: IntArray, loop: IntArray, rounding: float) -> Patch:
    """Return the patch for one simple border, wound like the faces around it.

    No edge of the patch repeats one of the surface. The first of three patches without a flat face
    is taken: refined and faired, refined, or the plain triangulation.
    """
    on_loop = np.zeros(len(unit), dtype=bool)
    on_loop[loop] = True
    near = faces[on_loop[faces].any(axis=1)]
    points, coarse = _triangulate_loop(unit, near, loop)
    fine_points, fine = refine(points, coarse, near, loop)
    faired = fair(fine_points, fine, near, len(unit))
    choices = [(faired, fine), (fine_points, fine), (points, coarse)]
    for place, triangles in choices:
        flat = bool(
            flat_faces(place, np.concatenate([near, triangles]), rounding)[len(near) :].any()
        )
        if not flat:
            break
    return Patch(place[len(unit) :], triangles, flat)


def _triangulate_loop(
    unit: FloatArray, near: IntArray, loop: IntArray
) -> tuple[FloatArray, IntArray]:
    """Triangulate the loop without new vertices, or as a fan about its centre where that cannot be
    done.
    """
    n = len(unit)
    taken = np.unique(connectivity.edge_keys(connectivity.half_edges(near), n))
    is_face = len(loop) == 3 and bool((np.sort(near, axis=1) == np.sort(loop)).all(axis=1).any())
    triangles = (
        None
        if is_face
        else _split_and_triangulate(unit, taken, loop, _outer_normals(unit, near, loop))
    )
    if triangles is not None:
        return unit, triangles
    centre = unit[loop].mean(axis=0)
    fan = np.column_stack([np.roll(loop, -1), loop, np.full(len(loop), n)])
    return np.concatenate([unit, centre[None]]), fan


def _outer_normals(unit: FloatArray, near: IntArray, loop: IntArray) -> FloatArray:
    """Unit normal of the face behind each edge loop[k] -> loop[k + 1]; zero where there is none."""
    n = len(unit)
    half = connectivity.half_edges(near)
    key = half[:, 0] * n + half[:, 1]
    order = np.argsort(key)
    wanted = loop * n + np.roll(loop, -1)
    place = order[np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)]
    a, b, c = unit[near[place // 3]].swapaxes(0, 1)
    return _unit(np.cross(b - a, c - a)) * (key[place] == wanted)[:, None]


def _split_and_triangulate(
    unit: FloatArray, taken: IntArray, loop: IntArray, normals: FloatArray
) -> IntArray | None:
    """Cut a long loop in two along short chords, then triangulate each piece."""
    todo, done = [(loop, normals)], []
    while todo:
        piece, behind = todo.pop()
        chord = _short_chord(unit, taken, piece) if len(piece) > _LONGEST else None
        if chord is None:
            triangles = _triangulate(unit[piece], _taken(unit, taken, piece), behind)
            if triangles is None:
                return None
            done.append(piece[triangles])
            continue
        i, k = chord
        taken = np.union1d(taken, connectivity.edge_keys(piece[[[i, k]]], len(unit)))
        free = np.zeros((1, 3))
        todo.append((piece[i : k + 1], np.concatenate([behind[i:k], free])))
        todo.append(
            (np.r_[piece[k:], piece[: i + 1]], np.concatenate([behind[k:], behind[:i], free]))
        )
    return np.concatenate(done)


def _taken(unit: FloatArray, taken: IntArray, loop: IntArray) -> BoolArray:
    """Matrix of the pairs of loop vertices that an edge of the surface joins already."""
    low, high = np.minimum.outer(loop, loop), np.maximum.outer(loop, loop)
    return np.isin(low * len(unit) + high, taken)


def _short_chord(unit: FloatArray, taken: IntArray, loop: IntArray) -> tuple[int, int] | None:
    """The shortest free chord, among a sample, that leaves at least a quarter of the loop on each
    side.
    """
    n = len(loop)
    sample = np.unique(np.linspace(0, n - 1, min(n, 200)).astype(np.int64))
    points = unit[loop[sample]]
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    gap = sample[None] - sample[:, None]
    distance[(gap < n // 4) | (gap > n - n // 4) | _taken(unit, taken, loop[sample])] = np.inf
    i, k = np.unravel_index(int(distance.argmin()), distance.shape)
    return (int(sample[i]), int(sample[k])) if np.isfinite(distance[i, k]) else None


def _triangulate(points: FloatArray, taken: BoolArray, behind: FloatArray) -> IntArray | None:
    """Triangulate a polygon (n, 3) by dynamic programming, or None if the taken chords (n, n)
    prevent it.

    Cost of a triangle: its area, plus squared length times (1 - cos of the bend) for each edge it
    closes. ``cost[i, k]`` is the best for the piece i..k, closed by the chord ik.
    """
    n = len(points)
    cost, middle = np.full((n, n), np.inf), np.zeros((n, n), dtype=np.int64)
    normal = np.zeros((n, n, 3))
    low = np.arange(n - 1)
    cost[low, low + 1], normal[low, low + 1] = 0.0, behind[:-1]
    for gap in range(2, n):
        i = np.arange(n - gap)[:, None]
        k, m = i + gap, i + np.arange(1, gap)
        left, right = points[m] - points[i], points[k] - points[m]
        cross = np.cross(points[k] - points[i], left)
        up = _unit(cross)
        total = cost[i, m] + cost[m, k] + 0.5 * np.linalg.norm(cross, axis=2)
        total += _bend(left, up, normal[i, m]) + _bend(right, up, normal[m, k])
        if gap == n - 1:
            total += _bend((points[k] - points[i]), up, behind[-1])
        best = total.argmin(axis=1)
        row = np.arange(n - gap)
        blocked = taken[row, row + gap] & (gap < n - 1)
        cost[row, row + gap] = np.where(blocked, np.inf, total[row, best])
        middle[row, row + gap], normal[row, row + gap] = best + row + 1, up[row, best]
    return _read_off(middle) if np.isfinite(cost[0, n - 1]) else None


def _bend(edge: FloatArray, up: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray((edge * edge).sum(axis=2) * (1.0 - (up * other).sum(axis=2)))


def _read_off(middle: IntArray) -> IntArray:
    stack, triangles = [(0, len(middle) - 1)], []
    while stack:
        i, k = stack.pop()
        if k - i > 1:
            m = int(middle[i, k])
            triangles.append((i, k, m))
            stack += [(i, m), (m, k)]
    return np.array(triangles, dtype=np.int64)


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
