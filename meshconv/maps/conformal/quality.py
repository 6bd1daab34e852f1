"""Maps that say when they are bad: angle errors far above what the triangles of a surface allow."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.errors import AccuracyWarning, FoldError, SolverError
from meshconv.maps.face_maps import corner_angles, image_sides, laid_flat, measured, sides
from meshconv.maps.folds import signed_areas
from meshconv.mesh.surface import Surface

_LARGE = 8.0  # degrees of mean angle error above which a map is compared with the free one
_FAR = 2.0  # times the free map's error, above which another domain is better
_COARSE = 100  # faces below which the few angles of a map say little ...
_VERY_LARGE = 30.0  # ... unless they are off by more than this
_LOOKED_AT = 10_000  # faces, evenly over their numbers: enough for a mean


def warn_if_poor(
    surface: Surface, coordinates: FloatArray, domain: str, free_map: Callable[[], FloatArray]
) -> None:
    """Warn if a map bends angles far more than the triangles of the surface allow: than the free
    map of the same surface does or, of closed ones, than laying each vertex's fan flat.
    """
    error = _mean_error(surface, coordinates)
    if error <= (_LARGE if surface.n_faces >= _COARSE else _VERY_LARGE):
        return
    try:
        possible = _fan_error(surface) if domain == "sphere" else _mean_error(surface, free_map())
    except (FoldError, SolverError):
        return
    if error > _FAR * possible:
        warnings.warn(
            f"the map onto the {domain} has a mean angle error of {error:.3g} degrees where these "
            f"triangles allow {possible:.2g}: {_REASON[domain].format(possible)}",
            AccuracyWarning,
            stacklevel=4,
        )


_REASON = {
    "disk": "long parts shrink towards their ends, below the resolution of floating point or of "
    "the triangles; domain='free' has {:.2g}",
    "rectangle": "parts shrink at its corners, or where the border of the surface does not turn; "
    "domain='free' has {:.2g}",
    "sphere": "long parts shrink faster than the triangles can follow; finer ones, as long as "
    "wide, have less, or cut(...) opens the surface for domain='free'",
}


def _fan_error(surface: Surface) -> float:
    """Return the mean change of angles, in degrees, if those around each vertex are scaled to 360
    degrees, as a conformal map does to an infinitely small fan.
    """
    faces = surface.faces
    angles = corner_angles(laid_flat(sides(surface.vertices, faces)))
    around = np.bincount(faces.ravel(), angles.ravel(), surface.n_vertices)
    return float(np.degrees(np.abs(angles * (2 * np.pi / around[faces] - 1)).mean()))


def _mean_error(surface: Surface, coordinates: FloatArray) -> float:
    faces: IntArray = surface.faces[:: max(1, surface.n_faces // _LOOKED_AT)]
    areas = signed_areas(coordinates, faces)
    image = image_sides(coordinates, faces, areas)
    return measured(surface.vertices, faces, image, np.empty(0, dtype=np.int64)).angle_mean
