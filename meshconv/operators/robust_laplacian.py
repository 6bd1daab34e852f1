"""Cotangent Laplacians that survive faces without area: they are opened a little, and only they."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._types import FloatArray, IntArray
from meshconv.errors import DegenerateError
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import assemble, cotangent_laplacian, half_cotangents

_THIN = 1e-7  # height over longest side below which a face counts as having no area
# excess of two sides over the third, over the longest, that a face without area is given
_OPENED = 1e-6


def robust_laplacian(surface: Surface) -> sparse.csr_array:
    """Return the cotangent Laplacian (V, V); faces without area are opened a little, and only
    they.
    """
    try:
        laplacian = cotangent_laplacian(surface)
        if float(np.abs(laplacian.data).max()) < 1 / _THIN:
            return laplacian
    except DegenerateError:
        pass
    corners = surface.vertices[surface.faces]
    lengths = np.sqrt(((corners[:, [1, 2, 0]] - corners[:, [2, 0, 1]]) ** 2).sum(axis=2))
    thin = ~(2 * surface.face_areas > _THIN * lengths.max(axis=1) ** 2)
    lengths[thin] = mollified(lengths[thin])
    return assemble(surface.faces, half_cotangents(lengths), surface.n_vertices, -1.0)


def laplacian_of_lengths(faces: IntArray, lengths: FloatArray, n: int) -> sparse.csr_array:
    """Return the cotangent Laplacian (n, n) from side lengths (F, 3), side k opposite corner k."""
    return assemble(faces, half_cotangents(mollified(lengths)), n, -1.0)


def mollified(lengths: FloatArray) -> FloatArray:
    """Return side lengths (F, 3) where every face keeps a height: sides grow by the same amount
    where needed.

    References
    ----------
    Sharp, Crane, 2020, Comput. Graph. Forum 39(5), sec. 4.5, here face by face.
    https://doi.org/10.1111/cgf.14069
    """
    longest = lengths.max(axis=1)
    slack = lengths.sum(axis=1) - 2 * longest
    wanted = _OPENED * longest
    grown = lengths + np.maximum(wanted - slack, 0.0)[:, None]
    return np.where((longest > 0)[:, None], grown, 1.0)
