"""The groups of measures that `shape_measures` puts together."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from meshconv._check import FloatArray
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.areas import plane_areas, sphere_areas, thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.curvature import principal_curvatures
from meshconv.operators.thickness import local_thickness
from meshconv.stats.peaks import peak_heights
from meshconv.stats.relief import Smoother, relief
from meshconv.stats.solid import Solid, solid_of
from meshconv.stats.sphere_harmonics import harmonic_energies

SCALES = {"fine": 0.1, "coarse": 0.3}  # smoothing lengths, over the radius of the ball
QUANTILES = (1, 5, 25, 50, 75, 95, 99)  # per cent of the area
RELIEF, WALLS = (1, 5, 95, 99), (10, 50, 90)
PEAKS = (10, 25, 50)  # hundredths of the log conformal factor from which a peak counts
SUMMITS = (2, 3, 4)  # second to fourth of the bumps and dents
DEGREE = 8
_TINY = 1e-9

Measures = dict[str, float]


class Body:
    """A surface with what its measures share, each computed once."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.closed = not surface.boundary_loops

    @cached_property
    def solid(self) -> Solid:
        """What it encloses."""
        return solid_of(self.surface)

    @cached_property
    def area(self) -> FloatArray:
        """The area around each vertex, (V,)."""
        return thirds_of_area(self.surface.vertices, self.surface.faces)

    @cached_property
    def flat(self) -> Parameterization:
        """Its conformal map to the sphere, or the disk."""
        return conformal_map(self.surface, domain="sphere" if self.closed else "disk")

    @cached_property
    def flat_area(self) -> FloatArray:
        """The area around each vertex in the map, (V,)."""
        faces, at = self.surface.faces, self.flat.coordinates
        each = sphere_areas(at, faces) if self.closed else plane_areas(at, faces)
        third = np.repeat(np.maximum(each, 0.0) / 3, 3)
        return np.asarray(np.bincount(faces.ravel(), third, len(at)), dtype=np.float64)

    @cached_property
    def log_factor(self) -> FloatArray:
        """Half the logarithm of the share of area here over that in the map, (V,)."""
        here = np.maximum(self.area / self.area.sum(), _TINY)
        there = np.maximum(self.flat_area / self.flat_area.sum(), _TINY)
        return np.asarray(0.5 * np.log(here / there))

    @cached_property
    def smoothers(self) -> dict[str, Smoother]:
        """Diffusion at each scale."""
        radius = self.solid.radius
        return {name: Smoother(self.surface, share * radius) for name, share in SCALES.items()}

    def quantiles(self, field: FloatArray, of: tuple[int, ...]) -> FloatArray:
        """Return quantiles of a field, by area."""
        order = np.argsort(field)
        below = np.cumsum(self.area[order]) - self.area[order] / 2
        return np.interp(np.array(of) / 100, below / self.area.sum(), field[order])

    def mean(self, field: FloatArray) -> float:
        """Return the mean of a field, by area."""
        return float(self.area @ field / self.area.sum())


def named(prefix: str, of: tuple[int, ...], values: FloatArray) -> Measures:
    """Return quantiles by their names."""
    return {f"{prefix}_q{q:02d}": float(v) for q, v in zip(of, values, strict=True)}


def size(body: Body) -> Measures:
    """Return what grows with the unit."""
    solid = body.solid
    found = {"volume": solid.volume, "area": body.surface.area, "radius": solid.radius}
    axes = 2 * solid.semiaxes
    found |= dict(zip(("length", "width", "height"), axes.tolist(), strict=True))
    if not body.closed:
        ends = body.surface.vertices[body.surface.boundary_loops[0]]
        sides = np.linalg.norm(ends - np.roll(ends, 1, axis=0), axis=1)
        found["border_length"] = float(sides.sum())
    return found


def classic(body: Body) -> Measures:
    """Return the shape factors of the textbooks."""
    solid, area = body.solid, body.surface.area
    a, b, c = solid.semiaxes
    return {
        "sphericity": float(np.cbrt(36 * np.pi * solid.volume**2) / area),
        "convexity": solid.volume / solid.hull_volume,
        "hull_area_ratio": solid.hull_area / area,
        "elongation": float(b / a),
        "flatness": float(c / b),
        "ellipsoid_fill": float(solid.volume / (4 / 3 * np.pi * a * b * c)),
    }


