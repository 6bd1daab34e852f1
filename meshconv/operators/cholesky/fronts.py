"""The symbolic factorisation: the fronts, what each touches, and where it lies in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from meshconv._types import IntArray

_MOST_ROWS = 64  # per unknown, in the fronts together; surfaces take 3
_MOST_ENTRIES = 2e9  # of a factor, 16 GB; a surface of a million vertices takes 8e7


class Entries(NamedTuple):
    """What of a matrix is copied into its factor, by columns in the order of elimination.

    Attributes
    ----------
    first : (n + 1,) int64
        Where each column begins in what is below.
    source : (e,) int array
        Which entry of the matrix.
    target : (e,) int32
        Where in the columns of its front, which are whole while it is factored.
    """

    first: IntArray
    source: NDArray[Any]
    target: NDArray[Any]


@dataclass(frozen=True)
class Fronts:
    """The symbolic factorisation: what every matrix of one sparsity pattern shares.

    Attributes
    ----------
    order : (n,) int64
        order[k] is eliminated k-th.
    entries : Entries
        Where the entries of a matrix go.
    start : (m + 1,) int64
        Pivots of front f in the new numbering.
    parent : (m,) int64
        Parent front, or -1.
    row_start, rows : (m + 1,) int64, (r,) int32
        Rows below the pivots of each front, new numbering, sorted.
    panel : (m + 1,) int64
        Where the columns of each front lie in the factor, each from its diagonal on.
    update : (m,) int64
        Where the update of each front lies in its arena; arenas alternate with depth.
    depth : (m,) int64
        Distance from the root.
    arena : (2,) int64
        Size of the arenas.
    flops : float
        Work of one factorisation.
    """

    order: IntArray
    entries: Entries
    start: IntArray
    parent: IntArray
    depth: IntArray
    row_start: IntArray
    rows: NDArray[np.int32]
    panel: IntArray
    update: IntArray
    arena: IntArray
    flops: float


def lay_out(pattern: Any, order: NDArray[Any], start: IntArray, parent: IntArray) -> Fronts | None:
    """Lay out the factor of a `near_in_memory` pattern for an elimination order; None if it would
    be too large.

    Front f eliminates ``order[start[f]:start[f + 1]]`` and leaves its update to front `parent[f]`.
    """
    inverse = np.full(len(pattern.indptr) - 1, -1, dtype=np.int32)  # held ones come before all
    inverse[order] = np.arange(len(order))
    row_start = np.zeros_like(start)
    links = np.full((2, len(parent)), -1)
    seen, most = np.full(len(order), -1), _MOST_ROWS * len(order) + 10**6
    rows = _front_rows(pattern[:2], (order, inverse, start, parent), row_start, seen, links, most)
    if len(rows) > most:
        return None
    rows = _sorted_rows(row_start, rows, len(order))
    p, b = np.diff(start).astype(float), np.diff(row_start).astype(float)
    panel = np.append(0, np.cumsum((p * (p + 1) / 2 + p * b).astype(np.int64)))
    largest = (p * (p + b)).max(initial=0.0)  # places in a front are counted in 32 bits
    if max(panel[-1], largest) > _MOST_ENTRIES:
        return None
    depth, update, arena = _arenas(parent, np.diff(row_start))
    flops = float((p**3 / 3 + p**2 * b + p * b**2).sum())
    known = _entries(pattern, (order, inverse, start, row_start), rows)
    order = np.asarray(order, np.int64) if pattern.given is None else pattern.given[order]
    return Fronts(order, known, start, parent, depth, row_start, rows, panel, update, arena, flops)


@njit(cache=True)
def _front_rows(
    pattern: Any, fronts: Any, row_start: IntArray, seen: IntArray, links: IntArray, most: int
) -> IntArray:
    """Rows of each front, unsorted: what its pivots touch, and what its children left."""
    indptr, indices = pattern
    order, inverse, start, parent = fronts
    child, sibling = links[0], links[1]
    rows = np.empty(4 * len(order) + 16, np.int64)
    top = 0
    for f in range(len(parent)):
        high = start[f + 1]
        if top + len(order) - high > len(rows):
            grown = np.empty(2 * len(rows), np.int64)
            for r in range(top):
                grown[r] = rows[r]
            rows = grown
        for k in range(start[f], high):
            v = order[k]
            for q in range(indptr[v], indptr[v + 1]):
                i = inverse[indices[q]]
                if i >= high and seen[i] != f:
                    seen[i] = f
                    rows[top] = i
                    top += 1
        c = child[f]
        while c >= 0:
            for r in range(row_start[c], row_start[c + 1]):
                i = rows[r]
                if i >= high and seen[i] != f:
                    seen[i] = f
                    rows[top] = i
                    top += 1
            c = sibling[c]
        row_start[f + 1] = top
        if top > most:
            break
        if parent[f] >= 0:
            sibling[f] = child[parent[f]]
            child[parent[f]] = f
    return rows[:top]


def _sorted_rows(row_start: IntArray, rows: IntArray, n: int) -> NDArray[np.int32]:
    """Sort the rows of every front at once: two transpositions, linear in time."""
    m = len(row_start) - 1
    by_front = sparse.csr_array((np.ones(len(rows), np.int8), rows, row_start), shape=(m, n))
    return by_front.tocsc().tocsr().indices.astype(np.int32)


def _arenas(parent: IntArray, below: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Depth of each front, where its update lies in the arena of that depth's parity, and the
    arenas' sizes.

    Children are done before their parent, so the updates in one arena form a stack.
    """
    m = len(parent)
    depth, update, first = np.zeros(m, np.int64), np.zeros(m, np.int64), np.full(m, -1)
    top, arena = np.zeros(2, np.int64), np.zeros(2, np.int64)
    _stack_updates(parent, below, depth, update, first, top, arena)
    return depth, update, arena


