"""One test of folds for plane and sphere: a face is folded unless its signed area is above 0.

Areas are formed from differences of coordinates, which are exact where a face is small, so that the
sign is right for every face whose height is above 1e-15 of its longest side. No tolerance: what one
function delivers as free of folds, every other takes.
"""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import FoldError
from meshconv.mesh.areas import plane_areas, sphere_areas


def signed_areas(points: FloatArray, faces: IntArray) -> FloatArray:
    """Return the area (F,) of each face, negative where it is turned over.

    `points` are (V, 2) in the plane, or (V, 3): on the sphere, or of the plane at height 1.
    """
    flat = points.shape[1] == 2 or bool((points[:, 2] == 1.0).all())
    return plane_areas(points, faces) if flat else sphere_areas(points, faces)


def folded(points: FloatArray, faces: IntArray) -> IntArray:
    """Return the faces that are turned over or have no area; `points` as for `signed_areas`."""
    return np.flatnonzero(~(signed_areas(points, faces) > 0.0))


def covers_once(points: FloatArray, faces: IntArray) -> bool:
    """Return whether a closed surface goes once around the sphere: a map without folds may also
    wind around it several times, its vertices' stars like the turns of a screw.
    """
    a, b, c = points[faces].swapaxes(0, 1)
    volume = np.einsum("ij,ij->i", a, np.cross(b - a, c - a))
    sides = [np.einsum("ij,ij->i", p, q) for p, q in ((a, b), (b, c), (c, a))]
    angles = 2.0 * np.arctan2(volume, 1.0 + sum(sides))  # Van Oosterom, Strackee, 1983
    return bool(abs(angles.sum() / (4.0 * np.pi) - 1.0) < 0.5)


def refuse_folds(points: FloatArray, faces: IntArray) -> None:
    """Raise FoldError, with the first faces and the count, if a face is folded or has no area."""
    bad = folded(points, faces)
    if len(bad):
        raise FoldError(
            f"face {bad[0]} of the given map is folded or has no area ({len(bad)} such faces)",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="start from meshconv.conformal_map",
        )
