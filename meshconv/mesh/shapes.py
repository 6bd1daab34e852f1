"""Generated surfaces with known geometry: for tests, examples, and a first try without data.

All are oriented counter-clockwise seen from outside (from +z where they are flat) and use every vertex.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface


def grid(rows: int, columns: int | None = None, *, width: float = 1.0, height: float = 1.0) -> Surface:
    """Return the flat rectangle [0, width] x [0, height] at z = 0; vertex ``i * columns + j`` is row i, column j.

    Parameters
    ----------
    rows, columns : int
        Number of vertices in y and in x, at least 2; `columns` is `rows` if not given.
    width, height : float
        Extent in x and in y.

    Examples
    --------
    >>> grid(3, 5).n_vertices, float(grid(3, width=2.0).area)
    (15, 2.0)
    """
    columns = rows if columns is None else columns
    _at_least(2, rows=rows, columns=columns)
    y, x = np.meshgrid(np.linspace(0, height, rows), np.linspace(0, width, columns), indexing="ij")
    return Surface(np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)]), _grid_faces(rows, columns))


def disk(rings: int, radius: float = 1.0) -> Surface:
    """Return the flat disk at z = 0 with its centre at vertex 0 and ``6 k`` vertices on ring k.

    Every triangle is close to equilateral; there are ``1 + 3 rings (rings + 1)`` vertices, the last
    ``6 * rings`` of them on the border.

    Examples
    --------
    >>> disk(2)
    Surface(19 vertices, 24 faces)
    """
    _at_least(1, rings=rings)
    ring = np.repeat(np.arange(rings + 1), np.maximum(6 * np.arange(rings + 1), 1))
    place = np.arange(len(ring)) - np.where(ring > 0, 1 + 3 * ring * (ring - 1), 0)
    angle = np.pi / 3 * place / np.maximum(ring, 1)
    r = radius * ring / rings
    return Surface(np.column_stack([r * np.cos(angle), r * np.sin(angle), np.zeros(len(r))]), _ring_faces(rings))


def delaunay_disk(n: int, radius: float = 1.0, *, seed: int | np.random.Generator = 0, jitter: float = 0.35) -> Surface:
    """Return the flat disk with about `n` irregularly placed vertices, Delaunay triangulated.

    Parameters
    ----------
    n : int
        Number of vertices, at least 8; about ``3.5 sqrt(n)`` of them on the circle.
    radius : float
        Radius of the circle.
    seed : int or Generator
        Where the vertices fall.
    jitter : float
        Random displacement of the even (sunflower) layout, in mean vertex distances; 0 for none.
    """
    _at_least(8, n=n)
    rng = np.random.default_rng(seed)
    border = max(6, round(3.5 * np.sqrt(n)))
    inside = n - border if n > border else 1
    k = np.arange(inside)
    spacing = np.sqrt(np.pi / n)
    r = (1 - 0.75 * spacing) * np.sqrt((k + 0.5) / inside)
    spiral = r[:, None] * _on_circle(k * np.pi * (3 - np.sqrt(5)))
    spiral += jitter * spacing * rng.uniform(-0.5, 0.5, (inside, 2)) * np.minimum(1.0, (1 - r) / spacing)[:, None]
    rim = _on_circle(2 * np.pi * (np.arange(border) + rng.uniform()) / border)
    return triangulated(radius * np.vstack([spiral, rim]))


def annulus(inner_radius: float = 0.4, outer_radius: float = 1.0, n_around: int = 48, n_along: int = 8) -> Surface:
    """Return the flat ring at z = 0 between two circles of `n_around` vertices, `n_along` circles in all."""
    _at_least(3, n_around=n_around)
    _at_least(2, n_along=n_along)
    r = np.linspace(inner_radius, outer_radius, n_along)[:, None, None]
    plane = r * _on_circle(_turn(n_around))
    vertices = np.concatenate([plane, np.zeros((n_along, n_around, 1))], axis=2).reshape(-1, 3)
    return Surface(vertices, _grid_faces(n_along, n_around, around=True)[:, ::-1])


def cylinder(radius: float = 1.0, height: float = 2.0, n_around: int = 48, n_along: int = 16) -> Surface:
    """Return the open tube of the given radius about the z axis, 0 <= z <= height."""
    _at_least(3, n_around=n_around)
    _at_least(2, n_along=n_along)
    circle = np.tile(radius * _on_circle(_turn(n_around)), (n_along, 1))
    vertices = np.column_stack([circle, np.repeat(np.linspace(0, height, n_along), n_around)])
    return Surface(vertices, _grid_faces(n_along, n_around, around=True))


def torus(major_radius: float = 1.0, minor_radius: float = 0.4, n_major: int = 64, n_minor: int = 32) -> Surface:
    """Return the torus about the z axis; vertex ``i * n_minor + j`` is at angle 2 pi i / n_major around it.

    j counts around the tube from the outer equator: the Gaussian curvature there is
    cos(v) / (r (R + r cos(v))) with v = 2 pi j / n_minor, the mean curvature (R + 2 r cos(v)) / (2 r (R + r cos(v))).
    """
    _at_least(3, n_major=n_major, n_minor=n_minor)
    u, v = np.meshgrid(_turn(n_major), _turn(n_minor), indexing="ij")
    ring = major_radius + minor_radius * np.cos(v)
    vertices = np.stack([ring * np.cos(u), ring * np.sin(u), minor_radius * np.sin(v)], axis=-1).reshape(-1, 3)
    return Surface(vertices, _torus_faces(n_major, n_minor))


def icosphere(level: int, radius: float = 1.0) -> Surface:
    """Return the sphere about the origin from an icosahedron split `level` times; 10 * 4^level + 2 vertices.

    Examples
    --------
    >>> icosphere(2)
    Surface(162 vertices, 320 faces)
    """
    _at_least(0, level=level)
    golden = (1 + np.sqrt(5)) / 2
    corner = np.array([[s, t * golden, 0.0] for t in (1, -1) for s in (-1, 1)])
    vertices = np.concatenate([np.roll(corner, k, axis=1) for k in range(3)])
    faces = _convex_faces(vertices)
    for _ in range(level):
        vertices, faces = _split(vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces)
    return Surface(radius * vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces)


def cap(rings: int, radius: float = 1.0, angle: float = np.pi / 2) -> Surface:
    """Return the part of a sphere within `angle` (radians, below pi) of its pole (0, 0, radius).

    The vertices are those of `disk`, carried up by Lambert's equal-area map; the area of the smooth cap is
    2 pi radius^2 (1 - cos(angle)).
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
    z = amplitude * np.sqrt(2 / waves) * np.cos(np.pi * np.outer(x, k[:, 0]) + np.pi * np.outer(y, k[:, 1]) + phase)
    height = z.sum(axis=1) + roughness / (n - 1) * rng.standard_normal(len(x))
    return Surface(np.column_stack([x, y, height]), flat.faces)


