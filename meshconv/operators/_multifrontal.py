"""Multifrontal Cholesky factorisation on SciPy's BLAS and LAPACK, compiled by numba.

Each front is a small dense matrix: its pivots are factored by LAPACK, and what they leave on the
rows below (the *update*) is added into the front of the parent. Ordering:
`meshconv.operators._ordering`.

References
----------
Duff, Reid, 1983, The multifrontal solution of indefinite sparse symmetric linear equations.
doi:10.1145/356044.356047
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address
from scipy import sparse

from meshconv._check import FloatArray, IntArray
from meshconv.operators._ordering import AnyInt, nested_dissection
from meshconv.operators.threads import one_blas_thread


def _external(module: str, name: str, n_arguments: int) -> Any:
    """A Fortran routine of SciPy's as a symbol that compiled and cached code can link to."""
    symbol = f"meshconv_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.{module}", name))
    return types.ExternalFunction(symbol, types.void(*[types.intp] * n_arguments))


_potrf = _external("cython_lapack", "dpotrf", 5)
_trsm = _external("cython_blas", "dtrsm", 11)
_syrk = _external("cython_blas", "dsyrk", 10)

# Fortran takes every argument by address. Letters and sizes lie in one int64 table: on
# little-endian machines the address of a number below 2^31 reads the same as a character, a 32-bit
# and a 64-bit integer.
_L, _N, _R, _T, _M, _K, _LD, _LB, _INFO = range(9)

_POOR = 1e4  # operations per matrix entry; surfaces of a million vertices take 5e3
_MOST_ROWS = 64  # per unknown, in the fronts together; surfaces take 3
_MOST_ENTRIES = 5e8  # of a factor, 4 GB; a surface of a million vertices takes 1e8


@dataclass(frozen=True)
class Fronts:
    """The symbolic factorisation: what every matrix of one sparsity pattern shares.

    Attributes
    ----------
    order, inverse : (n,) int64
        order[k] is eliminated k-th; inverse[order[k]] = k.
    start : (m + 1,) int64
        Pivots of front f in the new numbering.
    parent : (m,) int64
        Parent front, or -1.
    row_start, rows : (m + 1,), (r,) int64
        Rows below the pivots of each front, new numbering, sorted.
    panel : (m + 1,) int64
        Where the columns of each front lie in the factor.
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
    inverse: IntArray
    start: IntArray
    parent: IntArray
    depth: IntArray
    row_start: IntArray
    rows: IntArray
    panel: IntArray
    update: IntArray
    arena: IntArray
    flops: float


def analyse(indptr: AnyInt, indices: AnyInt, points: FloatArray | None) -> Fronts | None:
    """Order the unknowns and lay out the factor of a symmetric CSR pattern; None if it would be too
    large.
    """
    fronts = _lay_out(indptr, indices, points)
    if points is not None and (fronts is None or fronts.flops > _POOR * len(indices)):
        other = _lay_out(
            indptr, indices, None
        )  # positions that say little about who is whose neighbour
        if fronts is None or (other is not None and other.flops < fronts.flops):
            fronts = other
    return fronts


def _lay_out(indptr: AnyInt, indices: AnyInt, points: FloatArray | None) -> Fronts | None:
    order, start, parent = nested_dissection(indptr, indices, points)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    row_start = np.zeros_like(start)
    links = np.full((2, len(parent)), -1)
    seen, most = np.full(len(order), -1), _MOST_ROWS * len(order) + 10**6
    rows = _front_rows(
        (indptr, indices), (order, inverse, start, parent), row_start, seen, links, most
    )
    if len(rows) > most:
        return None
    rows = _sorted_rows(row_start, rows, len(order))
    p, b = np.diff(start).astype(float), np.diff(row_start).astype(float)
    panel = np.append(0, np.cumsum((p * (p + b)).astype(np.int64)))
    if panel[-1] > _MOST_ENTRIES:
        return None
    depth, update, arena = _arenas(parent, np.diff(row_start))
    flops = float((p**3 / 3 + p**2 * b + p * b**2).sum())
    return Fronts(
        order, inverse, start, parent, depth, row_start, rows, panel, update, arena, flops
    )


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


def _sorted_rows(row_start: IntArray, rows: IntArray, n: int) -> IntArray:
    """Sort the rows of every front at once: two transpositions, linear in time."""
    m = len(row_start) - 1
    by_front = sparse.csr_array((np.ones(len(rows), np.int8), rows, row_start), shape=(m, n))
    return by_front.tocsc().tocsr().indices.astype(np.int64)


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

    def factor(self, data: FloatArray, indptr: AnyInt, indices: AnyInt, scale: FloatArray) -> int:
        """Factor; return -1, or the unknown whose pivot is not positive."""
        s = self.fronts
        n, m = len(s.order), len(s.parent)
        self._scale = scale
        tree = (s.order, s.inverse, s.start, s.parent, s.row_start, s.rows)
        store = (
            self._panels,
            s.panel,
            (np.empty(s.arena[0]), np.empty(s.arena[1])),
            s.update,
            s.depth,
        )
        work = (np.full((2, m), -1), np.empty((2, n), dtype=np.int64))
        with one_blas_thread():
            bad, smallest = _factor((data, indptr, indices, scale), tree, store, work, *_tables())
        self.smallest_pivot = float(smallest)
        return int(bad)

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Return x (n, k) with A x = rhs (n, k)."""
        s = self.fronts
        x = np.ascontiguousarray((self._scale[:, None] * rhs)[s.order].T)
        work = np.empty(np.diff(s.row_start).max(initial=0))
        _solve((s.start, s.row_start, s.rows, s.panel), self._panels, x, work)
        return np.asarray(self._scale[:, None] * x.T[s.inverse])


