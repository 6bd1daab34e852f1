"""What every density equalizer on the unit square must do, whatever it is made of.

A `check_...` takes `equalize`: positive densities at the nodes of a regular grid, (N, N) float64,
row = v, column = u, nodes on the border -> where the nodes go, (N, N, 2), last axis (u, v).
`CHECKS` lists them all:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(my_equalizer)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Equalizer = Callable[[Array], Array]


def uniform(size: int) -> Array:
    """Return the nodes (N, N, 2) of the unit square."""
    along = np.arange(size) / (size - 1)
    return np.stack(np.meshgrid(along, along), axis=-1)


def blobs(size: int, ratio: float = 10.0) -> Array:
    """Return a smooth density, max/min about `ratio`, without any symmetry."""
    u, v = np.moveaxis(uniform(size), -1, 0)
    first = np.exp(-((u - 0.35) ** 2 + (v - 0.4) ** 2) / (2 * 0.12**2))
    second = np.exp(-((u - 0.7) ** 2 + (v - 0.75) ** 2) / (2 * 0.15**2))
    return 1.0 + (ratio - 1.0) * np.maximum(first, 0.6 * second)


def cells(nodes: Array) -> tuple[Array, Array, Array, Array]:
    """Return the corners of each cell, counter-clockwise from (0, 0), each (N-1, N-1, 2)."""
    return nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]


def cross(p: Array, q: Array) -> Array:
    return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]


def folded_cells(nodes: Array) -> int:
    """Return the number of cells with a corner triangle of no or negative area."""
    a, b, c, d = cells(nodes)
    corners = [cross(q - p, r - p) for p, q, r in ((a, b, d), (b, c, a), (c, d, b), (d, a, c))]
    return int((np.minimum.reduce(corners) <= 0).sum())


def spread(density: Array, nodes: Array) -> float:
    """Return std/mean of population / area over the cells of the delivered map: 0 if it is
    equalized.
    """
    a, b, c, d = cells(density[..., None])
    people = (a + b + c + d)[..., 0] / 4
    p, q, r, s = cells(nodes)
    left = people / (0.5 * cross(r - p, s - q))
    return float(left.std() / left.mean())


def check_constant_density_is_identity(equalize: Equalizer) -> None:
    for value in (1.0, 1e-3, 40.0):
        assert np.abs(equalize(np.full((33, 33), value)) - uniform(33)).max() < 1e-6


def check_area_ratio_is_density(equalize: Equalizer) -> None:
    for ratio in (3.0, 10.0):
        density = blobs(65, ratio)
        assert spread(density, equalize(density)) <= 0.012


def check_closed_form(equalize: Equalizer) -> None:
    """A density of u alone moves u to its cumulated share, and v not at all."""
    u = uniform(65)[..., 0]
    nodes = equalize(1.0 + 0.8 * np.cos(2 * np.pi * u))
    exact = u + 0.8 * np.sin(2 * np.pi * u) / (2 * np.pi)
    assert np.abs(nodes[..., 0] - exact).max() < 1e-3
    assert np.abs(nodes[..., 1] - uniform(65)[..., 1]).max() < 1e-4


def check_no_folds(equalize: Equalizer) -> None:
    for ratio in (2.0, 10.0):
        assert folded_cells(equalize(blobs(65, ratio))) == 0


def check_border_to_border(equalize: Equalizer) -> None:
    nodes, near = equalize(blobs(33)), 1e-6
    assert np.abs(nodes[:, 0, 0]).max() < near and np.abs(nodes[:, -1, 0] - 1).max() < near
    assert np.abs(nodes[0, :, 1]).max() < near and np.abs(nodes[-1, :, 1] - 1).max() < near
    assert (np.diff(nodes[0, :, 0]) > 0).all() and (np.diff(nodes[:, 0, 1]) > 0).all()


def check_symmetric_in_symmetric_out(equalize: Equalizer) -> None:
    density, near = blobs(33), 1e-5
    nodes = equalize(density)
    transposed = equalize(density.T.copy())
    assert np.abs(transposed - nodes.transpose(1, 0, 2)[..., ::-1]).max() < near
    mirrored = equalize(density[:, ::-1].copy())
    assert np.abs(mirrored - (nodes[:, ::-1] * [-1, 1] + [1, 0])).max() < near


def check_scale_of_density_is_irrelevant(equalize: Equalizer) -> None:
    density = blobs(33)
    assert np.abs(equalize(1e3 * density) - equalize(density)).max() < 1e-5


def check_converges(equalize: Equalizer) -> None:
    """Four times the nodes a side, at most half the error: against the finest map, and in the area
    ratio.
    """
    finest = equalize(blobs(129))
    coarse, fine = equalize(blobs(17)), equalize(blobs(65))
    assert np.abs(fine - finest[::2, ::2]).max() < 0.5 * np.abs(coarse - finest[::8, ::8]).max()
    assert spread(blobs(65), fine) < 0.5 * spread(blobs(17), coarse)


CHECKS = (
    check_constant_density_is_identity,
    check_area_ratio_is_density,
    check_closed_form,
    check_no_folds,
    check_border_to_border,
    check_symmetric_in_symmetric_out,
    check_scale_of_density_is_irrelevant,
    check_converges,
)
