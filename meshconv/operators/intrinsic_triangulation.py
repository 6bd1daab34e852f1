"""Triangles given by the lengths of their sides, flipped until they are Delaunay: arrays alone.

Edges may run straight across several faces, so only lengths are kept, no positions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy import sparse

from meshconv._types import FloatArray, IntArray
from meshconv.errors import AccuracyWarning, DegenerateError
from meshconv.mesh import connectivity
from meshconv.mesh.areas import face_shapes
from meshconv.mesh.winding import turn_over, winding
from meshconv.operators.cotangent import laplacian_from_lengths

_FLIPS_PER_FACE = 200  # far beyond what any mesh needs; stops a cycle made of rounding


@dataclass(frozen=True, eq=False)
class IntrinsicTriangulation:
    """Triangles given by the lengths of their sides, on the vertices of a surface.

    Attributes
    ----------
    faces : (F, 3) int64
        Corners; as many faces as the surface has. A vertex may stand in a face twice.
    lengths : (F, 3) float64
        Side lengths; side k is opposite corner k.
    n_vertices : int
        V.
    n_flips : int
        How many edges were flipped.
    added_length : float
        What was added to every side so that no triangle is degenerate; 0 unless one nearly was.
    """

    faces: IntArray
    lengths: FloatArray
    n_vertices: int
    n_flips: int
    added_length: float

    def cotangent_laplacian(self) -> sparse.csr_array:
        """Return the cotangent Laplacian (V, V), as `meshconv.cotangent_laplacian` does for the
        surface.
        """
        return laplacian_from_lengths(self.faces, self.lengths, self.n_vertices)

    def mass_matrix(self) -> sparse.dia_array:
        """Return the lumped mass matrix (V, V), in squared units of length."""
        third = np.repeat(face_areas_from_lengths(self.lengths) / 3, 3)
        return sparse.diags_array(np.bincount(self.faces.ravel(), third, self.n_vertices))


def delaunay_triangulation(
    vertices: FloatArray, faces: IntArray, *, mollify: float = 1e-6
) -> IntrinsicTriangulation:
    """Return what `meshconv.operators.intrinsic.intrinsic_delaunay` does, from arrays (V, 3) and
    (F, 3).
    """
    scale = unit_length(vertices)
    corners, twins = _glued(faces, len(vertices))
    lengths, first = _mollified(_side_lengths(vertices / scale, corners), mollify)
    n_flips, finished = _flip_to_delaunay(corners, lengths, twins)
    if not finished:
        warnings.warn(
            f"intrinsic_delaunay stopped after {n_flips} flips: some edges of nearly degenerate "
            "faces are not Delaunay, their weights may be negative",
            AccuracyWarning,
            stacklevel=3,
        )
    lengths, second = _mollified(lengths, mollify * 1e-2)
    return IntrinsicTriangulation(
        corners, lengths * scale, len(vertices), n_flips, (first + second) * scale
    )


def face_areas_from_lengths(lengths: FloatArray) -> FloatArray:
    """Return the area of each triangle, (F,), from its side lengths (F, 3), by Kahan's stable
    formula.
    """
    c, b, a = np.sort(lengths, axis=1).T
    area16 = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))
    return np.asarray(np.sqrt(np.maximum(area16, 0.0)) / 4)


def unit_length(vertices: FloatArray) -> float:
    """Return a unit of length in which no square of vertices (V, 3) overflows or vanishes.

    A power of two, so that nothing is rounded; 1 unless the extent is beyond 1e-50 to 1e50.
    """
    extent = float((vertices.max(axis=0) / 2 - vertices.min(axis=0) / 2).max())
    if 1e-50 < extent < 1e50 or extent == 0.0:
        return 1.0
    return float(2.0 ** np.floor(np.log2(extent)))


def _side_lengths(vertices: FloatArray, faces: IntArray) -> FloatArray:
    area, lengths = face_shapes(vertices, faces)
    if not (2 * area > 1e-14 * lengths.max(axis=1) ** 2).any():
        raise DegenerateError(
            "surface area is 0: every face has its corners in one point or on one line"
        )
    return lengths


def _mollified(lengths: FloatArray, relative: float) -> tuple[FloatArray, float]:
    """Add the same length to all sides until two sides exceed the third by `relative` mean
    sides.
    """
    excess = lengths.sum(axis=1, keepdims=True) - 2 * lengths
    added = max(0.0, float(relative * lengths.mean() - excess.min()))
    return lengths + added, added


def _glued(faces: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Return a copy of the faces, wound alike where any choice can agree, and its `_twins`."""
    twins = np.full(faces.size, -1, dtype=np.int64)
    if _glue(faces, np.zeros(n + 1, dtype=np.int64), np.full((2, n), -1), twins):
        return np.array(faces), twins
    corners = _wound_alike(faces)
    return corners, _twins(corners)


