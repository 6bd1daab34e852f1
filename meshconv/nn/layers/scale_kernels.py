"""The kernels of a scale-equivariant convolution: their geometry, checked, and their basis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.layers.hermite import FAMILIES, hermite_basis


def kernel_basis(
    kernel_size: tuple[int, ...],
    n_scales: int,
    *,
    scale_ratio: float,
    sigma: float,
    n_basis: int,
    family: str,
    spacing: tuple[float, ...],
    dilated: bool,
) -> Tensor:
    """Return the basis (F, S, *kernel_size), float64: ones for a kernel of a single tap."""
    if math.prod(kernel_size) == 1:
        basis = torch.ones(1, 1, *kernel_size, dtype=torch.float64)
    else:
        scales = np.arange(1 if dilated else n_scales, dtype=np.float64)
        sigmas = sigma * np.power(scale_ratio, scales)
        basis = hermite_basis(kernel_size, sigmas, n_basis, family, spacing)
    return basis.expand(-1, n_scales, *kernel_size).contiguous()


def odd_kernel(value: Any, dims: int) -> tuple[int, ...]:
    """Return the taps per axis: odd, and 1 on all axes or none."""
    kernel = per_axis(value, dims, "kernel_size")
    if any(k % 2 == 0 for k in kernel) or (1 in kernel and math.prod(kernel) > 1):
        raise ArgumentError(f"kernel_size must be odd, and 1 on all axes or none, found {value!r}")
    return kernel


def check_options(dims: int, scale_ratio: float, sigma: float, family: str, **counts: int) -> None:
    """Refuse options that are out of range."""
    if dims not in (1, 2, 3):
        raise ArgumentError(f"dims must be 1, 2 or 3, found {dims!r}")
    if not 0 < scale_ratio < 1 or sigma <= 0:
        raise ArgumentError(
            f"need 0 < scale_ratio < 1 and sigma > 0, found {scale_ratio!r} and {sigma!r}"
        )
    one_of(family, FAMILIES, "family")
    for name, count in counts.items():
        per_axis(count, 1, name)
    channels = counts["in_channels"], counts["out_channels"]
    if any(n % counts["groups"] for n in channels):
        raise ArgumentError(f"groups must divide the channels {channels}, found {counts['groups']}")


def per_axis(value: Any, dims: int, name: str, least: int = 1) -> tuple[int, ...]:
    """Return an integer for each axis."""
    out = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(out) != dims or not all(isinstance(v, int) and v >= least for v in out):
        axes = f", or one per axis ({dims})" if dims > 1 else ""
        raise ArgumentError(f"{name} must be an integer >= {least}{axes}, found {value!r}")
    return out


def dilations(scale_ratio: float, n_scales: int, same: bool) -> tuple[int, ...]:
    """Return each scale's distance between taps, in voxels."""
    step = round(1.0 / scale_ratio)
    if abs(step * scale_ratio - 1.0) > 1e-9 or not same:
        raise ArgumentError(
            "dilated kernels need 1 / scale_ratio to be an integer and padding 'same',"
            f" found {scale_ratio!r} and padding {'same' if same else 'of its own'}"
        )
    return tuple(step ** (n_scales - 1 - s) for s in range(n_scales))


def voxel(spacing: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    """Return the voxel's sides, the finest of them 1."""
    if spacing is None:
        return (1.0,) * dims
    if len(spacing) != dims or not all(0 < h < math.inf for h in spacing):
        raise ArgumentError(f"spacing must be {dims} positive lengths, found {spacing!r}")
    return tuple(float(h) / min(spacing) for h in spacing)


def tap_offsets(kernel_size: Sequence[int], spacing: Sequence[float]) -> Tensor:
    """Return where each tap stands, (K, d) float64, in units of the finest voxel side."""
    sides = zip(kernel_size, spacing, strict=True)
    axes = [torch.arange(-(k // 2), k // 2 + 1, dtype=torch.float64) * h for k, h in sides]
    return torch.cartesian_prod(*axes).reshape(-1, len(axes))
