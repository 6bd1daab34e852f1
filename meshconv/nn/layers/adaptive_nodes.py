"""Features on blocks of pixels of different size: the nodes of content-adaptive downsampling."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.adaptive_levels import checked_levels, coarsest
from meshconv.nn.layers.node_layout import NodeLayout


@dataclass(frozen=True, eq=False)
class AdaptiveNodes:
    """Features of a batch of images on nodes of different size, one row per node, no padding.

    Sums, products, activations, dropout and ``torch.cat(..., dim=1)`` act on the nodes directly;
    any other torch function refuses.

    Attributes
    ----------
    features : (N, C) Tensor
        Sample by sample; within a sample level 0 in raster order, then level 1, ...
    layout : NodeLayout

    References
    ----------
    Hesse, Schaub-Meyer, Roth, 2023: Content-adaptive downsampling in convolutional neural networks.

    Examples
    --------
    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> level = torch.ones(1, 1, 4, 4, dtype=torch.int64)
    >>> level[..., :2, :2] = 0
    >>> nodes = AdaptiveNodes.from_image(x, level)
    >>> nodes.features.flatten().tolist()
    [0.0, 1.0, 4.0, 5.0, 2.0, 8.0, 10.0]
    >>> nodes.to_image()[0, 0, 3].tolist()
    [8.0, 8.0, 10.0, 10.0]
    """

    features: Tensor
    layout: NodeLayout

    @classmethod
    def from_image(cls, x: Tensor, level: Tensor, *, depth: int | None = None) -> AdaptiveNodes:
        """Return the nodes of an image: the first pixel of each block.

        Parameters
        ----------
        x : (B, C, *S) Tensor
            One to three axes S of any size.
        level : (B, 1, *S) or (1, 1, *S) Tensor
            Integers 0..n: times downsampled, constant on aligned blocks of 2**level (see
            `aligned_levels`).
        depth : int, optional
            Stop at min(level, depth) for now and leave the rest to strided layers; all at once.

        Raises
        ------
        ArrayTypeError, ArgumentError
            If the shapes do not belong together, or the levels are no such integers.
        """
        target = checked_levels(x, level)
        if depth is None:
            depth = coarsest(level)
        layout = NodeLayout(target, depth)
        columns = x.transpose(0, 1).flatten(1).index_select(1, layout.anchors)
        return cls(columns.t().contiguous(), layout)

    def to_image(self) -> Tensor:
        """Return the image (B, C, *S) in which each node fills its block."""
        rows = self.features.index_select(0, self.layout.node_of)
        return rows.view(self.layout.batch, *self.layout.size, rows.shape[1]).movedim(-1, 1)

    def downsample(self, depth: int) -> AdaptiveNodes:
        """Return the nodes at min(level, depth), each keeping the feature at its first pixel."""
        layout = self.layout.at(depth)
        return AdaptiveNodes(
            self.features.index_select(0, self.layout.node_of[layout.anchors]), layout
        )

    def with_features(self, features: Tensor) -> AdaptiveNodes:
        """Return other features on the same nodes."""
        return AdaptiveNodes(features, self.layout)

    def mean(self) -> Tensor:
        """Return each image's mean weighted by the nodes' area, (B, C); a cut block counts as
        whole.
        """
        weight = (1 << (len(self.layout.size) * self.layout.level)).to(self.features.dtype)[:, None]
        total = self.features.new_zeros(self.layout.batch, self.features.shape[1] + 1)
        total = total.index_add(
            0, self.layout.sample, torch.cat([self.features * weight, weight], dim=1)
        )
        return total[:, :-1] / total[:, -1:]

    def __len__(self) -> int:
        return len(self.layout)

    def __add__(self, other: AdaptiveNodes | float) -> AdaptiveNodes:
        return _on_features(operator.add, (self, other), {})

    def __sub__(self, other: AdaptiveNodes | float) -> AdaptiveNodes:
        return _on_features(operator.sub, (self, other), {})

    def __mul__(self, other: AdaptiveNodes | float) -> AdaptiveNodes:
        return _on_features(operator.mul, (self, other), {})

    __radd__, __rmul__ = __add__, __mul__

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Apply a function of single values to the features; refuse one that would look at
        neighbours.
        """
        kwargs = kwargs or {}
        if (
            func in (torch.cat, torch.concat)
            and (args[1] if len(args) > 1 else kwargs.get("dim")) == 1
        ):
            return _on_features(lambda *parts: torch.cat(parts, dim=1), tuple(args[0]), {})
        if func not in POINTWISE:
            name = getattr(func, "__name__", func)
            raise ArgumentError(
                f"{name} does not act on adaptive nodes",
                hint="use the layers of meshconv.nn made for them, or go through to_image()",
            )
        return _on_features(func, args, kwargs)


POINTWISE: set[Callable[..., Any]] = {
    functional.relu,
    functional.relu6,
    functional.leaky_relu,
    functional.elu,
    functional.selu,
    functional.celu,
    functional.gelu,
    functional.silu,
    functional.mish,
    functional.softplus,
    functional.sigmoid,
    functional.tanh,
    functional.hardtanh,
    functional.hardswish,
    functional.hardsigmoid,
    functional.dropout,
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    torch.add,
    torch.sub,
    torch.mul,
}


def _on_features(
    func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AdaptiveNodes:
    layouts = [a.layout for a in args if isinstance(a, AdaptiveNodes)]
    if not all(layouts[0].same_as(other) for other in layouts[1:]):
        raise ArgumentError(
            "features on different nodes cannot be combined", hint="downsample both alike first"
        )
    if any(isinstance(a, Tensor) and a.ndim for a in args):
        raise ArrayTypeError(
            "adaptive nodes combine with nodes and single numbers, not with other tensors"
        )
    values = [a.features if isinstance(a, AdaptiveNodes) else a for a in args]
    return AdaptiveNodes(func(*values, **kwargs), layouts[0])
