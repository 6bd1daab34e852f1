"""Multifrontal Cholesky factorisation, compiled by numba.

Each front is a small dense matrix: its pivots are factored by LAPACK, and what they leave on the
rows below (the *update*) is added into the front of the parent.

References
----------
Duff, Reid, 1983, The multifrontal solution of indefinite sparse symmetric linear equations.
doi:10.1145/356044.356047
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit

from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.operators.cholesky.dense import eliminate, tables
from meshconv.operators.cholesky.fronts import Fronts, lay_out
from meshconv.operators.cholesky.hops import hop_coordinates
from meshconv.operators.cholesky.lanes import add_run, prefetch
from meshconv.operators.cholesky.levels import AnyInt, inner
from meshconv.operators.cholesky.ordering import nested_dissection
from meshconv.operators.cholesky.pattern import near_in_memory
from meshconv.operators.threads import one_blas_thread

_AHEAD = 24  # entries of the matrix that are fetched before they are needed
_POOR = 20.0  # operations per matrix entry and square root of n; surfaces take 3 to 5


def analyse(
    indptr: AnyInt, indices: AnyInt, points: FloatArray | None, held: BoolArray | None = None
) -> Fronts | None:
    """Order the unknowns and lay out the factor of a symmetric CSR pattern; None if it would be too
    large. Those that are `held` (n,) are never eliminated.
    """
    fronts = _ordered(indptr, indices, points, held)
    if points is not None and (
        fronts is None or fronts.flops > _POOR * len(indptr) ** 0.5 * len(indices)
    ):
        other = _ordered(
            indptr, indices, None, held
        )  # positions that say little about who is whose neighbour
        if fronts is None or (other is not None and other.flops < fronts.flops):
            fronts = other
    return fronts


def _ordered(
    indptr: AnyInt, indices: AnyInt, points: FloatArray | None, held: BoolArray | None
) -> Fronts | None:
    points = hop_coordinates(indptr, indices) if points is None else points
    pattern = near_in_memory(indptr, indices, points)
    if pattern.given is not None:
        points = points[pattern.given]
        held = None if held is None else held[pattern.given]
    some = None if held is None else np.flatnonzero(~held)
    return lay_out(pattern, *nested_dissection(pattern.indptr, pattern.indices, points, some))


class Cholesky:
    """Factor of D A D with D = diag(scale); `factor` as often as wanted, `solve` after it.

    Parameters
    ----------
    fronts : Fronts
        From `analyse` on the pattern of A.

    Attributes
    ----------
    smallest_pivot : float
        Of the last factorisation; 1 is the diagonal of D A D.
    """

    def __init__(self, fronts: Fronts) -> None:
        self.fronts = fronts
        self.smallest_pivot = 0.0
        self._panels = np.empty(fronts.panel[-1])
        self._scale = np.empty(0)

    def factor(self, data: FloatArray, scale: FloatArray) -> int:
        """Factor the matrix of these entries; return -1, or the unknown whose pivot is not
        positive.
        """
        s = self.fronts
        n, m = len(s.order), len(s.parent)
        self._scale = scale
        tree, entries = (s.start, s.parent, s.row_start, s.rows), tuple(s.entries)
        store = (
            self._panels,
            s.panel,
            (np.empty(s.arena[0]), np.empty(s.arena[1])),
            s.update,
            s.depth,
        )
        rows, columns = np.diff(s.row_start).max(initial=0), np.diff(s.start)
        largest = int((columns * (columns + np.diff(s.row_start))).max(initial=0))
        place, front = np.empty(n, dtype=np.int32), np.empty(largest)
        work = (np.full((2, m), -1), place, np.empty((2, rows), dtype=np.int64), front)
        with one_blas_thread():
            bad, smallest = _factor((data, scale[s.order]), entries, tree, store, work, *tables())
        self.smallest_pivot = float(smallest)
        return int(s.order[bad]) if bad >= 0 else -1

    def settle(self) -> None:
        """Forget where the entries of a matrix go: what is factored stays, and is the last."""
        none = self.fronts.entries._replace(
            **{name: part[:0].copy() for name, part in self.fronts.entries._asdict().items()}
        )
        self.fronts = replace(self.fronts, entries=none)

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Return x (n, k) with A x = rhs (n, k), 0 where an unknown is held."""
        s = self.fronts
        scale = self._scale[s.order]
        x = np.empty((rhs.shape[1], len(s.order)))
        for column, given in zip(x, rhs.T, strict=True):
            np.multiply(given[s.order], scale, out=column)
        work = np.empty(np.diff(s.row_start).max(initial=0))
        _solve((s.start, s.row_start, s.rows, s.panel), self._panels, x, work)
        x *= scale
        out = np.zeros(rhs.shape)
        for column, found in zip(out.T, x, strict=True):
            column[s.order] = found
        return out


@inner
def _scatter(matrix: Any, entries: Any, low: int, high: int, rows: Any, panel: FloatArray) -> None:
    """Add the matrix entries of the pivots' columns, on and below the diagonal, into the columns of
    a front that has `rows` below its pivots.
    """
    data, scale = matrix
    first, source, target = entries
    last, p = len(source) - 1, high - low
    for k in range(low, high):
        top = (k - low) * (p + len(rows))
        for e in range(first[k], first[k + 1]):
            prefetch(data, source[min(e + _AHEAD, last)])
            r = target[e] - top
            row = low + r if r < p else rows[r - p]
            panel[target[e]] += data[source[e]] * scale[k] * scale[row]


