"""Outlines of plane sections by their arc length: how they bend, at several scales, and which disks
fit into and onto them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray

SCALES = {"fine": 0.06, "middle": 0.12, "coarse": 0.25}  # smoothing lengths over the radius
INSIDE = (10, 20, 30, 45, 65)  # hundredths of the radius: disks within the outline
OUTSIDE = (10, 20, 30, 45, 100, 200)  # disks without
DEPTHS = (20, 45)
BENT = ("turning", "bending", "concave", "relief_std", "relief_low", "relief_high")
OUTLINE = (
    *(f"{name}_{scale}" for scale in SCALES for name in BENT),
    *(f"opened_{q}" for q in INSIDE),
    *(f"closed_{q}" for q in OUTSIDE),
    *(f"opened_depth_{q}" for q in DEPTHS),
    *(f"closed_depth_{q}" for q in DEPTHS),
)
_POINTS = 256
_STEADY = 0.04  # smoothing before disks are fitted: corners of the triangles are no spikes
_END = 0.015  # share of the outline that the lowest and the highest relief leave out
_HOLLOW = 1e-3  # curvature over that of the disk from which a side is not merely straight
_FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed plane curve at even distances along it.

    Attributes
    ----------
    points : (256,) complex128
        Counter-clockwise.
    length : float
    radius : float
        Of the disk of the same area.
    """

    points: NDArray[np.complex128]
    length: float
    radius: float

    @classmethod
    def of(cls, corners: FloatArray) -> Outline:
        """Return the outline through corners (n, 2) in their order."""
        z = corners[:, 0] + 1j * corners[:, 1]
        closed = np.append(z, z[0])
        along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(closed)))])
        at = np.linspace(0, along[-1], _POINTS, endpoint=False)
        points = np.interp(at, along, closed.real) + 1j * np.interp(at, along, closed.imag)
        area = float(np.imag(np.conj(z) * np.roll(z, -1)).sum()) / 2
        turned = points if area >= 0 else points[::-1]
        return cls(turned, float(along[-1]), float(np.sqrt(abs(area) / np.pi)))

    def smoothed(self, scale: float) -> tuple[NDArray[np.complex128], ...]:
        """Return the curve smoothed by a Gaussian of so many radii along it, and its first and
        second derivative by the arc length before.
        """
        wave = 2 * np.pi * np.fft.fftfreq(_POINTS, self.length / _POINTS)
        low = np.fft.fft(self.points) * np.exp(-0.5 * (wave * scale * self.radius) ** 2)
        return tuple(np.fft.ifft((1j * wave) ** k * low) for k in range(3))


def outline_values(outline: Outline) -> list[float]:
    """Return the measures of an outline in the order of `OUTLINE`."""
    found = [value for scale in SCALES.values() for value in _bent(outline, scale)]
    curve, first, _ = outline.smoothed(_STEADY)
    step, normal = _along(first)
    within, without = (r / outline.radius for r in touching_disks(curve, normal))
    found += [float(step @ (within < q / 100)) for q in INSIDE]
    found += [float(step @ (without < q / 100)) for q in OUTSIDE]
    for radius in (within, without):
        found += [float(step @ np.maximum(0.0, 1 - radius / (q / 100))) for q in DEPTHS]
    return found


def _along(first: NDArray[np.complex128]) -> tuple[FloatArray, NDArray[np.complex128]]:
    """Return each point's share of the length, and the normals, outward."""
    speed = np.abs(first)
    return speed / speed.sum(), -1j * first / np.maximum(speed, _FLAT)


def _bent(outline: Outline, scale: float) -> list[float]:
    """Return the measures of one scale in the order of `BENT`."""
    curve, first, second = outline.smoothed(scale)
    share, normal = _along(first)
    speed = np.maximum(np.abs(first), _FLAT)
    curvature = np.imag(np.conj(first) * second) / speed**3
    length = float(np.abs(first).mean()) * outline.length
    height = np.real((outline.points - curve) * np.conj(normal)) / outline.radius
    height = height - share @ height
    return [
        float(share @ np.abs(curvature)) * length / (2 * np.pi),
        float(share @ curvature**2) * outline.radius**2,
        float(share @ (curvature * outline.radius < -_HOLLOW)),
        float(np.sqrt(share @ height**2)),
        *np.quantile(height, (_END, 1 - _END)).tolist(),
    ]


def touching_disks(
    curve: NDArray[np.complex128], normal: NDArray[np.complex128]
) -> tuple[FloatArray, FloatArray]:
    """Return the radii of the largest disks within and without a curve that touch it at each point,
    (n,); infinite where nothing is in the way.

    A point is taken off by the opening of the inside with a disk if and only if the first is
    smaller, and covered by the closing if the second is.

    Parameters
    ----------
    curve, normal : (n,) complex128
        Points, and their unit normals, outward.
    """
    between = curve[None, :] - curve[:, None]
    across = np.real(between * np.conj(normal)[:, None])
    square = np.abs(between) ** 2
    flat = np.abs(across) <= _FLAT * np.sqrt(square)
    radius = square / np.where(flat, np.inf, 2 * across)
    radius[flat] = np.inf
    inside, outside = np.where(radius < 0, -radius, np.inf), np.where(radius > 0, radius, np.inf)
    return inside.min(axis=1), outside.min(axis=1)
