"""`Scan`: one labelled surface of a population, with what is known of the truth."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from meshconv._check import FloatArray, IntArray
from meshconv.datasets.on_demand import OnDemand
from meshconv.mesh.surface import Surface


@dataclass(frozen=True, eq=False)
class Correspondence:
    """The point of a reference surface that each scan vertex is: its face there and barycentric
    coordinates.
    """

    face: IntArray  # (V,)
    weights: FloatArray  # (V, 3)


@dataclass(frozen=True, eq=False)
class Scan:
    """One subject's surface.

    Attributes
    ----------
    surface : Surface
        V vertices.
    label : int
        The group, from 0.
    name, subject : str
        Of the scan, and of whom it is of: scans of one subject must not be split between train and
        test.
    mirrored : bool
        Whether the scan is a mirror image and is known to be.
    truth : (V,) float64, optional
        Where the group's effect lies, 0..1.
    correspondence : Correspondence, optional
        Which point of the reference each vertex is.
    landmarks : (K, 3) float64, optional
        Points on the scan; NaN where cropped away.
    """

    surface: Surface
    label: int
    name: str
    subject: str
    mirrored: bool = False
    truth: FloatArray | None = None
    correspondence: Correspondence | None = None
    landmarks: FloatArray | None = None


class Population(OnDemand[Scan]):
    """Scans that are read or made when asked for: `scan` says how, everything else follows."""

    _kind = "scan"

    @abstractmethod
    def scan(self, k: int) -> Scan:
        """Return scan k, 0 <= k < len(self); always the same."""

    def item(self, k: int) -> Scan:
        """Return scan k."""
        return self.scan(k)
