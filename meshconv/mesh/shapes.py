"""Generated surfaces with known geometry: for tests, examples, and a first try without data.

All are oriented counter-clockwise seen from outside (from +z where they are flat) and use every
vertex.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from meshconv._types import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.planar import (
    annulus,
    at_least,
    delaunay_disk,
    disk,
    grid,
    grid_faces,
    on_circle,
    triangulated,
    turn,
)
from meshconv.mesh.procedural_face import (
    FACE_EFFECTS,
    FACE_MODES,
    face,
    face_coordinates,
    face_effect,
    face_landmarks,
)
from meshconv.mesh.surface import Surface

__all__ = [
    "FACE_EFFECTS",
    "FACE_MODES",
    "annulus",
    "bumpy_heightfield",
    "cap",
    "cylinder",
    "delaunay_disk",
    "delaunay_sphere",
    "disk",
    "face",
    "face_coordinates",
    "face_effect",
    "face_landmarks",
    "grid",
    "icosphere",
    "torus",
    "triangulated",
]


def cylinder(
    radius: float = 1.0, height: float = 2.0, n_around: int = 48, n_along: int = 16
) -> Surface:
    """Return the open tube of the given radius about the z axis, 0 <= z <= height."""
    at_least(3, n_around=n_around)
    at_least(2, n_along=n_along)
    circle = np.tile(radius * on_circle(turn(n_around)), (n_along, 1))
    vertices = np.column_stack([circle, np.repeat(np.linspace(0, height, n_along), n_around)])
    return Surface(vertices, grid_faces(n_along, n_around, around=True))


def torus(
    major_radius: float = 1.0, minor_radius: float = 0.4, n_major: int = 64, n_minor: int = 32
) -> Surface:
    """Return the torus about the z axis; vertex ``i * n_minor + j`` is at angle 2 pi i / n_major
    around it.

    j counts around the tube from the outer equator. With v = 2 pi j / n_minor the Gaussian
    curvature is cos(v) / (r (R + r cos(v))) and the mean curvature (R + 2 r cos(v)) / (2 r (R + r
    cos(v))).
    """
    at_least(3, n_major=n_major, n_minor=n_minor)
    u, v = np.meshgrid(turn(n_major), turn(n_minor), indexing="ij")
    ring = major_radius + minor_radius * np.cos(v)
    vertices = np.stack(
        [ring * np.cos(u), ring * np.sin(u), minor_radius * np.sin(v)], axis=-1
    ).reshape(-1, 3)
    return Surface(vertices, _torus_faces(n_major, n_minor))


def icosphere(level: int, radius: float = 1.0) -> Surface:
    """Return the sphere about the origin from an icosahedron split `level` times; 10 * 4^level + 2
    vertices.

    Examples
    --------
    >>> icosphere(2)
    Surface(162 vertices, 320 faces)
    """
    at_least(0, level=level)
    golden = (1 + np.sqrt(5)) / 2
    corner = np.array([[s, t * golden, 0.0] for t in (1, -1) for s in (-1, 1)])
    vertices = np.concatenate([np.roll(corner, k, axis=1) for k in range(3)])
    faces = _convex_faces(vertices)
    for _ in range(level):
        vertices, faces = _split(vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces)
    return Surface(radius * vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces)


def delaunay_sphere(
    n: int, radius: float = 1.0, *, seed: int | np.random.Generator = 0, jitter: float = 0.35
) -> Surface:
    """Return the sphere about the origin with `n` irregularly placed vertices, Delaunay
    triangulated.

    Parameters
    ----------
    n : int
        Number of vertices, at least 8.
    radius : float
        Radius of the sphere.
    seed : int or Generator
        Where the vertices fall.
    jitter : float
        Random displacement of the even (spiral) layout, in mean vertex distances; 0 for none.
    """
    at_least(8, n=n)
    z = 1 - (2 * np.arange(n) + 1) / n
    around = on_circle(np.arange(n) * np.pi * (3 - np.sqrt(5)))
    points = np.column_stack([np.sqrt(1 - z**2)[:, None] * around, z])
    points += (
        jitter * np.sqrt(4 * np.pi / n) * np.random.default_rng(seed).uniform(-0.5, 0.5, (n, 3))
    )
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    faces = ConvexHull(points).simplices.astype(np.int64)
    inward = np.linalg.det(points[faces]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return Surface(radius * points, faces)


def cap(rings: int, radius: float = 1.0, angle: float = np.pi / 2) -> Surface:
    """Return the part of a sphere within `angle` (radians, below pi) of its pole (0, 0, radius).

    The vertices are those of `disk`, carried up by Lambert's equal-area map; the area of the smooth
    cap is 2 pi radius^2 (1 - cos(angle)).
    """
    if not 0 < angle < np.pi:
        raise ArgumentError(f"angle must lie in (0, pi), found {angle!r}")
    flat = disk(rings)
    rho = 2 * np.sin(angle / 2) * flat.vertices[:, :2]
    squared = (rho**2).sum(axis=1)
    up = np.sqrt(np.maximum(1 - squared / 4, 0.0))
    return Surface(radius * np.column_stack([rho * up[:, None], 1 - squared / 2]), flat.faces)


def bumpy_heightfield(
    n: int, *, seed: int | np.random.Generator = 0, amplitude: float = 0.15, roughness: float = 0.0
) -> Surface:
    """Return a smooth random landscape over the unit square, an ``n`` by ``n`` grid.

    Parameters
    ----------
    n : int
        Vertices per side, at least 2.
    seed : int or Generator
        Which landscape; the smooth part is the same function for every `n`.
    amplitude : float
        Standard deviation of the smooth height.
    roughness : float
        Standard deviation of independent noise on each height, in units of the vertex distance.
    """
    rng = np.random.default_rng(seed)
    flat = grid(n)
    x, y = flat.vertices[:, 0], flat.vertices[:, 1]
    waves = 12
    k, phase = rng.uniform(-4, 4, (waves, 2)), rng.uniform(0, 2 * np.pi, waves)
    z = (
        amplitude
        * np.sqrt(2 / waves)
        * np.cos(np.pi * np.outer(x, k[:, 0]) + np.pi * np.outer(y, k[:, 1]) + phase)
    )
    height = z.sum(axis=1) + roughness / (n - 1) * rng.standard_normal(len(x))
    return Surface(np.column_stack([x, y, height]), flat.faces)


# --- connectivity
# ----------------------------------------------------------------------------------


def _torus_faces(n_major: int, n_minor: int) -> IntArray:
    index = np.arange(n_major * n_minor).reshape(n_major, n_minor)
    a, b = index, np.roll(index, -1, axis=0)
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def _convex_faces(vertices: FloatArray) -> IntArray:
    """Faces of the icosahedron: triples of mutual neighbours, oriented outwards."""
    near = np.linalg.norm(vertices[:, None] - vertices[None], axis=2) < 2.1
    i, j, k = np.nonzero(near[:, :, None] & near[:, None, :] & near[None, :, :])
    keep = (i < j) & (j < k)
    faces = np.column_stack([i, j, k])[keep]
    inward = np.linalg.det(vertices[faces]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return faces


def _split(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Split each face into four at the middles of its sides."""
    n = len(vertices)
    sides = np.sort(faces[:, [1, 2, 2, 0, 0, 1]].reshape(-1, 2), axis=1)
    key, index = np.unique(sides[:, 0] * n + sides[:, 1], return_inverse=True)
    i, j = np.divmod(key, n)
    a, b, c = faces.T
    p, q, r = (n + index.reshape(-1, 3)).T
    four = np.stack([a, r, q, b, p, r, c, q, p, p, q, r], axis=-1).reshape(-1, 3)
    return np.concatenate([vertices, (vertices[i] + vertices[j]) / 2]), four
