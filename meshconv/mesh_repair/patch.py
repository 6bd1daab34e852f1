"""Refining a patch to the density of the surface around it, and fairing it to continue its
slope.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import SolverError
from meshconv.mesh import connectivity
from meshconv.mesh.areas import face_shapes, thirds_of_area
from meshconv.operators.cotangent import assemble
from meshconv.operators.solve import SPDSolver

_ROUNDS = 12
_MOST_VERTICES = 20_000


def refine(
    points: FloatArray, patch: IntArray, near: IntArray, loop: IntArray
) -> tuple[FloatArray, IntArray]:
    """Split patch faces at their centres until they are as small as the faces around; flip edges in
    between.

    `near` are the surface's faces that touch the border `loop`. Returns all points and the patch's
    faces.
    """
    size = np.zeros(len(points))
    pairs = connectivity.edges(near)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    total = np.bincount(pairs.ravel(), np.repeat(length, 2), len(points))
    size[loop] = total[loop] / np.bincount(pairs.ravel(), minlength=len(points))[loop]
    size[size == 0] = size[loop].mean()
    first = len(points)
    for _ in range(_ROUNDS):
        patch = relax(points, patch, near)
        centre, target = points[patch].mean(axis=1), size[patch].mean(axis=1)
        reach = np.sqrt(2.0) * np.linalg.norm(points[patch] - centre[:, None], axis=2)
        large = ((reach > target[:, None]) & (reach > size[patch])).all(axis=1)
        if not large.any() or len(points) - first + large.sum() > _MOST_VERTICES:
            break
        new = len(points) + np.arange(int(large.sum()))
        points, size = (
            np.concatenate([points, centre[large]]),
            np.concatenate([size, target[large]]),
        )
        a, b, c = patch[large].T
        thirds = [np.column_stack(t) for t in ((a, b, new), (b, c, new), (c, a, new))]
        patch = np.concatenate([patch[~large], *thirds])
    return points, patch


def relax(points: FloatArray, patch: IntArray, near: IntArray) -> IntArray:
    """Flip inner patch edges until each is locally Delaunay, or no allowed flip is left.

    A flip is allowed if it repeats no edge of the patch or the surface and turns no face over.
    """
    n = len(points)
    outside = np.unique(connectivity.edge_keys(connectivity.half_edges(near), n))
    for _ in range(30):
        f, g, corners = _quads(patch)
        a, b, c, d = corners.T
        gain = _opposite_angles(points, corners) - np.pi
        key = connectivity.edge_keys(np.column_stack([c, d]), n)
        inside = connectivity.edge_keys(connectivity.half_edges(patch), n)
        allowed = (gain > 1e-9) & (c != d) & ~np.isin(key, outside) & ~np.isin(key, inside)
        allowed &= ~_turns_over(points, corners)
        chosen = _independent(f, g, key, np.where(allowed, gain, 0.0), len(patch))
        if not len(chosen):
            break
        patch = patch.copy()
        patch[f[chosen]] = np.column_stack([a, d, c])[chosen]
        patch[g[chosen]] = np.column_stack([d, b, c])[chosen]
    return patch


def fair(points: FloatArray, patch: IntArray, near: IntArray, first: int) -> FloatArray:
    """Move the new vertices (from index `first` on) so that the patch continues the surface's
    slope.

    Solves the thin-plate equation L M^-1 L x = 0 in the new vertices, L and M from the current
    shape, three times over; the border and the ring of `near` behind it are fixed. The old place is
    kept where the result is not finite or leaves the sphere about the border of twice its radius.
    """
    free = np.arange(first, len(points))
    if len(free) == 0:
        return points
    used, index = np.unique(np.concatenate([near, patch]), return_inverse=True)
    faces = index.reshape(-1, 3)
    moving = used >= first
    place = points[used]
    border = np.unique(patch[patch < first])
    centre = points[border].mean(axis=0)
    radius = np.linalg.norm(points[border] - centre, axis=1).max()
    for _ in range(3):
        solved = _thin_plate(place, faces, moving)
        safe = (
            np.isfinite(solved).all()
            and np.linalg.norm(solved[moving] - centre, axis=1).max() <= 2 * radius
        )
        if not safe:
            break
        place = solved
    out = points.copy()
    out[used[moving]] = place[moving]
    return out


def _thin_plate(place: FloatArray, faces: IntArray, moving: BoolArray) -> FloatArray:
    """The new places of the moving vertices; the cotangents are kept positive, since obtuse corners
    would fold, and the areas away from zero.
    """
    area, sides = face_shapes(place, faces)
    squared = sides**2
    height = np.maximum(4.0 * area, 1e-3 * squared.max(axis=1)) + np.finfo(np.float64).tiny
    cotangents = (squared.sum(axis=1, keepdims=True) - 2.0 * squared) / height[:, None]
    laplacian = assemble(faces, np.maximum(cotangents, 0.02) / 2.0, len(place), -1.0)
    mass = thirds_of_area(place, faces)
    mass = np.maximum(mass / (mass.mean() or 1.0), 1e-6)
    system = (laplacian[moving] @ sparse.diags_array(1.0 / mass) @ laplacian).tocsr()
    out = place.copy()
    try:
        factor = SPDSolver(system[:, moving].tocsr())
    except SolverError:  # exactly singular: the caller keeps the old place
        out[moving] = np.nan
        return out
    out[moving] = factor.solve(-(system[:, ~moving] @ place[~moving]))
    return out


def _quads(patch: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Inner edges: the two faces (f, g) and corners (a, b, c, d): face f is a, b, c and face g is
    b, a, d.
    """
    pairs = connectivity.joints(patch)
    (f, s), (g, t) = (np.divmod(h, 3) for h in pairs.T)
    c, d = patch[f, (s + 2) % 3], patch[g, (t + 2) % 3]
    return f, g, np.column_stack([patch[f, s], patch[f, (s + 1) % 3], c, d])


def _opposite_angles(points: FloatArray, corners: IntArray) -> FloatArray:
    """Sum of the angles at c and d; above pi the edge ab is not locally Delaunay."""
    a, b, c, d = points[corners].swapaxes(0, 1)
    total = np.zeros(len(corners))
    for apex in (c, d):
        u, v = a - apex, b - apex
        total += np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(axis=1))
    return total


def _turns_over(points: FloatArray, corners: IntArray) -> BoolArray:
    """Whether the flipped faces (a, d, c) and (d, b, c) would face away from the old pair."""
    a, b, c, d = points[corners].swapaxes(0, 1)
    old = np.cross(b - a, c - a) + np.cross(a - b, d - b)
    first, second = np.cross(d - a, c - a), np.cross(b - d, c - d)
    return np.asarray(((first * old).sum(axis=1) <= 0) | ((second * old).sum(axis=1) <= 0))


def _independent(
    f: IntArray, g: IntArray, key: IntArray, gain: FloatArray, n_faces: int
) -> IntArray:
    """Edges with the largest gain among all that share a face or would make the same new edge."""
    order = np.argsort(gain, kind="stable")
    rank = np.empty(len(gain), dtype=np.int64)
    rank[order] = np.arange(len(gain))
    top = np.full(n_faces, -1)
    np.maximum.at(top, f, rank)
    np.maximum.at(top, g, rank)
    chosen = np.flatnonzero((gain > 0) & (top[f] == rank) & (top[g] == rank))
    _, unique = np.unique(key[chosen], return_index=True)
    return chosen[unique]
