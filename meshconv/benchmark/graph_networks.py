"""Networks on raw meshes, as points with edges: opponents that need neither map nor image.

They take tensors, in the order of torch-geometric: ``pos`` (V, 3), ``edge_index`` (2, E), ``batch``
(V,), the graph of each vertex, and features ``x`` (V, C). Edges are made beforehand, from the mesh
or from neighbours in space (`meshconv.datasets.graph_transforms`). All normalization is per vertex,
so no scan sees the others of its batch.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.nn import EdgeConv, global_max_pool, global_mean_pool

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.seeding import seeded


class PointNetwork(nn.Module):
    """PointNet-like: the same layers on every vertex, then the largest and the mean value of each
    feature.

    Blind to edges: what it knows of neighbours is in `x`.

    Parameters
    ----------
    in_channels : int
        Features in `x`; 0 if positions are all.
    n_classes : int
    width : int
        Features of the first layer; twice and four times as many in the next.
    dropout : float
        Before the last layer.
    seed : int, optional
        Of the initial weights; the global generator if None.

    References
    ----------
    Qi, Su, Mo, Guibas, 2017, PointNet, CVPR, arXiv 1612.00593 (without its learned alignment).

    Examples
    --------
    >>> model = PointNetwork(0, 2, seed=0)
    >>> model(torch.zeros(10, 3), batch=torch.arange(10) // 5).shape
    torch.Size([2, 2])
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: int = 32,
        dropout: float = 0.3,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        with seeded(seed):
            sizes = (_inputs(in_channels, n_classes, width), width, 2 * width, 4 * width)
            self.layers = nn.ModuleList(_layer(a, b) for a, b in pairwise(sizes))
            self.head = _Head(sizes[-1], n_classes, dropout)

    def forward(
        self,
        pos: Tensor,
        edge_index: Tensor | None = None,
        batch: Tensor | None = None,
        x: Tensor | None = None,
        n_graphs: int | None = None,
    ) -> Tensor:
        """Return logits (graphs, classes); `edge_index` is not looked at. See
        `EdgeNetwork.forward`.
        """
        h, batch, n = _checked(pos, batch, x, self.in_channels, n_graphs)
        for layer in self.layers:
            h = layer(h)
        return self.head(h, batch, n)


class EdgeNetwork(nn.Module):
    """Edge convolutions on a given graph: each vertex takes the largest of what its neighbours
    differ by.

    Three layers, joined and pooled. The graph stays as it is (in the paper it is found anew in
    feature space).

    Parameters
    ----------
    in_channels, n_classes, width, dropout, seed
        See `PointNetwork`; all layers have `width` features.

    References
    ----------
    Wang, Sun, Liu, Sarma, Bronstein, Solomon, 2019, Dynamic graph CNN for learning on point clouds,
    ACM Trans. Graph. 38(5), eq. (7) and (8). doi:10.1145/3326362

    Examples
    --------
    >>> model = EdgeNetwork(0, 2, seed=0)
    >>> model(torch.zeros(3, 3), torch.tensor([[0, 1], [1, 2]])).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: int = 32,
        dropout: float = 0.3,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        with seeded(seed):
            sizes = (_inputs(in_channels, n_classes, width), width, width, width)
            self.layers = nn.ModuleList(
                EdgeConv(nn.Sequential(_layer(2 * a, b), nn.Linear(b, b)), aggr="max")
                for a, b in pairwise(sizes)
            )
            self.join = _layer(3 * width, 4 * width)
            self.head = _Head(4 * width, n_classes, dropout)

    def forward(
        self,
        pos: Tensor,
        edge_index: Tensor | None = None,
        batch: Tensor | None = None,
        x: Tensor | None = None,
        n_graphs: int | None = None,
    ) -> Tensor:
        """Return logits.

        Parameters
        ----------
        pos : (V, 3) float
        edge_index : (2, E) int64
            From each neighbour (row 0) to the vertex that looks at it (row 1).
        batch : (V,) int64, optional
            The graph of each vertex, ascending; one graph if None.
        x : (V, in_channels) float, optional
        n_graphs : int, optional
            How many graphs there are; counted if None.

        Returns
        -------
        logits : (graphs, classes)

        Raises
        ------
        ArrayTypeError
            If shapes do not fit, or there is no `edge_index`.
        """
        if edge_index is None or edge_index.ndim != 2 or len(edge_index) != 2:
            shape = None if edge_index is None else tuple(edge_index.shape)
            raise ArrayTypeError(f"edge_index must be (2, E), found {shape}")
        h, batch, n = _checked(pos, batch, x, self.in_channels, n_graphs)
        seen = []
        for layer in self.layers:
            h = layer(h, edge_index)
            seen.append(h)
        return self.head(self.join(torch.cat(seen, dim=1)), batch, n)


class _Head(nn.Module):
    """Largest and mean value over each graph, then two layers."""

    def __init__(self, channels: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(2 * channels, channels), nn.Dropout(dropout), nn.Linear(channels, n_classes)
        )

    def forward(self, h: Tensor, batch: Tensor, n: int) -> Tensor:
        out: Tensor = self.layers(
            torch.cat([global_max_pool(h, batch, n), global_mean_pool(h, batch, n)], dim=1)
        )
        return out


def _layer(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), nn.ReLU())


def _inputs(in_channels: int, n_classes: int, width: int) -> int:
    if in_channels < 0 or n_classes < 1 or width < 1:
        raise ArgumentError(
            "in_channels must be at least 0, n_classes and width at least 1, found"
            f" {in_channels}, {n_classes}, {width}"
        )
    return 3 + in_channels


def _checked(
    pos: Tensor, batch: Tensor | None, x: Tensor | None, in_channels: int, n_graphs: int | None
) -> tuple[Tensor, Tensor, int]:
    """Return positions and features side by side, the graph of each vertex, and the number of
    graphs.
    """
    if pos.ndim != 2 or pos.shape[1] != 3 or len(pos) == 0:
        raise ArrayTypeError(f"pos must be (V, 3), found {tuple(pos.shape)}")
    if x is None:
        x = pos.new_zeros(len(pos), 0)
    if x.shape != (len(pos), in_channels):
        raise ArrayTypeError(f"x must be ({len(pos)}, {in_channels}), found {tuple(x.shape)}")
    if batch is None:
        batch = pos.new_zeros(len(pos), dtype=torch.long)
    if batch.shape != pos.shape[:1]:
        raise ArrayTypeError(f"batch must be ({len(pos)},), found {tuple(batch.shape)}")
    n = int(batch[-1]) + 1 if n_graphs is None else n_graphs
    return torch.cat([pos, x], dim=1), batch, n
