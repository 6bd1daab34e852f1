"""Beltrami coefficients: how far from conformal a map is on each face, and in which direction."""

from __future__ import annotations

import numpy as np

from meshconv._check import ComplexArray, FloatArray, require_kind
from meshconv.errors import DegenerateError
from meshconv.maps.face_maps import affine_beltrami, sides
from meshconv.maps.parameterization import Parameterization


def beltrami_coefficient(parameterization: Parameterization) -> ComplexArray:
    """Return the Beltrami coefficient mu = f_zbar / f_z of the map f: surface -> domain, one per
    face.

    Zero means conformal; |mu| < 1 exactly where orientation is kept. Unchanged if either side is
    scaled or the image is rotated.

    Parameters
    ----------
    parameterization : Parameterization
        Surface with V vertices and F faces, in any domain.

    Returns
    -------
    mu : (F,) complex128
        Dimensionless. A face whose image is a point has mu = 1; a mirrored conformal face has mu =
        inf.

    Raises
    ------
    DegenerateError
        If a face of the surface has no area; names the first such face.

    Notes
    -----
    The argument of mu refers to a frame of each source face: its real axis is the projection of the
    x axis onto the face (of the y axis where the face looks along x), its normal is the face's own.
    For a flat surface (x, y, 0) that is the usual z = x + iy.

    References
    ----------
    Lam, Lui, 2014, SIAM J. Imaging Sci. 7(4), sec. 2. https://doi.org/10.1137/130943406

    Examples
    --------
    >>> from meshconv import Surface
    >>> xy = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> stretched = [[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]  # f = (3 z + conj z) / 2
    >>> surface = Surface([[x, y, 0.0] for x, y in xy], [[0, 1, 2]])
    >>> beltrami_coefficient(Parameterization(surface, stretched)).real.round(12).tolist()
    [0.333333333333]
    """
    require_kind(parameterization, "parameterization", Parameterization)
    surface = parameterization.surface
    vectors = sides(surface.vertices, surface.faces)
    flat = np.flatnonzero(~(surface.face_areas > 1e-15 * (vectors**2).sum(axis=(1, 2))))
    if len(flat):
        raise DegenerateError(
            f"face {flat[0]} has no area, so it has no Beltrami coefficient ({len(flat)} such "
            "faces)",
            indices=flat[:10].tolist(),
            count=len(flat),
            hint=f"{surface.topology.repair_call} removes them",
        )
    source = _in_frame(vectors, surface.face_normals)
    return affine_beltrami(source, parameterization.image_sides())


def _in_frame(vectors: FloatArray, normals: FloatArray) -> ComplexArray:
    """Coordinates of tangent vectors (F, 2, 3) in the frame described under
    `beltrami_coefficient`.
    """
    axis = np.where(np.abs(normals[:, :1]) < 0.99, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    e1 = axis - (axis * normals).sum(axis=1, keepdims=True) * normals
    e1 /= np.linalg.norm(e1, axis=1, keepdims=True)
    e2 = np.cross(normals, e1)
    return np.einsum("fkd,fd->fk", vectors, e1) + 1j * np.einsum("fkd,fd->fk", vectors, e2)
