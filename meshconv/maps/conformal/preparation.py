"""A surface made ready to be mapped: unit size, used vertices only, neighbours near in memory."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.surface import Surface

_NEAR = 10_000  # vertices whose data the processor keeps at hand; jumps within them cost nothing
_CELLS = 1024  # along each axis


def normalised(surface: Surface) -> Surface:
    """Return the surface moved and scaled into the unit cube, so that no square over- or
    underflows.
    """
    vertices = surface.vertices / max(float(np.abs(surface.vertices).max()), np.finfo(float).tiny)
    vertices = vertices - vertices.min(axis=0)
    return Surface._known(
        vertices / max(float(vertices.max()), np.finfo(float).tiny), surface.faces
    )


def in_faces(surface: Surface) -> tuple[Surface, IntArray]:
    """Return the surface without vertices that no face uses, and the number each vertex had."""
    used = np.zeros(surface.n_vertices, dtype=bool)
    used[surface.faces] = True
    kept = np.flatnonzero(used)
    if len(kept) == surface.n_vertices:
        return surface, kept
    return Surface._known(surface.vertices[kept], (np.cumsum(used) - 1)[surface.faces]), kept


def in_memory_order(surface: Surface, numbers: IntArray) -> tuple[Surface, IntArray]:
    """Return the surface with its vertices in an order in which faces use near ones, and `numbers`
    (V,) likewise.

    The surface lies in the unit cube and is returned as it is if its faces use near vertices
    already. Two hundred thousand vertices in random order are mapped twice as slowly as in this
    one. Faces keep their order.
    """
    some = surface.faces[:: max(1, surface.n_faces // 1000)]
    if np.abs(np.diff(some, axis=1)).mean() < _NEAR:
        return surface, numbers
    n = surface.n_vertices
    place, rank = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    _curve_positions(surface.vertices, _CELLS - 1, place)
    order = np.sort(place * n + np.arange(n)) % n
    rank[order] = np.arange(n)
    return Surface._known(surface.vertices[order], rank[surface.faces]), numbers[order]


@njit(cache=True)
def _curve_positions(points: FloatArray, scale: int, place: IntArray) -> None:
    """Place on a Morton curve: the bits of the three cell numbers in turn."""
    for i in range(len(points)):
        place[i] = 0
        for d in range(3):
            x = np.int64(points[i, d] * scale)
            x = (x | (x << 16)) & 0x30000FF
            x = (x | (x << 8)) & 0x300F00F
            x = (x | (x << 4)) & 0x30C30C3
            place[i] |= ((x | (x << 2)) & 0x9249249) << d
