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
    cut, dividing = _divided(surface, loop)
    if len(cut) == 0:
        return surface
    i, j, split = faces[cut].ravel(), faces[cut][:, [1, 2, 0]].ravel(), dividing.ravel()
    key = np.minimum(i, j) * n + np.maximum(i, j)
    pairs, which = np.unique(key[split], return_inverse=True)
    middle = np.full(len(i), -1)
    middle[split] = n + which
    centre = np.repeat(n + len(pairs) + np.arange(len(cut)), 3)
    whole = ~split
    pieces = np.concatenate(
        [
            np.column_stack([i, j, centre])[whole],
            np.column_stack([i, middle, centre])[split],
            np.column_stack([middle, j, centre])[split],
        ]
    )
    new_faces = np.concatenate([faces, pieces[len(cut) :]])
    new_faces[cut] = pieces[: len(cut)]
    points = surface.vertices
    added = [
        points[np.column_stack(np.divmod(pairs, n))].mean(axis=1),
        points[faces[cut]].mean(axis=1),
    ]
    return Surface._known(np.concatenate([points, *added]), new_faces)


def dividing_sides(surface: Surface, loop: IntArray) -> IntArray:
    """Return the inner edges (K, 2) that join two border vertices, each once."""
    cut, dividing = _divided(surface, loop)
    faces = surface.faces[cut]
    start, end = faces[dividing], faces[:, [1, 2, 0]][dividing]
    return np.column_stack([start, end])[start < end]


def _divided(surface: Surface, loop: IntArray) -> tuple[IntArray, BoolArray]:
    """Return the faces (C,) with sides that join two border vertices and are no side of the border,
    and which of their sides (C, 3) do.
    """
    following = np.full(surface.n_vertices, -1)
    following[loop] = np.roll(loop, -1)
    cut = np.empty(3 * len(loop), dtype=np.int64)
    count = _list_divided(surface.faces, following, cut)
    if count > len(cut):
        cut = np.empty(count, dtype=np.int64)
        _list_divided(surface.faces, following, cut)
    start = following[surface.faces[cut[:count]]]
    end = surface.faces[cut[:count]][:, [1, 2, 0]]
    return cut[:count], (start >= 0) & (following[end] >= 0) & (start != end)


@njit(cache=True)
def _list_divided(faces: IntArray, following: IntArray, cut: IntArray) -> int:
    """List the faces that are divided, as far as there is room; return their number."""
    count = 0
    for f in range(len(faces)):
        last = faces[f, 2]
        for k in range(3):
            i, last = last, faces[f, k]
            if following[i] >= 0 and following[last] >= 0 and following[i] != last:
                if count < len(cut):
                    cut[count] = f
                count += 1
                break
    return count
