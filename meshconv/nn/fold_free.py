"""Traces of densities that fold no cell of the grid: in more steps, or of a flatter density."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from meshconv.errors import AccuracyWarning
from meshconv.nn.cells import corners, folded, folds
from meshconv.nn.flows import Velocity, carried, traced
from meshconv.nn.precision import valueless
from meshconv.nn.sample import node_grid

Flow = Callable[[Tensor], Velocity]
Times = Callable[[int], list[float]]  # in so many times as many steps

# times as many steps, and power of the density: the last is a constant density, the identity
_WAYS = ((2, 1.0), (4, 1.0), (1, 0.75), (1, 0.5), (1, 0.25), (1, 0.125), (1, 0.0))
_FLATTENED = 2  # the first of them that is
_TRIED = 64  # cells, of those that fold
_MANY = 0.3  # of the densities: a trace takes a third of the time of its derivative


def fold_free(rho: Tensor, flow: Flow, nodes: int, times: Times) -> Tensor:
    """Return traces (B, n, n, 2) of densities (B, 1, N, N), of which none folds a cell.

    Those that would are traced in twice or four times as many steps if that helps, as it does where
    they are smooth, or else flattened to the largest power that folds none. What helps is tried on
    the cells that fold, and held to on all.

    Warns
    -----
    AccuracyWarning
        If a density was flattened.
    """

    def trace(of: Tensor, finer: int) -> Tensor:
        return traced(of, velocity=flow, nodes=nodes, times=times(finer))

    grid = trace(rho, 1)
    if valueless(grid):
        return grid
    wrong = folded(*corners(grid.detach()))
    bad = wrong.flatten(1).any(dim=1)
    rows, others = torch.nonzero(bad)[:, 0], torch.nonzero(~bad)[:, 0]
    if not len(rows):
        return grid
    if grid.requires_grad and len(rows) >= _MANY * len(rho):
        grid = _derived_at(others, grid, partial(trace, rho[others], 1))
    cells, way = _some_cells(wrong[rows], grid), torch.zeros_like(rows)
    while len(rows):
        way = _first_way(way, rho[rows].detach(), cells, flow, times)
        for k in sorted(set(way.tolist())):
            own, (finer, power) = rows[way == k], _WAYS[k]
            grid = grid.index_copy(0, own, trace(rho[own] ** power, finer))
        if bool((way >= _FLATTENED).any()):
            _warn_flattened()
        still = folds(grid.detach()[rows]) > 0
        rows, way, cells = rows[still], way[still] + 1, cells[still]
    return grid


def _derived_at(rows: Tensor, grid: Tensor, trace: Callable[[], Tensor]) -> Tensor:
    """Return the same grid, to the bit, with a derivative at some rows alone, which are traced
    anew: else it is taken for all and used for few.
    """
    grid = grid.detach()
    if not len(rows):
        return grid
    anew = trace()
    return grid.index_copy(0, rows, grid[rows] + (anew - anew.detach()))


def _some_cells(wrong: Tensor, grid: Tensor) -> Tensor:
    """Return the corners (R, K, 4, 2), on the even grid, of cells that fold, (R, n - 1, n - 1); of
    rows with fewer than others, some of them again.
    """
    flat = wrong.flatten(1)
    count = flat.sum(dim=1, keepdim=True)
    order = torch.argsort(flat.to(torch.uint8), dim=1, descending=True, stable=True)
    place = torch.arange(min(int(count.max()), _TRIED), device=grid.device)
    chosen = order.gather(1, place % count)
    even = torch.stack(corners(node_grid(grid.shape[1], grid)), dim=3)[0].flatten(0, 1)
    return even[chosen]


@torch.no_grad()
def _first_way(way: Tensor, rho: Tensor, cells: Tensor, flow: Flow, times: Times) -> Tensor:
    """Return the first way from the given one on that unfolds the cells, for each density."""
    last, held, velocity = len(_WAYS) - 1, torch.arange(len(way), device=way.device), flow(rho)
    out = torch.full_like(way, last)
    for k, (finer, power) in enumerate(_WAYS[:-1]):
        left = torch.nonzero(out == last)[:, 0]
        if not len(left):
            break
        if power < 1:  # as it is, a density has the same velocity in any steps
            held, velocity = left, flow(rho[left] ** power)
        ends = carried(cells[held], velocity, times(finer))
        good = ~folded(*ends.unbind(dim=2)).any(dim=1) & (way[held] <= k)
        out[held[good]] = out[held[good]].clamp_max(k)
    return out


def _warn_flattened() -> None:
    warnings.warn(
        "a density is too steep for its grid and was flattened: its map would fold;"
        " density_error says what is left",
        AccuracyWarning,
        stacklevel=4,
    )
