"""Convolution on adaptive nodes, with an ordinary network's weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.nn.layers.adaptive_nodes import AdaptiveNodes
from meshconv.nn.layers.node_layout import NodeLayout

ANCHORS = ("first", "centre")
# up to so many nodes one product for all is faster than a convolution of most, a product for the
# others
_FEW = 2048
_MANY = 1024  # beyond so many nodes their taps outgrow the cache


def node_conv(
    features: Tensor, index: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1
) -> Tensor:
    """Return sum_k W_k f[index[:, k]] + bias: a convolution whose taps are given as rows of the
    features.

    Parameters
    ----------
    features : (N, C) Tensor
    index : (M, K) int64 Tensor
        Row under each tap; N means outside, where features are zero.
    weight : (O, C // groups, *kernel) Tensor
        As in `torch.nn.Conv2d`, K taps in raster order.
    bias : (O,) Tensor or None
    groups : int

    Returns
    -------
    (M, O) Tensor
        Plain gather and matrix product: exports and compiles with dynamic N and M.
    """
    padded = functional.pad(features, (0, 0, 0, 1))
    taps = padded.index_select(0, index.flatten())  # (M K, C)
    large = groups > 1 or torch.compiler.is_compiling() or len(index) > _MANY
    if (
        large and not torch.is_grad_enabled()
    ):  # in one row, as steps of K pixels: the sum stays in the cache
        return functional.conv2d(
            taps.t()[None, :, None],
            weight.flatten(2)[:, :, None],
            bias,
            (1, index.shape[1]),
            groups=groups,
        )[0, :, 0].t()
    taps = taps.view(
        *index.shape, groups, features.shape[1] // groups
    )  # (M, K, groups, C // groups)
    kernel = weight.movedim(1, -1).flatten(
        1
    )  # (O, K C // groups); no copy where channels are stored last
    if groups == 1:
        return functional.linear(taps.flatten(1), kernel, bias)  # its gradient is the faster one
    out = torch.einsum(
        "mkgc,gokc->mgo", taps, kernel.reshape(groups, len(weight) // groups, *taps.shape[1::2])
    )
    out = out.flatten(1)
    return out if bias is None else out + bias


class _NodeConv(nn.modules.conv._ConvNd):
    """The part that does not depend on the number of axes; mixed before nn.Conv2d or nn.Conv3d."""

    levels: int | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int = 1,
        padding: int | Sequence[int] | str = "same",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        levels: int | None = None,
        anchor: str = "first",
    ) -> None:
        sizes: Any = kernel_size if isinstance(kernel_size, int) else tuple(kernel_size)
        steps: Any = dilation if isinstance(dilation, int) else tuple(dilation)
        init: Any = super().__init__  # nn.Conv2d's or nn.Conv3d's, next in line
        init(
            in_channels,
            out_channels,
            sizes,
            stride=stride,
            dilation=steps,
            groups=groups,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        if any(k % 2 == 0 for k in self.kernel_size):
            raise ArgumentError(f"kernel_size must be odd, found {kernel_size!r}")
        if stride < 1 or stride & (stride - 1):
            raise ArgumentError(f"stride must be a power of two, found {stride!r}")
        if levels is not None and levels < 0:
            raise ArgumentError(f"levels must not be negative, found {levels!r}")
        along = zip(self.kernel_size, self.dilation, strict=True)
        self.padding = tuple(d * (k // 2) for k, d in along)
        sides = (padding,) * len(self.padding) if isinstance(padding, int) else padding
        if padding_mode != "zeros" or (sides != "same" and tuple(sides) != self.padding):
            raise ArgumentError(
                f"nodes need zero padding {self.padding}, which keeps the size,"
                f" found {padding!r} and padding_mode={padding_mode!r}"
            )
        self.levels, self.anchor = levels, one_of(anchor, ANCHORS, "anchor")
        self.store_channels_last()

    def forward(self, nodes: Any) -> Any:
        """Return `AdaptiveNodes` from `AdaptiveNodes`: the same ones, or those that a stride
        leaves.
        """
        _check_nodes(nodes, self.in_channels, len(self.kernel_size))
        depth, out = self._where(nodes)
        if math.prod(self.kernel_size) == 1 and out is nodes.layout and self.groups == 1:
            return nodes.with_features(
                functional.linear(nodes.features, self.weight.flatten(1), self.bias)
            )
        form = self.kernel_size, self.dilation, depth, out.depth, self.anchor
        few = self._on_grid(depth, out) < len(out) <= _FEW and not torch.is_grad_enabled()
        # one tap is read where it is needed; as strided convolutions of images stored channels
        # last, torch 2.13 (oneDNN) writes outside its memory in the backward pass
        if few or math.prod(self.kernel_size) == 1:
            index = nodes.layout.once(
                ("taps", *form), lambda: self._taps(nodes.layout, depth, out.anchors)
            )
            return AdaptiveNodes(
                node_conv(nodes.features, index, self.weight, self.bias, self.groups), out
            )
        grid, index, order = nodes.layout.once(
            ("conv", *form), lambda: self._plan(nodes.layout, depth, out)
        )
        features = nodes.features
        if self.anchor == "centre":  # cells' middles may lie outside
            features = functional.pad(features, (0, 0, 0, 1))
        seen = features.index_select(0, grid.flatten()).view(*grid.shape, self.in_channels)
        coarse = seen.movedim(-1, 1)
        convolve: Any = self._conv_forward
        rows = convolve(coarse, self.weight, self.bias).movedim(1, -1).flatten(0, -2)
        if len(index):
            rows = torch.cat(
                [rows, node_conv(nodes.features, index, self.weight, self.bias, self.groups)]
            )
        return AdaptiveNodes(rows.index_select(0, order), out)

    def _plan(
        self, layout: NodeLayout, depth: int, out: NodeLayout
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return how to compute the output: most nodes stand on the ordinary network's own grid,
        every 2**depth-th pixel, and are an ordinary convolution there; only the others gather their
        taps.

        Returns
        -------
        grid : (B, *G) int64
            Input nodes on that grid.
        index : (M, K) int64
            Taps of the output nodes off it.
        order : (N_out,) int64
            Each output node's row among the grid's outputs, then the others.
        """
        order = out.lattice_rows(self._coarsest(depth))
        if self.anchor == "centre":  # finer nodes do not stand at the middles of the grid's cells
            order = torch.where(layout.level[layout.node_of[out.anchors]] == depth, order, -1)
        off = torch.nonzero(order < 0).flatten()
        index = self._taps(layout, depth, out.anchors[off])
        grid = self._on_grid(depth, out)
        order[off] = torch.arange(grid, grid + len(off), device=order.device)
        return layout.lattice(depth, self.anchor), index, order

    def _taps(self, layout: NodeLayout, depth: int, centres: Tensor) -> Tensor:
        step = [d << depth for d in self.dilation]
        return layout.neighbours(self.kernel_size, step, centres, self.anchor)

    def _coarsest(self, depth: int) -> int:
        return depth + self.stride[0].bit_length() - 1

    def _on_grid(self, depth: int, out: NodeLayout) -> int:
        """Return the size of the ordinary network's own grid."""
        return out.batch * math.prod(-(-side >> self._coarsest(depth)) for side in out.size)

    def store_channels_last(self) -> None:
        """Lay the weight out in memory as the gathered taps are; its values and shape stay."""
        layout = torch.channels_last if self.weight.ndim == 4 else torch.channels_last_3d
        self.weight.data = self.weight.data.contiguous(memory_format=layout)

    def macs(self, nodes: AdaptiveNodes) -> int:
        """Return the multiply-accumulates that `forward` takes, taps outside the image included."""
        return len(self._where(nodes)[1]) * self.weight.numel()

    def _where(self, nodes: AdaptiveNodes) -> tuple[int, NodeLayout]:
        depth = nodes.layout.depth if self.levels is None else self.levels
        stride = self.stride[0]
        return depth, nodes.layout if stride == 1 else nodes.layout.at(
            depth + stride.bit_length() - 1
        )

    def extra_repr(self) -> str:
        """Return the options, for `repr`."""
        options: Any = super()
        return f"{options.extra_repr()}, levels={self.levels}, anchor={self.anchor!r}"


class AdaptiveConv2d(_NodeConv, nn.Conv2d):
    """The convolution of a network downsampled n times, on nodes downsampled less where it matters.

    Taps stand ``2**n * dilation`` pixels apart around each node's anchor, and each reads the node
    that covers its pixel; zero outside the image. So the output is ``conv2d(nodes.to_image(),
    weight, bias, dilation=2**n * dilation, padding="same")`` read at the anchors: where everything
    is at level n, the strided network's convolution, where everything is at level 0, the dilated
    one. Weights are `torch.nn.Conv2d`'s.

    Parameters
    ----------
    in_channels, out_channels, dilation, groups, bias, device, dtype
        As in `torch.nn.Conv2d`.
    kernel_size : int or (int, int)
        Odd.
    stride : int
        A power of two. The layer's output is downsampled log2(stride) more times, where the level
        map given to `AdaptiveNodes.from_image` allows; only the nodes that stay are computed.
    padding, padding_mode
        Zeros, as many as keep the size: ``"same"`` or their number.
    levels : int, optional
        n, the times that the ordinary network is downsampled at this layer's input; the nodes' own
        depth.
    anchor : {"first", "centre"}
        Where in its block a node reads its taps from: the first pixel, which is where an ordinary
        network's strides land, or, as the published code, the middle (first pixel + 2**m // 2 at
        level m). The same where all nodes have one level. Train with the one you test with.

    Attributes
    ----------
    weight : (O, I // groups, k, k)
    bias : (O,) or None

    References
    ----------
    Hesse, Schaub-Meyer, Roth, 2023: Content-adaptive downsampling in convolutional neural networks.

    Examples
    --------
    >>> x, level = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    >>> layer = AdaptiveConv2d(4, 6, 3, levels=1)
    >>> y = layer(AdaptiveNodes.from_image(x, level)).to_image()
    >>> dense = functional.conv2d(x, layer.weight, layer.bias, dilation=2, padding=2)
    >>> torch.allclose(y, dense, atol=1e-5)
    True
    """


class AdaptiveConv3d(_NodeConv, nn.Conv3d):
    """`AdaptiveConv2d` on volumes: nodes are blocks of voxels, weights those of
    `torch.nn.Conv3d`.
    """


def _check_nodes(nodes: AdaptiveNodes, channels: int, dims: int) -> None:
    if not isinstance(nodes, AdaptiveNodes):
        raise ArrayTypeError(
            f"adaptive layers take AdaptiveNodes, found {type(nodes).__name__}",
            hint="AdaptiveNodes.from_image(x, level)",
        )
    if nodes.features.shape[1] != channels or len(nodes.layout.size) != dims:
        raise ArrayTypeError(
            f"layer takes {channels} channels on {dims} axes,"
            f" found {nodes.features.shape[1]} on {nodes.layout.size}"
        )
