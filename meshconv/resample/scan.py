"""Scan conversion: which triangle covers each node of the grid, and with which barycentric
weights.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import FloatArray, IntArray
from meshconv.resample.domain import square_to_sphere
from meshconv.resample.grid import grid_nodes

_EDGE = 1e-9  # barycentric slack, so that nodes on a border belong to it
# a face reaching nearer than this to the plane across an octant's axis is tested against every node
_WIDE = 0.05


@njit(cache=True)
def _paint(points, faces, sign, size, face, weights):  # type: ignore[no-untyped-def]
    """Write the first face of one orientation over each node that has none yet; count the other
    faces.
    """
    others = 0
    for f in range(faces.shape[0]):
        a, b, c = faces[f]
        ax, ay, bx, by, cx, cy = (
            points[a, 0],
            points[a, 1],
            points[b, 0],
            points[b, 1],
            points[c, 0],
            points[c, 1],
        )
        row0 = max(0, int(np.ceil(min(ay, by, cy) - 1e-6)))
        row1 = min(size - 1, int(np.floor(max(ay, by, cy) + 1e-6)))
        col0 = max(0, int(np.ceil(min(ax, bx, cx) - 1e-6)))
        col1 = min(size - 1, int(np.floor(max(ax, bx, cx) + 1e-6)))
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area * sign <= 0.0:
            others += 1
            continue
        for row in range(row0, row1 + 1):
            for col in range(col0, col1 + 1):
                wa = ((bx - col) * (cy - row) - (by - row) * (cx - col)) / area
                wb = ((cx - col) * (ay - row) - (cy - row) * (ax - col)) / area
                wc = 1.0 - wa - wb
                node = row * size + col
                if wa >= -_EDGE and wb >= -_EDGE and wc >= -_EDGE and face[node] < 0:
                    face[node] = f
                    weights[node, 0], weights[node, 1], weights[node, 2] = wa, wb, wc
    return others


def scan_plane(points: FloatArray, faces: IntArray, size: int) -> tuple[IntArray, FloatArray]:
    """Return the face over each node, (N*N,), -1 for none, and its weights (N*N, 3).

    Where a map folds over itself, faces of positive area come first.

    Parameters
    ----------
    points : (V, 2) float64
        In the unit square.
    faces : (F, 3) int64
    size : int
        Nodes per side.
    """
    scaled = points * (size - 1)
    face = np.full(size * size, -1, dtype=np.int64)
    weights = np.zeros((size * size, 3))
    if _paint(scaled, faces, 1.0, size, face, weights):
        _paint(scaled, faces, -1.0, size, face, weights)
    return face, weights


def scan_sphere(vertices: FloatArray, faces: IntArray, size: int) -> tuple[IntArray, FloatArray]:
    """Return face and weights as `scan_plane`, for unit vectors on the octahedral square.

    Central projection onto one side of the octahedron keeps triangles straight, so each octant is
    scanned as a plane (perspective-corrected weights). Faces too wide for that are tested node by
    node.
    """
    face = np.full(size * size, -1, dtype=np.int64)
    weights = np.zeros((size * size, 3))
    places = grid_nodes(size).reshape(-1, 2)
    nodes = square_to_sphere(places)
    # on the glued border a direction lies in two octants but a place in one: go by places
    x, y = (2 * places - 1).T
    place = np.column_stack([x, y, 1 - np.abs(x) - np.abs(y)])
    wide = np.zeros(len(faces), dtype=bool)
    for octant in np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T:
        depth = vertices @ octant
        corner_depth = depth[faces]
        near = corner_depth.min(axis=1) > _WIDE
        wide |= ~near & (
            corner_depth.max(axis=1) > 1.0
        )  # in or about this octant, yet not scannable in it
        used = np.flatnonzero(near)
        found, w = _scan_octant(
            vertices / np.where(depth > _WIDE, depth, 1.0)[:, None], faces[used], octant, size
        )
        mine = (found >= 0) & (face < 0) & (place * octant >= -1e-12).all(axis=1)
        face[mine] = used[found[mine]]
        scaled = w[mine] / corner_depth[face[mine]]
        weights[mine] = scaled / scaled.sum(axis=1, keepdims=True)
    empty = np.flatnonzero(face < 0)
    if len(empty) and wide.any():
        found, w = _locate(nodes[empty], vertices, faces[wide])
        face[empty] = np.where(found >= 0, np.flatnonzero(wide)[found], -1)
        weights[empty] = w
    return face, weights


def _scan_octant(
    projected: FloatArray, faces: IntArray, octant: IntArray, size: int
) -> tuple[IntArray, FloatArray]:
    """Scan faces whose vertices lie on the plane |x| + |y| + |z| = 1 of one octant, laid out
    flat.
    """
    x, y = projected[:, 0], projected[:, 1]
    if octant[2] < 0:  # folded out: the affine continuation of the octahedral map of this octant
        x, y = octant[0] - octant[0] * octant[1] * y, octant[1] - octant[0] * octant[1] * x
    return scan_plane((np.column_stack([x, y]) + 1.0) / 2.0, faces, size)


def _locate(
    nodes: FloatArray, vertices: FloatArray, faces: IntArray
) -> tuple[IntArray, FloatArray]:
    """Find directions (P, 3) among a few faces, each against each: [a b c] w = direction with w >=
    0.
    """
    face = np.full(len(nodes), -1, dtype=np.int64)
    weights = np.zeros((len(nodes), 3))
    corners = vertices[faces].transpose(0, 2, 1)  # columns a, b, c
    solid = np.flatnonzero(np.abs(np.linalg.det(corners)) > 1e-12)
    if not len(solid):
        return face, weights
    inverse = np.linalg.inv(corners[solid])
    for start in range(0, len(nodes), 4096):
        some = slice(start, start + 4096)
        w = np.einsum("fij,pj->pfi", inverse, nodes[some])
        best = w.min(axis=2).argmax(axis=1)
        w = w[np.arange(len(w)), best]
        inside = w.min(axis=1) >= -_EDGE
        face[some] = np.where(inside, solid[best], -1)
        weights[some] = np.where(inside[:, None], w / w.sum(axis=1, keepdims=True), 0.0)
    return face, weights
