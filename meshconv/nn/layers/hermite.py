"""Hermite-Gaussian kernel bases at several scales, on a small grid.

psi_s(x) = prod_d He_{n_d}(x_d / sigma_s) exp(-x_d^2 / (2 sigma_s^2)) / sigma_s, with the
probabilists' He, is a product over the axes, so everything here is a table of one-dimensional taps.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermeval

from meshconv._check import FloatArray

FAMILIES = ("matched", "single", "multi")
_MULTI_ORDER, _MULTI_RATIO = 4, 1.2
_NARROWEST = 0.7  # voxels


def sampled_taps(positions: FloatArray, sigmas: FloatArray, order: int) -> FloatArray:
    """Return the functions' values at `positions`, (order + 1, S, k)."""
    x = positions / sigmas[:, None]
    gauss = np.exp(-(x**2) / 2.0) / sigmas[:, None]
    return np.stack([hermeval(x, row) * gauss for row in np.eye(order + 1)])


def matched_taps(positions: FloatArray, sigmas: FloatArray, order: int) -> FloatArray:
    """Return taps whose frequency response is closest to the functions' own, (order + 1, S, k).

    A sampled Gaussian is cut at the kernel's border, and the cut does not scale. A few taps can
    still answer to smooth fields as the uncut function does: weighted least squares of sum_j b_j
    exp(-i w x_j) against sqrt(2 pi) (-i sigma w)^n exp(-(sigma w)^2 / 2), w up to the grid's limit,
    weight exp(-w^2 / (2 tau^2)). The longer the kernel, the wider the band it can match: tau is an
    eighth of the number of steps in it. Along voxels longer than the finest it falls, faster than
    their own limit: the band of fields that the finest side resolves comes first, and no taps can
    match what lies beyond the limit. For the same reason the functions are stretched along voxels
    longer than 1.43 sigma, to a width of .7 voxels: narrower ones fall between the taps (with a
    sigma below .7, to as many voxels as along the finest).
    """
    step = float(positions[1] - positions[0])
    sigmas = sigmas * max(1.0, step * _NARROWEST / max(float(sigmas[0]), _NARROWEST))
    tau = min((len(positions) - 1) / 8.0, step ** (-4.0 / 3.0))
    w = np.linspace(-np.pi, np.pi, 801) / step
    root = np.exp(-(w**2) / (4.0 * tau**2))
    waves = root[:, None] * np.exp(-1j * np.outer(w, positions))
    matrix = np.concatenate([waves.real, waves.imag])
    sw = np.outer(sigmas, w)
    taps = []
    for n in range(order + 1):
        target = root * math.sqrt(2 * math.pi) * (-1j * sw) ** n * np.exp(-(sw**2) / 2.0)  # (S, w)
        stacked = np.concatenate([target.real, target.imag], axis=1).T
        taps.append(np.linalg.lstsq(matrix, stacked, rcond=1e-12)[0].T / step)
    return np.stack(taps)


def orders_and_widths(n_basis: int, dims: int, family: str) -> list[tuple[tuple[int, ...], float]]:
    """Return, for each of the n_basis**dims functions, its order on each axis and its relative
    sigma.
    """
    if family != "multi":
        return [(orders, 1.0) for orders in itertools.product(range(n_basis), repeat=dims)]
    one = [
        o for o in itertools.product(range(_MULTI_ORDER + 1), repeat=dims) if sum(o) <= _MULTI_ORDER
    ]
    total = n_basis**dims
    copies = -(-total // len(one))
    return [(o, _MULTI_RATIO**-q) for q in range(copies) for o in one][:total]


def hermite_basis(
    kernel_size: tuple[int, ...],
    sigmas: FloatArray,
    n_basis: int,
    family: str,
    spacing: tuple[float, ...],
) -> torch.Tensor:
    """Return the basis (F, S, *kernel_size), float64, of L2 norm 1 per function at scale index 0.

    ``"single"`` samples orders 0..n_basis-1 on each axis; ``"matched"`` has the same functions with
    taps from `matched_taps`; ``"multi"`` samples total orders <= 4 at sigmas in ratio 1.2, cut to
    the first n_basis**dims.
    """
    make = matched_taps if family == "matched" else sampled_taps
    functions = orders_and_widths(n_basis, len(kernel_size), family)
    order = max(max(orders) for orders, _ in functions)
    grids = [
        np.arange(-(k // 2), k // 2 + 1, dtype=np.float64) * h
        for k, h in zip(kernel_size, spacing, strict=True)
    ]
    taps = {q: [make(x, sigmas * q, order) for x in grids] for q in {q for _, q in functions}}
    letters = "xyz"[: len(kernel_size)]
    recipe = ",".join("s" + axis for axis in letters) + "->s" + letters
    basis = np.stack(
        [
            np.einsum(recipe, *(t[n] for t, n in zip(taps[q], orders, strict=True)))
            for orders, q in functions
        ]
    )
    norm = np.linalg.norm(basis[:, 0].reshape(len(basis), -1), axis=1)
    return torch.from_numpy(basis / norm.reshape(-1, *[1] * (basis.ndim - 1)))
