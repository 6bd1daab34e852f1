"""How each domain of a `Parameterization` lies in the unit square (u, v).

- ``disk``: its bounding square, so the disk is the inscribed circle and the four corners are
  outside; or, with ``disk_to_square='conformal'``, the whole square by the Schwarz-Christoffel map:
  angles are kept except at the four corners of the square, and no node is wasted.
- ``rectangle`` [0, 1] x [0, h]: stretched onto the square, v = y / h.
- ``plane``: the bounding box, centred and scaled evenly; what it does not reach is outside.
- ``sphere``: the octahedral map: central projection onto the octahedron, whose upper half is the
  inner diamond of the square and whose lower half is folded out into the corners. The whole border
  is glued to itself, and the areas vary far less than on a latitude-longitude picture. Each side is
  its own mirror image about its middle, so what lies on the seam is seen twice; convolutions do not
  know of the seam, they see their padding beyond it.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ellipk, elliprf

from meshconv._check import ComplexArray, FloatArray, one_of

DISK_TO_SQUARE = ("inscribed", "conformal")


def square_coordinates(
    coordinates: FloatArray, domain: str, *, disk_to_square: str = "inscribed"
) -> FloatArray:
    """Return where points (V, 2 or 3) of a `Parameterization`'s domain lie in the unit square,
    (V, 2) = (u, v).
    """
    one_of(disk_to_square, DISK_TO_SQUARE, "disk_to_square")
    xy = coordinates
    if domain == "sphere":
        return sphere_to_square(xy)
    if domain == "rectangle":
        height = float(xy[:, 1].max())
        return np.clip(xy / [1.0, height if height > 0 else 1.0], 0.0, 1.0)
    if domain == "disk":
        inscribed = disk_to_square == "inscribed"
        return (xy + 1.0) / 2.0 if inscribed else disk_conformal(xy[:, 0] + 1j * xy[:, 1])
    low, high = xy.min(axis=0), xy.max(axis=0)
    width = float((high - low).max())
    return (xy - (low + high) / 2) / (width if width > 0 else 1.0) + 0.5


def disk_conformal(z: ComplexArray) -> FloatArray:
    """Map the unit disk conformally onto the unit square, centre to centre, (V,) complex to (V, 2).

    w = integral_0^z dt / sqrt(1 - t^4) = z RF(1 - z^2, 1 + z^2, 1) takes the disk to the square
    with corners at w(1) = K(-1) and its rotations; turned by 45 degrees (Carlson 1995, DLMF
    19.25.5; Schwarz-Christoffel).
    """
    t = z * np.exp(-0.25j * np.pi)
    t = t / np.maximum(np.abs(t), 1.0)  # rounding outside the disk would cross a branch cut
    w = t * elliprf(1.0 - t**2, 1.0 + t**2, 1.0) * np.exp(0.25j * np.pi)
    half_side = ellipk(-1.0) / np.sqrt(2.0)
    return np.clip(np.column_stack([w.real, w.imag]) / (2.0 * half_side) + 0.5, 0.0, 1.0)


def sphere_to_square(points: FloatArray) -> FloatArray:
    """Octahedral map of directions (V, 3) to the unit square; the north pole (z = 1) is the
    centre.
    """
    p = points / np.abs(points).sum(axis=1, keepdims=True)
    x, y, z = p.T
    folded = np.column_stack([(1 - np.abs(y)) * _sign(x), (1 - np.abs(x)) * _sign(y)])
    return (np.where(z[:, None] >= 0, p[:, :2], folded) + 1.0) / 2.0


def square_to_sphere(points: FloatArray) -> FloatArray:
    """Inverse of `sphere_to_square`: unit vectors (P, 3) of points (P, 2) in the unit square."""
    x, y = (2.0 * points - 1.0).T
    z = 1.0 - np.abs(x) - np.abs(y)
    lower = z < 0
    p = np.column_stack(
        [
            np.where(lower, (1 - np.abs(y)) * _sign(x), x),
            np.where(lower, (1 - np.abs(x)) * _sign(y), y),
            z,
        ]
    )
    return p / np.linalg.norm(p, axis=1, keepdims=True)


def _sign(x: FloatArray) -> FloatArray:
    return np.where(x >= 0, 1.0, -1.0)
