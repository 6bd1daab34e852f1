"""`distortion`: what a map does to angles and areas, and whether it folds; nothing hidden."""

from __future__ import annotations

from meshconv._check import require_kind
from meshconv.maps.face_maps import Distortion
from meshconv.maps.parameterization import Parameterization


def distortion(parameterization: Parameterization) -> Distortion:
    """Measure a map against its surface: angles, areas, Beltrami coefficient, folds.

    Parameters
    ----------
    parameterization : Parameterization
        V vertices, F faces, any domain. Faces without area are measured like any other; none is
        left out.

    Returns
    -------
    Distortion
        Angle errors in degrees, area shares and |mu| per face, indices of folded faces. Unchanged
        if either side is scaled, moved or turned.

    Examples
    --------
    >>> from meshconv import Surface
    >>> surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> str(distortion(Parameterization(surface, [[0, 0], [3, 0], [0, 3]]))).split("; ")[0]
    'angle error mean 0.000, std 0.000, max 0.0 degrees'
    """
    require_kind(parameterization, "parameterization", Parameterization)
    return parameterization.distortion()
