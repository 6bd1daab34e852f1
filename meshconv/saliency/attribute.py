"""Where a trained network looks, on the pixels of the frame: its density, or the usual attributions beside it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import FloatArray, one_of
from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.resample.grid import grid_nodes

METHODS = ("density", "gradient", "gradcam")


def attribute(
    model: nn.Module, images: Tensor, *, method: str = "density", target: Tensor | None = None
) -> NDArray[np.float64]:
    """Return a map of what matters for each image, (n, N, N), at least 0.

    Parameters
    ----------
    model : nn.Module
        Logits (B, K) of images (B, C, N, N); ``density`` and ``gradcam`` need a `DECNN`.
    images : (n, C, N, N) Tensor
        As in training.
    method : {'density', 'gradient', 'gradcam'}
        ``density``: the room the network gives to each place, its mean 1. ``gradient``: absolute gradient
        of the target's logit times input, summed over channels. ``gradcam``: last convolution's channels
        weighted by their mean gradient, brought back through the equalizing map.
    target : (n,) int64 Tensor, optional
        Class asked about; the predicted one. The density knows no class.

    References
    ----------
    Shrikumar et al., 2016, arXiv 1605.01713 (gradient x input). Selvaraju et al., 2017,
    doi:10.1109/ICCV.2017.74 (Grad-CAM).
    """
    one_of(method, METHODS, "method")
    model.eval()
    images = images.to(next(model.parameters()).device)
    if method == "gradient":
        return _gradient_times_input(model, images, target)
    if not isinstance(model, DECNN):
        raise ArgumentError(f"method={method!r} needs a DECNN, found {type(model).__name__}", hint="method='gradient'")
    if method == "gradcam":
        return _grad_cam(model, images, target)
    with torch.no_grad():
        return _numpy(model.saliency(images)[:, 0])


def unit_range(values: FloatArray) -> FloatArray:
    """Return values scaled to 0..1 (NaN stays); all 0 where they do not differ.

    >>> unit_range(np.array([2.0, 4.0, 3.0])).tolist()
    [0.0, 1.0, 0.5]
    """
    low, high = np.nanmin(values), np.nanmax(values)
    if not high - low > 1e-9 * max(abs(high), abs(low)):
        return np.where(np.isfinite(values), 0.0, values)
    return np.asarray((values - low) / (high - low))


def _gradient_times_input(model: nn.Module, images: Tensor, target: Tensor | None) -> FloatArray:
    x = images.detach().clone().requires_grad_(True)
    score = _score(model(x), target)
    (gradient,) = torch.autograd.grad(score, x)
    return _numpy((gradient * x).detach().sum(dim=1).abs())


def _grad_cam(model: DECNN, images: Tensor, target: Tensor | None) -> FloatArray:
    """Class activation on the equalized grid, interpolated at the nodes of the source square."""
    kept: list[Tensor] = []
    convolutions = [module for module in model.backbone.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise ArgumentError("the backbone has no convolution", hint="method='gradient'")
    hook = convolutions[-1].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        score = _score(model(images), target)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    cam = functional.relu((gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True))
    n = model.network_size
    fine = functional.interpolate(cam.detach(), size=(n, n), mode="bilinear", align_corners=True)
    with torch.no_grad():
        grid = model.sampling_grid(images)
    return _unwarped(_numpy(fine[:, 0]), (_numpy(grid) + 1) / 2, images.shape[-1])


def _unwarped(values: FloatArray, grid: FloatArray, size: int) -> FloatArray:
    """Bring maps (n, m, m) on the equalized grid back: linear between the places (1 or n, m, m, 2) it shows."""
    nodes = grid_nodes(size).reshape(-1, 2)
    if len(grid) == 1:  # one grid for all: one triangulation for all
        there = LinearNDInterpolator(grid[0].reshape(-1, 2), values.reshape(len(values), -1).T, fill_value=0.0)(nodes)
        return np.asarray(there).T.reshape(len(values), size, size)
    each = [
        LinearNDInterpolator(g.reshape(-1, 2), v.ravel(), fill_value=0.0)(nodes)
        for g, v in zip(grid, values, strict=True)
    ]
    return np.stack(each).reshape(len(values), size, size)


def _score(logits: Tensor, target: Tensor | None) -> Tensor:
    chosen = logits.argmax(dim=1) if target is None else target.to(logits.device)
    return logits.gather(1, chosen[:, None]).sum()


def _numpy(values: Tensor) -> FloatArray:
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
