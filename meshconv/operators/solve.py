"""Sparse symmetric solves: factor once, answer many; a residual or an error, never NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sla

from meshconv._check import FloatArray, IntArray
from meshconv.errors import SolverError


class SPDSolver:
    """Solve A x = b for one symmetric positive definite A and many b.

    Parameters
    ----------
    matrix : (n, n) sparse array
        Symmetric positive definite; only finite values.
    coordinates : (n, d) array_like, optional
        Where each unknown lies in space; makes a better elimination order. Any d >= 1.

    Attributes
    ----------
    backend : str
        The factorisation in use.
    residual : float
        Largest ||A x - b|| / ||b|| of the last `solve`.
    """

    def __init__(self, matrix: Any, *, coordinates: FloatArray | None = None) -> None:
        self.backend = "superlu"
        self.residual = 0.0
        self._coordinates = coordinates
        self.refactor(matrix)

    def refactor(self, matrix: Any) -> None:
        """Factor a matrix with the same sparsity pattern as the first one, keeping the elimination order."""
        self._matrix = sparse.csc_array(matrix)
        self._factor = sla.splu(
            self._matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def solve(self, rhs: FloatArray) -> FloatArray:
        """Return x (n,) or (n, k) with A x = rhs; raise SolverError if the residual is not small."""
        b = np.ascontiguousarray(rhs, dtype=np.float64)
        x = self._factor.solve(b)
        error = np.linalg.norm(self._matrix @ x - b, axis=0)
        self.residual = float(np.max(error / np.maximum(np.linalg.norm(b, axis=0), 1e-300), initial=0.0))
        if not self.residual < 1e-6:
            raise SolverError(f"relative residual {self.residual:.1e}: the matrix is singular or badly scaled")
        return x


class FixedValueSolver:
    """Minimise x'Lx/2 - b'x with some entries of x fixed; one factorisation, many values.

    Parameters
    ----------
    matrix : (n, n) sparse array
        Symmetric positive semidefinite, for example a cotangent Laplacian.
    fixed : (K,) int array_like
        Indices of the unknowns whose values are given; no repeats, at least one per component.
    coordinates : (n, d) array_like, optional
        Positions of the unknowns, for a better elimination order.
    """

    def __init__(self, matrix: Any, fixed: IntArray, *, coordinates: FloatArray | None = None) -> None:
        matrix = sparse.csr_array(matrix)
        self.fixed = np.asarray(fixed, dtype=np.int64)
        mask = np.ones(matrix.shape[0], dtype=bool)
        mask[self.fixed] = False
        self.free = np.flatnonzero(mask)
        rows = matrix[self.free]
        self._coupling = rows[:, self.fixed]
        where = None if coordinates is None else coordinates[self.free]
        self._solver = SPDSolver(rows[:, self.free], coordinates=where) if len(self.free) else None

    @property
    def residual(self) -> float:
        """Relative residual of the last solve."""
        return 0.0 if self._solver is None else self._solver.residual

    def solve(self, values: FloatArray, rhs: FloatArray | None = None) -> FloatArray:
        """Return x (n,) or (n, k) with x[fixed] = values (K,) or (K, k) and (L x - rhs)[free] = 0."""
        values = np.asarray(values, dtype=np.float64)
        x = np.empty((len(self.free) + len(self.fixed), *values.shape[1:]))
        x[self.fixed] = values
        if self._solver is not None:
            b = -(self._coupling @ values)
            x[self.free] = self._solver.solve(b if rhs is None else b + np.asarray(rhs)[self.free])
        return x
