"""The meshes of the benchmarks: noisy heightfields, and graded disks like the samplings of scanned
faces.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from meshconv import Surface


def bump(n_vertices: int, *, seed: int = 0, noise: float = 0.2) -> Surface:
    """A smooth bump over a jittered square grid of about `n_vertices`, with noise in all three
    coordinates.

    `noise` is the standard deviation in grid spacings, in the plane and upwards.
    """
    n = round(n_vertices**0.5)
    rng = np.random.default_rng(seed)
    x, y = np.indices((n, n)) / (n - 1)
    z = 0.3 * np.exp(-20 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    vertices = np.stack([x, y, z], axis=-1) + noise / n * rng.normal(size=(n, n, 3))
    i = np.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    return Surface(vertices.reshape(-1, 3), np.concatenate([np.c_[a, b, c], np.c_[a, c, d]]))


def shuffled(surface: Surface, *, seed: int = 0) -> Surface:
    """The same surface with its vertices in random order, as scattered points that were
    triangulated come.
    """
    order = np.random.default_rng(seed).permutation(surface.n_vertices)
    return Surface(surface.vertices[order], np.argsort(order)[surface.faces])


def rough_points(n_vertices: int, *, seed: int = 0, noise: float = 0.3) -> Surface:
    """Random points in a disk under a smooth bump, triangulated by Delaunay, with noise in height.

    `noise` is the standard deviation in mean distances between points.
    """
    rng = np.random.default_rng(seed)
    rim = int(2 * n_vertices**0.5)
    radius, angle = (
        0.997 * np.sqrt(rng.random(n_vertices - rim)),
        rng.uniform(0, 2 * np.pi, n_vertices - rim),
    )
    around = np.linspace(0, 2 * np.pi, rim, endpoint=False)
    xy = np.column_stack(
        [
            np.r_[radius * np.cos(angle), np.cos(around)],
            np.r_[radius * np.sin(angle), np.sin(around)],
        ]
    )
    height = 0.3 * np.exp(-5 * (xy**2).sum(axis=1)) + noise * (
        np.pi / n_vertices
    ) ** 0.5 * rng.normal(size=n_vertices)
    return Surface(np.c_[xy, height], _counter_clockwise(xy, Delaunay(xy).simplices))


def _counter_clockwise(xy: np.ndarray, faces: np.ndarray) -> np.ndarray:
    u, v, w = xy[faces].swapaxes(0, 1)
    turned = (v - u)[:, 0] * (w - u)[:, 1] < (v - u)[:, 1] * (w - u)[:, 0]
    return np.where(turned[:, None], faces[:, ::-1], faces)


def sampled_disk(n_vertices: int, *, seed: int = 0) -> Surface:
    """A face-like dome, sampled at random and 6 times denser in the middle, triangulated by
    Delaunay.
    """
    rng = np.random.default_rng(seed)
    interior = n_vertices - int(2 * n_vertices**0.5)
    radius = rng.uniform(0, 1, interior) ** 0.75
    angle = rng.uniform(0, 2 * np.pi, interior)
    rim = np.linspace(0, 2 * np.pi, n_vertices - interior, endpoint=False)
    x = np.r_[0.995 * radius * np.cos(angle), np.cos(rim)]
    y = np.r_[0.995 * radius * np.sin(angle), np.sin(rim)]
    z = 0.6 * np.sqrt(1.2 - x**2 - y**2) + 0.25 * np.exp(-12 * (x**2 + 2 * y**2))
    return Surface(np.c_[x, y, z], _counter_clockwise(np.c_[x, y], Delaunay(np.c_[x, y]).simplices))
