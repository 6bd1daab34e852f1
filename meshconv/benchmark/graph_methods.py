"""Opponents on raw meshes: networks on points and edges, which need neither a map nor an image."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose
from tqdm import tqdm

from meshconv._check import FloatArray
from meshconv.benchmark.task import Part, Task, UnfitTaskError
from meshconv.benchmark.trained import Trained
from meshconv.datasets.graph_transforms import (
    FarthestPoints,
    NearestNeighbours,
    NormalizedPose,
    VertexFeatures,
)
from meshconv.datasets.scan import Population
from meshconv.datasets.surface_graphs import SurfaceGraphs
from meshconv.errors import ArgumentError
from meshconv.nn.seeding import seeded
from meshconv.train.config import TrainConfig

FEATURES = ("normal", "mean_curvature", "shape_index")
POINTS, NEIGHBOURS = 512, 16
_JITTER = 0.01  # of positions in training; the area of each surface is 1


def graph_network(build: Callable[..., nn.Module], task: Task, seed: int, epochs: int) -> Trained:
    """Fit a network of `meshconv.benchmark.graph_networks` on the scans themselves, each in its own
    axes, with the usual optimizer.

    512 points spread evenly, each with its normal, mean curvature and shape index, and the edges
    from its 16 nearest. Points are jittered in training.

    Raises
    ------
    ArgumentError
        If the data set has images only.
    """
    config = TrainConfig(epochs=epochs, seed=seed)
    train = _graphs(task.train)
    start = time.process_time()
    mean, spread = _statistics(train)
    model = build(mean.numel(), len(task.classes), seed=seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    with seeded(seed):
        loader = DataLoader(train, batch_size=config.batch_size, shuffle=True)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
        model.train()
        for batch in (
            batch
            for _ in tqdm(range(epochs), desc="epochs", leave=False, disable=None)
            for batch in loader
        ):
            pos = batch.pos + _JITTER * torch.randn_like(batch.pos)
            logits = model(
                pos, batch.edge_index, batch.batch, (batch.x - mean) / spread, batch.num_graphs
            )
            optimizer.zero_grad()
            torch.autograd.backward(
                functional.cross_entropy(logits, batch.y, label_smoothing=config.label_smoothing)
            )
            optimizer.step()
            rate.step()

    seconds = time.process_time() - start

    def probabilities(part: Part) -> FloatArray:
        model.eval()
        shares = []
        with torch.no_grad():
            for one in DataLoader(_graphs(part), batch_size=config.batch_size):
                x = (one.x - mean) / spread
                shares.append(
                    model(one.pos, one.edge_index, one.batch, x, one.num_graphs)
                    .double()
                    .softmax(dim=1)
                )
        return np.asarray(torch.cat(shares).numpy())

    return Trained(probabilities, sum(p.numel() for p in model.parameters()), epochs, seconds)


def _graphs(part: Part) -> list[Any]:
    if part.scans is None:
        raise UnfitTaskError("this data set has images only; networks on meshes need scans")
    found = _made(part.scans)
    if len(found) != len(part.labels):
        raise ArgumentError(f"{len(found)} scans, but {len(part.labels)} labels")
    graphs = [copy(graph) for graph in found]
    for graph, label in zip(graphs, part.labels, strict=True):
        graph.y = torch.tensor([int(label)])
    return graphs


@lru_cache(maxsize=8)
def _made(scans: Callable[[], Population]) -> list[Any]:
    """Make the graphs of a part once for all models and seeds."""
    steps = [
        NormalizedPose(),
        VertexFeatures(FEATURES),
        FarthestPoints(POINTS),
        NearestNeighbours(NEIGHBOURS),
    ]
    return list(SurfaceGraphs(None, scans(), pre_transform=Compose(steps)))


def _statistics(graphs: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.cat([graph.x for graph in graphs])
    return x.mean(dim=0), x.std(dim=0).clamp_min(1e-6)
