"""A surface made ready to be mapped: unit size, used vertices only, neighbours near in memory."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.curve import nearby_order
from meshconv.mesh.surface import Surface

_NEAR = 10_000  # vertices whose data the processor keeps at hand; jumps within them cost nothing


def normalised(surface: Surface) -> Surface:
    """Return the surface moved and scaled into the unit cube, so that no square over- or
    underflows.
    """
    given, tiny = surface.vertices, np.finfo(float).tiny
    vertices = given / max(float(given.max()), -float(given.min()), tiny)
    vertices -= [column.min() for column in vertices.T]
    vertices /= max(float(vertices.max()), tiny)
    return Surface._known(vertices, surface.faces)


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
    order = nearby_order(surface.vertices)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Surface._known(surface.vertices[order], rank[surface.faces]), numbers[order]


def for_all_vertices(coordinates: FloatArray, kept: IntArray, surface: Surface) -> FloatArray:
    """Return coordinates for all vertices of the surface from those that were `kept`; those in no
    face lie at the centre.
    """
    if len(kept) == surface.n_vertices and (kept[1:] > kept[:-1]).all():
        return coordinates
    out = np.empty((surface.n_vertices, coordinates.shape[1]))
    out[:] = coordinates.mean(axis=0) if coordinates.shape[1] == 2 else [0.0, 0.0, 1.0]
    out[kept] = coordinates
    return out
