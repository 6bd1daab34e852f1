"""The equalizing layer: from a density on a grid to the sampling grid that gives every unit of it
equal area.

The equalizing map f of the unit square onto itself satisfies det Df = density / mean: the density
*is* the factor by which the network magnifies each place. Its inverse, on a uniform grid, is the
sampling grid. Everything is differentiable in the density and runs on any device. Conventions:
`meshconv.resample.grid`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArgumentError, ArrayTypeError, DensityError
from meshconv.nn.cells import area_ratio, folds
from meshconv.nn.flows import diffusion_velocity, moser_velocity
from meshconv.nn.fold_free import fold_free
from meshconv.nn.knothe_rosenblatt import knothe_rosenblatt
from meshconv.nn.precision import valueless, without_autocast
from meshconv.nn.sample import full_precision, gather
from meshconv.resample.grid import grid_size

__all__ = ["area_ratio", "bounded_density", "density_error", "equalizing_grid", "folds"]

METHODS = ("moser", "knothe_rosenblatt", "diffusion")
DIRECTIONS = ("backward", "forward")
_STEPS = {"moser": 4, "knothe_rosenblatt": 1, "diffusion": 12}


def equalizing_grid(
    density: Tensor,
    *,
    method: str = "moser",
    steps: int | None = None,
    direction: str = "backward",
    size: int | None = None,
) -> Tensor:
    """Return the density-equalizing map of the square as a grid for
    `torch.nn.functional.grid_sample`.

    Parameters
    ----------
    density : (B, 1, N, N) Tensor
        Positive and finite, on nodes; only its ratio to its mean matters.
    method : {'moser', 'knothe_rosenblatt', 'diffusion'}
        ``moser``: flow of F / ((1 - t) density + t mean) with div F = density - mean; smooth, no
        preferred axis. ``knothe_rosenblatt``: cumulated marginal in x, then conditional in y; exact
        and 10 times cheaper, shears. ``diffusion``: the density is let diffuse and carries the
        points; for very rough densities, dearer.
    steps : int, optional
        Runge-Kutta steps of fourth order; 4 (moser), 12 (diffusion). Knothe-Rosenblatt is closed
        form.
    direction : {'backward', 'forward'}
        ``backward``: the sampling grid: for each node of the equalized square, the place in the
        source it shows. ``forward``: where each node of the source goes. They are each other's
        inverse.
    size : int, optional
        Nodes per side of the result, if other than N: the cost falls with its square.

    Returns
    -------
    grid : (B, N, N, 2) Tensor
        In [-1, 1], ``align_corners=True``, last axis (x, y). Walls stay on walls and corners on
        corners exactly; a constant density gives the identity exactly. The dtype of the density,
        but float32 for half precision and under autocast (a grid in bfloat16 would be off by half a
        node).

    Raises
    ------
    ArrayTypeError, DensityError, ArgumentError
        If the density is not (B, 1, N, N) floating point, not finite and positive (not checked
        while being compiled or exported), or an option is unknown.

    Warns
    -----
    AccuracyWarning
        If a map would fold a cell of the grid, also in four times as many steps: that density is
        flattened, to density ** p with the largest p of .75, .5, .25, .125 and 0 that folds none
        (not while being compiled or exported).

    References
    ----------
    Dacorogna and Moser, 1990, Ann. Inst. H. Poincare C 7(1). Gastner, Seguy and More, 2018, PNAS
    115(10), eq. (6) (the flow as a cartogram). Gastner and Newman, 2004, PNAS 101(20) (diffusion).

    Examples
    --------
    >>> density = torch.ones(1, 1, 33, 33)
    >>> density[..., 8:25, 8:25] = 2.0
    >>> grid = equalizing_grid(density)
    >>> int(folds(grid)), bool((grid[0, :, 0, 0] == -1).all())
    (0, True)
    """
    one_of(method, METHODS, "method")
    one_of(direction, DIRECTIONS, "direction")
    steps = _STEPS[method] if steps is None else steps
    if steps < 1:
        raise ArgumentError(f"steps must be at least 1, found {steps}")
    _check_density(density)
    nodes = density.shape[-1] if size is None else grid_size(size)
    forward = direction == "forward"
    with without_autocast(density):
        rho = full_precision(density)
        if method == "knothe_rosenblatt":
            return knothe_rosenblatt(rho, nodes, forward=forward)
        velocity = moser_velocity if method == "moser" else diffusion_velocity

        def times(finer: int) -> list[float]:
            each = [k / (finer * steps) for k in range(finer * steps + 1)]
            return each if forward else each[::-1]

        return fold_free(rho, velocity, nodes, times)


def density_error(density: Tensor, sampling_grid: Tensor) -> Tensor:
    """Return how uneven the delivered density is: standard deviation / mean over cells, (B,); 0 is
    exact.

    Each cell of the (backward) sampling grid should hold the same mass: its area in the source
    times the mean density in it (Simpson's rule on 3 x 3 points).
    """
    nodes = sampling_grid.permute(0, 3, 1, 2)
    fine = functional.interpolate(
        nodes, size=2 * nodes.shape[-1] - 1, mode="bilinear", align_corners=True
    )
    simpson = density.new_tensor([1.0, 4.0, 1.0]) / 6
    kernel = (simpson[:, None] * simpson)[None, None]
    rho = functional.conv2d(gather(density, fine.permute(0, 2, 3, 1)), kernel, stride=2)[:, 0]
    mass = area_ratio(sampling_grid) * rho
    return mass.std(dim=(1, 2), correction=0) / mass.mean(dim=(1, 2))


def bounded_density(logits: Tensor, *, ratio: float = 10.0, size: int) -> Tensor:
    """Return a smooth positive density of mean 1 from coarse logits, its maximum / minimum at most
    `ratio`.

    density ~ ratio ** (B-spline of sigmoid(logits)). The cubic B-spline comes *after* the sigmoid:
    whatever the logits, the density is twice differentiable on the scale of the coarse grid, so the
    flow stays accurate.

    Parameters
    ----------
    logits : (B, 1, n, n) Tensor
        On coarse nodes; n of (size - 1) / 8 + 1 to (size - 1) / 4 + 1 is meant.
    ratio : float
        Largest ratio of two densities, at least 1.
    size : int
        Nodes per side of the result.

    Returns
    -------
    density : (B, 1, size, size) Tensor
        Mean 1 over the square (trapezoid rule).

    Raises
    ------
    ArrayTypeError, ArgumentError
        If logits are not (B, 1, n, n), or ratio is below 1 or not finite.

    Examples
    --------
    >>> bounded_density(torch.zeros(1, 1, 5, 5), size=33).unique().tolist()
    [1.0]
    """
    _check_grid(logits, "logits")
    if not 1.0 <= ratio < math.inf:
        raise ArgumentError(f"ratio must be a finite number of at least 1, found {ratio!r}")
    share = torch.sigmoid(full_precision(logits))
    above = share - share[..., :1, :1]  # constant logits give exactly 1
    return normalize_density(torch.exp(math.log(ratio) * smooth_upsample(above, size)))


def smooth_upsample(coarse: Tensor, size: int) -> Tensor:
    """Return the cubic B-spline with coefficients (B, C, n, n) on `size` nodes; stays in their
    range.
    """
    size = grid_size(size)
    with without_autocast(coarse):
        spline = _bspline(coarse.shape[-1], size, coarse)
        return spline @ coarse @ spline.T


def normalize_density(density: Tensor) -> Tensor:
    """Return density / mean, the mean taken over the square by the trapezoid rule."""
    ref = density[..., :1, :1]
    return density / (ref + _trapezoid_mean(density - ref))


def _bspline(n: int, size: int, like: Tensor) -> Tensor:
    """Return the cubic B-spline matrix (size, n), reflected at the ends; rows sum to 1, entries >=
    0.
    """
    place = torch.linspace(0, n - 1, size, dtype=like.dtype, device=like.device)
    knots = torch.arange(-1, n + 1, dtype=like.dtype, device=like.device)
    u = (place[:, None] - knots).abs()
    hat = torch.where(u < 1, 2 / 3 - u**2 + u**3 / 2, (2 - u).clamp_min(0) ** 3 / 6)
    inner = hat[:, 1:-1].clone()
    inner[:, 1] += hat[:, 0]
    inner[:, -2] += hat[:, -1]
    return inner


# --- checks and geometry of cells ----------------------------------------------------------------


def _check_grid(array: Tensor, name: str) -> None:
    if (
        array.ndim != 4
        or array.shape[1] != 1
        or array.shape[2] != array.shape[3]
        or array.shape[-1] < 2
    ):
        raise ArrayTypeError(
            f"{name} must be (B, 1, N, N) with N of at least 2, found {tuple(array.shape)}"
        )
    if not array.is_floating_point():
        raise ArrayTypeError(f"{name} must be floating point, found {array.dtype}")


def _check_density(density: Tensor) -> None:
    _check_grid(density, "density")
    if valueless(density):
        return
    good = torch.isfinite(density) & (density > 0)
    if not bool(good.all()):
        bad = torch.nonzero(~good)
        at = bad[0].tolist()
        raise DensityError(
            f"density is {density[tuple(at)].item()} at {at};"
            f" {len(bad)} of {density.numel()} values are not finite and positive",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="see bounded_density",
        )


def _trapezoid_mean(field: Tensor) -> Tensor:
    along = functional.avg_pool2d(field, 2, stride=1)  # the mean of cell means
    return along.mean(dim=(2, 3), keepdim=True)
