"""Where a vertex stays while a map is changed: in the plane, on the circle, on the sphere or in the
disk.
"""

from __future__ import annotations

import numba as nb
import numpy as np

INTERIOR, CIRCLE, SPHERE, DISK = 0, 1, 2, 3


@nb.njit(cache=True)
def stay(x, y, z, kind):  # type: ignore[no-untyped-def]
    """Return the nearest point where this vertex may be."""
    if kind == CIRCLE:
        r = np.sqrt(x * x + y * y)
        return x / r, y / r, z
    if kind == SPHERE:
        r = np.sqrt(x * x + y * y + z * z)
        return x / r, y / r, z / r
    if kind == DISK:
        r = max(np.sqrt(x * x + y * y), 1.0)
        return x / r, y / r, z
    return x, y, z
