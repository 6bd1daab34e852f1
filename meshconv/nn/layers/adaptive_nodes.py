"""Features on blocks of pixels of different size: the node structure of content-adaptive
downsampling.

A level map m says how many times each pixel is downsampled: aligned blocks of 2**m pixels a side
share one node, which stands at the block's first (top-left) pixel, its anchor. Where the image ends
inside a block, the block is cut there: any size is allowed, nothing is padded, and a grid of level
m has ceil(size / 2**m) nodes a side, as after m strided convolutions.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.adaptive_levels import checked_levels


class NodeLayout:
    """Which node each pixel belongs to, for a batch of images; the expensive part, shared by all
    features on it.

    Nodes are numbered sample by sample; within a sample level 0 first, in raster order, then level
    1, ...

    Parameters
    ----------
    target : (B, 1, *S) int64 Tensor
        Times each pixel is to be downsampled in the end; constant on aligned blocks of 2**target.
    depth : int
        Times downsampled so far: pixels are now at min(target, depth).

    Attributes
    ----------
    level : (N,) int64
        Each node's level.
    sample : (N,) int64
        Each node's image in the batch.
    anchors : (N,) int64
        Each node's first pixel, as an index into the flattened (B, *S).
    node_of : (B * prod(S),) int64
        The node that covers each pixel.
    """

    def __init__(self, target: Tensor, depth: int) -> None:
        self.target, self.depth = target, depth
        self.batch, self.size = target.shape[0], tuple(target.shape[2:])
        self.strides = tuple(math.prod(self.size[a + 1 :]) for a in range(len(self.size)))
        level = target.clamp(max=depth)
        within = (1 << level) - 1
        pixel = torch.arange(level.numel(), device=level.device).view(level.shape)
        anchor = pixel
        for axis, (side, stride) in enumerate(zip(self.size, self.strides, strict=True)):
            along = torch.arange(side, device=level.device).view(
                -1, *[1] * (len(self.size) - axis - 1)
            )
            anchor = anchor - stride * (along & within)
        level, anchor = level.flatten(), anchor.flatten()
        found = torch.nonzero(anchor == pixel.flatten()).flatten()
        area = math.prod(self.size)
        order = torch.argsort(found // area * (depth + 1) + level[found], stable=True)
        self.anchors = found[order]
        self.level, self.sample = level[self.anchors], self.anchors // area
        number = torch.empty_like(anchor)
        number[self.anchors] = torch.arange(len(self.anchors), device=level.device)
        self.node_of = number[anchor]
        self._made: dict[tuple[Any, ...], Any] = {}

    def __len__(self) -> int:
        return len(self.anchors)

    @property
    def counts(self) -> Tensor:
        """Nodes of each image, (B,)."""
        return torch.bincount(self.sample, minlength=self.batch)

    def coordinates(self) -> Tensor:
        """Return each anchor's row and column (and slice, first), (N, d)."""
        return torch.stack(self._coordinates(self.anchors), dim=1)

    def _coordinates(self, pixels: Tensor) -> list[Tensor]:
        return [
            pixels // stride % side for side, stride in zip(self.size, self.strides, strict=True)
        ]

    def at(self, depth: int) -> NodeLayout:
        """Return the layout after more downsampling, made once."""
        if depth < self.depth:
            raise ArgumentError(f"nodes are at depth {self.depth} and cannot go back to {depth}")
        if depth == self.depth:
            return self
        made: NodeLayout = self.once(("at", depth), lambda: NodeLayout(self.target, depth))
        return made

    def neighbours(self, kernel: Sequence[int], step: Sequence[int], centres: Tensor) -> Tensor:
        """Return the node under each tap of a kernel centred on each of some pixels.

        Parameters
        ----------
        kernel, step : sequence of int
            Taps, and pixels from tap to tap, along each axis. An even kernel reaches further
            forward.
        centres : (M,) int64
            Pixels to stand on, as `anchors`.

        Returns
        -------
        index : (M, prod(kernel)) int64
            Taps in raster order; N for a tap outside the image.
        """
        flat = (centres - centres % math.prod(self.size))[:, None]
        inside = torch.ones_like(flat, dtype=torch.bool)
        for axis, start in enumerate(self._coordinates(centres)):
            taps = torch.arange(kernel[axis], device=start.device) - (kernel[axis] - 1) // 2
            at = start[:, None] + taps * step[axis]
            ok = (at >= 0) & (at < self.size[axis])
            flat = (flat[:, :, None] + (at * self.strides[axis])[:, None]).flatten(1)
            inside = (inside[:, :, None] & ok[:, None]).flatten(1)
        return torch.where(inside, self.node_of[flat * inside], len(self))

    def lattice(self, depth: int) -> Tensor:
        """Return the nodes on the grid of every 2**depth-th pixel, (B, *G)."""
        grid = self.node_of.view(self.batch, *self.size)
        for axis in range(len(self.size)):
            grid = grid[(slice(None),) * (axis + 1) + (slice(None, None, 1 << depth),)]
        return grid

    def lattice_rows(self, depth: int) -> Tensor:
        """Return each anchor's place on that grid, flattened, (N,); -1 off the grid."""
        row, on = self.sample, torch.ones_like(self.sample, dtype=torch.bool)
        for side, along in zip(self.size, self._coordinates(self.anchors), strict=True):
            row = row * -(-side >> depth) + (along >> depth)
            on = on & (along & ((1 << depth) - 1) == 0)
        return torch.where(on, row, -1)

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what `make` makes, made at the first call with this key: indices shared by a
        stage's layers.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def same_as(self, other: NodeLayout) -> bool:
        """Return whether both number the same pixels alike."""
        return self is other or (
            self.depth == other.depth
            and self.size == other.size
            and torch.equal(self.node_of, other.node_of)
        )


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
            depth = int(target.max())
        layout = NodeLayout(target, depth)
        columns = x.transpose(0, 1).flatten(1).index_select(1, layout.anchors)
        return cls(columns.t().contiguous(), layout)

    def to_image(self) -> Tensor:
        """Return the image (B, C, *S) in which each node fills its block."""
        rows = self.features.index_select(0, self.layout.node_of)
        return rows.view(self.layout.batch, *self.layout.size, -1).movedim(-1, 1)

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
                hint="use the layers of meshconv.nn.layers.adaptive_layers, or go through to_image()",
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
