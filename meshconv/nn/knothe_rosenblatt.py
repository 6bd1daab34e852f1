"""The Knothe-Rosenblatt rearrangement of a bilinear density on the square, in closed form.

x goes to its cumulated marginal, y to its cumulated conditional. A bilinear density has linear
marginals and conditionals between nodes, so both cumulated functions are quadratic there and
inverted by the quadratic formula: the map is exact, cannot fold, and costs two searches. It shears
along x, and is not symmetric in the axes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from meshconv.nn.sample import node_grid


def knothe_rosenblatt(density: Tensor, nodes: int, *, forward: bool) -> Tensor:
    """Return the map (B, nodes, nodes, 2) of a density (B, 1, N, N); backward is the sampling grid.

    References
    ----------
    Rosenblatt, 1952, Ann. Math. Stat. 23(3); Knothe, 1957, Michigan Math. J. 4(1).
    """
    rho = density[:, 0]
    n = rho.shape[-1]
    unit = (node_grid(nodes, rho) + 1) / 2
    x, y = (
        unit[0, 0, :, 0].expand(rho.shape[0], -1).contiguous(),
        unit[..., 1].expand(rho.shape[0], -1, -1),
    )
    marginal = 0.5 * (rho[:, 1:] + rho[:, :-1]).mean(dim=1)  # (B, N), along x
    new_x = _cumulated(marginal, x) if forward else _inverse(marginal, x)
    source = (x if forward else new_x) * (n - 1)
    left = source.detach().floor().clamp(0, n - 2)
    part = (source - left)[:, None]
    column = left.long()[:, None].expand(-1, n, -1)
    conditional = (1 - part) * rho.gather(2, column) + part * rho.gather(
        2, column + 1
    )  # (B, N, nodes)
    conditional, along = conditional.transpose(1, 2).contiguous(), y.transpose(1, 2).contiguous()
    new_y = _cumulated(conditional, along) if forward else _inverse(conditional, along)
    both = [new_x[:, None].expand(-1, nodes, -1), new_y.transpose(1, 2)]
    return 2 * torch.stack(both, dim=-1) - 1


def _masses(density: Tensor) -> tuple[Tensor, Tensor]:
    """Return the density scaled to mass N - 1, and the mass left of each node, 0 to exactly N -
    1.
    """
    n = density.shape[-1]
    ref = density[..., :1]  # a constant density stays exactly constant
    cells = 0.5 * (density[..., 1:] + density[..., :-1])
    scaled = density / (ref + (cells - ref).mean(dim=-1, keepdim=True))
    cells = 0.5 * (scaled[..., 1:] + scaled[..., :-1])
    inner = torch.cumsum(cells, dim=-1)[..., :-1]
    zero = torch.zeros_like(ref)
    return scaled, torch.cat([zero, inner, zero + (n - 1)], dim=-1)


def _cumulated(density: Tensor, at: Tensor) -> Tensor:
    """Return the share of mass left of `at` in [0, 1], (..., P), of a piecewise linear density
    (..., N).
    """
    rho, mass = _masses(density)
    n = rho.shape[-1]
    place = at * (n - 1)
    cell = place.detach().floor().clamp(0, n - 2)
    s, index = place - cell, cell.long()
    a, b = rho.gather(-1, index), rho.gather(-1, index + 1)
    inside = s * (a + 0.5 * (b - a) * s)
    return torch.where(at >= 1, 1.0, (mass.gather(-1, index) + inside) / (n - 1))


def _inverse(density: Tensor, share: Tensor) -> Tensor:
    """Return where a share of mass in [0, 1], (..., P), of a piecewise linear density (..., N) is
    reached.

    a s + (b - a) s^2 / 2 = r is solved as s = 2 r / (a + sqrt(a^2 + 2 (b - a) r)): nothing cancels.
    """
    rho, mass = _masses(density)
    n = rho.shape[-1]
    target = share * (n - 1)
    index = (torch.searchsorted(mass.detach(), target.detach(), right=True) - 1).clamp(0, n - 2)
    a, b = rho.gather(-1, index), rho.gather(-1, index + 1)
    rest = (target - mass.gather(-1, index)).clamp_min(0)
    root = torch.sqrt((a * a + 2 * (b - a) * rest).clamp_min(torch.finfo(rho.dtype).tiny))
    s = (2 * rest / (a + root)).clamp_max(1.0)
    return torch.where(share >= 1, 1.0, (index + s) / (n - 1))
