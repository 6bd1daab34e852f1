"""Dense kernels of the multifrontal factorisation on SciPy's BLAS and LAPACK, compiled by numba."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address

from meshconv._types import FloatArray, IntArray


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
