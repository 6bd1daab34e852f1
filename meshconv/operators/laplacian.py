"""Cotangent Laplacians and mass matrices of a triangle mesh."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import require_kind
from meshconv.errors import DegenerateError
from meshconv.mesh.surface import Surface
from meshconv.operators.cotangent import (
    assemble,
    corner_cotangents,
    half_cotangents,
    mollified,
    refuse_flat,
)

_THIN = 1e-7  # height over longest side below which a face counts as having no area


def cotangent_laplacian(surface: Surface) -> sparse.csr_array:
    """Return the cotangent Laplacian: positive semidefinite, symmetric, rows summing to zero.

    x' L x is the Dirichlet energy of the piecewise linear function with vertex values x, times two.
    It does not change when the surface is moved or scaled. Several components, borders and
    non-manifold edges are allowed; a vertex in no face has an empty row but for its zero diagonal.

    Parameters
    ----------
    surface : Surface
        V vertices; every face must have an area.

    Returns
    -------
    L : (V, V) scipy.sparse.csr_array of float64
        L_ij = -(cot a + cot b) / 2, with a and b the angles opposite edge ij; dimensionless;
        indices sorted.

    Raises
    ------
    DegenerateError
        If a face has no area; names the first such face.

    References
    ----------
    Pinkall, Polthier, 1993, Computing discrete minimal surfaces and their conjugates, eq. (7).
    doi:10.1080/10586458.1993.10504266

    Examples
    --------
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> cotangent_laplacian(square).toarray() + 0.0
    array([[ 1. , -0.5,  0. , -0.5],
           [-0.5,  1. , -0.5,  0. ],
           [ 0. , -0.5,  1. , -0.5],
           [-0.5,  0. , -0.5,  1. ]])
    """
    require_kind(surface, "surface", Surface)
    weights = corner_cotangents(surface.vertices, surface.faces)
    bad = np.isnan(weights[:, 0])
    if bad.any():
        refuse_flat(bad, surface.topology.repair_call)
    return assemble(surface.faces, weights, surface.n_vertices, -1.0)


def robust_laplacian(surface: Surface) -> sparse.csr_array:
    """Return the cotangent Laplacian (V, V); faces without area are opened a little, and only
    they.
    """
    try:
        laplacian = cotangent_laplacian(surface)
        if max(float(laplacian.data.max()), -float(laplacian.data.min())) < 1 / _THIN:
            return laplacian
    except DegenerateError:
        pass
    corners = surface.vertices[surface.faces]
    lengths = np.sqrt(((corners[:, [1, 2, 0]] - corners[:, [2, 0, 1]]) ** 2).sum(axis=2))
    thin = ~(2 * surface.face_areas > _THIN * lengths.max(axis=1) ** 2)
    lengths[thin] = mollified(lengths[thin])
    return assemble(surface.faces, half_cotangents(lengths), surface.n_vertices, -1.0)


def mass_matrix(surface: Surface, *, lumped: bool = True) -> sparse.dia_array | sparse.csr_array:
    """Return the mass matrix: integrals of products of piecewise linear functions.

    Parameters
    ----------
    surface : Surface
        V vertices.
    lumped : bool
        True: diagonal, a third of the area of the faces around each vertex. False: the exact
        integrals.

    Returns
    -------
    M : (V, V) scipy.sparse.dia_array (lumped) or csr_array, float64
        Squared units of length; all entries add up to the area of the surface.

    Examples
    --------
    >>> triangle = Surface([[0, 0, 0], [6, 0, 0], [0, 4, 0]], [[0, 1, 2]])
    >>> mass_matrix(triangle).diagonal()
    array([4., 4., 4.])
    >>> mass_matrix(triangle, lumped=False).toarray()
    array([[2., 1., 1.],
           [1., 2., 1.],
           [1., 1., 2.]])
    """
    require_kind(surface, "surface", Surface)
    if lumped:
        third = np.repeat(surface.face_areas / 3.0, 3)
        return sparse.diags_array(np.bincount(surface.faces.ravel(), third, surface.n_vertices))
    twelfth = np.repeat(surface.face_areas[:, None] / 12.0, 3, axis=1)
    return assemble(surface.faces, twelfth, surface.n_vertices, 1.0)