@njit(cache=True)
def _glue(faces: IntArray, start: IntArray, met: IntArray, twins: IntArray) -> bool:
    """Fill `twins`; return False where an edge has three faces, or two that are wound apart."""
    n = len(start) - 1
    for f in range(len(faces)):
        for k in range(3):
            start[min(faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]) + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    sides = np.empty(len(twins), np.int64)
    for side in range(len(twins) - 1, -1, -1):
        f, k = side // 3, side % 3
        low = min(faces[f, (k + 1) % 3], faces[f, (k + 2) % 3])
        start[low + 1] -= 1
        sides[start[low + 1]] = side
    for low in range(n):  # now start[low + 1] is where the sides of `low` begin
        last = start[low + 2] if low + 2 <= n else len(sides)
        for p in range(start[low + 1], last):
            side = sides[p]
            f, k = side // 3, side % 3
            tail, head = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            high = max(tail, head)
            other = met[1, high]
            if met[0, high] != low:
                met[0, high], met[1, high] = low, side
            elif twins[other] >= 0 or faces[other // 3, (other % 3 + 1) % 3] == tail:
                return False
            else:
                twins[side], twins[other] = other, side
    return True


def _wound_alike(faces: IntArray) -> IntArray:
    """Return a copy of the faces, wound alike where any choice can agree.

    Lengths know no outside, but an edge between faces that disagree could not be flipped.
    """
    pairs = connectivity.joints(faces)
    start = faces.ravel()[pairs]
    if (start[:, 0] != start[:, 1]).all():
        return np.array(faces)
    return turn_over(faces, winding(faces, pairs).flip)


def _twins(faces: IntArray) -> IntArray:
    """For side k of face f, opposite corner k, the side 3f + k that it is glued to, else -1;
    (3F,).
    """
    tail, head = faces[:, [1, 2, 0]].ravel(), faces[:, [2, 0, 1]].ravel()
    key = np.minimum(tail, head) * (int(faces.max()) + 1) + np.maximum(tail, head)
    order = np.argsort(key, kind="stable")
    _, start, count = np.unique(key[order], return_index=True, return_counts=True)
    a, b = order[start[count == 2]], order[start[count == 2] + 1]
    opposite = tail[a] == head[b]
    twins = np.full(len(key), -1, dtype=np.int64)
    twins[a[opposite]], twins[b[opposite]] = b[opposite], a[opposite]
    return twins


def _flip_to_delaunay(faces: IntArray, lengths: FloatArray, twins: IntArray) -> tuple[int, bool]:
    """Flip in place; return how many flips, and whether all edges are Delaunay."""
    n_flips = int(_flip_queue(faces, lengths, twins, _FLIPS_PER_FACE * len(faces)))
    return abs(n_flips), n_flips >= 0


@njit(cache=True)
def _flip_queue(faces: IntArray, lengths: FloatArray, twins: IntArray, most: int) -> int:
    """Test every edge, and again those around each flip; minus the number of flips if there were
    too many.
    """
    stack = np.arange(len(twins))
    waiting = np.ones(len(twins), np.bool_)
    top, n_flips = len(twins), 0
    around = np.empty(4, np.int64)
    while top > 0:
        top -= 1
        side = stack[top]
        waiting[side] = False
        if (
            twins[side] < 0
            or twins[side] // 3 == side // 3
            or not _flip(faces, lengths, twins, side, around)
        ):
            continue
        n_flips += 1
        if n_flips >= most:
            return -n_flips
        for k in range(4):
            if not waiting[around[k]]:
                waiting[around[k]] = True
                stack[top] = around[k]
                top += 1
    return n_flips


@njit(cache=True)
def _flip(
    faces: IntArray, lengths: FloatArray, twins: IntArray, side: int, around: IntArray
) -> bool:
    """If the cotangents opposite side bc of faces abc and dcb add up to less than 0, flip it to ad.

    The faces become abd and dca; `around` is filled with their four outer sides.
    """
    f, i = side // 3, side % 3
    g, j = twins[side] // 3, twins[side] % 3
    ca, ab, bd, dc = (
        3 * f + (i + 1) % 3,
        3 * f + (i + 2) % 3,
        3 * g + (j + 1) % 3,
        3 * g + (j + 2) % 3,
    )
    size = lengths.reshape(-1)
    e, l_ca, l_ab, l_bd, l_dc = size[side], size[ca], size[ab], size[bd], size[dc]
    area_a, area_d = _area4(e, l_ca, l_ab), _area4(e, l_bd, l_dc)
    dot_a, dot_d = l_ab**2 + l_ca**2 - e**2, l_bd**2 + l_dc**2 - e**2
    if dot_a * area_d + dot_d * area_a >= -1e-10 * area_a * area_d:
        return False
    along = (l_ab**2 - l_ca**2 - l_bd**2 + l_dc**2) / (2 * e)
    l_ad = np.hypot(along, (area_a + area_d) / (2 * e))
    a, b, c, d = faces[f, i], faces[f, (i + 1) % 3], faces[f, (i + 2) % 3], faces[g, j]
    faces[f, 0], faces[f, 1], faces[f, 2] = a, b, d
    faces[g, 0], faces[g, 1], faces[g, 2] = d, c, a
    lengths[f, 0], lengths[f, 1], lengths[f, 2] = l_bd, l_ad, l_ab
    lengths[g, 0], lengths[g, 1], lengths[g, 2] = l_ca, l_ad, l_dc
    _reglue(twins, (ab, ca, bd, dc), (3 * f + 2, 3 * g, 3 * f, 3 * g + 2), around)
    twins[3 * f + 1], twins[3 * g + 1] = 3 * g + 1, 3 * f + 1
    return True


@njit(cache=True)
def _reglue(twins: IntArray, old: Any, new: Any, around: IntArray) -> None:
    """Move four sides to new places, also where they are glued to each other."""
    for k in range(4):
        around[k] = twins[old[k]]
        for m in range(4):
            if twins[old[k]] == old[m]:
                around[k] = new[m]
    for k in range(4):
        twins[new[k]] = around[k]
        if around[k] >= 0:
            twins[around[k]] = new[k]
        around[k] = new[k]


@njit(cache=True)
def _area4(a: float, b: float, c: float) -> float:
    """Four times the area of a triangle from its sides, by Kahan's stable formula."""
    if a < b:
        a, b = b, a
    if a < c:
        a, c = c, a
    if b < c:
        b, c = c, b
    return np.sqrt(max(0.0, (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))))
