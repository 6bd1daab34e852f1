"""The unit frame: coordinates brought to size one, so that no tolerance and no square depends on
the unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface


@dataclass(frozen=True, eq=False)
class Frame:
    """unit = (vertices / magnitude - centre) / extent; the used vertices get a bounding box of
    diagonal 1.

    `rounding` is the error of a unit coordinate that comes from the float64 input: large far from
    the origin.
    """

    magnitude: float
    centre: FloatArray
    extent: float
    rounding: float

    @classmethod
    def of(cls, surface: Surface) -> Frame:
        """Fit the frame to the vertices that faces use."""
        used = used_vertices(surface)
        magnitude = float(np.abs(used).max()) or 1.0
        used = used / magnitude  # before any difference or square, which may overflow
        low, high = used.min(axis=0), used.max(axis=0)
        extent = float(np.linalg.norm(high - low))
        rounding = min(4.0 * np.finfo(np.float64).eps / extent, 1.0) if extent > 0 else 1.0
        return cls(magnitude, 0.5 * (low + high), extent or 1.0, rounding)

    @property
    def scale(self) -> float:
        """Length of one unit in the surface's own unit."""
        return self.magnitude * self.extent

    def to_unit(self, vertices: FloatArray) -> FloatArray:
        """Bring vertices (V, 3) into the frame."""
        with np.errstate(over="ignore"):  # used vertices lie within -1..1, others may lie anywhere
            near = np.clip(vertices / self.magnitude, -2.0, 2.0)
        return np.asarray((near - self.centre) / self.extent)

    def from_unit(self, unit: FloatArray) -> FloatArray:
        """Bring unit coordinates (V, 3) back."""
        return np.asarray((unit * self.extent + self.centre) * self.magnitude)


def used_vertices(surface: Surface) -> FloatArray:
    """Return the coordinates of the vertices that faces use."""
    used = surface.topology.used
    return surface.vertices if used.all() else surface.vertices[used]
