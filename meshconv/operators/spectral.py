"""Eigenfunctions of the Laplacian, and the heat kernel signature."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse import linalg as sla

from meshconv._check import as_array, require_kind
from meshconv._types import FloatArray
from meshconv.errors import ArgumentError, SolverError
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic_triangulation import delaunay_triangulation, unit_length
from meshconv.operators.solve import SPDSolver


def laplacian_eigenpairs(surface: Surface, n_eigen: int = 64) -> tuple[FloatArray, FloatArray]:
    """Return the smallest eigenvalues and eigenfunctions of the Laplacian: L f = lambda M f.

    Cotangent Laplacian and lumped mass of the intrinsic Delaunay triangulation; free (Neumann)
    borders.

    Parameters
    ----------
    surface : Surface
        V vertices.
    n_eigen : int
        How many, below the number of vertices that are in a face.

    Returns
    -------
    eigenvalues : (n_eigen,) float64
        Ascending, per squared unit of length; zero once for each component.
    eigenfunctions : (V, n_eigen) float64
        Orthonormal in the mass; the largest entry of each is positive; zero at vertices in no face.

    Raises
    ------
    SolverError
        If the iteration does not converge.

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> values, _ = laplacian_eigenpairs(icosphere(4), 4)
    >>> np.round(values + 0.0, 2).tolist()
    [0.0, 2.0, 2.0, 2.0]
    """
    require_kind(surface, "surface", Surface)
    used = np.unique(surface.faces)
    if int(n_eigen) != n_eigen or not 1 <= n_eigen < len(used):
        raise ArgumentError(f"n_eigen must be an integer in 1..{len(used) - 1}, found {n_eigen!r}")
    scale = unit_length(surface.vertices)
    points = surface.vertices / scale
    triangles = delaunay_triangulation(points, surface.faces)
    L = sparse.csc_array(triangles.cotangent_laplacian()[used][:, used])
    weight = triangles.mass_matrix().diagonal()[used]
    total = weight.sum()  # eigenvalues are found for unit area
    values, functions = _shift_invert(L, weight / total, int(n_eigen), points[used])
    functions *= np.sign(functions[np.abs(functions).argmax(axis=0), np.arange(n_eigen)])
    out = np.zeros((surface.n_vertices, int(n_eigen)))
    out[used] = functions / np.sqrt(total) / scale
    return np.maximum(values, 0.0) / total / scale / scale, out


def heat_kernel_signature(
    surface: Surface, times: ArrayLike | None = None, *, n_eigen: int = 64
) -> FloatArray:
    """Return the heat kernel signature: the heat left at each vertex, of a unit put there, after
    each time.

    The same under every motion and bending that keeps lengths. Small times see local curvature,
    large times the whole shape.

    Parameters
    ----------
    surface : Surface
        V vertices.
    times : (T,) array_like, optional
        Positive, in squared units of length. If not given: 16, evenly spaced in logarithm from
        4 ln(10) / lambda_max to 4 ln(10) / lambda_1, the range that `n_eigen` eigenvalues resolve.
    n_eigen : int
        Number of eigenfunctions summed, capped at one below the number of vertices; times below
        1 / lambda_max would need more.

    Returns
    -------
    signature : (V, T) float64
        Sum over k of exp(-lambda_k t) f_k(v)^2; per squared unit of length; decreasing in time.

    References
    ----------
    Sun, Ovsjanikov, Guibas, 2009, A concise and provably informative multi-scale signature based on
    heat diffusion, eq. (3). doi:10.1111/j.1467-8659.2009.01515.x
    """
    require_kind(surface, "surface", Surface)
    available = len(np.unique(surface.faces)) - 1
    values, functions = laplacian_eigenpairs(surface, min(n_eigen, available))
    if times is None:
        positive = values[values > 1e-8 * values[-1]]
        t = 4 * np.log(10) / np.geomspace(positive[-1], positive[0], 16)
    else:
        t = np.atleast_1d(as_array(times, "times")).astype(np.float64)
        if t.ndim != 1 or not (np.isfinite(t) & (t > 0)).all():
            raise ArgumentError("times must be positive and finite, one or a list")
    return np.asarray(functions**2 @ np.exp(-np.outer(values, t)))


def _shift_invert(
    L: sparse.csc_array, weight: FloatArray, n_eigen: int, points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Lanczos on (L + s M)^-1 M, the shift s just below the spectrum."""
    n, shift = len(weight), 1e-2
    M = sparse.csc_array(sparse.diags_array(weight))
    if n_eigen > n // 3 or n < 64:
        return _dense(L, weight, n_eigen)
    inverse = SPDSolver(L + shift * M, coordinates=points)
    operator = sla.LinearOperator((n, n), matvec=inverse.solve, dtype=np.float64)
    try:
        values, functions = sla.eigsh(
            L, n_eigen, M, sigma=-shift, OPinv=operator, v0=np.cos(np.arange(n) * 1.7) + 1.1
        )
    except sla.ArpackNoConvergence as error:
        found = len(error.eigenvalues)
        raise SolverError(
            f"{found} of {n_eigen} eigenvalues converged", hint="ask for fewer"
        ) from error
    order = np.argsort(values)
    return values[order], functions[:, order]


def _dense(L: sparse.csc_array, weight: FloatArray, n_eigen: int) -> tuple[FloatArray, FloatArray]:
    root = 1 / np.sqrt(weight)
    values, vectors = np.linalg.eigh(root[:, None] * L.toarray() * root)
    return values[:n_eigen], root[:, None] * vectors[:, :n_eigen]
