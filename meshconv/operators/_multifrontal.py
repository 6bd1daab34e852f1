"""Multifrontal Cholesky factorisation on SciPy's BLAS and LAPACK, compiled by numba.

Each front is a small dense matrix: its pivots are factored by LAPACK, and what they leave on the rows below
(the *update*) is added into the front of the parent. Ordering: `meshconv.operators._ordering`.

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


def _external(module: str, name: str, n_arguments: int) -> Any:
    """A Fortran routine of SciPy's as a symbol that compiled and cached code can link to."""
    symbol = f"meshconv_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(f"scipy.linalg.{module}", name))
    return types.ExternalFunction(symbol, types.void(*[types.intp] * n_arguments))


_potrf = _external("cython_lapack", "dpotrf", 5)
_trsm = _external("cython_blas", "dtrsm", 11)
_syrk = _external("cython_blas", "dsyrk", 10)
_gemm = _external("cython_blas", "dgemm", 13)

# Fortran takes every argument by address. Letters and sizes lie in one int64 table: on little-endian machines
# the address of a number below 2^31 reads the same as a character, a 32-bit and a 64-bit integer.
_L, _N, _R, _T, _M, _K, _LD, _LB, _INFO = range(9)
_ONE, _MINUS, _ZERO = 0, 8, 16  # bytes into the table of scalars


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


def analyse(indptr: AnyInt, indices: AnyInt, points: FloatArray | None) -> Fronts:
    """Order the unknowns and lay out the factor of a symmetric CSR pattern."""
    order, start, parent = nested_dissection(indptr, indices, points)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    row_start = np.zeros_like(start)
    links = np.full((2, len(parent)), -1)
    rows = _front_rows((indptr, indices), (order, inverse, start, parent), row_start, np.full(len(order), -1), links)
    rows = _sorted_rows(row_start, rows, len(order))
    p, b = np.diff(start).astype(float), np.diff(row_start).astype(float)
    panel = np.append(0, np.cumsum((p * (p + b)).astype(np.int64)))
    depth, update, arena = np.zeros_like(parent), np.empty_like(parent), np.zeros(2, dtype=np.int64)
    _arenas(parent, row_start, np.full_like(parent, -1), np.zeros_like(arena), (depth, update, arena))
    flops = float((p**3 / 3 + p**2 * b + p * b**2).sum())
    return Fronts(order, inverse, start, parent, depth, row_start, rows, panel, update, arena, flops)


@njit(cache=True)
def _front_rows(pattern: Any, fronts: Any, row_start: IntArray, seen: IntArray, links: IntArray) -> IntArray:
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
        if parent[f] >= 0:
            sibling[f] = child[parent[f]]
            child[parent[f]] = f
    return rows[:top]


def _sorted_rows(row_start: IntArray, rows: IntArray, n: int) -> IntArray:
    """Sort the rows of every front at once: two transpositions, linear in time."""
    m = len(row_start) - 1
    by_front = sparse.csr_array((np.ones(len(rows), np.int8), rows, row_start), shape=(m, n))
    return by_front.tocsc().tocsr().indices.astype(np.int64)


@njit(cache=True)
def _arenas(parent: IntArray, row_start: IntArray, first: IntArray, top: IntArray, out: Any) -> None:
    """Depth of each front, and where its update lies in the arena of that depth's parity.

    Children are done before their parent, so the updates in one arena form a stack; `first` is where those
    of the children of a front begin.
    """
    depth, update, arena = out
    for f in range(len(parent) - 1, -1, -1):
        if parent[f] >= 0:
            depth[f] = depth[parent[f]] + 1
    for f in range(len(parent)):
        mine = depth[f] % 2
        update[f] = top[mine]
        if parent[f] >= 0 and first[parent[f]] < 0:
            first[parent[f]] = top[mine]
        top[mine] += (row_start[f + 1] - row_start[f]) ** 2
        arena[mine] = max(arena[mine], top[mine])
        if first[f] >= 0:
            top[1 - mine] = first[f]


