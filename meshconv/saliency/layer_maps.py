"""What the layers of a backbone did at each place of the image: where windows landed, what an
attention kept, how fine the nodes were.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor
from torch.nn import functional

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.nn.equalize import area_ratio
from meshconv.nn.layers.adaptive_network import AdaptiveNetwork
from meshconv.nn.layers.add_recalibration import attention_maps
from meshconv.nn.layers.landing_map import landing_map, record_landings
from meshconv.nn.layers.learned_levels import LevelChoice
from meshconv.resample.grid import grid_nodes

_DIGITS = 6


def landing(model: DECNN, seen: Tensor, grid: Tensor, size: int) -> FloatArray:
    """Return how many of the backbone's last windows see each node of the image, over the number
    in a plain network on a uniform grid, (n, size, size).

    Parameters
    ----------
    model : DECNN
        In evaluation mode.
    seen : (n, C', m, m) Tensor
        Images on the equalized grid, as `DECNN.equalize` gives.
    grid : (1 or n, m, m, 2) Tensor
        The sampling grid they were taken with.
    size : int
        Nodes per side of the images.

    Raises
    ------
    ArgumentError
        If the backbone has adaptive nodes, or is not one chain of windows.
    """
    if _adaptive(model):
        raise ArgumentError(
            "method='landing' needs a backbone on a grid, found adaptive nodes",
            hint="method='levels'",
        )
    with torch.no_grad(), record_landings(model.backbone) as records:
        model.backbone(seen)
    windows = landing_map(records, seen.shape[2:], relative=True)
    return _laid(windows.expand(len(seen), -1, -1, -1), grid, size)


def attention(model: DECNN, seen: Tensor, grid: Tensor, size: int) -> FloatArray:
    """Return how much the recalibration layers keep of each node of the image, the mean over
    layers, (n, size, size); parameters and errors as `landing`.
    """
    with torch.no_grad():
        maps = attention_maps(model.backbone, seen).values()
        if not maps:
            raise _needs(model, "attention", "recalibration")
        whole = [_resized(one.float(), seen.shape[-1]) for one in maps]
    return back_to_image(torch.stack(whole).mean(dim=0), grid, size)


def levels(model: DECNN, seen: Tensor, grid: Tensor, size: int) -> FloatArray:
    """Return how many nodes adaptive layers give to each node of the image, over the number in a
    plain network on a uniform grid, (n, size, size); parameters and errors as `landing`.
    """
    networks = _adaptive(model)
    if not networks:
        raise _needs(model, "levels", "adaptive")
    with torch.no_grad():
        used = networks[0].run(seen)[1]
        level = used.level if isinstance(used, LevelChoice) else used
    nodes = 4.0 ** -level.float().expand(len(seen), -1, -1, -1)
    return _laid(nodes, grid, size)


def _laid(nodes: Tensor, grid: Tensor, size: int) -> FloatArray:
    """Return what nodes (n, 1, m, m) of a sampling grid count at the places that they show, over
    what ones on a uniform grid would, (n, size, size).
    """
    cells = functional.pad(area_ratio(grid.to(nodes))[:, None], (1, 1, 1, 1), mode="replicate")
    return back_to_image(nodes / functional.avg_pool2d(cells, 2, stride=1), grid, size)


def back_to_image(maps: Tensor, grid: Tensor, size: int) -> FloatArray:
    """Bring maps (n, 1, m, m) on the equalized grid back to the nodes of the image, (n, size,
    size): linear between the places that the sampling grid (1 or n, m, m, 2) shows.
    """
    nodes, values = grid_nodes(size).reshape(-1, 2), as_numpy(maps)[:, 0]
    places = (as_numpy(grid) + 1) / 2  # in the unit square
    places = places.round(_DIGITS)  # or rounding would choose the diagonals of square cells
    if len(places) == 1:  # one grid for all: one triangulation for all
        there = LinearNDInterpolator(
            places[0].reshape(-1, 2), values.reshape(len(values), -1).T, fill_value=0.0
        )(nodes)
        return np.asarray(there).T.reshape(len(values), size, size)
    each = [
        LinearNDInterpolator(g.reshape(-1, 2), v.ravel(), fill_value=0.0)(nodes)
        for g, v in zip(places, values, strict=True)
    ]
    return np.stack(each).reshape(len(values), size, size)


def _adaptive(model: DECNN) -> list[AdaptiveNetwork]:
    return [module for module in model.backbone.modules() if isinstance(module, AdaptiveNetwork)]


def _needs(model: DECNN, method: str, backbone: str) -> ArgumentError:
    found = type(model.backbone).__name__
    return ArgumentError(
        f"method={method!r} needs a backbone with such layers, found {found}",
        hint=f"backbone={backbone!r}, or method='density'",
    )


def _resized(image: Tensor, side: int) -> Tensor:
    return functional.interpolate(image, size=(side, side), mode="bilinear", align_corners=True)


def as_numpy(values: Tensor) -> FloatArray:
    """Return values in double precision, without their gradients."""
    return np.asarray(values.detach().cpu().double().numpy())
