"""Sums over faces that every map needs, compiled: a pass over the faces without an array for each
step.
"""

from __future__ import annotations

import numpy as np

from meshconv._compiled import compiled
from meshconv._types import FloatArray, IntArray
from meshconv.mesh.vector import cross, dot, fixed, minus, row


def plane_areas(coordinates: FloatArray, faces: IntArray) -> FloatArray:
    """Return the signed area (F,) of each face in the plane, from coordinates (V, 2); negative if
    turned over.
    """
    out = np.empty(len(faces))
    _plane_areas(fixed(coordinates), fixed(faces), out)
    return out


def thirds_of_area(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Return a third of the area of the faces around each vertex, (V,), from vertices (V, 3) of
    unit size.
    """
    out = np.zeros(len(vertices))
    _thirds_of_area(fixed(vertices), fixed(faces), out)
    return out


def sphere_areas(points: FloatArray, faces: IntArray) -> FloatArray:
    """Return the area (F,) of each flat face between points (V, 3) of the sphere; negative if seen
    from behind.
    """
    out = np.empty(len(faces))
    _sphere_areas(fixed(points), fixed(faces), out)
    return out


def area_vectors(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Return half the cross product of two sides of each face (F, 3): length = area, direction =
    normal.
    """
    out = np.empty((len(faces), 3))
    _area_vectors(fixed(vertices), fixed(faces), out)
    return out


def face_shapes(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the area of each face (F,) and its side lengths (F, 3), side k opposite corner k."""
    area, sides = np.empty(len(faces)), np.empty((len(faces), 3))
    _face_shapes(fixed(vertices), fixed(faces), area, sides)
    return area, sides


def smallest_angles(area: FloatArray, sides: FloatArray) -> FloatArray:
    """Return the smallest angle of each face (F,) in radians; 0 where two corners coincide."""
    out = np.empty(len(area))
    _smallest_angles(fixed(area), fixed(sides), out)
    return out


def has_area(vertices: FloatArray, faces: IntArray) -> bool:
    """Return whether any face has an area; the first that has one ends the search."""
    return any(
        thirds_of_area(vertices, faces[k : k + 1000]).any() for k in range(0, len(faces), 1000)
    )


@compiled()
def _plane_areas(points: FloatArray, faces: IntArray, out: FloatArray) -> None:
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
        vx, vy = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1]
        out[f] = 0.5 * (ux * vy - uy * vx)


@compiled()
def _sphere_areas(points: FloatArray, faces: IntArray, out: FloatArray) -> None:
    for f in range(len(faces)):
        a, b, c = points[faces[f, 0]], points[faces[f, 1]], points[faces[f, 2]]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        outward = x * (a[0] + b[0] + c[0]) + y * (a[1] + b[1] + c[1]) + z * (a[2] + b[2] + c[2])
        out[f] = 0.5 * np.sqrt(x * x + y * y + z * z) * np.sign(outward)


@compiled()
def _thirds_of_area(points: FloatArray, faces: IntArray, out: FloatArray) -> None:
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = (
            points[b, 0] - points[a, 0],
            points[b, 1] - points[a, 1],
            points[b, 2] - points[a, 2],
        )
        vx, vy, vz = (
            points[c, 0] - points[a, 0],
            points[c, 1] - points[a, 1],
            points[c, 2] - points[a, 2],
        )
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        third = np.sqrt(x * x + y * y + z * z) / 6.0
        out[a] += third
        out[b] += third
        out[c] += third


def _plain_area_vectors(points: FloatArray, faces: IntArray, out: FloatArray) -> None:
    a = points[faces[:, 0]]
    (ux, uy, uz), (vx, vy, vz) = (points[faces[:, 1]] - a).T, (points[faces[:, 2]] - a).T
    np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1, out=out)
    out *= 0.5


@compiled(plain=_plain_area_vectors, small=np.inf)
def _area_vectors(points: FloatArray, faces: IntArray, out: FloatArray) -> None:
    for f in range(len(faces)):
        a = row(points, faces[f, 0])
        x, y, z = cross(minus(row(points, faces[f, 1]), a), minus(row(points, faces[f, 2]), a))
        out[f, 0], out[f, 1], out[f, 2] = 0.5 * x, 0.5 * y, 0.5 * z


@compiled()
def _face_shapes(points: FloatArray, faces: IntArray, area: FloatArray, sides: FloatArray) -> None:
    for f in range(len(faces)):
        a, b, c = row(points, faces[f, 0]), row(points, faces[f, 1]), row(points, faces[f, 2])
        p, q, r = minus(c, b), minus(a, c), minus(b, a)
        normal = cross(p, q)
        area[f] = 0.5 * np.sqrt(dot(normal, normal))
        sides[f] = np.sqrt(dot(p, p)), np.sqrt(dot(q, q)), np.sqrt(dot(r, r))


@compiled()
def _smallest_angles(area: FloatArray, sides: FloatArray, out: FloatArray) -> None:
    """The smallest angle lies opposite the shortest side a: tan = 4 area / (b^2 + c^2 - a^2)."""
    for f in range(len(area)):
        x, y, z = sides[f, 0] ** 2, sides[f, 1] ** 2, sides[f, 2] ** 2
        below = x + y + z - 2.0 * min(x, y, z)
        out[f] = np.arctan2(4.0 * area[f], below) if max(x, y, z) > 0.0 else 0.0
