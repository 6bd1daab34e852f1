"""Gradient of a function on the vertices, and divergence of a vector field on the faces."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import require_kind
from meshconv._types import FloatArray
from meshconv.mesh.surface import Surface
from meshconv.operators.cotangent import refuse_flat

_NO_AREA = 8.0 * float(
    np.finfo(np.float64).eps
)  # twice an area that is rounding, in squared longest sides


def gradient(surface: Surface) -> sparse.csr_array:
    """Return the matrix of the surface gradient of piecewise linear functions.

    ``(gradient(surface) @ u).reshape(-1, 3)`` is one tangent vector a face, in the surface's
    coordinates, pointing where u increases. Exact for functions linear in space, up to their normal
    part.

    Parameters
    ----------
    surface : Surface
        V vertices, F faces; every face must have an area.

    Returns
    -------
    G : (3F, V) scipy.sparse.csr_array of float64
        Rows 3f, 3f+1, 3f+2 give x, y, z on face f; per unit of length. With A =
        ``repeat(face_areas, 3)`` the cotangent Laplacian is G' diag(A) G.

    Raises
    ------
    DegenerateError
        If a face has no area; names the first such face.

    References
    ----------
    Botsch, Kobbelt, Pauly, Alliez, Levy, 2010, Polygon Mesh Processing, eq. (3.9).
    doi:10.1201/b10688

    Examples
    --------
    >>> square = Surface([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    >>> height = 2.0 * square.vertices[:, 1]
    >>> (gradient(square) @ height).reshape(-1, 3).tolist()
    [[0.0, 2.0, 0.0], [0.0, 2.0, 0.0]]
    """
    require_kind(surface, "surface", Surface)
    n = surface.n_faces
    columns = np.repeat(surface.faces, 3, axis=0)
    values = _hat_gradients(surface).transpose(0, 2, 1)
    indptr = np.arange(0, 9 * n + 1, 3)
    return sparse.csr_array(
        (values.ravel(), columns.ravel(), indptr), shape=(3 * n, surface.n_vertices)
    )


def divergence(surface: Surface) -> sparse.csr_array:
    """Return the matrix of the integrated divergence of a vector field that is constant on each
    face.

    The adjoint of the gradient: ``divergence(surface) @ gradient(surface)`` is minus the cotangent
    Laplacian. Divide by the lumped mass for values per unit of area. No flux leaves through the
    border.

    Parameters
    ----------
    surface : Surface
        V vertices, F faces; every face must have an area.

    Returns
    -------
    D : (V, 3F) scipy.sparse.csr_array of float64
        -G' diag(A), A = ``repeat(face_areas, 3)``; columns as the rows of `gradient`; in units of
        length.
    """
    require_kind(surface, "surface", Surface)
    areas = np.repeat(surface.face_areas, 3)
    return sparse.csr_array(-(gradient(surface).T @ sparse.diags_array(areas)))


def _hat_gradients(surface: Surface) -> FloatArray:
    """Gradient on each face of the function that is 1 at one corner and 0 at the others, (F,
    corner, xyz).
    """
    corners = surface.vertices[surface.faces]
    side = (
        corners[:, [2, 0, 1]] - corners[:, [1, 2, 0]]
    )  # side k is opposite corner k, counter-clockwise
    size = np.abs(side).max(axis=(1, 2))
    scale = np.where(size > 0, size, 1.0)[:, None, None]  # squares neither overflow nor vanish
    side = side / scale
    normal = np.cross(side[:, 0], side[:, 1])
    twice_area = np.linalg.norm(normal, axis=1)
    bad = ~(twice_area > _NO_AREA)
    if bad.any():
        refuse_flat(bad, surface.topology.repair_call, "it has no gradient")
    return np.asarray(np.cross((normal / twice_area[:, None] ** 2)[:, None], side) / scale)
