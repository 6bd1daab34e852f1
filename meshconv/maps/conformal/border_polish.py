"""Polish of the border angles of a disk map: quasi-Newton steps on the conformal energy of a
circular border.

E(theta) = (c' S c + s' S s) / 2 - area of the polygon, with c = cos theta, s = sin theta and S the
Schur complement of the Laplacian on the border: the LSCM energy. S is never formed: S c is the flux
of one harmonic extension. On the disk itself the Hessian is diagonal in the Fourier modes of theta,
|k| - 1 for |k| >= 2, and the three Moebius directions cost nothing; that is the preconditioner.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshconv._check import FloatArray

_MEMORY = 8
_ENOUGH = 1e-3  # relative decrease of the energy below which a further step is not worth a solve

Flux = Callable[[FloatArray], FloatArray]
Pair = tuple[FloatArray, FloatArray]


def gaps(angles: FloatArray) -> FloatArray:
    """Return the angle from each border vertex to the next, (B,), all positive and 2 pi in sum."""
    return np.diff(angles, append=angles[0] + 2 * np.pi)


def polished(angles: FloatArray, flux: Flux, steps: int) -> FloatArray:
    """Return increasing border angles (B,) of lower conformal energy.

    Parameters
    ----------
    flux : callable
        Border positions (B, 2) -> S times them, (B, 2).
    steps : int
        At most so many quasi-Newton steps; each costs one harmonic extension, or a few where it
        backtracks.
    """
    if steps < 1 or len(angles) < 4:
        return angles
    energy, gradient = _energy(angles, flux)
    pairs: list[Pair] = []
    for _ in range(steps):
        direction = -_inverse_hessian(angles, gradient, pairs)
        slope = float(gradient @ direction)
        if slope >= 0:
            break
        size = _longest_step(angles, direction)
        for _ in range(10):
            new = angles + size * direction
            new_energy, new_gradient = _energy(new, flux)
            if new_energy <= energy + 1e-4 * size * slope:
                break
            size /= 2
        else:
            break
        pairs = [*pairs, (new - angles, new_gradient - gradient)][-_MEMORY:]
        gain = energy - new_energy
        angles, energy, gradient = new, new_energy, new_gradient
        if gain < _ENOUGH * abs(energy):
            break
    return angles


def _energy(angles: FloatArray, flux: Flux) -> tuple[float, FloatArray]:
    c, s, d = np.cos(angles), np.sin(angles), gaps(angles)
    sc, ss = flux(np.column_stack([c, s])).T
    energy = 0.5 * (c @ sc + s @ ss - np.sin(d).sum())
    return float(energy), c * ss - s * sc - 0.5 * (np.cos(np.roll(d, 1)) - np.cos(d))


def _longest_step(angles: FloatArray, direction: FloatArray) -> float:
    """At most 1, and short enough that no gap loses more than half of itself."""
    closing = -np.diff(direction, append=direction[0])
    return float(min(1.0, 0.5 / max(np.max(closing / gaps(angles)), 1e-300)))


def _inverse_hessian(angles: FloatArray, gradient: FloatArray, pairs: list[Pair]) -> FloatArray:
    """Two-loop L-BFGS recursion over the pairs (step, change of gradient) of positive curvature."""
    pairs = [(s, y) for s, y in pairs if s @ y > 0]
    q, coefficients = gradient.copy(), []
    for s, y in reversed(pairs):
        coefficients.append(float(s @ q) / float(s @ y))
        q -= coefficients[-1] * y
    q = _on_the_disk(angles, q)
    for (s, y), a in zip(pairs, reversed(coefficients), strict=True):
        q += s * (a - float(y @ q) / float(s @ y))
    return q


def _on_the_disk(angles: FloatArray, gradient: FloatArray) -> FloatArray:
    k = np.arange(2, max(3, min(len(angles) // 2, 512) + 1))
    waves = np.exp(1j * np.outer(k, angles))
    return np.asarray(np.real(((waves.conj() @ gradient) / (k - 1)) @ waves) / np.pi)
