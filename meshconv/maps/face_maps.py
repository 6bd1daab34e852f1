"""The linear map of each face, from arrays: Beltrami coefficients, angles, shares of area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import ComplexArray, FloatArray, IntArray


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
        angle = f"mean {self.angle_mean:.3f}, std {self.angle_std:.3f}, max {self.angle_max:.1f}"
        area = f"mean |log ratio| {self.area_mean:.3f}, misplaced {self.misplaced_area:.3f}"
        mu = f"mean {self.beltrami_mean:.4f}, max {self.beltrami_modulus.max():.3f}"
        return f"angle error {angle} degrees; area {area}; |mu| {mu}; {len(self.folds)} folds"


def measured(
    vertices: FloatArray, faces: IntArray, image: ComplexArray, folds: IntArray
) -> Distortion:
    """Return the distortion of the map from vertices (V, 3) to side vectors `image` (F, 2)."""
    size = max(float(np.abs(vertices).max()), np.finfo(float).tiny)  # no square overflows
    source = laid_flat(sides(vertices / size, faces))
    return Distortion(
        angle_error=np.degrees(np.abs(corner_angles(image) - corner_angles(source))),
        surface_share=_share(source),
        image_share=_share(image),
        beltrami_modulus=np.abs(affine_beltrami(source, image)),
        folds=folds,
    )


def beltrami_between(faces: IntArray, source: ComplexArray, target: ComplexArray) -> ComplexArray:
    """Return mu (F,) of the piecewise linear map that takes vertices from `source` (V,) to `target`
    (V,).
    """
    a, b, c = faces.T
    return affine_beltrami(
        np.column_stack([source[b] - source[a], source[c] - source[a]]),
        np.column_stack([target[b] - target[a], target[c] - target[a]]),
    )


def affine_beltrami(source: ComplexArray, target: ComplexArray) -> ComplexArray:
    """Return mu (F,) of the linear maps that take the side vectors `source` (F, 2) to `target` (F,
    2).
    """
    (z1, z2), (w1, w2) = source.T, target.T
    f_zbar = z1 * w2 - z2 * w1  # both up to the factor z1 conj(z2) - z2 conj(z1)
    f_z = w1 * np.conj(z2) - w2 * np.conj(z1)
    mu = np.where(f_zbar == 0, 1.0 + 0j, np.inf + 0j)
    return np.divide(f_zbar, f_z, out=mu, where=f_z != 0)


def image_sides(points: FloatArray, faces: IntArray, areas: FloatArray) -> ComplexArray:
    """Return the images of sides 01 and 02 of each face as complex numbers (F, 2).

    `points` are (V, 2) in the plane, or (V, 3) on the sphere, seen from outside: there the sign of
    `areas` (F,) tells which faces are turned over.
    """
    image = sides(points, faces)
    if points.shape[1] == 2:
        return np.asarray(image[..., 0] + 1j * image[..., 1])
    flat = laid_flat(image)
    return np.where((areas < 0)[:, None], np.conj(flat), flat)


def laid_flat(vectors: FloatArray) -> ComplexArray:
    """Return side vectors (F, 2, 3) laid in the plane, the first along the real axis, (F, 2)."""
    first, second = vectors[:, 0], vectors[:, 1]
    base = np.linalg.norm(first, axis=1)
    height = np.linalg.norm(np.cross(first, second), axis=1)
    scale = np.where(base > 0, base, 1.0)
    return np.column_stack([base + 0j, ((first * second).sum(axis=1) + 1j * height) / scale])


def sides(points: FloatArray, faces: IntArray) -> FloatArray:
    """Return sides 01 and 02 of each face, (F, 2, d)."""
    a, b, c = points[faces].swapaxes(0, 1)
    return np.stack([b - a, c - a], axis=1)


def corner_angles(sides: ComplexArray) -> FloatArray:
    """Unsigned angles at corners 0, 1, 2 of triangles with sides 01 and 02, (F, 3), radians."""
    u, v = sides.T
    w = v - u
    pairs = ((u, v), (w, -u), (-v, -w))
    return np.column_stack([np.abs(np.angle(q * np.conj(p))) for p, q in pairs])


def _share(sides: ComplexArray) -> FloatArray:
    """Share of each triangle in the area of all."""
    areas = np.abs(np.imag(np.conj(sides[:, 0]) * sides[:, 1]))
    return np.asarray(areas / max(float(areas.sum()), np.finfo(float).tiny))
