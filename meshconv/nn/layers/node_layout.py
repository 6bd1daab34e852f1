"""Which node each pixel belongs to: blocks of pixels of different size.

A level map m says how many times each pixel is downsampled: aligned blocks of 2**m pixels a side
share one node, which stands at the block's first (top-left) pixel, its anchor. Where the image ends
inside a block, the block is cut there: any size is allowed, nothing is padded, and a grid of level
m has ceil(size / 2**m) nodes a side, as after m strided convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from meshconv.errors import ArgumentError


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

    def neighbours(
        self, kernel: Sequence[int], step: Sequence[int], centres: Tensor, anchor: str = "first"
    ) -> Tensor:
        """Return the node under each tap of a kernel centred on each of some pixels.

        Parameters
        ----------
        kernel, step : sequence of int
            Taps, and pixels from tap to tap, along each axis. An even kernel reaches further
            forward.
        centres : (M,) int64
            Pixels to stand on, as `anchors`.
        anchor : {'first', 'centre'}
            Stand on the pixel itself, or at the middle of the block of the node that covers it.

        Returns
        -------
        index : (M, prod(kernel)) int64
            Taps in raster order; N for a tap outside the image.
        """
        sides = zip(kernel, step, strict=True)
        taps = [(torch.arange(k, device=centres.device) - (k - 1) // 2) * s for k, s in sides]
        offsets = torch.cartesian_prod(*taps).reshape(-1, len(self.size))
        half = (1 << self.level[self.node_of[centres]]) >> 1 if anchor == "centre" else 0
        starts = [(along + half)[:, None] for along in self._coordinates(centres)]
        at = [start + offset for start, offset in zip(starts, offsets.unbind(1), strict=True)]
        return self._under(at, centres // math.prod(self.size), anchor)

    def _under(self, at: list[Tensor], sample: Tensor, anchor: str) -> Tensor:
        """Return the nodes under coordinates that may lie outside, which then are N.

        Where a block is cut by the image's end, its middle may lie beyond: a node read there covers
        its whole block.
        """
        held = [a.clamp(0, side - 1) for a, side in zip(at, self.size, strict=True)]
        flat = sample.view(-1, *[1] * (at[0].ndim - 1)) * math.prod(self.size)
        for along, stride in zip(held, self.strides, strict=True):
            flat = flat + along * stride
        node = self.node_of[flat]
        reach = self.level[node] if anchor == "centre" else 0
        inside = torch.ones_like(node, dtype=torch.bool)
        for a, h in zip(at, held, strict=True):
            inside &= (a >> reach) == (h >> reach)
        return torch.where(inside, node, len(self))

    def lattice(self, depth: int, anchor: str = "first") -> Tensor:
        """Return the nodes on the grid of every 2**depth-th pixel, (B, *G), or of the middles of
        these cells; N outside the image.
        """
        dims, half = len(self.size), (1 << depth) >> 1 if anchor == "centre" else 0
        at = []
        for axis, side in enumerate(self.size):
            along = torch.arange(half, side + half, 1 << depth, device=self.level.device)
            at.append(along.view(*[1] * (axis + 1), -1, *[1] * (dims - axis - 1)))
        return self._under(at, torch.arange(self.batch, device=self.level.device), anchor)

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
