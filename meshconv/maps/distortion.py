"""`distortion`: what a map does to angles and areas, and whether it folds; nothing hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import ComplexArray, FloatArray, IntArray, require_kind
from meshconv.maps.beltrami import affine_beltrami, image_sides, lay_out
from meshconv.maps.parameterization import Parameterization


@dataclass(frozen=True, eq=False)
class Distortion:
    """The distortion of a map, per corner and face, with its summary.

    Attributes
    ----------
    angle_error : (F, 3) float64
        |image angle - surface angle| at each corner, in degrees.
    surface_share, image_share : (F,) float64
        Share of each face in the total area, on the surface and in the image (unsigned).
    beltrami_modulus : (F,) float64
        |mu|: 0 conformal, 1 collapsed, above 1 turned over.
    folds : (K,) int64
        Faces turned over or without area.
    """

    angle_error: FloatArray
    surface_share: FloatArray
    image_share: FloatArray
    beltrami_modulus: FloatArray
    folds: IntArray

    @property
    def angle_mean(self) -> float:
        """Mean angle error over all corners, degrees."""
        return float(self.angle_error.mean())

    @property
    def angle_std(self) -> float:
        """Standard deviation of the angle error over all corners, degrees."""
        return float(self.angle_error.std())

    @property
    def angle_max(self) -> float:
        """Largest angle error, degrees."""
        return float(self.angle_error.max())

    @property
    def log_area_ratio(self) -> FloatArray:
        """Logarithm of image_share / surface_share, (F,); infinite where only one side has an
        area.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(self.image_share) - np.log(self.surface_share)
        return np.where(self.image_share == self.surface_share, 0.0, ratio)

    @property
    def area_mean(self) -> float:
        """Mean of |log area ratio| weighted by surface area; log 2 = .69 means a factor of two."""
        seen = self.surface_share > 0
        return float(
            np.average(np.abs(self.log_area_ratio[seen]), weights=self.surface_share[seen])
        )

    @property
    def misplaced_area(self) -> float:
        """Half the sum of |image share - surface share| over faces: 0 for an area-preserving map,
        below 1.
        """
        return float(0.5 * np.abs(self.image_share - self.surface_share).sum())

    @property
    def beltrami_mean(self) -> float:
        """Mean |mu| weighted by surface area."""
        return float(np.average(self.beltrami_modulus, weights=self.surface_share))

    def summary(self) -> dict[str, float]:
        """Return the figures by name, ready for a report or JSON."""
        names = (
            "angle_mean",
            "angle_std",
            "angle_max",
            "area_mean",
            "misplaced_area",
            "beltrami_mean",
        )
        figures = {name: getattr(self, name) for name in names}
        return {
            **figures,
            "beltrami_max": float(self.beltrami_modulus.max()),
            "folds": len(self.folds),
        }

    def __str__(self) -> str:
        angle = f"mean {self.angle_mean:.3f}, std {self.angle_std:.3f}, max {self.angle_max:.1f} degrees"
        area = f"mean |log ratio| {self.area_mean:.3f}, misplaced {self.misplaced_area:.3f}"
        mu = f"mean {self.beltrami_mean:.4f}, max {self.beltrami_modulus.max():.3f}"
        return f"angle error {angle}; area {area}; |mu| {mu}; {len(self.folds)} folds"


def distortion(parameterization: Parameterization) -> Distortion:
    """Measure a map against its surface: angles, areas, Beltrami coefficient, folds.

    Parameters
    ----------
    parameterization : Parameterization
        V vertices, F faces, any domain. Faces without area are measured like any other; none is
        left out.

    Returns
    -------
    Distortion
        Angle errors in degrees, area shares and |mu| per face, indices of folded faces. Unchanged
        if either side is scaled, moved or turned.

    Examples
    --------
    >>> from meshconv import Surface
    >>> surface = Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> print(distortion(Parameterization(surface, [[0, 0], [3, 0], [0, 3]])))
    angle error mean 0.000, std 0.000, max 0.0 degrees; area mean |log ratio| 0.000, misplaced 0.000; \
|mu| mean 0.0000, max 0.000; 0 folds
    """
    require_kind(parameterization, "parameterization", Parameterization)
    surface = parameterization.surface
    source = lay_out(_unit_sides(surface.vertices, surface.faces))
    target = image_sides(parameterization)
    return Distortion(
        angle_error=np.degrees(np.abs(_angles(target) - _angles(source))),
        surface_share=_share(source),
        image_share=_share(target),
        beltrami_modulus=np.abs(affine_beltrami(source, target)),
        folds=parameterization.flipped_faces(),
    )


def _unit_sides(points: FloatArray, faces: IntArray) -> FloatArray:
    """Sides 01 and 02 of each face, scaled by the size of the whole so that no square overflows."""
    a, b, c = (points / max(float(np.abs(points).max()), np.finfo(float).tiny))[faces].swapaxes(
        0, 1
    )
    return np.stack([b - a, c - a], axis=1)


def _angles(sides: ComplexArray) -> FloatArray:
    """Unsigned angles at corners 0, 1, 2 of triangles with sides 01 and 02, (F, 3), radians."""
    u, v = sides.T
    w = v - u
    pairs = ((u, v), (w, -u), (-v, -w))
    return np.column_stack([np.abs(np.angle(q * np.conj(p))) for p, q in pairs])


def _share(sides: ComplexArray) -> FloatArray:
    """Share of each triangle in the area of all."""
    areas = np.abs(np.imag(np.conj(sides[:, 0]) * sides[:, 1]))
    return np.asarray(areas / max(float(areas.sum()), np.finfo(float).tiny))
