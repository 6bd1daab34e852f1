"""`local_thickness`: how thick a closed surface is below each of its vertices."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import require_kind
from meshconv._types import FloatArray, IntArray
from meshconv.errors import TopologyError
from meshconv.mesh.curve import nearby_order
from meshconv.mesh.surface import Surface
from meshconv.mesh.triangle_tree import DEPTH, box_distance, build_tree, divide
from meshconv.mesh.vector import Triple, along, dot, fixed, minus, row

Mesh = tuple[FloatArray, IntArray]

_TURNED = 0.5  # cosine between normals above which a point is on the same wall and does not count


_EXACT, _SLACK = (
    1000,
    0.005,
)  # after so many boxes a ball is taken that is at most so much too large


def local_thickness(surface: Surface) -> FloatArray:
    """Return the diameter of the largest ball inside the surface that touches it at each vertex.

    The ball through p and q that touches the plane at p has the radius |p - q|^2 / (2 n_p . (p -
    q)): the smallest over all q. Points q of which the normal is within 60 degrees of that at p are
    left out: there the quotient is noise. Unchanged by any motion of the surface.

    Parameters
    ----------
    surface : Surface
        Closed, V vertices, faces counter-clockwise seen from outside.

    Returns
    -------
    thickness : (V,) float64
        In the unit of length; second order in the length of the edges (the points q are vertices
        and centroids of faces). Up to half a percent too large where a great part of the surface
        lies on the ball, as on a sphere. 0 where nothing lies below a vertex, as on a fold.

    Raises
    ------
    TopologyError
        If the surface has a border, or is turned inside out.

    References
    ----------
    Ma, Bae, Choi, 2012, 3D medial axis point approximation using nearest neighbors and the normal
    field. doi:10.1007/s00371-011-0594-7

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> bool(np.allclose(local_thickness(icosphere(3, 5.0)), 10.0, rtol=0.05))
    True
    """
    require_kind(surface, "surface", Surface)
    if surface.boundary_loops:
        raise TopologyError(
            "local_thickness needs a closed surface, found "
            f"{len(surface.boundary_loops)} boundary loops",
            hint="close them: repair(target='sphere')",
        )
    p = surface.vertices - surface.vertices.mean(axis=0)
    mesh, normals = (fixed(p), surface.faces), (surface.vertex_normals, surface.face_normals)
    tree, least = tuple(build_tree(p, surface.faces)), np.full(len(p), np.inf)
    slabs = _slabs(*mesh, tree)
    _smallest_balls(nearby_order(fixed(p)), mesh, normals, tree, slabs, _TURNED, least)
    few = np.flatnonzero(~np.isfinite(least))  # spikes: every point beyond counts
    _smallest_balls(few, mesh, normals, tree, slabs, 1.0, least)
    nothing = ~np.isfinite(least)
    if nothing.sum() > len(p) / 2:
        raise TopologyError(
            f"nothing lies below {nothing.sum()} of {len(p)} vertices: "
            "the faces are turned inside out",
            count=int(nothing.sum()),
            hint="meshconv.repair turns them",
        )
    return np.where(nothing, 0.0, least)


@njit(cache=True)
def _smallest_balls(
    asked: IntArray,
    mesh: Mesh,
    normals: tuple[FloatArray, FloatArray],
    tree: tuple[FloatArray, IntArray, IntArray],
    slabs: FloatArray,
    turned: float,
    least: FloatArray,
) -> None:
    """Diameter of the smallest ball that touches at each vertex asked and passes through a point
    beyond it; a box is left out where the ball does not reach its points.
    """
    boxes, ends, order = tree
    stack = np.empty(DEPTH, dtype=np.int64)
    start = 0
    for i in asked:
        p, normal = row(mesh[0], i), row(normals[0], i)
        diameter, best = _through_face(p, normal, mesh, normals, turned, start), start
        top, stack[0], visits = 1, 0, 0
        while top:
            top -= 1
            box, centre = stack[top], along(p, -0.5 * min(diameter, 1e150), normal)
            visits += 1
            radius = 0.5 * diameter * (1.0 if visits < _EXACT else 1.0 - _SLACK)
            if not _reaches(boxes, slabs, box, p, normal, centre, radius):
                continue
            if 2 * box + 2 < len(boxes):
                top = divide(boxes, stack, top, centre)
                continue
            for k in range(ends[box, 0], ends[box, 1]):
                found = _through_face(p, normal, mesh, normals, turned, order[k])
                if found < diameter:
                    diameter, best = found, order[k]
        least[i], start = diameter, best


@njit(cache=True)
def _through_face(
    p: Triple,
    normal: Triple,
    mesh: Mesh,
    normals: tuple[FloatArray, FloatArray],
    turned: float,
    face: int,
) -> float:
    """The smallest diameter through a corner or the centroid of a face."""
    points, faces = mesh
    least, centre = np.inf, (0.0, 0.0, 0.0)
    for k in range(3):
        corner = row(points, faces[face, k])
        centre = along(centre, 1.0 / 3.0, corner)
        if dot(normal, row(normals[0], faces[face, k])) < turned:
            least = min(least, _diameter(p, normal, corner))
    if dot(normal, row(normals[1], face)) < turned:
        least = min(least, _diameter(p, normal, centre))
    return least


@njit(cache=True)
def _diameter(p: Triple, normal: Triple, q: Triple) -> float:
    """Of the ball that touches the plane at p and passes through q, infinite beside or above it."""
    away = minus(p, q)
    depth = dot(away, normal)
    return dot(away, away) / depth if depth > 0.0 else np.inf


@njit(cache=True)
def _reaches(
    boxes: FloatArray,
    slabs: FloatArray,
    box: int,
    p: Triple,
    normal: Triple,
    centre: Triple,
    radius: float,
) -> bool:
    """Whether a ball, or the half space below p if it has no end, may hold a point of the box."""
    if radius < np.inf:
        height = dot(centre, row(slabs, box))
        beside = max(slabs[box, 3] - height, height - slabs[box, 4])
        return beside < radius and box_distance(boxes, box, centre) < radius * radius
    deepest = dot(p, normal)
    for k in range(3):
        deepest -= min(boxes[box, k] * normal[k], boxes[box, k + 3] * normal[k])
    return deepest > 0.0


@njit(cache=True)
def _slabs(
    points: FloatArray, faces: IntArray, tree: tuple[FloatArray, IntArray, IntArray]
) -> FloatArray:
    """Mean normal of the faces in each box, and how low and high they lie along it, (B, 5).

    A box of side s around a surface bent with radius R is s high, the slab only s^2 / R.
    """
    _, ends, order = tree
    out = np.zeros((len(ends), 5))
    for box in range(len(ends)):
        total = np.zeros(3)
        for k in range(ends[box, 0], ends[box, 1]):
            a, b, c = faces[order[k]]
            total += np.cross(points[b] - points[a], points[c] - points[a])
        out[box, :3] = total / max(np.sqrt((total * total).sum()), 1e-300)
        out[box, 3], out[box, 4] = np.inf, -np.inf
        for k in range(ends[box, 0], ends[box, 1]):
            for corner in range(3):
                height = dot(row(points, faces[order[k], corner]), row(out, box))
                out[box, 3], out[box, 4] = min(out[box, 3], height), max(out[box, 4], height)
    return out
