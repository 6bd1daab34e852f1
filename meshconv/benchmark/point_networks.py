"""Published networks on point clouds, with the layers and widths of their papers.

Both take ``points`` (B, n, 3), as many of every scan, and return logits (B, n_classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.seeding import seeded

_MOMENTUM, _EPSILON = 0.1, 1e-5  # of norms over edges, as of all others


class DynamicGraphNetwork(nn.Module):
    """DGCNN: edges to the nearest points, found anew among the features of every layer.

    Parameters
    ----------
    n_classes : int
    neighbours : int
        Of every point, itself among them; 20 for 1,024 points in the paper.
    widths : sequence of int
        Features of the layers.
    embedding : int
        Features that are pooled.
    dropout : float
    seed : int, optional
        Of the initial weights; the global generator if None.

    References
    ----------
    Wang, Sun, Liu, Sarma, Bronstein, Solomon, 2019, Dynamic graph CNN for learning on point clouds,
    ACM Trans. Graph. 38(5), eq. (7), (8) and section 5.1. doi:10.1145/3326362

    Examples
    --------
    >>> DynamicGraphNetwork(4, neighbours=5, seed=0).eval()(torch.rand(2, 30, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_classes: int,
        *,
        neighbours: int = 20,
        widths: Sequence[int] = (64, 64, 128, 256),
        embedding: int = 1024,
        dropout: float = 0.5,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        _require_positive(n_classes=n_classes, neighbours=neighbours, embedding=embedding)
        self.neighbours = neighbours
        with seeded(seed):
            inputs = (3, *widths[:-1])
            self.edges = nn.ModuleList(map(_EdgeLayer, inputs, widths))
            self.join = nn.Linear(sum(widths), embedding, bias=False)
            self.norm = nn.BatchNorm1d(embedding)
            self.head = nn.Sequential(
                *_dense(2 * embedding, 512, nn.LeakyReLU(0.2), dropout),
                *_dense(512, 256, nn.LeakyReLU(0.2), dropout),
                nn.Linear(256, n_classes),
            )

    def forward(self, points: Tensor) -> Tensor:
        """Return logits (B, n_classes) of points (B, n, 3)."""
        h = _checked(points, self.neighbours)
        seen = []
        for layer in self.edges:
            h = layer(h, nearest(h, self.neighbours))
            seen.append(h)
        joined = self.join(torch.cat(seen, dim=2))
        h = functional.leaky_relu(self.norm(joined.flatten(0, 1)), 0.2).view_as(joined)
        out: Tensor = self.head(torch.cat([h.amax(dim=1), h.mean(dim=1)], dim=1))
        return out


class _EdgeLayer(nn.Module):
    """The largest, over neighbours j of i, of leaky_relu(norm(A (x_j - x_i) + B x_i)).

    With a = (B - A) x and b = A x the norm sees a_i + b_j of every edge. Its moments follow from
    those of a and b and from the number of edges to each point, and it and the activation are
    monotone: no edge need be made.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.difference = nn.Linear(inputs, outputs, bias=False)
        self.own = nn.Linear(inputs, outputs, bias=False)
        self.weight, self.bias = (
            nn.Parameter(torch.ones(outputs)),
            nn.Parameter(torch.zeros(outputs)),
        )
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("variance", torch.ones(outputs))

    def forward(self, x: Tensor, near: Tensor) -> Tensor:
        neighbour = self.difference(x)
        own = self.own(x) - neighbour
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = _edge_moments(own, neighbour, near)
            with torch.no_grad():
                self.mean.lerp_(mean, _MOMENTUM)
                self.variance.lerp_(variance * (near.numel() / (near.numel() - 1)), _MOMENTUM)
        scale = self.weight * torch.rsqrt(variance + _EPSILON)
        chosen = neighbour.gather(1, _largest(neighbour.detach() * self.weight.sign(), near))
        return functional.leaky_relu((own + chosen - mean) * scale + self.bias, 0.2)


def _edge_moments(own: Tensor, neighbour: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of own_i + neighbour_j over all edges."""
    size, n, k = near.shape
    edges = own.new_zeros(size, n, n).scatter_(2, near, 1.0)
    incoming = edges.sum(dim=1)[:, :, None]
    total = size * n * k
    mean = (k * own + incoming * neighbour).sum(dim=(0, 1)) / total
    a, b = own - mean, neighbour  # centred, against cancellation
    square = k * a.square() + 2 * a * (edges @ b) + incoming * b.square()
    return mean, (square.sum(dim=(0, 1)) / total).clamp_min(0.0)


def _largest(x: Tensor, near: Tensor) -> Tensor:
    """Return which neighbour has the largest x, (B, n, C)."""
    best = gathered(x, near[:, :, :1])[:, :, 0]
    index = near[:, :, :1].expand_as(best).contiguous()
    for j in range(1, near.shape[2]):
        value = gathered(x, near[:, :, j : j + 1])[:, :, 0]
        larger = value > best
        best = torch.where(larger, value, best)
        index = torch.where(larger, near[:, :, j : j + 1], index)
    return index


class PointNetPlusPlus(nn.Module):
    """PointNet++ with one scale: small PointNets around ever fewer centres.

    Of n points, n / 2 centres with balls of radius `radii[0]`, of these a quarter with balls of
    `radii[1]`, then everything at once. Points are expected in a ball of radius 1.

    Parameters
    ----------
    n_classes : int
    radii : (2,) sequence of float
    in_ball : (2,) sequence of int
        Points taken from each ball, (32, 64) for 1,024 points in the paper. Fewer in the ball: the
        centre stands in.
    dropout : float
    seed : int, optional
        Of the initial weights; the global generator if None.

    References
    ----------
    Qi, Yi, Su, Guibas, 2017, PointNet++, NeurIPS, arXiv 1706.02413, section 3 and appendix B.1
    (SSG).

    Examples
    --------
    >>> PointNetPlusPlus(4, in_ball=(8, 8), seed=0).eval()(torch.rand(2, 32, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_classes: int,
        *,
        radii: Sequence[float] = (0.2, 0.4),
        in_ball: Sequence[int] = (32, 64),
        dropout: float = 0.5,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        _require_positive(n_classes=n_classes, in_ball=min(in_ball))
        self.radii, self.in_ball = tuple(radii), tuple(in_ball)
        with seeded(seed):
            self.first = _PointLayers((3, 64, 64, 128))
            self.second = _PointLayers((3 + 128, 128, 128, 256))
            self.whole = _PointLayers((3 + 256, 256, 512, 1024))
            self.head = nn.Sequential(
                *_dense(1024, 512, nn.ReLU(), dropout),
                *_dense(512, 256, nn.ReLU(), dropout),
                nn.Linear(256, n_classes),
            )

    def forward(self, points: Tensor) -> Tensor:
        """Return logits (B, n_classes) of points (B, n, 3)."""
        _checked(points, 8)
        n = points.shape[1]
        centres, h = self._around(points, None, n // 2, 0, self.first)
        centres, h = self._around(centres, h, n // 8, 1, self.second)
        together = torch.cat([centres, h], dim=2)[:, None]
        out: Tensor = self.head(self.whole(together)[:, 0])
        return out

    def _around(
        self, points: Tensor, x: Tensor | None, count: int, level: int, layers: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Return centres and what each sees of the points around it."""
        centres = gathered(points, farthest(points, count)[:, None])[:, 0]
        near = in_ball(centres, points, self.radii[level], self.in_ball[level])
        local = (gathered(points, near) - centres[:, :, None]) / self.radii[level]
        if x is not None:
            local = torch.cat([local, gathered(x, near)], dim=3)
        return centres, layers(local)


class _PointLayers(nn.Module):
    """The same layers on every point (B, m, k, C), then the largest of each feature over the k."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x.flatten(0, 2))
        return h.view(*x.shape[:3], -1).amax(dim=2)


def nearest(x: Tensor, k: int) -> Tensor:
    """Return the `k` nearest of points (B, n, C) to each of them, itself first, (B, n, k)."""
    with torch.no_grad():
        return torch.cdist(x, x).topk(k, dim=2, largest=False).indices


def in_ball(centres: Tensor, points: Tensor, radius: float, k: int) -> Tensor:
    """Return `k` of the points (B, n, 3) within a radius of each centre, nearest first, (B, m, k).

    The nearest stands in for those that the ball lacks.
    """
    with torch.no_grad():
        found = torch.cdist(centres, points).topk(min(k, points.shape[1]), dim=2, largest=False)
        return torch.where(found.values <= radius, found.indices, found.indices[:, :, :1])


def farthest(points: Tensor, count: int) -> Tensor:
    """Return `count` of the points (B, n, 3), each the farthest from those before, (B, count)."""
    chosen = torch.zeros(len(points), count, dtype=torch.long, device=points.device)
    distance = points.new_full(points.shape[:2], torch.inf)
    rows = torch.arange(len(points), device=points.device)
    for k in range(1, count):
        last = points[rows, chosen[:, k - 1]]
        distance = torch.minimum(distance, (points - last[:, None]).square().sum(dim=2))
        chosen[:, k] = distance.argmax(dim=1)
    return chosen


def gathered(x: Tensor, rows: Tensor) -> Tensor:
    """Return the rows (B, m, k) of x (B, n, C), (B, m, k, C)."""
    start = torch.arange(len(x), device=x.device)[:, None, None] * x.shape[1]
    return x.flatten(0, 1).index_select(0, (rows + start).flatten()).view(*rows.shape, -1)


def _dense(a: int, b: int, activation: nn.Module, dropout: float) -> list[nn.Module]:
    return [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), activation, nn.Dropout(dropout)]


def _checked(points: Tensor, least: int) -> Tensor:
    if points.ndim != 3 or points.shape[2] != 3 or points.shape[1] < least:
        raise ArrayTypeError(
            f"points must be (B, n, 3) with at least {least} points, found {tuple(points.shape)}"
        )
    return points


def _require_positive(**counts: int) -> None:
    if min(counts.values()) < 1:
        raise ArgumentError(f"counts must be at least 1, found {counts}")