@inner
def _extend_add(
    child: FloatArray, where: Any, p: int, size: int, panel: FloatArray, update: FloatArray
) -> None:
    """Add a child's update into its parent: columns below p into the panel, the rest into the
    update, by runs of rows that lie one after another in both.
    """
    local, ends = where
    b = len(local)
    for j in range(b):
        i, below = j, local[j] >= p
        skip = (local[j] - p) * (size - p) - p if below else local[j] * size
        while i < b:
            end = ends[i]
            if below:
                add_run(child, j * b + i, update, skip + local[i], end - i)
            else:
                add_run(child, j * b + i, panel, skip + local[i], end - i)
            i = end


@inner
def _keep(panel: FloatArray, p: int, kept: FloatArray) -> float:
    """Copy the columns of a front from the diagonal on; return the smallest pivot."""
    size, top, smallest = len(panel) // p, 0, np.inf
    for k in range(p):
        column = panel[k * size + k : (k + 1) * size]
        target = kept[top : top + size - k]
        for i in range(len(column)):
            target[i] = column[i]
        smallest = min(smallest, column[0] ** 2)
        top += size - k
    return float(smallest)


@inner
def _runs(local: IntArray, ends: IntArray) -> None:
    """Where the run of consecutive numbers ends that each belongs to."""
    end = len(local)
    for r in range(end - 1, -1, -1):
        if r + 1 < len(local) and local[r] + 1 != local[r + 1]:
            end = r + 1
        ends[r] = end


@njit(cache=True)
def _factor(
    matrix: Any,
    entries: Any,
    tree: Any,
    store: Any,
    work: Any,
    integers: IntArray,
    scalars: FloatArray,
) -> Any:
    """Factor front by front; return -1 and the smallest pivot, or the place of a bad one."""
    start, parent, row_start, rows = tree
    panels, at, arenas, where, depth = store
    child, sibling = work[0][0], work[0][1]
    place, local, ends = work[1], work[2][0], work[2][1]
    smallest = np.inf
    for f in range(len(parent)):
        low, high = start[f], start[f + 1]
        p, b = high - low, row_start[f + 1] - row_start[f]
        for r in range(b):
            place[rows[row_start[f] + r]] = p + r
        panel = work[3][: p * (p + b)]
        update = arenas[depth[f] % 2][where[f] : where[f] + b * b]
        panel[:] = 0.0
        update[:] = 0.0
        _scatter(matrix, entries, low, high, rows[row_start[f] : row_start[f + 1]], panel)
        c = child[f]
        while c >= 0:
            size = row_start[c + 1] - row_start[c]
            for r in range(size):
                i = rows[row_start[c] + r]
                local[r] = i - low if i < high else place[i]
            _runs(local[:size], ends[:size])
            left = arenas[depth[c] % 2][where[c] : where[c] + size * size]
            _extend_add(left, (local[:size], ends[:size]), p, p + b, panel, update)
            c = sibling[c]
        if parent[f] >= 0:
            sibling[f] = child[parent[f]]
            child[parent[f]] = f
        bad = eliminate(p, b, panel, update, integers, scalars)
        if bad >= 0:
            return low + bad, 0.0
        smallest = min(smallest, _keep(panel, p, panels[at[f] : at[f + 1]]))
    return -1, smallest


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _solve(tree: Any, panels: FloatArray, x: FloatArray, work: FloatArray) -> None:
    """Solve L L' y = x in place; `x` (k, n) holds one right-hand side per row."""
    start, row_start, rows, at = tree
    m = len(start) - 1
    for f in range(m):
        low, p, b = start[f], start[f + 1] - start[f], row_start[f + 1] - row_start[f]
        below = rows[row_start[f] : row_start[f] + b]
        for c in range(len(x)):
            mine = x[c, low : low + p]
            active = False
            for j in range(p):
                active = active or mine[j] != 0.0
            if not active:  # sources on few vertices leave most fronts untouched
                continue
            for r in range(b):
                work[r] = 0.0
            for j in range(p):
                top = at[f] + j * (p + b) - j * (j - 1) // 2
                value = mine[j] / panels[top]
                column, rest = panels[top : top + p - j], mine[j:]
                for i in range(len(column)):
                    rest[i] -= column[i] * value
                mine[j] = value
                column = panels[top + p - j : top + p + b - j]
                for r in range(len(column)):
                    work[r] += column[r] * value
            for r in range(b):
                x[c, below[r]] -= work[r]
    for f in range(m - 1, -1, -1):
        low, p, b = start[f], start[f + 1] - start[f], row_start[f + 1] - row_start[f]
        below = rows[row_start[f] : row_start[f] + b]
        for c in range(len(x)):
            mine = x[c, low : low + p]
            for r in range(b):
                work[r] = x[c, below[r]]
            for j in range(p - 1, -1, -1):
                top = at[f] + j * (p + b) - j * (j - 1) // 2
                total, column = mine[j], panels[top + p - j : top + p + b - j]
                for r in range(len(column)):
                    total -= column[r] * work[r]
                column, rest = panels[top + 1 : top + p - j], mine[j + 1 :]
                for i in range(len(column)):
                    total -= column[i] * rest[i]
                mine[j] = total / panels[top]
