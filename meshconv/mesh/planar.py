"""Flat generated surfaces, at z = 0, counter-clockwise seen from +z."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from meshconv._types import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.surface import Surface


def grid(
    rows: int, columns: int | None = None, *, width: float = 1.0, height: float = 1.0
) -> Surface:
    """Return the flat rectangle [0, width] x [0, height]; vertex ``i * columns + j`` is row i,
    column j.

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
    at_least(2, rows=rows, columns=columns)
    y, x = np.meshgrid(np.linspace(0, height, rows), np.linspace(0, width, columns), indexing="ij")
    return Surface(
        np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)]), grid_faces(rows, columns)
    )


def disk(rings: int, radius: float = 1.0) -> Surface:
    """Return the flat disk at z = 0 with its centre at vertex 0 and ``6 k`` vertices on ring k.

    Every triangle is close to equilateral; there are ``1 + 3 rings (rings + 1)`` vertices, the last
    ``6 * rings`` of them on the border.

    Examples
    --------
    >>> disk(2)
    Surface(19 vertices, 24 faces)
    """
    at_least(1, rings=rings)
    ring = np.repeat(np.arange(rings + 1), np.maximum(6 * np.arange(rings + 1), 1))
    place = np.arange(len(ring)) - np.where(ring > 0, 1 + 3 * ring * (ring - 1), 0)
    angle = np.pi / 3 * place / np.maximum(ring, 1)
    r = radius * ring / rings
    return Surface(
        np.column_stack([r * np.cos(angle), r * np.sin(angle), np.zeros(len(r))]),
        _ring_faces(rings),
    )


def delaunay_disk(
    n: int, radius: float = 1.0, *, seed: int | np.random.Generator = 0, jitter: float = 0.35
) -> Surface:
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
    at_least(8, n=n)
    rng = np.random.default_rng(seed)
    border = max(6, round(3.5 * np.sqrt(n)))
    inside = n - border if n > border else 1
    k = np.arange(inside)
    spacing = np.sqrt(np.pi / n)
    r = (1 - 0.75 * spacing) * np.sqrt((k + 0.5) / inside)
    spiral = r[:, None] * on_circle(k * np.pi * (3 - np.sqrt(5)))
    spiral += (
        jitter
        * spacing
        * rng.uniform(-0.5, 0.5, (inside, 2))
        * np.minimum(1.0, (1 - r) / spacing)[:, None]
    )
    rim = on_circle(2 * np.pi * (np.arange(border) + rng.uniform()) / border)
    return triangulated(radius * np.vstack([spiral, rim]))


def annulus(
    inner_radius: float = 0.4, outer_radius: float = 1.0, n_around: int = 48, n_along: int = 8
) -> Surface:
    """Return the flat ring at z = 0 between two circles of `n_around` vertices, `n_along` circles
    in all.
    """
    at_least(3, n_around=n_around)
    at_least(2, n_along=n_along)
    r = np.linspace(inner_radius, outer_radius, n_along)[:, None, None]
    plane = r * on_circle(turn(n_around))
    vertices = np.concatenate([plane, np.zeros((n_along, n_around, 1))], axis=2).reshape(-1, 3)
    return Surface(vertices, grid_faces(n_along, n_around, around=True)[:, ::-1])


def triangulated(points: FloatArray) -> Surface:
    """Return the Delaunay triangulation of planar points (V, 2) as a surface, in their order."""
    faces = Delaunay(points).simplices.astype(np.int64)
    a, b, c = points[faces].swapaxes(0, 1)
    u, v = b - a, c - a
    twice = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    faces[twice < 0] = faces[twice < 0][:, [0, 2, 1]]
    return Surface(np.column_stack([points, np.zeros(len(points))]), faces)


# --- parts --------------------------------------------------------------------------------------


def at_least(least: int, **counts: int) -> None:
    for name, value in counts.items():
        if int(value) != value or value < least:
            raise ArgumentError(f"{name} must be an integer of at least {least}, found {value!r}")


def turn(n: int) -> FloatArray:
    return np.linspace(0, 2 * np.pi, n, endpoint=False)


def on_circle(angle: FloatArray) -> FloatArray:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def grid_faces(rows: int, columns: int, *, around: bool = False) -> IntArray:
    """Two faces a cell; with `around` the last column is joined to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    if around:
        index = np.column_stack([index, index[:, 0]])
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def _ring_faces(rings: int) -> IntArray:
    """Triangles of six sectors, ring by ring."""
    out = []
    for k in range(1, rings + 1):
        sector, i = np.repeat(np.arange(6), k), np.tile(np.arange(k), 6)
        outer, inner = _on_ring(k, sector * k + i), _on_ring(k - 1, sector * (k - 1) + i)
        after, inner_after = (
            _on_ring(k, sector * k + i + 1),
            _on_ring(k - 1, sector * (k - 1) + i + 1),
        )
        out.append(np.column_stack([inner, outer, after]))
        out.append(np.column_stack([inner, after, inner_after])[i < k - 1])
    return np.concatenate(out)


def _on_ring(k: int, place: IntArray) -> IntArray:
    return 1 + 3 * k * (k - 1) + place % (6 * k) if k else np.zeros_like(place)
