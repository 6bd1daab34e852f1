"""One pass over the stars of all vertices: is this a connected, oriented surface, and where is its
border?

The faces at a vertex, each written as (next, last) corner, form one fan exactly if every corner is
`next` at most once and `last` at most once, and at most one `next` is no `last`: that one follows
along the border.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from meshconv._check import IntArray
from meshconv.mesh.surface import Surface
from meshconv.mesh.topology import loop_length


def sheet(surface: Surface) -> tuple[int, list[IntArray]] | None:
    """Return the number of edges and the border loops, or None where the surface is not one good
    sheet.

    One good sheet: connected, every vertex in a face, no edge of more than two faces or of two
    faces that disagree on the outside, no vertex where two borders meet. The loops are those of
    `Surface.boundary_loops`: in face orientation, each from its smallest vertex, the longest first.
    """
    n, faces = surface.n_vertices, surface.faces
    following = np.full(n, -1)
    star = np.empty((n + 1,), dtype=np.int64), np.empty((3 * len(faces), 2), dtype=np.int64)
    if not _fans(faces, *star, following, np.full(n, -1)) or not _connected(
        *star, np.empty(n, dtype=np.int64)
    ):
        return None
    border = np.flatnonzero(following >= 0)
    loops = _loops(border, following)
    longest = np.argsort([-loop_length(surface.vertices[loop]) for loop in loops], kind="stable")
    return (3 * len(faces) + len(border)) // 2, [loops[k] for k in longest]


def _loops(border: IntArray, following: IntArray) -> list[IntArray]:
    order, ends = np.empty_like(border), np.empty_like(border)
    count = _walk(border, following, order, ends)
    order.setflags(write=False)
    return np.split(order, ends[: count - 1]) if count else []


@njit(cache=True)
def _fans(
    faces: IntArray, start: IntArray, around: IntArray, following: IntArray, seen: IntArray
) -> bool:
    """Fill `around` with (next, last) of the faces at each vertex; return False at the first that
    is no fan.
    """
    n = len(following)
    for i in range(n + 1):
        start[i] = 0
    for f in range(len(faces)):
        for k in range(3):
            start[faces[f, k] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    for f in range(len(faces) - 1, -1, -1):
        for k in range(3):
            i = faces[f, k]
            start[i + 1] -= 1
            p = start[i + 1]
            around[p, 0], around[p, 1] = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
    for i in range(n):  # now start[i + 1] is where star i begins
        start[i] = start[i + 1]
    start[n] = 3 * len(faces)
    return _follow(start, around, following, seen)


@njit(cache=True)
def _follow(start: IntArray, around: IntArray, following: IntArray, seen: IntArray) -> bool:
    """Mark the lasts of each star with 2 i, the nexts that are among them with 2 i + 1."""
    for i in range(len(following)):
        if start[i] == start[i + 1]:
            return False
        for p in range(start[i], start[i + 1]):
            if seen[around[p, 1]] == 2 * i:
                return False
            seen[around[p, 1]] = 2 * i
        for p in range(start[i], start[i + 1]):
            j = around[p, 0]
            if seen[j] == 2 * i + 1 or following[i] == j:
                return False
            if seen[j] == 2 * i:
                seen[j] = 2 * i + 1
            elif following[i] >= 0:
                return False
            else:
                following[i] = j
    return True


@njit(cache=True)
def _connected(start: IntArray, around: IntArray, queue: IntArray) -> bool:
    n = len(queue)
    reached = np.zeros(n, np.bool_)
    reached[0], queue[0] = True, 0
    tail, head = 1, 0
    while head < tail:
        i = queue[head]
        head += 1
        for p in range(start[i], start[i + 1]):
            for side in range(2):
                j = around[p, side]
                if not reached[j]:
                    reached[j] = True
                    queue[tail] = j
                    tail += 1
    return tail == n


@njit(cache=True)
def _walk(border: IntArray, following: IntArray, order: IntArray, ends: IntArray) -> int:
    """Write the border vertices loop by loop, and where each loop ends; `following` is used up."""
    count = top = 0
    for b in range(len(border)):
        v = border[b]
        if following[v] < 0:
            continue
        while following[v] >= 0:
            order[top] = v
            top += 1
            after, following[v] = following[v], -1
            v = after
        ends[count] = top
        count += 1
    return count