def triangulated(points: FloatArray) -> Surface:
    """Return the Delaunay triangulation of planar points (V, 2) as a flat surface at z = 0, in their order."""
    faces = Delaunay(points).simplices.astype(np.int64)
    a, b, c = points[faces].swapaxes(0, 1)
    u, v = b - a, c - a
    twice = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    faces[twice < 0] = faces[twice < 0][:, [0, 2, 1]]
    return Surface(np.column_stack([points, np.zeros(len(points))]), faces)


# --- connectivity ----------------------------------------------------------------------------------


def _at_least(least: int, **counts: int) -> None:
    for name, value in counts.items():
        if int(value) != value or value < least:
            raise ArgumentError(f"{name} must be an integer of at least {least}, found {value!r}")


def _turn(n: int) -> FloatArray:
    return np.linspace(0, 2 * np.pi, n, endpoint=False)


def _on_circle(angle: FloatArray) -> FloatArray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _grid_faces(rows: int, columns: int, *, around: bool = False) -> IntArray:
    """Two faces a cell; with `around` the last column is joined to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if around:
        index = np.column_stack([index, index[:, 0]])
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def _torus_faces(n_major: int, n_minor: int) -> IntArray:
    index = np.arange(n_major * n_minor).reshape(n_major, n_minor)
    a, b = index, np.roll(index, -1, axis=0)
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def _ring_faces(rings: int) -> IntArray:
    """Triangles of six sectors, ring by ring."""
    out = []
    for k in range(1, rings + 1):
        sector, i = np.repeat(np.arange(6), k), np.tile(np.arange(k), 6)
        outer, inner = _on_ring(k, sector * k + i), _on_ring(k - 1, sector * (k - 1) + i)
        after, inner_after = _on_ring(k, sector * k + i + 1), _on_ring(k - 1, sector * (k - 1) + i + 1)
        out.append(np.column_stack([inner, outer, after]))
        out.append(np.column_stack([inner, after, inner_after])[i < k - 1])
    return np.concatenate(out)


def _on_ring(k: int, place: IntArray) -> IntArray:
    return 1 + 3 * k * (k - 1) + place % (6 * k) if k else np.zeros_like(place)


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
