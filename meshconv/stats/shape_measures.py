"""`shape_measures`: what can be said of one surface in numbers, without a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray, IntArray, as_array, require_kind
from meshconv.errors import ArgumentError, TopologyError
from meshconv.mesh.surface import Surface
from meshconv.stats.measure_families import families
from meshconv.stats.measured_body import (
    DEGREE,
    GROUPS,
    PEAKS,
    QUANTILES,
    RELIEF,
    SCALES,
    SUMMITS,
    WALLS,
    Body,
)
from meshconv.stats.outline import BENT, DEPTHS, INSIDE, OUTSIDE
from meshconv.stats.outline import SCALES as OUTLINE_SCALES
from meshconv.stats.sections import AGGREGATES, SECTION, section_measures


@dataclass(frozen=True)
class Measure:
    """What one of the measures is.

    Attributes
    ----------
    name : str
    meaning : str
        With the value that a ball has, where that is a round one.
    power : int
        The unit is this power of the unit of length; 0 does not change with scale.
    """

    name: str
    meaning: str
    power: int = 0

    @property
    def scale_free(self) -> bool:
        """Whether a surface twice as large has the same."""
        return self.power == 0


def shape_measures(surface: Surface, *, axis: ArrayLike | None = None) -> dict[str, float]:
    """Return the measures of a surface by name: size, shape factors, curvature, what the conformal
    map says, harmonics, thickness.

    What each is stands in `MEASURES`. None depends on the pose or, but for what the mesh resolves,
    on the triangles; those with ``scale_free`` do not depend on the size. They need no frame and no
    other scans, so they serve where two surfaces have no places in common.

    Parameters
    ----------
    surface : Surface
        Closed of genus 0 and facing outward, or a disk: its border is then closed by a flat lid for
        what needs a body, and harmonics and thickness are left out.
    axis : (3,) array_like, optional
        Adds measures of the plane sections across this direction, of closed surfaces: for organs in
        the pose of the scanner, which are looked at slice by slice, ``(0, 0, 1)``. These do depend
        on the pose, but not on turns about the axis.

    Returns
    -------
    measures : dict of str to float
        All finite; the same names in the same order for all closed surfaces, and for all disks.

    Raises
    ------
    TopologyError
        If the surface is of another kind, or turned inside out; or a disk is to be cut by planes.
    DegenerateError
        If it encloses nothing.
    ArgumentError
        If the axis is none.

    References
    ----------
    Choi, Nadeem, Alam, Deasy, Tannenbaum, Lu, 2021, Reproducible and interpretable spiculation
    quantification for lung cancer screening (spicules from the area distortion of the spherical
    conformal map). doi:10.1016/j.cmpb.2020.105839. Kazhdan, Funkhouser, Rusinkiewicz, 2003
    (energies by degree). doi:10.2312/SGP/SGP03/156-165. Koenderink, van Doorn, 1992,
    doi:10.1016/0262-8856(92)90076-F.

    Examples
    --------
    >>> from meshconv.mesh.shapes import icosphere
    >>> found = shape_measures(icosphere(4, radius=3.0))
    >>> [round(found[name], 1) for name in ("radius", "sphericity", "willmore_fine")]
    [3.0, 1.0, 1.0]
    """
    require_kind(surface, "surface", Surface)
    _check_kind(surface)
    body = Body(surface)
    found = {name: value for group in GROUPS for name, value in group(body).items()}
    if axis is not None:
        if not body.closed:
            raise TopologyError("sections need a closed surface", hint="leave axis out")
        found |= section_measures(surface, _direction(axis))
    return {name: float(found[name]) for name in MEASURES if name in found}


def _check_kind(surface: Surface) -> None:
    loops, euler = len(surface.boundary_loops), surface.euler_characteristic
    if (loops, euler) not in ((0, 2), (1, 1)):
        raise TopologyError(
            "shape_measures needs a closed surface of genus 0 or a disk, found"
            f" {loops} boundary loops and Euler characteristic {euler}",
            hint="meshconv.repair(target='sphere', remove_handles=True), or target='disk'",
        )


def _direction(axis: ArrayLike) -> FloatArray:
    vector = np.asarray(as_array(axis, "axis"), dtype=np.float64)
    if vector.shape != (3,) or not (np.isfinite(vector).all() and np.abs(vector).max() > 0):
        raise ArgumentError(f"axis must be a direction (3,), found {vector.tolist()}")
    return vector


def _size() -> list[Measure]:
    return [
        Measure("volume", "enclosed", 3),
        Measure("area", "of the surface", 2),
        Measure("radius", "of the ball of the same volume, R", 1),
        Measure("length", "longest axis of the ellipsoid with the same second moments", 1),
        Measure("width", "middle axis of that ellipsoid", 1),
        Measure("height", "shortest axis of that ellipsoid", 1),
        Measure("border_length", "of the border; disks only", 1),
        Measure("mean_thickness", "of `local_thickness`, by area; closed surfaces only", 1),
    ]


def _factors() -> list[Measure]:
    return [
        Measure("sphericity", "area of the ball of the same volume / area; ball 1"),
        Measure("convexity", "volume / volume of the convex hull; 1 if convex"),
        Measure("hull_area_ratio", "area of the convex hull / area; 1 if convex"),
        Measure("elongation", "width / length"),
        Measure("flatness", "height / width"),
        Measure("ellipsoid_fill", "volume / volume of that ellipsoid; ellipsoid 1"),
        Measure("distance_std", "of the distance from the centroid, over its mean; ball 0"),
        Measure("distance_skewness", "of that distance; positive where spikes stand out"),
        Measure("distance_min", "over the mean distance"),
        Measure("distance_max", "over the mean distance"),
    ]


def _bending() -> list[Measure]:
    found = []
    for scale, share in SCALES.items():
        of = f"of the surface smoothed over {share:g} R"
        found += [
            *_quantiles(f"mean_curvature_{scale}", QUANTILES, f"mean curvature times R {of}"),
            Measure(f"willmore_{scale}", f"integral of squared mean curvature / 4 pi {of}; ball 1"),
            Measure(f"total_curvature_{scale}", f"integral of |k1 k2| / 4 pi {of}; 1 if convex"),
            Measure(f"concave_{scale}", f"share of the area with negative mean curvature {of}"),
            Measure(f"saddle_{scale}", f"share of the area with k1 k2 < 0 {of}"),
            Measure(f"relief_{scale}_std", "of the height over the surface smoothed so, over R"),
            *_quantiles(f"relief_{scale}", RELIEF, "height over that surface, over R"),
            *_summits(f"relief_{scale}_bump", "bumps"),
            *_summits(f"relief_{scale}_dent", "dents"),
        ]
    return found


def _summits(prefix: str, what: str) -> list[Measure]:
    of = f"{what} of that height stand out, over R"
    return [
        *(Measure(f"{prefix}_{k}", f"how far number {k} of the {of}; ball 0") for k in SUMMITS),
        Measure(f"{prefix}_sum", f"how far all but the first of the {of}, together"),
        Measure(f"{prefix}_rms", f"root of the sum of squares of how far the {of}"),
    ]


def _mapped() -> list[Measure]:
    what = "log conformal factor (to the sphere, or the disk), smoothed over .1 R"
    peaks = [
        Measure(f"conformal_peaks_{p}", f"peaks of that factor that stand out by .{p:02d} or more")
        for p in PEAKS
    ]
    degrees = range(2, DEGREE + 1)
    return [
        Measure("conformal_mean", f"mean {what}; ball 0"),
        Measure("conformal_std", f"standard deviation of the {what}; ball 0"),
        *_quantiles("conformal", QUANTILES, what),
        *peaks,
        Measure("conformal_peak_sum", "how far all of its peaks stand out, together"),
        *(
            Measure(
                f"position_harmonic_{d}",
                f"log10 of the energy of position in degree {d} over that in degree 1, on the"
                " sphere; closed surfaces only",
            )
            for d in degrees
        ),
        *(
            Measure(
                f"conformal_harmonic_{d}",
                f"root mean square of degree {d} of the log conformal factor, on the sphere; closed"
                " surfaces only",
            )
            for d in degrees
        ),
        *_quantiles("thickness", WALLS, "`local_thickness` over R, closed surfaces only"),
    ]


def _cut() -> list[Measure]:
    meanings = dict.fromkeys(SECTION, "of the radius around its centroid, over its mean")
    meanings |= {
        "compactness": "4 pi area / outline^2; disk 1",
        "convexity": "area / area of the convex hull",
        "outline_ratio": "outline of the convex hull / outline",
        "ellipticity": "amplitude of the second wave of the radius",
        "peak_sum": "how far all peaks of the radius stand out, together",
    }
    how = {"mean": "mean by area over", "largest": "in the largest of", "extreme": "worst of"}
    return [
        *(
            Measure(f"section_{name}_{which}", f"{how[which]} the sections across the axis: {what}")
            for which in AGGREGATES
            for name, what in meanings.items()
        ),
        *(
            Measure(f"section_{name}_{which}", f"{how} sections across the axis: {what}")
            for which, how in (("mean", "mean by area over"), ("extreme", "worst of the large"))
            for name, what in _outlined().items()
        ),
        Measure("section_height", "extent along the axis / diameter of the disk of the largest"),
    ]


def _outlined() -> dict[str, str]:
    bent = {
        "turning": "integral of |curvature| / 2 pi; 1 if convex",
        "bending": "mean of squared curvature times r^2; disk 1 to 1.06, for it shrinks",
        "concave": "share of the length that bends inwards; 0 if convex",
        "relief_std": "standard deviation of the height over the smooth outline, over r",
        "relief_low": "1.5 % quantile of that height",
        "relief_high": "98.5 % quantile of that height",
    }
    found = {
        f"{name}_{scale}": f"{bent[name]}; outline smoothed over {share:g} r, r^2 = area / pi"
        for scale, share in OUTLINE_SCALES.items()
        for name in BENT
    }
    side = {"opened": (INSIDE, "fits inside"), "closed": (OUTSIDE, "fits outside")}
    for name, (radii, fits) in side.items():
        for q in radii:
            found[f"{name}_{q}"] = f"share of the outline at which no disk of {q / 100:g} r {fits}"
    for name, (_, fits) in side.items():
        for q in DEPTHS:
            found[f"{name}_depth_{q}"] = (
                f"mean of how far the largest disk that {fits} is short of {q / 100:g} r, over that"
            )
    return found


def _quantiles(prefix: str, of: tuple[int, ...], what: str) -> list[Measure]:
    return [Measure(f"{prefix}_q{q:02d}", f"{q} % quantile by area: {what}") for q in of]


MEASURES: dict[str, Measure] = {
    one.name: one for one in (*_size(), *_factors(), *_bending(), *_mapped(), *_cut())
}

_DISK_LACKS = ("mean_thickness", "thickness_", "position_", "conformal_harmonic_", "section_")


def families_of(count: int) -> IntArray:
    """Return the families of so many measures, (M,), where their names are not at hand: of disks,
    of closed surfaces, or of these with sections. Other columns are one family.
    """
    axial = [name for name in MEASURES if name != "border_length"]
    closed = [name for name in axial if not name.startswith("section_")]
    disk = [name for name in MEASURES if not name.startswith(_DISK_LACKS)]
    for names in (disk, closed, axial):
        if len(names) == count:
            return families(names)
    return np.zeros(count, dtype=np.int64)
