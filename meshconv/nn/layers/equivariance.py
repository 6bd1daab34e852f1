"""How far kernels, and networks of them, are from commuting with one step of scale."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

N_WAVES = 64


def patch_error(
    kernels: Tensor,
    offsets: Tensor,
    scale_ratio: float,
    *,
    lifting: bool,
    max_frequency: float,
    n_points: int,
    seed: int,
) -> float:
    """Return sum |y_b[s + 1] - y_a[s]|^2 / sum |y_a[s]|^2 for random smooth fields.

    y_a are the responses to fields of 64 cosines, |w| <= `max_frequency`, at random points, y_b
    those to the same fields reduced about these points. From frequency responses, which for cosines
    is the test itself.

    Parameters
    ----------
    kernels : (S, O, I, T, k) float64 Tensor
    offsets : (S, k, d) or (1, k, d) float64 Tensor
        Where the taps of each scale stand, in the unit of length of 1 / `max_frequency`.
    lifting : bool
        All scales read one field per input channel; else T consecutive ones of a field per scale.
    """
    n_scales, _, channels, n_taps, _ = kernels.shape
    offsets = offsets.expand(n_scales, -1, -1)
    generator = torch.Generator().manual_seed(seed)
    shape = (channels, 1 if lifting else n_scales + n_taps - 1, N_WAVES)
    waves = _in_ball(shape, offsets.shape[-1], generator) * max_frequency
    points = (
        torch.rand(n_points, offsets.shape[-1], generator=generator, dtype=torch.float64) - 0.5
    ) * 40.0
    phase = torch.rand(shape, generator=generator, dtype=torch.float64) * (2 * math.pi)
    carrier = torch.exp(1j * (torch.einsum("pd,itwd->pitw", points, waves) + phase))

    def response(s: int, at: Tensor, here: slice) -> Tensor:
        phases = torch.exp(1j * torch.einsum("itwd,kd->itwk", waves[:, here], at))
        gains = torch.einsum("oitk,itwk->oitw", kernels[s].to(phases.dtype), phases)
        return torch.einsum("oitw,pitw->po", gains, carrier[:, :, here]).real

    error = power = 0.0
    for s in range(n_scales - 1):
        here = slice(None) if lifting else slice(s, s + n_taps)
        y_a, y_b = (
            response(s, offsets[s], here),
            response(s + 1, offsets[s + 1] / scale_ratio, here),
        )
        error += float((y_b - y_a).square().sum())
        power += float(y_a.square().sum())
    return error / power if power else 0.0


def _in_ball(shape: tuple[int, ...], dims: int, generator: torch.Generator) -> Tensor:
    direction = torch.randn(*shape, dims, generator=generator, dtype=torch.float64)
    radius = torch.rand(*shape, 1, generator=generator, dtype=torch.float64) ** (1.0 / dims)
    return direction / direction.norm(dim=-1, keepdim=True) * radius


def network_error(
    features: Callable[[Tensor], Tensor],
    channels: int,
    dims: int,
    scale_ratio: float,
    *,
    period: int,
    max_frequency: float,
    n_points: int,
    seed: int,
) -> float:
    """Return sum |y_b[s + 1] - y_a[s]|^2 / sum |y_a[s]|^2 of a whole network's features.

    y_a are the features, less those of an empty image, at the middle of `n_points` images of 64
    cosines under a bell, |w| <= `max_frequency`; y_b those of the same images reduced about the
    middle, which is a place that all strides keep: a multiple of `period`. Norms, activations,
    strides and skips are in it, borders are not.
    """
    least = 48 if dims == 2 else 16
    middle = -(-least // period) * period
    generator = torch.Generator().manual_seed(seed)
    waves = _in_ball((channels, N_WAVES), dims, generator) * max_frequency
    phase = torch.rand(n_points, channels, N_WAVES, generator=generator, dtype=torch.float64)
    axes = [torch.arange(-middle, middle + 1, dtype=torch.float64)] * dims
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)

    def answers(image: Tensor) -> Tensor:
        found = features(image)
        for _ in range(dims):
            found = found.select(-1, middle)  # an axis at a time, the last first
        return found.double()

    def field(scale: float) -> Tensor:
        at = places / scale
        angle = torch.einsum("cwd,...d->cw...", waves, at)
        bell = torch.exp(-at.square().sum(dim=-1) / (2 * (2 * middle / 7) ** 2))
        one = [torch.cos(angle + 2 * math.pi * p.view(*p.shape, *[1] * dims)) for p in phase]
        return torch.stack([(o.sum(dim=1) * bell) / math.sqrt(N_WAVES) for o in one]).float()

    empty = answers(torch.zeros(1, channels, *places.shape[:-1]))
    large, small = answers(field(1.0)) - empty, answers(field(scale_ratio)) - empty
    change, power = (small[:, :, 1:] - large[:, :, :-1]).square(), large[:, :, :-1].square()
    return float(change.sum() / power.sum().clamp_min(1e-300))
