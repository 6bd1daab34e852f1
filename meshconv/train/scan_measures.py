"""The measures of a scan that come beside its image."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface
from meshconv.stats.shape_measures import shape_measures
from meshconv.train.config import PrepareConfig

_ACROSS = (0.0, 0.0, 1.0)  # axis of the sections of axial measures


def measures_of(surface: Surface, config: PrepareConfig) -> FloatArray:
    """Return the measures of a mended scan, (M,); none if they are not asked for."""
    if not config.measures:
        return np.zeros(0)
    axis = _ACROSS if config.measures == "axial" else None
    return np.array(list(shape_measures(surface, axis=axis).values()))
