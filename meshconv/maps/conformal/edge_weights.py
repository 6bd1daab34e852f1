"""Edge weights in place of cotangents: attracting, tamed, relaxed, so that a map cannot fold."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from meshconv._check import BoolArray, FloatArray, IntArray

_STIFF = 20.0
_SOFT = 0.05  # weight given to an edge that would repel; an equilateral mesh has 0.58


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


def equal(laplacian: sparse.csr_array) -> sparse.csr_array:
    """Return the Laplacian with the same weight on every edge: it shrinks deep parts least."""
    i, j, w = _edges(laplacian)
    return _from_edges(i, j, np.ones(len(w)), laplacian.shape[0])


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
