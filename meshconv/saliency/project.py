"""From the pixels of the frame back to the vertices of a scan, by the resampler that led there."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.surface import Surface
from meshconv.resample.resampler import Resampler


def to_vertices(
    pixels: FloatArray,
    resampler: Resampler,
    *,
    surface: Surface | None = None,
    vertex_origin: IntArray | None = None,
) -> FloatArray:
    """Return a pixel map (N, N) on the vertices of a scan, (V,).

    Parameters
    ----------
    pixels : (N, N) array
    resampler : Resampler
        Of the mended scan in the frame.
    surface : Surface, optional
        The scan as it was given, V vertices, if mending changed it; else that of the resampler.
    vertex_origin : (V',) int64, optional
        For each vertex of the mended scan the one of `surface` that it was, -1 where new.

    Notes
    -----
    A vertex that mending removed takes the value of the nearest vertex that is left.
    """
    values = resampler.to_vertices(np.asarray(pixels))
    if surface is None or vertex_origin is None:
        return values
    out = np.full(surface.n_vertices, np.nan)
    old = vertex_origin >= 0
    out[vertex_origin[old]] = values[old]
    lost = np.flatnonzero(np.isnan(out))
    if len(lost):
        left = np.flatnonzero(~np.isnan(out))
        out[lost] = out[left[cKDTree(surface.vertices[left]).query(surface.vertices[lost])[1]]]
    return out
