"""`Standing`: how a scan lies in a frame, without its surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface


@dataclass(frozen=True, eq=False)
class Standing:
    """How a scan lies in a frame.

    Attributes
    ----------
    transform : (3, 4) float64
        The map x -> A x + b, as [A b], from the scan as it came to the template's space: unit,
        mirroring and pose.
    reversed : bool
        Whether the faces are the other way round there.
    score : float
        How good the fit is, from 0 to 1; doubtful below 0.5.
    doubts : tuple of str
        What a person should look at.
    """

    transform: FloatArray
    reversed: bool
    score: float
    doubts: tuple[str, ...]

    def surface(self, scan: Surface) -> Surface:
        """Return the scan, or what is left of it when it is mended, in the template's space."""
        points = scan.vertices @ self.transform[:, :3].T + self.transform[:, 3]
        return Surface(points, scan.faces[:, ::-1] if self.reversed else scan.faces)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "transform": self.transform.tolist(),
            "reversed": self.reversed,
            "score": self.score,
            "doubts": list(self.doubts),
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Self:
        """Return what `as_dict` is of.

        Raises
        ------
        KeyError, ValueError
            If it is of something else.
        """
        transform = np.asarray(known["transform"], dtype=np.float64)
        if transform.shape != (3, 4) or not np.isfinite(transform).all():
            raise ValueError(f"a transform of shape {transform.shape}, or not finite")
        return cls(
            transform, bool(known["reversed"]), float(known["score"]), tuple(known["doubts"])
        )
