"""`Scan`: one labelled surface of a population, with what is known of the truth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshconv._check import FloatArray, IntArray
from meshconv.datasets.on_demand import OnDemand
from meshconv.errors import ArgumentError
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


class Part(Population):
    """Some scans of a population, by their numbers in it; still read only when asked for.

    Attributes
    ----------
    subjects : tuple of str
        Whom they are of; empty where it is not known.
    """

    def __init__(self, scans: Population, rows: Sequence[int]) -> None:
        self.scans, self.rows = scans, tuple(int(k) for k in rows)
        known: Any = getattr(scans, "subjects", [""] * len(scans))
        self.subjects = tuple(str(known[k]) for k in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def scan(self, k: int) -> Scan:
        """Read scan k of the part."""
        return self.scans[self.rows[k]]

    def name(self, k: int) -> str:
        """Return the name of scan k without reading it: that which it has in the whole."""
        row = self.rows[k]
        given = getattr(self.scans, "name", None)
        return str(given(row)) if callable(given) else f"scan {row}"


def shard(scans: Population, which: int, count: int) -> Part:
    """Return every `count`-th scan from number `which` of 1..count on: all shards together are the
    whole, for array jobs of a batch system that share one cache.

    Raises
    ------
    ArgumentError
        If there is no such shard.

    Examples
    --------
    >>> from meshconv.datasets.procedural import ProceduralFaces
    >>> shard(ProceduralFaces(7), 2, 3).rows
    (1, 4)
    """
    if not 1 <= which <= count:
        raise ArgumentError(f"there is no shard {which} of {count}", hint="1 to n of n")
    return Part(scans, range(which - 1, len(scans), count))
