"""Beltrami coefficients: how far from conformal a map is on each face, and in which direction."""

from __future__ import annotations

import numpy as np

from meshconv._check import ComplexArray, FloatArray, IntArray, require_kind
from meshconv.errors import DegenerateError
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
    sides = _sides(surface.vertices, surface.faces)
    flat = np.flatnonzero(~(surface.face_areas > 1e-15 * (sides**2).sum(axis=(1, 2))))
    if len(flat):
        raise DegenerateError(
            f"face {flat[0]} has no area, so it has no Beltrami coefficient ({len(flat)} such faces)",
            indices=flat[:10].tolist(),
            count=len(flat),
            hint="meshconv.repair removes faces without area",
        )
    source = _in_frame(sides, surface.face_normals)
    return affine_beltrami(source, image_sides(parameterization))


def beltrami_between(faces: IntArray, source: ComplexArray, target: ComplexArray) -> ComplexArray:
    """Return mu (F,) of the piecewise linear map that takes vertices from `source` (V,) to `target`
    (V,).
    """
    a, b, c = faces.T
    return affine_beltrami(
        np.column_stack([source[b] - source[a], source[c] - source[a]]),
        np.column_stack([target[b] - target[a], target[c] - target[a]]),
    )


def affine_beltrami(source: ComplexArray, target: ComplexArray) -> ComplexArray:
    """Return mu (F,) of the linear maps that take the side vectors `source` (F, 2) to `target` (F,
    2).
    """
    (z1, z2), (w1, w2) = source.T, target.T
    f_zbar = z1 * w2 - z2 * w1  # both up to the factor z1 conj(z2) - z2 conj(z1)
    f_z = w1 * np.conj(z2) - w2 * np.conj(z1)
    mu = np.where(f_zbar == 0, 1.0 + 0j, np.inf + 0j)
    return np.divide(f_zbar, f_z, out=mu, where=f_z != 0)


def image_sides(parameterization: Parameterization) -> ComplexArray:
    """Return the images of sides 01 and 02 of each face as complex numbers (F, 2), seen from
    outside.
    """
    faces = parameterization.surface.faces
    sides = _sides(parameterization.coordinates, faces)
    if parameterization.domain != "sphere":
        return sides[..., 0] + 1j * sides[..., 1]
    return (
        lay_out(sides)
        if not len(parameterization.flipped_faces())
        else _lay_out_signed(sides, parameterization)
    )


def lay_out(sides: FloatArray) -> ComplexArray:
    """Return side vectors (F, 2, 3) laid in the plane, the first along the real axis, (F, 2)."""
    first, second = sides[:, 0], sides[:, 1]
    base = np.linalg.norm(first, axis=1)
    height = np.linalg.norm(np.cross(first, second), axis=1)
    scale = np.where(base > 0, base, 1.0)
    return np.column_stack([base + 0j, ((first * second).sum(axis=1) + 1j * height) / scale])


def _lay_out_signed(sides: FloatArray, parameterization: Parameterization) -> ComplexArray:
    flat = lay_out(sides)
    return np.where((parameterization.face_areas < 0)[:, None], np.conj(flat), flat)


def _sides(points: FloatArray, faces: IntArray) -> FloatArray:
    """Sides 01 and 02 of each face, (F, 2, d)."""
    a, b, c = points[faces].swapaxes(0, 1)
    return np.stack([b - a, c - a], axis=1)


def _in_frame(sides: FloatArray, normals: FloatArray) -> ComplexArray:
    """Coordinates of tangent vectors (F, 2, 3) in the frame described under
    `beltrami_coefficient`.
    """
    axis = np.where(np.abs(normals[:, :1]) < 0.99, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    e1 = axis - (axis * normals).sum(axis=1, keepdims=True) * normals
    e1 /= np.linalg.norm(e1, axis=1, keepdims=True)
    e2 = np.cross(normals, e1)
    return np.einsum("fkd,fd->fk", sides, e1) + 1j * np.einsum("fkd,fd->fk", sides, e2)
