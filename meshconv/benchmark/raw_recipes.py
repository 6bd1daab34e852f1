"""What published networks take of a scan, and how each is trained, by its own paper.

512 points instead of 1,024, and half as many neighbours and centres with them, so that the layers
see as much of the surface; rates fall as published, but over the epochs given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshconv._check import FloatArray
from meshconv.benchmark.diffusion_network import Diffusion, DiffusionNetwork
from meshconv.benchmark.point_networks import DynamicGraphNetwork, PointNetPlusPlus
from meshconv.mesh.surface import Surface
from meshconv.operators.spectral import heat_kernel_signature

POINTS, MOST_VERTICES = 512, 1200
_SAMPLED = 2048  # points of each surface, of which POINTS are drawn anew in every epoch


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained.

    Attributes
    ----------
    build : callable
        Number of classes, seed -> network.
    prepare : callable
        Surface -> what the network takes of it, places first.
    varied : callable
        The same of a training scan, varied.
    judge : callable
        Network, scans -> logits (n, n_classes).
    optimizer : callable
        Parameters -> optimizer.
    schedule : callable
        Share of the epochs that is over -> multiple of the learning rate.
    batch_size, published_batch : int
        Here, and what the rate was published for.
    smoothing : float
        Of labels.
    """

    build: Callable[[int, int], nn.Module]
    prepare: Callable[[Surface], tuple[Any, ...]]
    varied: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    judge: Callable[[nn.Module, list[Any]], Tensor]
    optimizer: Callable[[Any], torch.optim.Optimizer]
    schedule: Callable[[float], float]
    batch_size: int = 16
    published_batch: int = 16
    smoothing: float = 0.0


def _points(surface: Surface) -> tuple[Tensor]:
    """Points at random by area, their mean at 0, the farthest at distance 1."""
    generator = np.random.default_rng(0)
    share = surface.face_areas / surface.area
    face = generator.choice(surface.n_faces, _SAMPLED, p=share)
    weights = generator.dirichlet(np.ones(3), _SAMPLED)
    points = np.einsum("kc,kcd->kd", weights, surface.vertices[surface.faces[face]])
    return (_in_ball(points),)


def _in_ball(points: FloatArray) -> Tensor:
    points = points - points.mean(axis=0)
    return torch.from_numpy((points / np.linalg.norm(points, axis=1).max()).astype(np.float32))


def _mesh(features: str, surface: Surface) -> tuple[Tensor, Diffusion]:
    if surface.n_vertices > MOST_VERTICES:
        thin = surface.to_pyvista().decimate(1.0 - 0.8 * MOST_VERTICES / surface.n_vertices)
        surface = Surface.from_pyvista(thin)
    if features == "places":
        return _in_ball(surface.vertices), Diffusion.of(surface)
    heat = np.log(np.maximum(heat_kernel_signature(surface) * surface.area, 1e-12))
    return torch.from_numpy(heat.astype(np.float32)), Diffusion.of(surface)


def _drawn(scan: tuple[Tensor]) -> Tensor:
    return scan[0][torch.randperm(len(scan[0]))[:POINTS]]


def _scaled_and_moved(scan: tuple[Tensor]) -> tuple[Tensor]:
    """As published for DGCNN: each axis by 2/3 to 3/2, moved by up to .2."""
    size = torch.empty(3).uniform_(2 / 3, 3 / 2)
    return (_drawn(scan) * size + torch.empty(3).uniform_(-0.2, 0.2),)


def _jittered(scan: tuple[Tensor]) -> tuple[Tensor]:
    """As published for PointNet++: scaled by .8 to 1.25, moved by up to .1, jitter, gaps."""
    points = _drawn(scan) * torch.empty(1).uniform_(0.8, 1.25)
    points = points + torch.empty(3).uniform_(-0.1, 0.1)
    points = points + (0.01 * torch.randn_like(points)).clamp(-0.05, 0.05)
    gone = torch.rand(len(points)) < 0.875 * torch.rand(())
    return (torch.where(gone[:, None], points[:1], points),)


def _as_it_is(scan: tuple[Any, ...]) -> tuple[Any, ...]:
    return scan


def _of_points(model: nn.Module, scans: list[Any]) -> Tensor:
    out: Tensor = model(torch.stack([scan[0][:POINTS] for scan in scans]))
    return out


def _of_meshes(model: nn.Module, scans: list[Any]) -> Tensor:
    return torch.stack([model(*scan) for scan in scans])


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)


def _momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)


RECIPES: dict[str, Recipe] = {
    "DGCNN": Recipe(
        lambda k, seed: DynamicGraphNetwork(k, neighbours=10, seed=seed),
        _points,
        _scaled_and_moved,
        _of_points,
        _momentum,
        lambda share: 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2,
        published_batch=32,
        smoothing=0.2,
    ),
    "PointNet++": Recipe(
        lambda k, seed: PointNetPlusPlus(k, in_ball=(16, 32), seed=seed),
        _points,
        _jittered,
        _of_points,
        _adam,
        lambda share: 0.7 ** math.floor(10 * share),
    ),
    **{
        f"DiffusionNet, {name}": Recipe(
            partial(lambda count, k, seed: DiffusionNetwork(count, k, seed=seed), count),
            partial(_mesh, name),
            _as_it_is,
            _of_meshes,
            _adam,
            lambda share: 0.5 ** math.floor(4 * share),
            batch_size=1,
            published_batch=1,
            smoothing=0.2,
        )
        for name, count in (("places", 3), ("heat", 16))
    },
}
