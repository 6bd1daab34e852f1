"""Sparse symmetric solves: factor once, answer many; a residual or an error, never NaN.

Backends, measured on the cotangent Laplacian of 200,000 noisy vertices (CPU time, one thread; the
benchmark prints them): our multifrontal Cholesky is the fastest of those that a default
installation can have, and SuperLU, which is always there, takes over where a factorisation by
position in space would not pay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import linalg as sla

from meshconv._check import as_array, one_of
from meshconv._types import BoolArray, FloatArray
from meshconv.errors import ArrayTypeError, NonFiniteError, SolverError
from meshconv.operators.cholesky import factor as cholesky
from meshconv.operators.square import beside_free, held_unknowns, mirrors, positions, square

BACKENDS = ("auto", "superlu")
_REFINE = 1e-12  # residuals above this are worth a step of iterative refinement,
# unless they are rounding: this small beside the solution, and at most this large
_ROUNDING = (1e-15, 1e-10)
_FAILED = 1e-6  # residuals above this are no answer
_BLOCK = 1 << 13  # rows that the processor keeps at hand
_SUSPECT = 1e-9  # pivots below this, relative to the diagonal, make a factorisation prove itself


class SPDSolver:
    """Solve A x = b for one symmetric positive definite A and many b.

    Parameters
    ----------
    matrix : (n, n) sparse array or array_like
        Symmetric positive definite, finite, both halves of it. Only the residual looks at all
        values; where entries are is looked at first.
    coordinates : (n, d) array_like, optional
        Where each unknown lies in space; makes a better elimination order. Any d >= 1.
    backend : {'auto', 'superlu'}
        ``auto``: multifrontal, unless its predicted factor is too large for memory (then SuperLU).

    Attributes
    ----------
    backend : str
        The factorisation in use.
    residual : float
        Largest ||D (A x - b)|| / ||D b|| over the columns of the last `solve`, with D =
        diag(A)^(-1/2), so that the figure does not depend on the units of the unknowns. 0 before
        the first.

    Raises
    ------
    ArrayTypeError, NonFiniteError
        If the matrix is not square, or has an entry that is not finite.
    SolverError
        If it is not positive definite (names the unknown), singular to working precision, or has an
        entry in one half alone.

    Examples
    --------
    >>> solver = SPDSolver([[2.0, -1.0], [-1.0, 2.0]])
    >>> solver.solve([1.0, 1.0])
    array([1., 1.])
    """

    def __init__(
        self, matrix: Any, *, coordinates: ArrayLike | None = None, backend: str = "auto"
    ) -> None:
        self._begin(matrix, coordinates, one_of(backend, BACKENDS, "backend"), None)

    def _begin(
        self, matrix: Any, coordinates: ArrayLike | None, backend: str, held: BoolArray | None
    ) -> None:
        self._wanted, self._held = backend, held
        self.backend = backend
        self.residual = 0.0
        self._pattern: tuple[Any, Any] | None = None
        self._cholesky: cholesky.Cholesky | None = None
        self._points = None if coordinates is None else positions(coordinates)
        self.refactor(matrix)

    def refactor(self, matrix: Any) -> None:
        """Factor another matrix of this size; the same pattern keeps the elimination order."""
        A = square(matrix)
        if self._points is not None:
            positions(self._points, A.shape[0])
        diagonal = A.diagonal()
        if self._held is not None:
            diagonal[self._held] = np.inf  # a scale of 0: they stay where they are
        bad = np.flatnonzero(~(diagonal > 0.0))
        if len(bad):
            raise _indefinite(int(bad[0]), f"its diagonal entry is {diagonal[bad[0]]:.3g}")
        self._matrix, self._scale = A, 1.0 / np.sqrt(diagonal)
        self._analyse(A)
        self._factor(A)
        self.residual = 0.0

    def settle(self) -> None:
        """Forget what only another factorisation needs: the elimination order is kept no longer."""
        self._points = self._pattern = None
        if self._cholesky is not None:
            self._cholesky.settle()

    def solve(self, rhs: ArrayLike) -> FloatArray:
        """Return x (n,) or (n, k) with A x = rhs; raise SolverError if the residual is not
        small.
        """
        b = _right_hand_side(rhs, self._matrix.shape[0])
        columns = b if b.ndim == 2 else b[:, None]
        x = self._apply(columns)
        remainder = self._matrix @ x
        np.subtract(columns, remainder, out=remainder)
        self.residual = self._relative(remainder, columns)
        if not (self.residual < _REFINE or self._is_rounding(x, columns)):
            better = x + self._apply(remainder)
            residual = self._relative(columns - self._matrix @ better, columns)
            if residual < self.residual or np.isnan(self.residual):
                x, self.residual = better, residual
        if not self.residual < _FAILED:
            raise SolverError(
                f"relative residual {self.residual:.1e}: the matrix is not symmetric or "
                "numerically singular",
                hint="fix at least one value per component, or add a multiple of the mass matrix",
            )
        return x.reshape(b.shape)

    def _analyse(self, A: Any) -> None:
        if self._pattern is not None and all(
            map(np.array_equal, self._pattern, (A.indptr, A.indices))
        ):
            return
        if not mirrors(A):
            raise SolverError(
                "the matrix is not symmetric: an entry has no partner across the diagonal",
                hint="pass both halves of the matrix",
            )
        self._pattern = (A.indptr, A.indices)
        self._cholesky = None
        self.backend = "superlu"
        if self._wanted != "superlu":
            fronts = cholesky.analyse(A.indptr, A.indices, self._points, self._held)
            if fronts is not None:
                self._cholesky = cholesky.Cholesky(fronts)
                self.backend = "multifrontal"

    def _factor(self, A: Any) -> None:
        suspect = True
        if self._cholesky is not None:
            unknown = self._cholesky.factor(A.data, self._scale)
            if unknown >= 0:
                raise _indefinite(unknown, "its pivot is not positive")
            suspect = self._cholesky.smallest_pivot < _SUSPECT
        else:
            D = sparse.diags_array(self._scale)
            one = sparse.diags_array((self._scale == 0.0).astype(float))
            options = {"SymmetricMode": True}
            try:
                self._superlu = sla.splu(
                    sparse.csc_array(D @ A @ D + one),
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.0,
                    options=options,
                )
            except RuntimeError as error:
                raise SolverError(f"the matrix is singular: SuperLU says {str(error)!r}") from error
        if suspect:  # a right-hand side that no singular matrix can answer
            some = np.random.default_rng(0).standard_normal(A.shape[0])
            self.solve(some * _inverse(self._scale))

    def _apply(self, b: FloatArray) -> FloatArray:
        if self._cholesky is not None:
            return self._cholesky.solve(b)
        scale = self._scale[:, None]
        out = np.empty(b.shape)
        for k in range(0, b.shape[1], 4):  # SuperLU is pathologically slow on many columns at once
            out[:, k : k + 4] = scale * self._superlu.solve(scale * b[:, k : k + 4])
        return out

    def _is_rounding(self, x: FloatArray, b: FloatArray) -> bool:
        """Whether the residual is what rounding of the solution leaves, which refinement cannot
        lower.
        """
        solution, size = _norms(x, _inverse(self._scale)), _norms(b, self._scale)
        floor = _ROUNDING[0] * np.min(solution[size > 0] / size[size > 0], initial=np.inf)
        return bool(self.residual < min(floor, _ROUNDING[1]))

    def _relative(self, remainder: FloatArray, b: FloatArray) -> float:
        error, size = _norms(remainder, self._scale), _norms(b, self._scale)
        return float(np.max(error[size > 0] / size[size > 0], initial=0.0))


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

    Attributes
    ----------
    fixed, free : (K,), (n - K,) int64
        The two kinds of unknowns.

    Raises
    ------
    ArgumentError
        If `fixed` repeats an index or names one that does not exist.
    SolverError
        If what is left is singular, for example for a component without a fixed value.

    Examples
    --------
    >>> path = sparse.csr_array([[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]])
    >>> FixedValueSolver(path, [0, 2]).solve([0.0, 4.0])
    array([0., 2., 4.])
    """

    def __init__(
        self, matrix: Any, fixed: ArrayLike, *, coordinates: ArrayLike | None = None
    ) -> None:
        A = square(matrix)
        self._n = A.shape[0]
        self.fixed, held = held_unknowns(fixed, self._n)
        self.free, self._part = np.flatnonzero(~held), beside_free(A, held)
        if not isinstance(self._part, slice):
            A, held = square(A[self._part][:, self._part]), held[self._part]
        self._matrix, self._held = A, held
        self._solver = None if held.all() else SPDSolver.__new__(SPDSolver)
        if self._solver is not None:
            where = None if coordinates is None else positions(coordinates, self._n)[self._part]
            self._solver._begin(A, where, "auto", held)
            self._solver.settle()

    @property
    def residual(self) -> float:
        """Relative residual of the last solve; see `SPDSolver.residual`."""
        return 0.0 if self._solver is None else self._solver.residual

    def solve(self, values: ArrayLike, rhs: ArrayLike | None = None) -> FloatArray:
        """Return x (n,) or (n, k): x[fixed] = values (K,) or (K, k), (L x - rhs)[free] = 0."""
        given = _right_hand_side(values, len(self.fixed), "values")
        x = np.zeros((self._n, *given.shape[1:]))
        x[self.fixed] = given
        if self._solver is not None:
            here = x[self._part]
            b = self._matrix @ -here if given.any() else np.zeros_like(here)
            if rhs is not None:
                b += _right_hand_side(rhs, self._n)[self._part]
            found = self._solver.solve(b)
            found[self._held] = here[self._held]
            x[self._part] = found
        return x


