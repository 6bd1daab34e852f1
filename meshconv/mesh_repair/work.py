"""The surface under repair: arrays in the unit frame, and where each vertex and face came from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Work:
    """Unit coordinates (V, 3), faces (F, 3), origins (-1 where new), and the rounding of the
    coordinates.
    """

    unit: FloatArray
    faces: IntArray
    vertex_origin: IntArray
    face_origin: IntArray
    rounding: float

    def keep(self, mask: BoolArray) -> Work:
        """Keep the faces of a mask (F,)."""
        return replace(self, faces=self.faces[mask], face_origin=self.face_origin[mask])

    def copied(self, faces: IntArray, old: IntArray) -> Work:
        """Replace the faces; vertex k is a copy of the old vertex ``old[k]``."""
        return replace(
            self, faces=faces, unit=self.unit[old], vertex_origin=self.vertex_origin[old]
        )

    def added(self, unit: FloatArray, faces: IntArray) -> Work:
        """Append new vertices and new faces."""
        return replace(
            self,
            unit=np.concatenate([self.unit, unit]),
            faces=np.concatenate([self.faces, faces]),
            vertex_origin=np.concatenate([self.vertex_origin, np.full(len(unit), -1)]),
            face_origin=np.concatenate([self.face_origin, np.full(len(faces), -1)]),
        )

    def compact(self) -> Work:
        """Drop the vertices that no face uses; the order stays."""
        used = np.zeros(len(self.unit), dtype=bool)
        used[self.faces] = True
        if used.all():
            return self
        name = np.cumsum(used) - 1
        return replace(
            self,
            unit=self.unit[used],
            faces=name[self.faces],
            vertex_origin=self.vertex_origin[used],
        )
