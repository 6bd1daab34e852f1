"""Traces of densities that fold no cell of the grid: in more steps, or of a flatter density."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from meshconv.errors import AccuracyWarning
from meshconv.nn.cells import folds
from meshconv.nn.precision import valueless

Trace = Callable[[Tensor, int], Tensor]  # of densities, in so many times as many steps

_FINER = (2, 4)  # times as many steps, before a density is flattened
_POWERS = (0.75, 0.5, 0.25, 0.125, 0.0)  # the last is a constant density: the identity
_MANY = 0.3  # of the densities: a trace takes a third of the time of its derivative


def fold_free(rho: Tensor, trace: Trace) -> Tensor:
    """Return traces (B, n, n, 2) of densities (B, 1, N, N), of which none folds a cell.

    Those that would are traced in twice and four times as many steps while that helps, as it does
    where they are smooth, and then flattened to the largest power that folds none. All this is
    tried without a derivative, which is then that of what is delivered alone.

    Warns
    -----
    AccuracyWarning
        If a density was flattened.
    """
    grid = trace(rho, 1)
    if valueless(grid):
        return grid
    count = folds(grid.detach())
    rows = torch.nonzero(count)[:, 0]
    if not len(rows):
        return grid
    steps, powers = torch.ones_like(count), torch.ones_like(rho[:, 0, 0, 0])
    with torch.no_grad():
        found, steps[rows], powers[rows] = _tried(grid[rows], rho[rows], trace)
        delivered = grid.index_copy(0, rows, found)
    if not grid.requires_grad:
        return delivered
    anew = _anew(grid, rho, steps, powers, trace)
    return delivered + (anew - anew.detach())  # to the bit what was found to fold nothing


def _anew(grid: Tensor, rho: Tensor, steps: Tensor, powers: Tensor, trace: Trace) -> Tensor:
    """Return the grid with its derivative, those in other steps or of other powers traced anew;
    where they are many, all: a derivative of all would be used in part.
    """
    first = (steps == 1) & (powers == 1)
    many = float((~first).float().mean()) >= _MANY
    out = torch.zeros_like(grid) if many else grid
    for n, power in sorted(set(zip(steps.tolist(), powers.tolist(), strict=True))):
        rows = torch.nonzero((steps == n) & (powers == power))[:, 0]
        if many or not bool(first[rows[0]]):
            out = out.index_copy(0, rows, trace(rho[rows] ** power, n))
    return out


def _tried(grid: Tensor, rho: Tensor, trace: Trace) -> tuple[Tensor, Tensor, Tensor]:
    """Return traces that fold no cell in place of those that do, how many times as many steps each
    takes, and the power of its density.
    """
    count = folds(grid)
    steps, powers, before = torch.ones_like(count), torch.ones_like(rho[:, 0, 0, 0]), 2 * count
    for finer in _FINER:
        rows = torch.nonzero((count > 0) & (2 * count <= before))[:, 0]
        if not len(rows):
            break
        grid = grid.index_copy(0, rows, trace(rho[rows], finer))
        steps[rows], before, count = finer, count, folds(grid)
    for power in _POWERS:
        rows = torch.nonzero(count)[:, 0]
        if not len(rows):
            break
        if power == _POWERS[0]:
            _warn_flattened()
        grid = grid.index_copy(0, rows, trace(rho[rows] ** power, 1))
        steps[rows], powers[rows], count = 1, power, folds(grid)
    return grid, steps, powers


def _warn_flattened() -> None:
    warnings.warn(
        "a density is too steep for its grid and was flattened: its map would fold;"
        " density_error says what is left",
        AccuracyWarning,
        stacklevel=5,
    )
