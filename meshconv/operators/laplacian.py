"""Cotangent Laplacian and mass matrices of a triangle mesh."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface


def half_cotangents(lengths: FloatArray) -> FloatArray:
    """Return half the cotangent of the angle opposite each side, (F, 3), from side lengths (F, 3).

    Side k is opposite corner k. cot A_k = (l_i^2 + l_j^2 - l_k^2) / (4 area).
    """
    squared = lengths**2
    total = squared.sum(axis=1, keepdims=True)
    a, b, c = lengths.T
    area16 = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))  # Kahan's stable Heron
    area = np.sqrt(np.maximum(area16, 0.0))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (total - 2.0 * squared) / (2.0 * area)


def cotangent_laplacian(surface: Surface) -> sparse.csr_array:
    """Return the cotangent Laplacian (V, V), positive semidefinite, rows summing to zero."""
    corners = surface.vertices[surface.faces]
    lengths = np.linalg.norm(corners[:, [1, 2, 0]] - corners[:, [2, 0, 1]], axis=2)
    w = half_cotangents(lengths)
    i, j = surface.faces[:, [1, 2, 0]].ravel(), surface.faces[:, [2, 0, 1]].ravel()
    n = surface.n_vertices
    off = sparse.coo_array((np.concatenate([-w.ravel()] * 2), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    return (off - sparse.diags_array(np.asarray(off.sum(axis=1)).ravel())).tocsr()


def mass_matrix(surface: Surface) -> sparse.dia_array:
    """Return the lumped mass matrix (V, V): a third of the area of the faces around each vertex."""
    third = np.repeat(surface.face_areas / 3.0, 3)
    return sparse.diags_array(np.bincount(surface.faces.ravel(), third, surface.n_vertices))