def _right_hand_side(rhs: ArrayLike, n: int, name: str = "rhs") -> FloatArray:
    b = as_array(rhs, name).astype(np.float64, copy=False)
    if b.ndim not in (1, 2) or len(b) != n:
        raise ArrayTypeError(f"{name} must be ({n},) or ({n}, k), found {b.shape}")
    if not np.isfinite(b).all():
        row = int(np.argwhere(~np.isfinite(b))[0, 0])
        raise NonFiniteError(f"{name} is not finite in row {row}", indices=[row])
    return b


def _inverse(scale: FloatArray) -> FloatArray:
    """Return 1 / scale (n,), and 0 for 0."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)


def _norms(columns: FloatArray, scale: FloatArray) -> FloatArray:
    """Return the length (k,) of each column (n, k), its entries times `scale` (n,); by blocks, so
    that no product is written to memory.
    """
    squares = np.zeros(columns.shape[1])
    for k in range(0, len(columns), _BLOCK):
        part = columns[k : k + _BLOCK] * scale[k : k + _BLOCK, None]
        squares += np.einsum("ij,ij->j", part, part)
    return np.sqrt(squares)


def _indefinite(unknown: int, why: str) -> SolverError:
    return SolverError(
        f"the matrix is not positive definite at unknown {unknown}: {why}",
        indices=[unknown],
        hint=(
            "a component without a fixed value, a vertex in no face, or negative weights of "
            "obtuse faces?"
        ),
    )
