"""`ct_skull`: what thresholding a CT scan of a head gives, generated."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.shapes import icosphere
from meshconv.mesh.surface import Surface

_INNER, _CORE = 0.92, 0.5  # the wall of the skull, and a body inside it, in parts of its radius


def ct_skull(level: int = 6, *, islands: int = 500, handles: int = 60, seed: int = 0) -> Surface:
    """Return a skull as CT gives it: nested shells, loose islands and holes through the wall.

    An outer and an inner shell of 20 * 4^level faces each, joined by tubes through the wall, so
    that the wall has the genus `handles`; a body inside the cavity; and small bodies in and around.
    All closed, wound outward, millimetres.

    Parameters
    ----------
    level : int
        Subdivisions of the shells; 6: 300,000 faces in all.
    islands : int
        Loose bodies, half of them in the cavity.
    handles : int
        One less than the number of tubes.
    seed : int

    Examples
    --------
    >>> skull = ct_skull(3, islands=10, handles=4)
    >>> len(np.unique(skull.topology.sheet)), skull.euler_characteristic
    (12, 16)
    """
    rng = np.random.default_rng(seed)
    ball = icosphere(level)
    x, y, z = ball.vertices.T
    bumps = 1 + 0.06 * np.sin(3 * x + 1) * np.cos(4 * y) + 0.04 * np.cos(5 * z) * x
    shape = ball.vertices * bumps[:, None] * [70.0, 90.0, 75.0]
    wall = _perforated(ball.faces, _far_apart(ball, handles + 1), ball.n_vertices)
    parts = [(np.concatenate([shape, _INNER * shape]), wall), (_CORE * shape, ball.faces)]
    for k in range(islands):
        small = icosphere(2 if k % 9 == 0 else 1)
        way = rng.normal(size=3)
        place = way / np.linalg.norm(way) * (rng.uniform(55, 70) / 90 if k % 2 else 1.4)
        centre = place * [70.0, 90.0, 75.0]
        parts.append((small.vertices * rng.uniform(0.3, 1.0) + centre, small.faces))
    return _together(parts)


def _far_apart(ball: Surface, count: int) -> IntArray:
    """Faces that share no vertex, spread over the ball on a spiral."""
    t = (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    flat = np.sqrt(1 - (1 - 2 * t) ** 2)
    ways = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), 1 - 2 * t])
    centres = ball.vertices[ball.faces].mean(axis=1)
    return np.unique((ways @ centres.T).argmax(axis=1))


def _perforated(faces: IntArray, holes: IntArray, n: int) -> IntArray:
    """Two shells, the inner one turned over and numbered from n on, joined by tubes."""
    a, b, c = faces[holes].T
    walls = [
        np.concatenate([np.column_stack([q, p, p + n]), np.column_stack([q, p + n, q + n])])
        for p, q in ((b, a), (c, b), (a, c))
    ]
    kept = np.delete(faces, holes, axis=0)
    return np.concatenate([kept, kept[:, ::-1] + n, *walls])


def _together(parts: list[tuple[FloatArray, IntArray]]) -> Surface:
    first = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [faces + start for (_, faces), start in zip(parts, first, strict=False)]
    return Surface(np.concatenate([vertices for vertices, _ in parts]), np.concatenate(faces))
