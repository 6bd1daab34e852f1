"""A surface and its field as small text for the page's viewer: 16-bit positions and values,
base64.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.sketch import SEQUENTIAL
from meshconv.viz import style
from meshconv.viz.drawn_vertices import drawn_vertices
from meshconv.viz.explained import Explained

_STEPS = 65535


def mesh_data(
    explained: Explained, *, extent: float | None = None, most: int = 12000
) -> dict[str, Any]:
    """Return what ``page/viewer.js`` reads: JSON values only.

    Parameters
    ----------
    explained : Explained
        Its surface may have any number of vertices.
    extent : float, optional
        Length drawn as the window's height; by default the surface's own largest side. Give all
        meshes of a page the same one, so that they are drawn at one scale.
    most : int
        A surface of more vertices is thinned to about so many; a value still names its original
        vertex.
    """
    vertices, faces, ids = _thinned(explained, most)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    side = np.where(high > low, high - low, 1.0)
    limits, values = _values(explained)
    values = values if ids is None else values[ids]
    share = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    muted = np.zeros(len(values), dtype=bool) if explained.muted is None else explained.muted
    muted = muted if ids is None or explained.muted is None else muted[ids]
    wide = len(vertices) > _STEPS
    return {
        "name": explained.name,
        "field": explained.look.name if explained.field is not None else "no field:",
        "limits": list(limits),
        "colours": list(style.DIVERGING if explained.look.signed else SEQUENTIAL),
        "neutral": _neutral(signed=explained.look.signed),
        "signed": explained.look.signed,
        "lines": bool(explained.look.iso_lines and np.ptp(values) > 0),
        "size": ((high - low) / (extent or float((high - low).max()) or 1.0)).tolist(),
        "positions": _text((vertices - low) / side * _STEPS, "<u2"),
        "values": _text(share * _STEPS, "<u2"),
        "muted": _text(muted, "u1") if muted.any() else None,
        "faces": _text(faces, "<u4" if wide else "<u2"),
        "wide": wide,
        "ids": None if ids is None else _text(ids, "<u4"),
    }


def _neutral(*, signed: bool) -> str:
    """Return the colour of nothing."""
    return style.DIVERGING[len(style.DIVERGING) // 2] if signed else SEQUENTIAL[0]


def _values(explained: Explained) -> tuple[tuple[float, float], FloatArray]:
    if explained.field is None:
        return (0.0, 1.0), np.zeros(explained.surface.n_vertices)
    return explained.look.resolve(np.asarray(explained.drawn)), explained.field


def _thinned(explained: Explained, most: int) -> tuple[FloatArray, IntArray, IntArray | None]:
    """Vertices, faces, and which original vertex each is (None if all are kept in order)."""
    surface = explained.surface
    if surface.n_vertices <= most:
        return drawn_vertices(surface), surface.faces, None
    thin = surface.to_pyvista().decimate(1.0 - most / surface.n_vertices)
    vertices = np.asarray(thin.points, dtype=np.float64)
    faces = np.asarray(thin.faces).reshape(-1, 4)[:, 1:].astype(np.int64)
    return vertices, faces, np.asarray(cKDTree(surface.vertices).query(vertices)[1], dtype=np.int64)


def _text(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.round(array).astype(dtype).tobytes()).decode("ascii")