@njit(cache=True)
def _stack_updates(
    parent: IntArray,
    below: IntArray,
    depth: IntArray,
    update: IntArray,
    first: IntArray,
    top: IntArray,
    arena: IntArray,
) -> None:
    """Fill `depth`, `update` and `arena`; `first` is where the updates of a front's children
    begin.
    """
    for f in range(len(parent) - 1, -1, -1):
        up = parent[f]
        depth[f] = depth[up] + 1 if up >= 0 else 0
    for f in range(len(parent)):
        mine, up = depth[f] % 2, parent[f]
        update[f] = top[mine]
        if up >= 0 and first[up] < 0:
            first[up] = top[mine]
        top[mine] += below[f] * below[f]
        arena[mine] = max(arena[mine], top[mine])
        if first[f] >= 0:
            top[1 - mine] = first[f]


def _entries(pattern: Any, tree: tuple[NDArray[Any], ...], rows: NDArray[np.int32]) -> Entries:
    """Return where the entries on and below the diagonal go.

    `tree` holds the order of elimination (numbers of the pattern), its inverse, and where the
    pivots and the `rows` of each front begin.
    """
    n, most = len(tree[0]), len(pattern.indices)
    found = Entries(
        np.zeros(n + 1, dtype=np.int64),
        np.empty(most, dtype=pattern.indices.dtype),
        np.empty(most, dtype=np.int32),
    )
    _place(pattern[:3], tree, rows, np.empty(n, dtype=np.int32), *found)
    size = found.first[-1]
    return Entries(found.first, *(part[:size].copy() for part in found[1:]))


@njit(cache=True)
def _place(
    pattern: Any,
    tree: Any,
    rows: NDArray[np.int32],
    place: NDArray[np.int32],
    first: IntArray,
    source: NDArray[Any],
    target: NDArray[Any],
) -> None:
    indptr, indices, entry = pattern
    order, inverse, start, row_start = tree
    top = 0
    for f in range(len(start) - 1):
        low, high = start[f], start[f + 1]
        p, size = high - low, high - low + row_start[f + 1] - row_start[f]
        for r in range(size - p):
            place[rows[row_start[f] + r]] = p + r
        for k in range(low, high):
            for q in range(indptr[order[k]], indptr[order[k] + 1]):
                i = inverse[indices[q]]
                if i >= k:
                    target[top] = (k - low) * size + (i - low if i < high else place[i])
                    source[top] = entry[q] if len(entry) else q
                    top += 1
            first[k + 1] = top
