"""Inner edges that join two border vertices: ears, strips and necks, and how to see past them."""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._types import BoolArray, IntArray
from meshconv.mesh.surface import Surface


def without_dividing_edges(surface: Surface, loop: IntArray) -> Surface:
    """Return the surface with a vertex on each inner edge that joins two border vertices.

    Such edges (ears, strips, necks) cut the inner vertices into parts that do not see each other.
    Old vertices keep their numbers; a face with such a side is cut from its centre.
    """
    faces, n = surface.faces, surface.n_vertices
    if not _any_dividing(faces, _following(surface, loop)):
        return surface
    start, end = faces, faces[:, [1, 2, 0]]
    dividing = _dividing(surface, loop)
    cut = dividing[:, 0] | dividing[:, 1] | dividing[:, 2]
    i, j, split = start[cut].ravel(), end[cut].ravel(), dividing[cut].ravel()
    key = np.minimum(i, j) * n + np.maximum(i, j)
    pairs, which = np.unique(key[split], return_inverse=True)
    middle = np.full(len(i), -1)
    middle[split] = n + which
    centre = np.repeat(n + len(pairs) + np.arange(int(cut.sum())), 3)
    whole = ~split
    new_faces = [
        faces[~cut],
        np.column_stack([i, j, centre])[whole],
        np.column_stack([i, middle, centre])[split],
        np.column_stack([middle, j, centre])[split],
    ]
    points = surface.vertices
    added = [
        points[np.column_stack(np.divmod(pairs, n))].mean(axis=1),
        points[faces[cut]].mean(axis=1),
    ]
    return Surface._known(np.concatenate([points, *added]), np.concatenate(new_faces))


def dividing_sides(surface: Surface, loop: IntArray) -> IntArray:
    """Return the inner edges (K, 2) that join two border vertices, each once."""
    dividing = _dividing(surface, loop)
    start, end = surface.faces[dividing], surface.faces[:, [1, 2, 0]][dividing]
    return np.column_stack([start, end])[start < end]


def _following(surface: Surface, loop: IntArray) -> IntArray:
    """The vertex (V,) that follows each along the loop, or -1."""
    following = np.full(surface.n_vertices, -1)
    following[loop] = np.roll(loop, -1)
    return following


@njit(cache=True)
def _any_dividing(faces: IntArray, following: IntArray) -> bool:
    """Whether `_dividing` would find any side: without an array of its own, ten times as fast."""
    for f in range(len(faces)):
        for k in range(3):
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            if following[i] >= 0 and following[j] >= 0 and following[i] != j:
                return True
    return False


def _dividing(surface: Surface, loop: IntArray) -> BoolArray:
    out = np.zeros(surface.faces.shape, dtype=bool)
    _mark_dividing(surface.faces, _following(surface, loop), out)
    return out


@njit(cache=True)
def _mark_dividing(faces: IntArray, following: IntArray, out: BoolArray) -> None:
    """Mark the sides that join two border vertices and are no side of the border."""
    for f in range(len(faces)):
        for k in range(3):
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            out[f, k] = following[i] >= 0 and following[j] >= 0 and following[i] != j
