"""Conformal maps with a free border: LSCM with two pins, and its spectral form without any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from meshconv._check import ComplexArray, FloatArray, IntArray
from meshconv.errors import FoldError, SolverError
from meshconv.maps.conformal.without_folds import as_complex, as_plane, unfolded
from meshconv.maps.moebius import upright
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver, SPDSolver

_SHIFT = 1e-9  # keeps the spectral matrix definite; far below the second eigenvalue of any border
_BASIS = 6  # directions that Lanczos' method keeps; more are solves for nothing
_SETTLED = 1e-9


def free_coordinates(surface: Surface, method: str) -> FloatArray:
    """Return the free-border conformal map (V, 2): centred, upright, with the area of the
    surface.
    """
    laplacian = robust_laplacian(surface)
    solve = _pinned if method == "lscm" else _spectral

    def flatten(weights: sparse.csr_array) -> FloatArray:
        return solve(surface, _conformal_energy(weights, surface.boundary_loops))

    try:
        uv = unfolded(flatten(laplacian), surface.faces, laplacian, flatten)
    except FoldError as error:
        raise FoldError(
            f"the free border lets {error.count} faces fold",
            indices=error.indices,
            count=error.count,
            hint="use domain='disk', whose border cannot fold",
        ) from error
    return _canonical(uv, surface)


def _conformal_energy(laplacian: sparse.csr_array, loops: tuple[IntArray, ...]) -> sparse.csr_array:
    """Return the matrix (2V, 2V) of Dirichlet energy less image area, unknowns x0 y0 x1 y1 ...

    Levy et al., 2002, in the form of Mullen et al., 2008, eq. (3): twice the area is the sum over
    border edges i -> j of x_i y_j - x_j y_i.
    """
    i = np.concatenate(loops)
    j = np.concatenate([np.roll(loop, -1) for loop in loops])
    half = np.full(len(i), 0.5)
    rows = np.concatenate([2 * i, 2 * j + 1, 2 * j, 2 * i + 1])
    columns = np.concatenate([2 * j + 1, 2 * i, 2 * i + 1, 2 * j])
    n = 2 * laplacian.shape[0]
    area = sparse.coo_array(
        (np.concatenate([half, half, -half, -half]), (rows, columns)), shape=(n, n)
    )
    return (sparse.kron(laplacian, sparse.eye_array(2), format="csr") - area).tocsr()


def _pinned(surface: Surface, energy: sparse.csr_array) -> FloatArray:
    """Two border vertices, far apart, held at their distance."""
    border = surface.boundary_loops[0]
    first = border[0]
    far = [np.linalg.norm(surface.vertices[border] - surface.vertices[first], axis=1).argmax()]
    second = border[far[0]]
    third = border[
        np.linalg.norm(surface.vertices[border] - surface.vertices[second], axis=1).argmax()
    ]
    pins = np.array([2 * second, 2 * second + 1, 2 * third, 2 * third + 1])
    solver = FixedValueSolver(energy, pins, coordinates=np.repeat(surface.vertices, 2, axis=0))
    return solver.solve(np.array([0.0, 0.0, 1.0, 0.0])).reshape(-1, 2)


def _spectral(surface: Surface, energy: sparse.csr_array) -> FloatArray:
    """The lowest eigenvector of the energy against the border's mass, constants removed, by
    Lanczos' method.

    The inverse of the energy is applied to the border's mass; each step costs one solve. The
    eigenspaces are complex, because a rotation is no change.

    Mullen, Tong, Alliez, Desbrun, 2008, Comput. Graph. Forum 27(5), eq. (7).
    """
    border = np.concatenate(surface.boundary_loops)
    tiny = _SHIFT * energy.diagonal().mean()
    solver = SPDSolver(
        (energy + sparse.diags_array(np.full(energy.shape[0], tiny))).tocsr(),
        coordinates=np.repeat(surface.vertices, 2, axis=0),
    )
    force = np.zeros(surface.n_vertices, dtype=np.complex128)

    def answer(z: ComplexArray) -> ComplexArray:
        force[border] = z / len(border)
        return as_complex(solver.solve(as_plane(force).ravel()).reshape(-1, 2))

    return as_plane(
        answer(_dominant(lambda z: answer(z)[border], as_complex(_start(surface, border))[border]))
    )


def _dominant(apply: Callable[[ComplexArray], ComplexArray], z: ComplexArray) -> ComplexArray:
    """The eigenvector (B,), mean 0, of the largest eigenvalue of a self-adjoint positive operator,
    from a start.
    """

    def centred(x: ComplexArray) -> ComplexArray:
        return x - x.mean()

    size = len(z)
    operator = LinearOperator(
        (size, size), matvec=lambda x: centred(apply(centred(x.ravel()))), dtype=np.complex128
    )
    try:
        _, vectors = eigsh(
            operator, k=1, which="LA", v0=centred(z), ncv=min(_BASIS, size), tol=_SETTLED
        )
    except ArpackError as error:
        raise SolverError(f"the spectral map did not settle ({error})") from error
    return np.asarray(vectors[:, 0])


def _start(surface: Surface, border: IntArray) -> FloatArray:
    """The surface seen along its mean normal."""
    normal = surface.face_area_vectors.sum(axis=0)
    if np.linalg.norm(normal) < 1e-6 * surface.area:
        normal = np.array([0.0, 0.0, 1.0])
    frame = np.linalg.svd(normal[None])[2]
    frame = frame if np.linalg.det(frame) * (frame[0] @ normal) > 0 else frame[[0, 2, 1]]
    return np.ascontiguousarray(surface.vertices @ frame[1:].T)


def _canonical(uv: FloatArray, surface: Surface) -> FloatArray:
    areas = thirds_of_area(surface.vertices, surface.faces)
    z = as_complex(uv)
    z = z - np.average(z, weights=areas)
    a, b, c = z[surface.faces].T
    image = 0.5 * float(np.imag(np.conj(b - a) * (c - a)).sum())
    return as_plane(z * upright(z, surface.vertices, areas) * np.sqrt(surface.area / image))
