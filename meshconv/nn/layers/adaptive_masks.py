"""Level maps for content-adaptive downsampling: from edges, points, a density or a
curvature.

All return (B, 1, *S) int64 maps, constant on aligned blocks, ready for `AdaptiveNodes.from_image`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArrayTypeError
from meshconv.nn.layers.adaptive_budget import check_count, checked_score, levels_for_cost
from meshconv.nn.layers.adaptive_levels import MAX_POOL, aligned_levels

_MAX_TO: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_max_pool1d,
    2: functional.adaptive_max_pool2d,
    3: functional.adaptive_max_pool3d,
}


def edge_strength(image: Tensor) -> Tensor:
    """Return the gradient's magnitude, per pixel step, at its largest over the channels, (B, 1,
    *S).
    """
    gradient = torch.gradient(image, dim=list(range(2, image.ndim)))
    return torch.stack([g.square() for g in gradient]).sum(dim=0).sqrt().amax(dim=1, keepdim=True)


def levels_from_edges(
    image: Tensor,
    levels: int,
    *,
    threshold: float = 0.1,
    dilation: int = 1,
    size: Sequence[int] | None = None,
) -> Tensor:
    """Return level 0 near edges and up to `levels` away from them.

    Parameters
    ----------
    image : (B, C, *N) Tensor
    levels : int
        n, the coarsest level.
    threshold : float
        An edge has a gradient of at least this, in units of the image per pixel.
    dilation : int
        Pixels of the image by which edges are widened on every side.
    size : sequence of int, optional
        Sides S of the map, usually of the features; those of the image. A pixel is an edge if any
        in it is.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 8, 8)
    >>> image[..., 0, 0] = 1
    >>> levels_from_edges(image, 2)[0, 0, ::4, ::4].tolist()
    [[0, 2], [2, 2]]
    """
    check_count(levels)
    edge = (edge_strength(image) >= threshold).to(torch.float32)
    dims = image.ndim - 2
    edge = MAX_POOL[dims](edge, 2 * dilation + 1, stride=1, padding=dilation)
    if size is not None:
        edge = _MAX_TO[dims](edge, tuple(size))
    return aligned_levels(levels * (edge == 0))


def levels_from_points(
    points: Tensor, levels: int, size: Sequence[int], *, radius: float
) -> Tensor:
    """Return level 0 within `radius` of a point (a landmark, say) and up to `levels` away from all.

    `points` are (B, P, d) in pixels of a map with the d sides `size`, row first; NaN where there is
    none.

    Examples
    --------
    >>> level = levels_from_points(torch.tensor([[[0.0, 1.0]]]), 1, (4, 4), radius=1.0)
    >>> level[0, 0, ::2, ::2].tolist()
    [[0, 0], [1, 1]]
    """
    check_count(levels)
    if points.ndim != 3 or points.shape[2] != len(size):
        raise ArrayTypeError(f"points must be (B, P, {len(size)}), found {tuple(points.shape)}")
    pixels = torch.cartesian_prod(*(torch.arange(n, device=points.device) for n in size)).reshape(
        -1, len(size)
    )
    near = (torch.cdist(points, pixels.to(points.dtype)) <= radius).any(dim=1)
    return aligned_levels(levels * ~near.view(-1, 1, *size))


def levels_from_density(
    density: Tensor, levels: int, *, cost: float | None = None, size: Sequence[int] | None = None
) -> Tensor:
    """Return fine levels where a density is high: a DECNN's learned density, or a map's area
    distortion.

    Parameters
    ----------
    density : (B, 1, *N) Tensor
        Not negative; NaN counts as 0.
    levels : int
        n, the coarsest level.
    cost : float, optional
        See `levels_for_cost`. Without it a node's area is inverse to the density: level 0 at the
        maximum, one level more for every factor 2**d below it.
    size : sequence of int, optional
        Sides S of the map; those of the density.
    """
    if cost is not None:
        return levels_for_cost(density, levels, cost, size=size)
    check_count(levels)
    rho = checked_score(density, size)
    peak = rho.flatten(1).amax(dim=1).view(-1, *[1] * (rho.ndim - 1))
    steps = torch.log2(peak / rho) / (rho.ndim - 2)
    return aligned_levels(steps.nan_to_num(nan=0.0).clamp(0, levels).floor())


def levels_from_curvature(
    curvature: Tensor, levels: int, *, cost: float = 0.4375, size: Sequence[int] | None = None
) -> Tensor:
    """Return fine levels where the surface bends: `levels_for_cost` of the curvature's absolute
    value.

    `curvature` is (B, 1, *N), e.g. a channel of a geometry image; NaN outside the surface counts as
    flat.
    """
    return levels_for_cost(curvature.abs(), levels, cost, size=size)
