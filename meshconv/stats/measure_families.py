"""Which measures of `shape_measures` say the same kind of thing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from meshconv._check import IntArray

FAMILIES = {  # the first whose pattern a name begins with
    "disks in sections": r"section_(opened|closed)_",
    "outlines of sections": r"section_(turning|bending|concave|relief)_",
    "sections": r"section_",
    "bending": r"mean_curvature|willmore|total_curvature|concave|saddle|relief",
    "conformal map": r"conformal|position_harmonic",
    "thickness": r"thickness",
    "size and shape factors": r"",
}


def families(names: Sequence[str]) -> IntArray:
    """Return the number of the family of each measure, as in `FAMILIES`, (M,).

    Examples
    --------
    >>> families(["volume", "willmore_fine", "sphericity"]).tolist()
    [6, 3, 6]
    """
    found = [
        next(k for k, pattern in enumerate(FAMILIES.values()) if re.match(pattern, name))
        for name in names
    ]
    return np.array(found, dtype=np.int64)