class Cholesky:
    """Factor of D A D with unit diagonal; `factor` as often as wanted, `solve` after it.

    Parameters
    ----------
    fronts : Fronts
        From `analyse` on the pattern of A.
    """

    def __init__(self, fronts: Fronts) -> None:
        self.fronts = fronts
        self.panels = np.empty(fronts.panel[-1])
        self.smallest_pivot = 0.0

    def factor(self, data: FloatArray, indptr: AnyInt, indices: AnyInt, scale: FloatArray) -> int:
        """Factor; return -1, or the unknown whose pivot is not positive."""
        s = self.fronts
        self.scale = scale
        tree = (s.start, s.parent, s.row_start, s.rows, s.panel, s.update, s.depth)
        arenas = (np.empty(s.arena[0]), np.empty(s.arena[1]))
        matrix = (data, indptr, indices, scale)
        bad, self.smallest_pivot = _factor(matrix, s.order, s.inverse, tree, self.panels, arenas, *_tables())
        return int(bad)

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Return x (n, k) with A x = rhs (n, k)."""
        s = self.fronts
        x = np.asfortranarray((self.scale[:, None] * rhs)[s.order])
        tree = (s.start, s.row_start, s.rows, s.panel)
        work = np.empty(max(1, int(np.diff(s.row_start).max(initial=0))) * x.shape[1])
        _solve(tree, self.panels, x.T, work, *_tables())
        return self.scale[:, None] * x[s.inverse]


def _tables() -> tuple[IntArray, FloatArray]:
    integers = np.zeros(12, dtype=np.int64)
    integers[[_L, _N, _R, _T]] = list(b"LNRT")
    return integers, np.array([1.0, -1.0, 0.0])


@njit(cache=True)
def _scatter(matrix: Any, order: IntArray, inverse: IntArray, low: int, high: int, place: IntArray, panel: FloatArray) -> None:
    """Add the matrix entries of the pivots' columns, on and below the diagonal, into a front's columns."""
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
def _extend_add(child: FloatArray, local: IntArray, p: int, panel: FloatArray, update: FloatArray) -> None:
    """Add a child's update into its parent: columns below p into the pivots' panel, the rest into the update."""
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
    matrix: Any, order: IntArray, inverse: IntArray, tree: Any, panels: FloatArray, arenas: Any,
    integers: IntArray, scalars: FloatArray,
) -> Any:  # fmt: skip
    start, parent, row_start, rows, at, where, depth = tree
    m = len(parent)
    child, sibling = np.full(m, -1, np.int64), np.full(m, -1, np.int64)
    place = np.empty(len(order), np.int64)
    local = np.empty(len(order), np.int64)
    smallest = np.inf
    letter = integers.ctypes.data
    one = scalars.ctypes.data
    for f in range(m):
        low, high = start[f], start[f + 1]
        p, b = high - low, row_start[f + 1] - row_start[f]
        for r in range(b):
            place[rows[row_start[f] + r]] = p + r
        panel = panels[at[f] : at[f + 1]]
        for i in range(len(panel)):
            panel[i] = 0.0
        update = arenas[depth[f] % 2][where[f] : where[f] + b * b]
        for i in range(len(update)):
            update[i] = 0.0
        _scatter(matrix, order, inverse, low, high, place, panel)
        c = child[f]
        while c >= 0:
            bc = row_start[c + 1] - row_start[c]
            for r in range(bc):
                i = rows[row_start[c] + r]
                local[r] = i - low if i < high else place[i]
            _extend_add(arenas[depth[c] % 2][where[c] : where[c] + bc * bc], local[:bc], p, panel, update)
            c = sibling[c]
        if parent[f] >= 0:
            sibling[f] = child[parent[f]]
            child[parent[f]] = f
        integers[_M], integers[_K], integers[_LD], integers[_LB] = b, p, p + b, max(b, 1)
        first = panel.ctypes.data
        _potrf(letter + 8 * _L, letter + 8 * _K, first, letter + 8 * _LD, letter + 8 * _INFO)
        for k in range(p):
            pivot = panel[k * (p + b) + k]
            if integers[_INFO] == k + 1 or not pivot > 0.0:
                return order[low + k], 0.0
            smallest = min(smallest, pivot * pivot)
        if b > 0:
            _trsm(
                letter + 8 * _R, letter + 8 * _L, letter + 8 * _T, letter + 8 * _N, letter + 8 * _M,
                letter + 8 * _K, one, first, letter + 8 * _LD, first + 8 * p, letter + 8 * _LD,
            )  # fmt: skip
            _syrk(
                letter + 8 * _L, letter + 8 * _N, letter + 8 * _M, letter + 8 * _K, one + _MINUS, first + 8 * p,
                letter + 8 * _LD, one, update.ctypes.data, letter + 8 * _LB,
            )  # fmt: skip
    return -1, smallest


@njit(cache=True)
def _solve(tree: Any, panels: FloatArray, x: FloatArray, work: FloatArray, integers: IntArray, scalars: FloatArray) -> None:
    """Solve L L' y = x in place; `x` (k, n) holds one right-hand side per row."""
    start, row_start, rows, at = tree
    columns, n = x.shape
    letter, one = integers.ctypes.data, scalars.ctypes.data
    m = len(start) - 1
    for step in range(2 * m):
        forward = step < m
        f = step if forward else 2 * m - 1 - step
        low = start[f]
        p, b = start[f + 1] - low, row_start[f + 1] - row_start[f]
        below = rows[row_start[f] : row_start[f] + b]
        integers[_M], integers[_K], integers[_LD], integers[_LB] = b, p, p + b, max(b, 1)
        integers[9], integers[10] = columns, n
        first = panels.ctypes.data + 8 * at[f]
        mine = x.ctypes.data + 8 * low
        if not forward and b > 0:
            for c in range(columns):
                for r in range(b):
                    work[c * b + r] = x[c, below[r]]
            _gemm(
                letter + 8 * _T, letter + 8 * _N, letter + 8 * _K, letter + 8 * 9, letter + 8 * _M, one + _MINUS,
                first + 8 * p, letter + 8 * _LD, work.ctypes.data, letter + 8 * _LB, one, mine, letter + 8 * 10,
            )  # fmt: skip
        _trsm(
            letter + 8 * _L, letter + 8 * _L, letter + 8 * (_N if forward else _T), letter + 8 * _N,
            letter + 8 * _K, letter + 8 * 9, one, first, letter + 8 * _LD, mine, letter + 8 * 10,
        )  # fmt: skip
        if forward and b > 0:
            _gemm(
                letter + 8 * _N, letter + 8 * _N, letter + 8 * _M, letter + 8 * 9, letter + 8 * _K, one,
                first + 8 * p, letter + 8 * _LD, mine, letter + 8 * 10, one + _ZERO, work.ctypes.data, letter + 8 * _LB,
            )  # fmt: skip
            for c in range(columns):
                for r in range(b):
                    x[c, below[r]] -= work[c * b + r]
