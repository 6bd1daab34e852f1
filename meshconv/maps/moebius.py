"""Moebius transforms of disk and sphere, and the conformal barycentre: the canonical position of a
map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import ComplexArray, FloatArray
from meshconv.errors import SolverError

_CENTRED = 1e-13
_AT_REST = 1e-10  # of the mean, at which rounding may keep a map off its centre
_STEPS = 200
_BLOCK = 1 << 13  # numbers that the processor keeps at hand


@dataclass(frozen=True)
class Moebius:
    """The transform z -> (a z + b) / (c z + d) of the extended plane, ad - bc != 0.

    Examples
    --------
    >>> turn = Moebius(1j, 0, 0, 1)
    >>> complex((turn @ turn)(1.0)), complex(turn.inverse()(1j))
    ((-1+0j), (1+0j))
    """

    a: complex
    b: complex
    c: complex
    d: complex

    @classmethod
    def to_centre(cls, point: complex) -> Moebius:
        """Return the automorphism of the unit disk that takes `point`, |point| < 1, to 0 without
        turning.
        """
        return cls(1, -point, -np.conj(point), 1)

    def __call__(self, z: ComplexArray | complex) -> ComplexArray:
        """Return the image of each z."""
        z = np.asarray(z, dtype=np.complex128)
        below = self.c * z
        below += self.d
        image = self.a * z
        image += self.b
        image /= below
        return np.asarray(image)

    def __matmul__(self, first: Moebius) -> Moebius:
        """Return the transform that applies `first`, then this one."""
        left = np.array([[self.a, self.b], [self.c, self.d]], dtype=np.complex128)
        right = np.array([[first.a, first.b], [first.c, first.d]], dtype=np.complex128)
        product = left @ right
        product /= np.abs(product).max()
        return Moebius(*map(complex, product.ravel()))

    def inverse(self) -> Moebius:
        """Return the transform that undoes this one."""
        return Moebius(self.d, -self.b, -self.c, self.a)


def centring(z: ComplexArray, weights: FloatArray) -> Moebius:
    """Return the automorphism of the unit disk after which the weighted mean of z (V,) is 0.

    It exists and is unique up to a rotation unless half of the weight lies in one point of the
    border.

    Raises
    ------
    SolverError
        If the weighted mean does not come to rest.

    References
    ----------
    Douady, Earle, 1986, Acta Math. 157, sec. 2 (conformal barycentre).
    https://doi.org/10.1007/BF02392590
    """
    w = weights / weights.sum()
    total = Moebius(1, 0, 0, 1)
    for _ in range(_STEPS):
        mean, square = _moments(total, z, w)
        if abs(mean) < _CENTRED:
            return total
        # Newton: the mean of (z - c) / (1 - conj(c) z) is mean - c + conj(c) square to first order
        step = (mean + square * mean.conjugate()) / (1 - abs(square) ** 2)
        total = Moebius.to_centre(_inside(step, mean)) @ total
    if abs(mean) < _AT_REST:
        return total
    raise SolverError(
        f"the conformal barycentre is still {abs(mean):.1e} from 0 after {_STEPS} steps"
    )


def _moments(transform: Moebius, z: ComplexArray, w: FloatArray) -> tuple[complex, complex]:
    """The weighted sums of the images and of their squares, block by block: whole arrays of them
    would be written to memory and read again.
    """
    mean = square = 0j
    for k in range(0, len(z), _BLOCK):
        moved = transform(z[k : k + _BLOCK])
        weighted = w[k : k + _BLOCK] * moved
        mean += complex(weighted.sum())
        square += complex(weighted @ moved)
    return mean, square


def _inside(step: complex, mean: complex) -> complex:
    """The Newton step, or the plain mean (which always gains) where it leaves the trusted half of
    the disk.
    """
    return step if abs(step) < 0.5 else mean


def moebius_sphere(points: FloatArray, centre: FloatArray) -> FloatArray:
    """Return unit vectors (V, 3) after the automorphism of the unit ball that takes `centre` (3,)
    to 0.

    x -> (1 - |c|^2) (x - c) / |x - c|^2 - c, conformal and orientation preserving on the sphere.
    """
    shifted = points - centre
    moved = shifted * ((1 - centre @ centre) / _squared_length(shifted)) - centre
    return np.asarray(moved / np.sqrt(_squared_length(moved)))


def _squared_length(rows: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", rows, rows)[:, None])


def centred_on_sphere(points: FloatArray, weights: FloatArray) -> FloatArray:
    """Return unit vectors (V, 3) moved by the Moebius transform after which their weighted mean is
    0.

    Raises
    ------
    SolverError
        If the weighted mean does not come to rest.
    """
    w = weights / weights.sum()
    for _ in range(_STEPS):
        mean = w @ points
        if np.linalg.norm(mean) < _CENTRED:
            return points
        # Newton: the mean moves by -2 c + 2 (sum w x x') c to first order
        second = (points * w[:, None]).T @ points
        step = np.linalg.lstsq(2 * (np.eye(3) - second), mean)[
            0
        ]  # singular with all weight in two points
        length = float(np.linalg.norm(step))
        points = moebius_sphere(points, step if length < 0.5 else mean / 2)
    if np.linalg.norm(mean) < _AT_REST:
        return points
    raise SolverError(
        f"the conformal barycentre is still {np.linalg.norm(mean):.1e} from 0 after {_STEPS} steps"
    )


def upright(z: ComplexArray, positions: FloatArray, weights: FloatArray) -> complex:
    """Return the rotation e^(i alpha) that makes a centred planar map independent of the scan's
    pose.

    The direction of the surface that the map spreads most, in the sense of sum w x conj(z), comes
    to lie along the real axis; of its two ends, the heavier tail of the map points to +1.
    """
    w = weights / weights.sum()
    middle, moment, third = w @ positions, np.zeros(3, dtype=np.complex128), 0j
    for k in range(0, len(z), _BLOCK):
        here = slice(k, k + _BLOCK)
        weighted = w[here] * z[here]
        moment += (positions[here] - middle).T @ weighted
        third += complex(weighted @ np.abs(z[here]) ** 2)
    turn = np.exp(-0.5j * np.angle((moment**2).sum()))
    tail = float((turn * third).real)
    return complex(turn if tail >= 0 else -turn)


def upright_on_sphere(points: FloatArray, positions: FloatArray, weights: FloatArray) -> FloatArray:
    """Return unit vectors (V, 3) turned so that they do not depend on the scan's pose.

    The principal directions of sum w x s' (x on the surface, s on the sphere) become the axes;
    signs are fixed by the skewness of the surface along the first two, the third keeps orientation.
    """
    w = weights / weights.sum()
    x = positions - w @ positions
    left, _, right = np.linalg.svd((x * w[:, None]).T @ points)
    along = x @ left
    skew = w @ (along * along * along)
    signs = np.where(skew >= 0, 1.0, -1.0)
    frame = right * signs[:, None]
    if np.linalg.det(frame) < 0:
        frame[2] *= -1
    return np.asarray(points @ frame.T)
