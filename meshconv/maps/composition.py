"""Composition and inverse of maps between flat domains, and what becomes of their Beltrami
coefficients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import ComplexArray, FloatArray, as_array, field_array, require_kind
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.maps.folds import refuse_folds
from meshconv.maps.locate import locate
from meshconv.maps.parameterization import Parameterization


def map_points(points: ArrayLike, source: Parameterization, target: Parameterization) -> FloatArray:
    """Return where points go under the piecewise linear map from one parameterization to another.

    Parameters
    ----------
    points : (K, 2) array_like
        In the plane of `source`; points outside it are moved to its border. (K, 3) on the sphere.
    source, target : Parameterization
        Of the same surface. Swap them for the inverse map.

    Returns
    -------
    image : (K, 2) or (K, 3) ndarray
        In the domain of `target`.

    Raises
    ------
    ArgumentError
        If the two are not of the same faces.
    FoldError
        If `source` is folded, so that a point has no single image.
    """
    require_kind(source, "source", Parameterization)
    require_kind(target, "target", Parameterization)
    if not np.array_equal(source.surface.faces, target.surface.faces):
        raise ArgumentError("source and target must be parameterizations of the same faces")
    refuse_folds(source.coordinates, source.surface.faces)
    array = as_array(points, "points")
    array = field_array(array, len(array) if array.ndim else 0, "points", per="point")
    if array.ndim != 2 or array.shape[1] != source.coordinates.shape[1]:
        raise ArrayTypeError(
            f"points must be (K, {source.coordinates.shape[1]}), found {array.shape}"
        )
    face, weight = locate(array, source.coordinates, source.surface.faces)
    image = (weight[:, :, None] * target.coordinates[target.surface.faces[face]]).sum(axis=1)
    if target.domain == "sphere":
        image /= np.linalg.norm(image, axis=1, keepdims=True)
    return np.asarray(image)


def compose(
    parameterization: Parameterization, source: Parameterization, target: Parameterization
) -> Parameterization:
    """Return `parameterization`, then the map that takes `source` to `target`.

    `source` and `target` may be of another surface than `parameterization`: only the plane is
    shared. Each vertex is mapped; a face that spans a bend of the second map may fold, which
    `flipped_faces()` tells.
    """
    require_kind(parameterization, "parameterization", Parameterization)
    return parameterization.with_coordinates(
        map_points(parameterization.coordinates, source, target), target.domain
    )


def composed_beltrami(
    inner: ComplexArray, derivative: ComplexArray, outer: ComplexArray
) -> ComplexArray:
    """Return the Beltrami coefficient of g after f, from mu_f, f_z and mu_g at f(z), elementwise.

    mu = (mu_f + t mu_g) / (1 + t conj(mu_f) mu_g), t = conj(f_z) / f_z. Gardiner & Lakic,
    Quasiconformal Teichmueller Theory (2000), sec. 1.
    """
    turn = np.conj(derivative) / derivative
    return np.asarray((inner + turn * outer) / (1.0 + turn * np.conj(inner) * outer))


def inverse_beltrami(mu: ComplexArray, derivative: ComplexArray) -> ComplexArray:
    """Return the Beltrami coefficient of the inverse of f at f(z), from mu_f and f_z,
    elementwise.
    """
    return np.asarray(-mu * derivative / np.conj(derivative))


def complex_derivative(source: Parameterization, target: Parameterization) -> ComplexArray:
    """Return f_z (F,) of the piecewise linear map from one parameterization of a surface to
    another.
    """
    a, b, c = source.surface.faces.T
    z, w = source.z, target.z
    z1, z2, w1, w2 = z[b] - z[a], z[c] - z[a], w[b] - w[a], w[c] - w[a]
    return np.asarray((w1 * np.conj(z2) - w2 * np.conj(z1)) / (z1 * np.conj(z2) - z2 * np.conj(z1)))
