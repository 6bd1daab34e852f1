"""Quasi-conformal maps of the plane by the linear Beltrami solver, with landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from meshconv._check import (
    ComplexArray,
    FloatArray,
    IntArray,
    as_array,
    field_array,
    one_of,
    require_kind,
)
from meshconv.errors import (
    ArgumentError,
    ArrayTypeError,
    FoldError,
    IndexOutOfRangeError,
    NonFiniteError,
)
from meshconv.maps.folds import refuse_folds
from meshconv.maps.open_folds import opened
from meshconv.maps.parameterization import Parameterization
from meshconv.operators.cotangent import assemble
from meshconv.operators.solve import FixedValueSolver


def quasiconformal_map(
    parameterization: Parameterization,
    mu: ArrayLike,
    *,
    landmarks: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    boundary: str | ArrayLike = "fixed",
    on_fold: str = "repair",
) -> Parameterization:
    """Return the map f of the plane whose Beltrami coefficient is mu, applied to a
    parameterization.

    Minimises the Dirichlet energies of both coordinates in the metric of mu: div(M grad u) =
    div(M grad v) = 0, M = [[a1, a2], [a2, a3]], with linear elements (linear Beltrami solver).

    Parameters
    ----------
    parameterization : Parameterization
        Start, V vertices, F faces, plane domain, no folded face. f acts on its coordinates.
    mu : (F,) complex array_like, or one complex number
        Beltrami coefficient wanted on each face of the *domain*, |mu| < 1; 0 = conformal.
    landmarks : (K,) int array_like, optional
        Vertices that must go to `targets` (K, 2), exactly.
    boundary : {'fixed', 'slide', 'free'} or (B, 2) array_like
        ``fixed``: every border vertex stays. ``slide`` (rectangle): along its side, corners stay at
        the ends; the height of the rectangle follows from mu. ``free``: decided by mu; needs two
        landmarks or more. An array: positions of the border vertices in the order of
        ``surface.boundary_loops``, joined.
    on_fold : {'repair', 'raise', 'keep'}
        Too much asked for at once folds faces. ``repair`` opens them near where they are, keeping
        border and landmarks, with an `AccuracyWarning`, or raises; ``keep`` leaves them, for
        `flipped_faces()`.

    Returns
    -------
    mapped : Parameterization
        The same surface at f(coordinates). Same domain for 'fixed', and for a border array on the
        circle; 'rectangle' for 'slide'; else 'plane'.

    Raises
    ------
    ArgumentError, ArrayTypeError, NonFiniteError, IndexOutOfRangeError
        If |mu| >= 1 somewhere, shapes disagree, or the conditions do not determine a map.
    FoldError
        If the start is folded, or the result is and could not be repaired.

    References
    ----------
    Lam & Lui, SIAM J. Imaging Sci. 7(4) (2014), sec. 3. https://doi.org/10.1137/130943406
    """
    require_kind(parameterization, "parameterization", Parameterization)
    p = parameterization
    _check_start(p, boundary)
    one_of(on_fold, ("repair", "raise", "keep"), "on_fold")
    mu = _coefficient(mu, p.surface.n_faces)
    marks, goals = _landmarks(landmarks, targets, p.surface.n_vertices)
    matrix = beltrami_stiffness(p, mu)
    if isinstance(boundary, str) and boundary == "slide":
        coordinates, fixed = _slide(p, matrix, marks, goals)
    elif isinstance(boundary, str) and boundary == "free":
        coordinates, fixed = _free(p, matrix, marks, goals), marks
    else:
        border, places = _border_values(p, boundary)
        keep = ~np.isin(border, marks)
        fixed = np.concatenate([border[keep], marks])
        values = np.concatenate([places[keep], goals])
        coordinates = FixedValueSolver(matrix, fixed, coordinates=p.coordinates).solve(values)
    return _unfolded(p, coordinates, fixed, _domain_of(p, boundary, coordinates), on_fold)


def beltrami_stiffness(parameterization: Parameterization, mu: ComplexArray) -> sparse.csr_array:
    """Return the stiffness matrix (V, V) of div(M grad) on the plane domain; the cotangent one for
    mu = 0.
    """
    faces, z = parameterization.surface.faces, parameterization.z
    sides = [z[faces[:, (k + 2) % 3]] - z[faces[:, (k + 1) % 3]] for k in range(3)]
    # grad u . grad v in the metric of mu: sides e bent to e + mu conj(e), over 1 - |mu|^2
    bent = [e + mu * np.conj(e) for e in sides]
    scale = 1.0 / (4.0 * parameterization.face_areas * (1.0 - np.abs(mu) ** 2))
    products = [(bent[k - 2] * np.conj(bent[k - 1])).real for k in range(3)]
    weights = -scale[:, None] * np.column_stack(products)
    return assemble(faces, weights, parameterization.surface.n_vertices, -1.0)


def _check_start(p: Parameterization, boundary: str | ArrayLike) -> None:
    if p.domain == "sphere":
        raise ArgumentError(
            "quasiconformal_map works in the plane; project the sphere stereographically first"
        )
    if isinstance(boundary, str):
        one_of(boundary, ("fixed", "slide", "free"), "boundary")
        if boundary == "slide" and p.domain != "rectangle":
            raise ArgumentError(
                f"boundary='slide' needs the domain 'rectangle', found {p.domain!r}"
            )
    refuse_folds(p.coordinates, p.surface.faces)


def _coefficient(mu: ArrayLike, n_faces: int) -> ComplexArray:
    try:
        array = np.asarray(mu, dtype=np.complex128)
    except (TypeError, ValueError) as error:
        raise ArrayTypeError(f"mu must hold complex numbers, one per face: {error}") from error
    if array.ndim == 0:
        array = np.full(n_faces, array)
    if array.shape != (n_faces,):
        raise ArrayTypeError(
            f"mu must have one complex value per face ({n_faces}), found shape {array.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise NonFiniteError(
            f"mu is {array[bad[0]]} at face {bad[0]}", indices=bad[:10].tolist(), count=len(bad)
        )
    big = np.flatnonzero(np.abs(array) >= 1.0 - 1e-9)
    if len(big):
        raise ArgumentError(
            f"|mu| is {abs(array[big[0]]):.6g} at face {big[0]}, must be below 1 "
            f"({len(big)} of {n_faces})",
            indices=big[:10].tolist(),
            count=len(big),
            hint="scale it down there, for example to 0.95",
        )
    return array


def _landmarks(
    landmarks: ArrayLike | None, targets: ArrayLike | None, n_vertices: int
) -> tuple[IntArray, FloatArray]:
    if (landmarks is None) != (targets is None):
        raise ArgumentError("landmarks and targets must be given together")
    if landmarks is None or targets is None:
        return np.empty(0, dtype=np.int64), np.empty((0, 2))
    raw = as_array(landmarks, "landmarks")
    if not raw.size and not as_array(targets, "targets").size:
        return np.empty(0, dtype=np.int64), np.empty((0, 2))
    if raw.ndim != 1 or raw.dtype.kind not in "iu":
        raise ArrayTypeError(f"landmarks must be (K,) integers, found {raw.dtype} {raw.shape}")
    marks = raw.astype(np.int64)
    bad = np.flatnonzero((marks < 0) | (marks >= n_vertices))
    if len(bad):
        raise IndexOutOfRangeError(
            f"landmark {bad[0]} is vertex {marks[bad[0]]}, allowed 0..{n_vertices - 1}"
        )
    if len(np.unique(marks)) < len(marks):
        raise ArgumentError("landmarks name a vertex twice")
    goals = field_array(targets, len(marks), "targets", per="landmark")
    if goals.ndim != 2 or goals.shape[1] != 2:
        raise ArrayTypeError(f"targets must be (K, 2), found {goals.shape}")
    return marks, goals


def _border_values(p: Parameterization, boundary: str | ArrayLike) -> tuple[IntArray, FloatArray]:
    border = np.concatenate([np.empty(0, dtype=np.int64), *p.surface.boundary_loops])
    if isinstance(boundary, str):
        return border, p.coordinates[border]
    places = field_array(boundary, len(border), "boundary", per="border vertex")
    if places.ndim != 2 or places.shape[1] != 2:
        raise ArrayTypeError(f"boundary must be (B, 2), found {places.shape}")
    return border, places


def _slide(
    p: Parameterization, matrix: sparse.csr_array, marks: IntArray, goals: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Solve u between left and right, v between bottom and top, each free along the other two
    sides.
    """
    border = p.surface.boundary_loops[0]
    height = p.coordinates[border, 1].max()
    out = np.empty_like(p.coordinates)
    for axis, top in ((0, 1.0), (1, height)):
        place = p.coordinates[border, axis]
        ends = border[(np.abs(place) < 1e-6) | (np.abs(place - top) < 1e-6)]
        ends = ends[~np.isin(ends, marks)]
        values = np.concatenate(
            [np.where(p.coordinates[ends, axis] > 0.5 * top, top, 0.0), goals[:, axis]]
        )
        solver = FixedValueSolver(matrix, np.concatenate([ends, marks]), coordinates=p.coordinates)
        out[:, axis] = solver.solve(values)
    if not len(marks):  # conjugate functions have the same energy, which gives the height
        u, v = out.T
        out[:, 1] *= np.sqrt((u @ (matrix @ u)) / (v @ (matrix @ v)))
    return out, np.unique(np.concatenate([border, marks]))


