"""Dense kernels of the multifrontal factorisation: small fronts on vectors of eight numbers, large
ones on SciPy's BLAS and LAPACK; compiled by numba.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address

from meshconv._types import FloatArray, IntArray
from meshconv.operators.cholesky.lanes import substitute_4, subtract_1, subtract_4
from meshconv.operators.cholesky.levels import inner


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

# Pivots up to which a front does without LAPACK: 1.3 to 3.4 times as fast with vectors of eight
# numbers; with vectors of four it pays for small fronts only.
_FEATURES = llvmlite.binding.get_host_cpu_features()
_SMALL = 96 if _FEATURES.get("avx512f") else 24 if _FEATURES.get("avx2") else 0


def tables() -> tuple[IntArray, FloatArray]:
    integers = np.zeros(9, dtype=np.int64)
    integers[[_L, _N, _R, _T]] = list(b"LNRT")
    return integers, np.array([1.0, -1.0])


@njit(cache=True)
def eliminate(
    p: int, b: int, panel: FloatArray, update: FloatArray, integers: IntArray, scalars: FloatArray
) -> int:
    """Factor the p pivots of a dense front and update the b rows below; return -1 or the first bad
    pivot.
    """
    if p <= _SMALL and b <= 6 * _SMALL:
        return eliminate_few(p, b, panel, update)
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


@njit(cache=True)
def eliminate_few(p: int, b: int, panel: FloatArray, update: FloatArray) -> int:
    """`eliminate` for few pivots, without LAPACK: four columns at a time."""
    size, k = p + b, 0
    while k < p:
        wide = 4 if p - k >= 4 else 1
        at = k * size + k
        if wide == 4:
            subtract_4(panel, k, k, panel, at, size, size, k, size - k)
        else:
            subtract_1(panel, k, k, panel, at, size, size, k, size - k)
        bad = _triangle(panel, at, size, wide)
        if bad >= 0:
            return k + bad
        if wide == 4:
            substitute_4(panel, at, at + 4, size, size - k - 4)
        else:
            for r in range(at + 1, at + size - k):
                panel[r] *= panel[at]
        for i in range(at, at + wide * (size + 1), size + 1):
            panel[i] = 1.0 / panel[i]
        k += wide
    for j in range(0, b - 3, 4):
        subtract_4(panel, p + j, p + j, update, j * b + j, size, b, p, b - j)
    for j in range(b - b % 4, b):
        subtract_1(panel, p + j, p + j, update, j * b + j, size, b, p, b - j)
    return -1


@inner
def _triangle(panel: FloatArray, at: int, size: int, wide: int) -> int:
    """Factor the square of up to four columns at `at`, with reciprocals on its diagonal; return -1
    or the first bad pivot.
    """
    for i in range(wide):
        column = at + i * size
        for j in range(i):
            factor = panel[at + j * size + i]
            for r in range(i, wide):
                panel[column + r] -= factor * panel[at + j * size + r]
        if not panel[column + i] > 0.0:
            return i
        inverse = 1.0 / np.sqrt(panel[column + i])
        panel[column + i] = inverse
        for r in range(i + 1, wide):
            panel[column + r] *= inverse
    return -1
