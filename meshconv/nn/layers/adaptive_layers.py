"""Pooling and norms on adaptive nodes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArgumentError
from meshconv.nn.layers.adaptive_conv import ANCHORS
from meshconv.nn.layers.adaptive_nodes import AdaptiveNodes


class AdaptivePool(nn.Module):
    """Max or mean of the nodes under a window, as the pooling of an ordinary network; two or three
    axes.

    Parameters
    ----------
    kernel_size : int
        Window in taps that stand 2**depth pixels apart; centred if odd, from the anchor on if 2.
    stride : int
        A power of two.
    mode : {'max', 'mean'}
        Outside the image is left out of the maximum, and counts as zero in the mean (as in torch).
    anchor : {'first', 'centre'}
        As in `AdaptiveConv2d`.
    """

    def __init__(
        self, kernel_size: int, stride: int = 1, *, mode: str = "max", anchor: str = "first"
    ) -> None:
        super().__init__()
        if kernel_size < 1 or stride < 1 or stride & (stride - 1):
            raise ArgumentError(
                "window must be positive and stride a power of two,"
                f" found {kernel_size!r}, {stride!r}"
            )
        self.kernel_size, self.stride = kernel_size, stride
        self.mode = one_of(mode, ("max", "mean"), "mode")
        self.anchor = one_of(anchor, ANCHORS, "anchor")

    def forward(self, nodes: AdaptiveNodes) -> AdaptiveNodes:
        """Return the pooled features, on the nodes that the stride leaves."""
        layout = nodes.layout
        out = layout.at(layout.depth + self.stride.bit_length() - 1)
        dims = len(layout.size)
        step = 1 << layout.depth
        index = layout.once(
            ("pool", self.kernel_size, out.depth, self.anchor),
            lambda: layout.neighbours(
                [self.kernel_size] * dims, [step] * dims, out.anchors, self.anchor
            ),
        )
        outside = -math.inf if self.mode == "max" else 0.0
        rows = functional.pad(nodes.features, (0, 0, 0, 1), value=outside).index_select(
            0, index.flatten()
        )
        taps = rows.view(*index.shape, rows.shape[1])
        return AdaptiveNodes(taps.amax(dim=1) if self.mode == "max" else taps.mean(dim=1), out)


class AdaptiveBatchNorm(nn.BatchNorm1d):
    """Batch norm over all nodes of all images, each node counted once; state of
    `torch.nn.BatchNorm2d`.
    """

    def forward(self, nodes: Any) -> Any:
        """Return the nodes with normalised features."""
        return nodes.with_features(super().forward(nodes.features))


class AdaptiveGroupNorm(nn.GroupNorm):
    """Group norm over each image's own nodes; instance norm with one channel per group."""

    def forward(self, nodes: Any) -> Any:
        """Return the nodes with normalised features; statistics in at least float32."""
        layout, x = nodes.layout, nodes.features
        grouped = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(
            len(x), self.num_groups, x.shape[1] // self.num_groups
        )
        counts = layout.counts[:, None].to(grouped.dtype)

        def mean(values: Tensor) -> Tensor:  # per image and group, back on the nodes
            total = values.new_zeros(layout.batch, self.num_groups).index_add(
                0, layout.sample, values.mean(dim=2)
            )
            return (total / counts).index_select(0, layout.sample)[:, :, None]

        centred = grouped - mean(grouped)
        y = (centred * torch.rsqrt(mean(centred.square()) + self.eps)).flatten(1)
        if self.affine:
            y = y * self.weight + self.bias
        return nodes.with_features(y.to(x.dtype))