def _free(
    p: Parameterization, matrix: sparse.csr_array, marks: IntArray, goals: FloatArray
) -> FloatArray:
    """Minimise both energies less twice the signed area: zero exactly where the coefficient is
    mu.
    """
    if len(marks) < 2:
        raise ArgumentError(f"boundary='free' needs at least 2 landmarks, found {len(marks)}")
    if len(np.unique(goals, axis=0)) < 2:
        raise ArgumentError(
            "boundary='free' needs two different targets: all landmarks go to one point"
        )
    n = p.surface.n_vertices
    ends = np.concatenate(
        [np.column_stack([loop, np.roll(loop, -1)]) for loop in p.surface.boundary_loops]
    )
    (a, b), half = ends.T, np.full(len(ends), 0.5)
    swap = sparse.coo_array((np.r_[half, -half], (np.r_[a, b], np.r_[b, a])), shape=(n, n)).tocsr()
    both = sparse.block_array([[matrix, -swap], [swap, matrix]], format="csr")
    where = np.tile(p.coordinates, (2, 1))
    solver = FixedValueSolver(both, np.concatenate([marks, marks + n]), coordinates=where)
    return solver.solve(goals.T.ravel()).reshape(2, n).T.copy()


def _domain_of(p: Parameterization, boundary: str | ArrayLike, coordinates: FloatArray) -> str:
    if isinstance(boundary, str):
        return {"fixed": p.domain, "slide": "rectangle", "free": "plane"}[boundary]
    border = np.concatenate(p.surface.boundary_loops)
    round_border = np.abs(np.linalg.norm(coordinates[border], axis=1) - 1.0).max() < 1e-9
    return "disk" if p.domain == "disk" and round_border else "plane"


def _unfolded(
    p: Parameterization, coordinates: FloatArray, fixed: IntArray, domain: str, on_fold: str
) -> Parameterization:
    mapped = p.with_coordinates(coordinates, "plane")
    count = len(mapped.flipped_faces())
    if count and on_fold == "repair":
        mapped = opened(p, mapped, fixed, count)
    elif count and on_fold == "raise":
        raise FoldError(
            f"{count} faces fold", indices=mapped.flipped_faces()[:10].tolist(), count=count
        )
    return (
        mapped
        if count and on_fold == "keep"
        else mapped.with_coordinates(mapped.coordinates, domain)
    )
