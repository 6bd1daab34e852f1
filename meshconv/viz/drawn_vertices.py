"""Where vertices are drawn, for pictures in single precision."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface


def drawn_vertices(surface: Surface) -> FloatArray:
    """Return where each vertex is drawn, (V, 3): those in no face in the middle of the others, for
    a stray one shall neither move the picture nor cost the others precision.
    """
    out = surface.vertices.copy()
    used = np.zeros(len(out), dtype=np.bool_)
    used[surface.faces] = True
    seen = out[used]
    out[~used] = (seen.max(axis=0) + seen.min(axis=0)) / 2
    return out