def _tables() -> tuple[IntArray, FloatArray]:
    integers = np.zeros(9, dtype=np.int64)
    integers[[_L, _N, _R, _T]] = list(b"LNRT")
    return integers, np.array([1.0, -1.0])


@njit(cache=True)
def _scatter(
    matrix: Any,
    order: IntArray,
    inverse: IntArray,
    low: int,
    high: int,
    place: IntArray,
    panel: FloatArray,
) -> None:
    """Add the matrix entries of the pivots' columns, on and below the diagonal, into a front's
    columns.
    """
    data, indptr, indices, scale = matrix
    size = len(panel) // (high - low)
    for k in range(low, high):
        v = order[k]
        for q in range(indptr[v], indptr[v + 1]):
            i = inverse[indices[q]]
            if i >= k:
                row = i - low if i < high else place[i]
                panel[(k - low) * size + row] += data[q] * scale[v] * scale[indices[q]]


@njit(cache=True)
def _extend_add(
    child: FloatArray, local: IntArray, p: int, panel: FloatArray, update: FloatArray
) -> None:
    """Add a child's update into its parent: columns below p into the panel, the rest into the
    update.
    """
    b = len(local)
    size = len(panel) // p
    below = size - p
    for j in range(b):
        if local[j] < p:
            base = local[j] * size
            for i in range(j, b):
                panel[base + local[i]] += child[j * b + i]
        else:
            base = (local[j] - p) * below - p
            for i in range(j, b):
                update[base + local[i]] += child[j * b + i]


@njit(cache=True)
def _factor(
    matrix: Any, tree: Any, store: Any, work: Any, integers: IntArray, scalars: FloatArray
) -> Any:
    """Factor front by front; return -1 and the smallest pivot, or the unknown with a bad one."""
    order, inverse, start, parent, row_start, rows = tree
    panels, at, arenas, where, depth = store
    child, sibling, place, local = work[0][0], work[0][1], work[1][0], work[1][1]
    smallest = np.inf
    for f in range(len(parent)):
        low, high = start[f], start[f + 1]
        p, b = high - low, row_start[f + 1] - row_start[f]
        for r in range(b):
            place[rows[row_start[f] + r]] = p + r
        panel = panels[at[f] : at[f + 1]]
        update = arenas[depth[f] % 2][where[f] : where[f] + b * b]
        for i in range(len(panel)):
            panel[i] = 0.0
        for i in range(len(update)):
            update[i] = 0.0
        _scatter(matrix, order, inverse, low, high, place, panel)
        c = child[f]
        while c >= 0:
            size = row_start[c + 1] - row_start[c]
            for r in range(size):
                i = rows[row_start[c] + r]
                local[r] = i - low if i < high else place[i]
            _extend_add(
                arenas[depth[c] % 2][where[c] : where[c] + size * size],
                local[:size],
                p,
                panel,
                update,
            )
            c = sibling[c]
        if parent[f] >= 0:
            sibling[f] = child[parent[f]]
            child[parent[f]] = f
        bad = _eliminate(p, b, panel, update, integers, scalars)
        if bad >= 0:
            return order[low + bad], 0.0
        for k in range(p):
            smallest = min(smallest, panel[k * (p + b) + k] ** 2)
    return -1, smallest


@njit(cache=True)
def _eliminate(
    p: int, b: int, panel: FloatArray, update: FloatArray, integers: IntArray, scalars: FloatArray
) -> int:
    """Factor the p pivots of a dense front and update the b rows below; return -1 or the first bad
    pivot.
    """
    integers[_M], integers[_K], integers[_LD], integers[_LB], integers[_INFO] = (
        b,
        p,
        p + b,
        max(b, 1),
        0,
    )
    table, one = integers.ctypes.data, scalars.ctypes.data
    letter_l, letter_n, letter_r, letter_t = (
        table + 8 * _L,
        table + 8 * _N,
        table + 8 * _R,
        table + 8 * _T,
    )
    rows, columns, ld, info = table + 8 * _M, table + 8 * _K, table + 8 * _LD, table + 8 * _INFO
    top = panel.ctypes.data
    bottom = top + 8 * p
    _potrf(letter_l, columns, top, ld, info)
    for k in range(p):
        if integers[_INFO] == k + 1 or not panel[k * (p + b) + k] > 0.0:
            return k
    if b > 0:
        _trsm(letter_r, letter_l, letter_t, letter_n, rows, columns, one, top, ld, bottom, ld)
        _syrk(
            letter_l,
            letter_n,
            rows,
            columns,
            one + 8,
            bottom,
            ld,
            one,
            update.ctypes.data,
            table + 8 * _LB,
        )
    return -1


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
                column = panels[at[f] + j * (p + b) : at[f] + (j + 1) * (p + b)]
                mine[j] /= column[j]
                for i in range(j + 1, p):
                    mine[i] -= column[i] * mine[j]
                for r in range(b):
                    work[r] += column[p + r] * mine[j]
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
                column = panels[at[f] + j * (p + b) : at[f] + (j + 1) * (p + b)]
                total = mine[j]
                for r in range(b):
                    total -= column[p + r] * work[r]
                for i in range(j + 1, p):
                    total -= column[i] * mine[i]
                mine[j] = total / column[j]
