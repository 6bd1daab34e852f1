"""Flows that carry the nodes of a grid to where a density is even: Moser's, and diffusion."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from meshconv.nn.sample import gather, node_grid

Velocity = Callable[[Tensor, float], Tensor]


def traced(
    rho: Tensor, *, velocity: Callable[[Tensor], Velocity], nodes: int, times: list[float]
) -> Tensor:
    """Carry the nodes of a uniform grid along the flow of a density, (B, n, n, 2)."""
    start = node_grid(nodes, rho).expand(rho.shape[0], -1, -1, -1)
    return carried(start, velocity(rho), times)


def carried(start: Tensor, velocity: Velocity, times: list[float]) -> Tensor:
    """Carry points (B, h, w, 2) along a flow."""
    return _runge_kutta(velocity, start.permute(0, 3, 1, 2), times).permute(0, 2, 3, 1)


def _runge_kutta(velocity: Velocity, x: Tensor, times: list[float]) -> Tensor:
    """Trace points (B, 2, n, n) through the times by the classical fourth-order rule."""
    for t, end in itertools.pairwise(times):
        h = end - t
        k1 = velocity(x, t)
        k2 = velocity(torch.add(x, k1, alpha=h / 2), t + h / 2)
        k3 = velocity(torch.add(x, k2, alpha=h / 2), t + h / 2)
        k4 = velocity(torch.add(x, k3, alpha=h), end)
        x = torch.add(x, torch.add(k1 + k4, k2 + k3, alpha=2), alpha=h / 6)
    return x


def moser_velocity(rho: Tensor) -> Velocity:
    """Return v = grad phi / ((1 - t) rho + t mean), laplace phi = rho - mean, no flux through the
    walls.

    rho - mean = sum c_kl cos(pi k x) cos(pi l y), so phi_kl = -c_kl / (pi^2 (k^2 + l^2)). The sine
    of the derivative vanishes on the walls: the normal flux there is exactly 0. Flux and density
    are interpolated, their quotient is not.
    """
    cosine, sine, analysis = _cosine_basis(rho.shape[-1], rho)
    ref = rho[:, :, :1, :1]  # subtracted first: a constant density has exactly no flux
    spectrum = analysis @ (rho - ref) @ analysis.T
    mean = ref + spectrum[:, :, :1, :1]
    k = torch.arange(rho.shape[-1], dtype=rho.dtype, device=rho.device)
    phi = spectrum / (math.pi * (k[:, None] ** 2 + k**2)).clamp_min(1.0)  # divided by -1 / pi
    # twice, because the square is [-1, 1] wide in grid coordinates
    flux_x = 2 * (cosine @ (phi * k) @ sine.T)
    flux_y = 2 * (sine @ (phi * k[:, None]) @ cosine.T)
    field = torch.cat([flux_x, flux_y, rho - mean], dim=1) / mean

    def velocity(x: Tensor, t: float) -> Tensor:
        at = gather(field, x.permute(0, 2, 3, 1))
        return at[:, :2] / at[:, 2:].mul(1 - t).add(1)

    return velocity


def diffusion_velocity(rho: Tensor) -> Velocity:
    """Return v = -grad rho_t / rho_t of the heat equation, in a time s in [0, 1] with t = s^3.

    Rough detail decays first, so early times need short steps. At t = 1 the slowest mode has
    decayed to 5e-5.
    """
    cosine, sine, analysis = _cosine_basis(rho.shape[-1], rho)
    ref = rho[:, :, :1, :1]
    spectrum = analysis @ (rho - ref) @ analysis.T
    k = torch.arange(rho.shape[-1], dtype=rho.dtype, device=rho.device)
    rate = math.pi**2 * (k[:, None] ** 2 + k**2)

    def velocity(x: Tensor, s: float) -> Tensor:
        heat = spectrum * torch.exp(-rate * s**3)
        flux_x = cosine @ (heat * k) @ sine.T
        flux_y = sine @ (heat * k[:, None]) @ cosine.T
        field = torch.cat([flux_x, flux_y, cosine @ heat @ cosine.T], dim=1)
        at = gather(field, x.permute(0, 2, 3, 1))
        return (2 * math.pi * 3 * s**2) * at[:, :2] / (ref + at[:, 2:])

    return velocity


def _cosine_basis(n: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return cos(pi i k / M), sin(pi i k / M) the inverse of the first (DCT-I), each (N, N); M = N
    - 1.
    """
    i = torch.arange(n, device=like.device)
    phase = (i[:, None] * i) % (
        2 * (n - 1)
    )  # reduced as integers, so that the sine is 0 exactly on the walls
    angle = phase.to(torch.float64 if like.device.type != "mps" else torch.float32) * (
        math.pi / (n - 1)
    )
    sine = torch.where(phase % (n - 1) == 0, 0.0, torch.sin(angle)).to(like.dtype)
    cosine = torch.cos(angle).to(like.dtype)
    ends = torch.where((i == 0) | (i == n - 1), 0.5, 1.0).to(like.dtype)
    return cosine, sine, (2.0 / (n - 1)) * ends[:, None] * cosine * ends
