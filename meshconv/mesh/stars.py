"""One compiled pass over the stars of all vertices: is this a manifold whose faces agree on the
outside, which of it hangs together, and where is its border?

The faces at a vertex, each written as (next, last) corner, form one fan exactly if every corner is
`next` at most once and `last` at most once, at most one `next` is no `last` (that one follows along
the border), and going from `next` to `last` passes all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from meshconv._types import IntArray
from meshconv.mesh.vector import fixed

AnyInt = NDArray[np.signedinteger[Any]]


class Stars(NamedTuple):
    """What the pass finds; `n` vertices, of which some may lie in no face."""

    coherent: bool
    """Every vertex in a face has one fan of faces, and all agree on the outside."""
    following: IntArray
    """(n,) the next vertex along the border, -1 off it; only where coherent."""
    component: IntArray
    """(n,) label of the parts that share vertices, in the order of their first vertices; -1 for a
    vertex in no face.
    """


def stars(faces: IntArray, n: int) -> Stars:
    """Look at the faces (F, 3) around each of n vertices."""
    narrow = np.int32 if n < np.iinfo(np.int32).max else np.int64  # half the memory to be read
    start, around = np.empty(n + 1, dtype=np.int64), np.empty((3 * len(faces), 2), dtype=narrow)
    following, component = np.full(n, -1), np.full(n, -1)
    _collect(fixed(faces), start, around)
    coherent = _follow(start, around, following, np.full(n, -1))
    _label(start, around, component, np.empty(n, dtype=np.int64))
    return Stars(coherent, following, component)


def border_walks(following: IntArray) -> list[IntArray]:
    """Return the closed borders, each from its smallest vertex and in the order of these."""
    border = np.flatnonzero(following >= 0)
    order, ends = np.empty_like(border), np.empty_like(border)
    count = _walk(border, following.copy(), order, ends)
    order.setflags(write=False)
    return np.split(order, ends[: count - 1]) if count else []


@njit(cache=True)
def _collect(faces: IntArray, start: IntArray, around: AnyInt) -> None:
    """Fill `around` with (next, last) of the faces at each vertex i, from row start[i] on."""
    n = len(start) - 1
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


@njit(cache=True)
def _follow(start: IntArray, around: AnyInt, following: IntArray, seen: IntArray) -> bool:
    """Find what follows along the border; return False at the first star that is no fan.

    The lasts of star i are marked 2 i, the nexts that are among them 2 i + 1.
    """
    turn = np.empty_like(seen)
    for i in range(len(following)):
        for p in range(start[i], start[i + 1]):
            if seen[around[p, 1]] == 2 * i:
                return False
            seen[around[p, 1]] = 2 * i
        for p in range(start[i], start[i + 1]):
            j = around[p, 0]
            turn[j] = around[p, 1]
            if seen[j] == 2 * i + 1 or following[i] == j:
                return False
            if seen[j] == 2 * i:
                seen[j] = 2 * i + 1
            elif following[i] >= 0:
                return False
            else:
                following[i] = j
        if not _one_turn(around[start[i] : start[i + 1]], following[i], turn, seen, 2 * i + 1):
            return False
    return True


@njit(cache=True)
def _one_turn(star: AnyInt, border: int, turn: IntArray, seen: IntArray, inner: int) -> bool:
    """Whether going around a vertex passes all its faces: where sheets touch it ends too soon."""
    if len(star) == 0:
        return True
    first = border if border >= 0 else star[0, 0]
    j = first
    for _ in range(len(star) - 1):
        j = turn[j]
        if j == first or seen[j] != inner:
            return False
    return True


@njit(cache=True)
def _label(start: IntArray, around: AnyInt, component: IntArray, queue: IntArray) -> None:
    count = 0
    for seed in range(len(component)):
        if component[seed] >= 0 or start[seed] == start[seed + 1]:
            continue
        component[seed], queue[0] = count, seed
        tail, head = 1, 0
        while head < tail:
            i = queue[head]
            head += 1
            for p in range(start[i], start[i + 1]):
                for side in range(2):
                    j = around[p, side]
                    if component[j] < 0:
                        component[j] = count
                        queue[tail] = j
                        tail += 1
        count += 1


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
