"""Plane sections of a closed surface across an axis, as a reader sees an organ slice by slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import ConvexHull

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.surface import Surface
from meshconv.stats.outline import OUTLINE, Outline, outline_values
from meshconv.stats.peaks import peak_heights

PLANES = 15  # spread evenly between the ends, which are left out
PEAKS = (5, 10, 20)  # hundredths of the mean radius from which a peak counts
BANDS = {"low": (3, 6), "middle": (6, 12), "high": (12, 32)}  # waves around the section
AGGREGATES = ("mean", "largest", "extreme")
SECTION = (
    "compactness",
    "convexity",
    "outline_ratio",
    "radius_min",
    "radius_max",
    "radius_std",
    "ellipticity",
    *(f"waves_{band}" for band in BANDS),
    *(f"peaks_{p}" for p in PEAKS),
    "peak_sum",
)
_LESS = SECTION[:4]  # a disk has the most of these
_ANGLES = 96
_ROUND = np.column_stack([np.arange(_ANGLES), np.roll(np.arange(_ANGLES), -1)])
_SMALL = 0.01  # of the largest section: what is smaller says nothing
_LARGE = 0.3  # of the largest section: what is smaller has no extreme outline


def section_measures(surface: Surface, axis: FloatArray) -> dict[str, float]:
    """Return the measures of the sections across an axis (3,), by name; see `shape_measures`.

    Each is given as the mean over the sections by area, of the largest section, and of that in
    which it is furthest from what a disk has; those of outlines as the mean and the furthest.
    """
    frame = _across(axis)
    cuts = list(_sections(surface.vertices @ frame.T, surface))
    sections = [(cut.start, cut.end) for cut in cuts]
    areas = np.array([_area(*ends) for ends in sections])
    kept = np.flatnonzero(areas > _SMALL * areas.max())
    values = np.array([_measures(*sections[k], areas[k]) for k in kept])
    weight = areas[kept] / areas[kept].sum()
    less = np.array([name in _LESS for name in SECTION])
    extreme = np.where(less, values.min(axis=0), values.max(axis=0))
    rows = (weight @ values, values[areas[kept].argmax()], extreme)
    found = {
        f"section_{name}_{how}": float(value)
        for how, row in zip(AGGREGATES, rows, strict=True)
        for name, value in zip(SECTION, row, strict=True)
    }
    found |= _outlined([cuts[k] for k in kept], areas[kept])
    height = np.ptp(surface.vertices @ frame[2])
    return found | {"section_height": float(height / np.sqrt(4 * areas.max() / np.pi))}


def _outlined(cuts: list[Cut], areas: FloatArray) -> dict[str, float]:
    """Return the measures of the longest outline of each section, mean and extreme."""
    values = np.array([outline_values(Outline.of(cut.outline())) for cut in cuts])
    large = values[areas >= _LARGE * areas.max()]
    low = np.array(["_low_" in name for name in OUTLINE])
    extreme = np.where(low, large.min(axis=0), large.max(axis=0))
    rows = {"mean": areas @ values / areas.sum(), "extreme": extreme}
    return {
        f"section_{name}_{how}": float(value)
        for how, row in rows.items()
        for name, value in zip(OUTLINE, row, strict=True)
    }


@dataclass(frozen=True, eq=False)
class Cut:
    """The segments of a plane section, inside on their left.

    Attributes
    ----------
    start, end : (S, 2) float64
    leaves, enters : (S,) int64
        Numbers of the edges of the surface at which they start and end.
    """

    start: FloatArray
    end: FloatArray
    leaves: IntArray
    enters: IntArray

    def outline(self) -> FloatArray:
        """Return the corners of the closed curve around the largest area, in their order."""
        order = np.argsort(self.leaves)
        after = order[np.searchsorted(self.leaves[order], self.enters)]
        n = len(after)
        graph = csr_array((np.ones(n), (np.arange(n), after)), shape=(n, n))
        part = connected_components(graph, connection="weak")[1]
        middle = self.start.mean(axis=0)
        area = np.bincount(part, _twice_areas(self.start - middle, self.end - middle))
        first = int(np.flatnonzero(part == np.abs(area).argmax())[0])
        return self.start[breadth_first_order(graph, first, return_predecessors=False)]


def _across(axis: FloatArray) -> FloatArray:
    """Return a rotation (3, 3) that takes the axis to z."""
    unit = axis / np.linalg.norm(axis)
    frame = np.linalg.svd(unit[None])[2][[1, 2, 0]]
    frame[2] = unit
    frame[0] *= np.sign(np.linalg.det(frame))
    return frame


def _sections(points: FloatArray, surface: Surface) -> Iterator[Cut]:
    """Yield the sections.

    A plane through a vertex is taken to pass just below it.
    """
    low, high = points[:, 2].min(), points[:, 2].max()
    for level in np.linspace(low, high, PLANES + 2)[1:-1]:
        above = points[:, 2] >= level
        count = above[surface.faces].sum(axis=1)
        cut = surface.faces[(count == 1) | (count == 2)]
        single = above[cut].sum(axis=1) == 1
        alone = np.where(single, above[cut].argmax(axis=1), (~above[cut]).argmax(axis=1))
        corner = [cut[np.arange(len(cut)), (alone + k) % 3] for k in range(3)]
        ends = [_crossing(points, corner[0], other, level) for other in corner[1:]]
        edges = [_number(corner[0], other, len(points)) for other in corner[1:]]
        one = single[:, None]
        yield Cut(
            np.where(one, *ends),
            np.where(one, *ends[::-1]),
            np.where(single, *edges),
            np.where(single, *edges[::-1]),
        )


def _number(a: IntArray, b: IntArray, n: int) -> IntArray:
    return np.minimum(a, b) * n + np.maximum(a, b)


def _crossing(points: FloatArray, a: FloatArray, b: FloatArray, level: float) -> FloatArray:
    share = (level - points[a, 2]) / (points[b, 2] - points[a, 2])
    return points[a, :2] + share[:, None] * (points[b, :2] - points[a, :2])


def _twice_areas(start: FloatArray, end: FloatArray) -> FloatArray:
    return start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]


def _area(start: FloatArray, end: FloatArray) -> float:
    middle = start.mean(axis=0)
    return abs(float(_twice_areas(start - middle, end - middle).sum())) / 2


def _measures(start: FloatArray, end: FloatArray, area: float) -> list[float]:
    """Return the measures of one section in the order of `SECTION`."""
    outline, hull = float(np.linalg.norm(end - start, axis=1).sum()), ConvexHull(start)
    radius = _radii(start, end)
    waves = np.abs(np.fft.rfft(radius)) / _ANGLES
    heights = peak_heights(_ROUND, radius)
    return [
        4 * np.pi * area / outline**2,
        area / hull.volume,
        hull.area / outline,
        float(radius.min()),
        float(radius.max()),
        float(radius.std()),
        float(waves[2]),
        *(float(np.sqrt((waves[low:high] ** 2).sum())) for low, high in BANDS.values()),
        *(float((heights > p / 100).sum()) for p in PEAKS),
        float(heights.sum()),
    ]


def _radii(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return the distance of the outline from the section's centroid at even angles, over its
    mean.
    """
    origin = start.mean(axis=0)
    twice = _twice_areas(start - origin, end - origin)
    centroid = origin + twice @ (start + end - 2 * origin) / (3 * twice.sum())
    away = (start + end) / 2 - centroid
    angle = np.arctan2(away[:, 1], away[:, 0])
    order = np.argsort(angle)
    even = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    radius = np.interp(even, angle[order], np.linalg.norm(away, axis=1)[order], period=2 * np.pi)
    return np.asarray(radius / radius.mean())
