"""Laplacians that survive bad triangles: normalised size, faces without area, edges that must not
repel.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import DegenerateError
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import assemble, cotangent_laplacian, half_cotangents

_THIN = 1e-7  # height over longest side below which a face counts as having no area
_OPENED = (
    1e-6  # excess of two sides over the third, over the longest, that a face without area is given
)
_STIFF = 20.0
_SOFT = 0.05  # weight given to an edge that would repel; an equilateral mesh has 0.58


def trusted(vertices: FloatArray, faces: IntArray) -> Surface:
    """Return a surface of arrays made from those of another surface, without checking them once
    more.
    """
    surface = object.__new__(Surface)
    for name, array in (("vertices", vertices), ("faces", faces)):
        array.setflags(write=False)
        object.__setattr__(surface, name, array)
    return surface


def normalised(surface: Surface) -> Surface:
    """Return the surface moved and scaled into the unit cube, so that no square over- or
    underflows.
    """
    vertices = surface.vertices / max(float(np.abs(surface.vertices).max()), np.finfo(float).tiny)
    vertices = vertices - vertices.min(axis=0)
    return trusted(vertices / max(float(vertices.max()), np.finfo(float).tiny), surface.faces)


def in_faces(surface: Surface) -> tuple[Surface, IntArray]:
    """Return the surface without vertices that no face uses, and the number each vertex had."""
    used = np.zeros(surface.n_vertices, dtype=bool)
    used[surface.faces] = True
    kept = np.flatnonzero(used)
    if len(kept) == surface.n_vertices:
        return surface, kept
    return trusted(surface.vertices[kept], (np.cumsum(used) - 1)[surface.faces]), kept


def vertex_areas(surface: Surface) -> FloatArray:
    """Return a third of the area of the faces around each vertex, (V,)."""
    return thirds_of_area(surface.vertices, surface.faces)


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


def attracting_near(laplacian: sparse.csr_array, near: BoolArray) -> sparse.csr_array:
    """Return the Laplacian with every edge that touches `near` (V,) given a weight of at least
    `_SOFT`.
    """
    i, j, w = _edges(laplacian)
    w = np.where(
        near[i] | near[j], np.maximum(w, _SOFT), w
    )  # raising keeps the matrix semidefinite
    return _from_edges(i, j, w, laplacian.shape[0])


def tame(laplacian: sparse.csr_array) -> sparse.csr_array:
    """Return the Laplacian with every edge weight between `_SOFT` and `_STIFF`."""
    i, j, w = _edges(laplacian)
    return _from_edges(i, j, np.clip(w, _SOFT, _STIFF), laplacian.shape[0])


def relaxed(laplacian: sparse.csr_array, z: FloatArray, positions: FloatArray) -> sparse.csr_array:
    """Return all-positive edge weights, smaller on edges that `z` (V, 2) shrinks more than
    others.
    """
    i, j, w = _edges(laplacian)
    w = np.where(w > 0, np.minimum(w, _STIFF), _SOFT)
    image = np.linalg.norm(z[i] - z[j], axis=1)
    scale = np.linalg.norm(positions[i] - positions[j], axis=1)
    stretch = np.maximum(image, 1e-12) / np.maximum(scale, 1e-6 * scale.mean())
    return _from_edges(
        i, j, w * np.clip(np.sqrt(stretch / np.median(stretch)), 1e-3, 1e3), laplacian.shape[0]
    )


def _edges(laplacian: sparse.csr_array) -> tuple[IntArray, IntArray, FloatArray]:
    """Both directions of each edge, and its weight."""
    entries = laplacian.tocoo()
    off = entries.row != entries.col
    return entries.row[off], entries.col[off], -entries.data[off]


def _from_edges(i: IntArray, j: IntArray, w: FloatArray, n: int) -> sparse.csr_array:
    every = np.arange(n)
    entries = np.concatenate([-w, np.bincount(i, w, n)])
    where = np.concatenate([i, every]), np.concatenate([j, every])
    return sparse.coo_array((entries, where), shape=(n, n)).tocsr()