def radial(body: Body) -> Measures:
    """Return how the distance from the centroid varies, over its mean."""
    away = np.linalg.norm(body.surface.vertices - body.solid.centroid, axis=1)
    away = away / body.mean(away)
    variance = body.mean((away - 1) ** 2)
    third = body.mean((away - 1) ** 3)
    return {
        "distance_std": float(np.sqrt(variance)),
        "distance_skewness": float(third / max(variance, _TINY) ** 1.5),
        "distance_min": float(away.min()),
        "distance_max": float(away.max()),
    }


def curvature(body: Body) -> Measures:
    """Return what the curvature is at each scale, and how far the surface stands out from it."""
    found: Measures = {}
    radius, here = body.solid.radius, body.surface
    for scale, smoother in body.smoothers.items():
        smooth = smoother.smoothed()
        k1, k2 = (radius * k for k in principal_curvatures(smooth))
        bent = (k1 + k2) / 2
        area = smooth.area / (4 * np.pi * radius**2)
        found |= named(f"mean_curvature_{scale}", QUANTILES, body.quantiles(bent, QUANTILES))
        found[f"willmore_{scale}"] = body.mean(bent**2) * area
        found[f"total_curvature_{scale}"] = body.mean(np.abs(k1 * k2)) * area
        found[f"concave_{scale}"] = body.mean((bent < 0).astype(float))
        found[f"saddle_{scale}"] = body.mean((k1 * k2 < 0).astype(float))
        out = relief(here, smooth) / radius
        found[f"relief_{scale}_std"] = float(np.sqrt(body.mean((out - body.mean(out)) ** 2)))
        found |= named(f"relief_{scale}", RELIEF, body.quantiles(out, RELIEF))
        found |= _summits(f"relief_{scale}_bump", peak_heights(here.edges, out))
        found |= _summits(f"relief_{scale}_dent", peak_heights(here.edges, -out))
    return found


def _summits(prefix: str, heights: FloatArray) -> Measures:
    """Return how far peaks stand out, but for the highest, which every surface has."""
    others = np.concatenate([heights[1:], np.zeros(len(SUMMITS))])
    found = {f"{prefix}_{k}": float(others[k - 2]) for k in SUMMITS}
    return found | {
        f"{prefix}_sum": float(others.sum()),
        f"{prefix}_rms": float(np.sqrt(others @ others)),
    }


def conformal(body: Body) -> Measures:
    """Return how the conformal map stretches, and how far its peaks stand out."""
    factor = body.smoothers["fine"].field(body.log_factor[:, None])[:, 0]
    heights = peak_heights(body.surface.edges, factor)
    centre = body.mean(factor)
    found = {
        "conformal_mean": centre,
        "conformal_std": float(np.sqrt(body.mean((factor - centre) ** 2))),
    }
    found |= named("conformal", QUANTILES, body.quantiles(factor, QUANTILES))
    found |= {f"conformal_peaks_{p}": float((heights > p / 100).sum()) for p in PEAKS}
    found["conformal_peak_sum"] = float(heights.sum())
    return found


def harmonics(body: Body) -> Measures:
    """Return the energy of position and of log conformal factor by degree; closed surfaces only."""
    if not body.closed:
        return {}
    place = body.surface.vertices - body.solid.centroid
    fields = np.column_stack([place, body.log_factor])
    energy = harmonic_energies(body.flat.coordinates, fields, body.flat_area, DEGREE)
    position = energy[:, :3].sum(axis=1)
    position = np.log10(np.maximum(position / position[1], _TINY))
    own = np.sqrt(energy[:, 3] / (4 * np.pi))
    found = {f"position_harmonic_{d}": float(position[d]) for d in range(2, DEGREE + 1)}
    return found | {f"conformal_harmonic_{d}": float(own[d]) for d in range(2, DEGREE + 1)}


def walls(body: Body) -> Measures:
    """Return the thickness, closed surfaces only."""
    if not body.closed:
        return {}
    thick = local_thickness(body.surface)
    shares = body.quantiles(thick, WALLS) / body.solid.radius
    return {"mean_thickness": body.mean(thick), **named("thickness", WALLS, shares)}


GROUPS = (size, classic, radial, curvature, conformal, harmonics, walls)
