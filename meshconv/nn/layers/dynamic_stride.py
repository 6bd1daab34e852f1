"""Dynamic stride convolution: the windows of a convolution move to where the input asks for them.

A *reconstruction from the abstract* of Zhang et al., 2024: the paper's text and code were not at
hand, so the formulas here are ours. Where windows land, and how to steer them: `landing_map`,
`focus`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.errors import ArrayTypeError
from meshconv.nn.layers.dynamic_stride_function import moved_convolution
from meshconv.nn.layers.offset_field import OffsetField, OffsetHead
from meshconv.nn.layers.plain_state import keep_own
from meshconv.nn.layers.windows import Window, log_strides


class _DynamicStrideConv(nn.Module):
    """What the layers share; the other base is torch's convolution, which holds weight, bias and
    geometry.
    """

    _dims: int
    weight: Tensor
    bias: Tensor | None
    groups: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        variant: str = "offset",
        max_offset: float | None = None,
        min_stride: float = 0.1,
        nodes: int = 8,
        head: nn.Module | None = None,
        stride_channels: bool = False,
    ) -> None:
        window = Window(kernel_size, stride, padding, dilation)
        window.axes(self._dims)  # refuses what torch would accept, such as a negative padding
        geometry = (kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        init: Any = super().__init__  # nn.Conv2d's or nn.Conv3d's, next in line
        init(in_channels, out_channels, *geometry, device, dtype)
        self.window, self.stride_channels = window, stride_channels
        if head is None:
            head = OffsetHead(in_channels, self._dims, nodes=nodes, device=device, dtype=dtype)
        self.offsets = OffsetField(
            head,
            window,
            self._dims,
            variant=variant,
            max_offset=max_offset,
            min_stride=min_stride,
            nodes=nodes,
            device=device,
            dtype=dtype,
        )
        keep_own(self, "offsets.")

    @classmethod
    def from_conv(cls, conv: nn.Conv2d | nn.Conv3d, **options: Any) -> Self:
        """Return a layer with the weights of a convolution (shared, not copied); at first it does
        the same.

        `options` are the keyword-only ones of the constructor.
        """
        layer = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
            conv.bias is not None,
            conv.padding_mode,
            **options,
        )
        layer.to(conv.weight).train(conv.training)
        layer.weight, layer.bias = conv.weight, conv.bias
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return the responses, (B, out_channels, ...), of the size torch's convolution gives; with
        `stride_channels` the logarithms of the local strides after them.
        """
        if x.ndim != self._dims + 2:
            raise ArrayTypeError(f"input must have {self._dims + 2} axes, found {tuple(x.shape)}")
        offset, window = self.offsets(x), self.window
        conv: Any = self  # torch's attributes, in the other base
        if conv.padding_mode != "zeros":  # windows then lie on the padded image
            x = functional.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)
            window = replace(window, padding=0)
        y = moved_convolution(self._dims, x, self.weight, self.bias, offset, window, self.groups)
        if self.stride_channels:
            y = torch.cat([y, log_strides(offset, self.window).to(y.dtype)], dim=1)
        return y


class DynamicStrideConv2d(_DynamicStrideConv, nn.Conv2d):
    """Convolution whose windows move to where its input asks: it pays for one small object among
    clutter (accuracy +.13), and loses at finding many (mAP -.04).

    It starts as the plain one, exactly. A small head reads the input coarsely and answers with one
    displacement per window. To see where the windows land: `landing_map`; to steer them:
    `focus_loss`, `edit_offsets`.

    *To train it*, teach the head first and freeze it: `warm_start_offsets(model, images)`, then an
    optimiser of the parameters that still want a gradient. *It pays* for a small object whose edges
    stand out: digits of 14 pixels among clutter, 2,500 images, stem of stride 4: accuracy .485
    against .350 for a plain network of equal parameters (+.135 +- .063, 5 seeds), at 1.6 times its
    time in testing. *It does not* trained jointly with the network: there the windows hardly move
    (.29 against .35); nor where a plain network of finer stride can be paid for; nor to
    find the many cells of a blood smear (mAP@.5 .723 against .766, -.044 +- .038, 5 seeds) or their
    pixels (mean IoU .623 against .636, -.013 +- .006, 5 seeds).

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As in `torch.nn.Conv2d`. Where the padding is no zeros, windows move over the padded image;
        what they take from the padding counts as outside in landing maps.
    device, dtype
        As in `torch.nn.Conv2d`.
    variant : {'offset', 'monotone'}
        ``offset``: each window has its own displacement; all of an axis are shrunk where one would
        overtake its neighbour. ``monotone``: each axis has its own strides t = softplus(g),
        cumulated and normalised to the span of the plain ones. First and last window stay,
        positions strictly increase, nothing can fold.
    max_offset : float, optional
        Bound on the displacement, in input pixels; half the input's side if None.
    min_stride : float
        Smallest local stride, as a share of the plain stride, 0..1: windows keep their order along
        each axis.
    nodes : int
        Nodes per side at which the head reads and answers; between them the displacement is linear.
    head : nn.Module, optional
        Instead of the built-in `OffsetHead`: (B, C, H, W) to (B, 2, h, w), resized to the windows.
        In pixels as (y, x), or g for 'monotone'. Zero its last layer to start as a plain
        convolution.
    stride_channels : bool
        Append to the output, for each axis, the logarithm of the local stride over the plain one:
        how much what is seen is magnified.

    Attributes
    ----------
    weight, bias : as in `torch.nn.Conv2d`, whose state dict loads strictly
    offsets : OffsetField
        Input to displacements (B, 2, Ho, Wo) in input pixels.

    References
    ----------
    Zhang et al., 2024, Acta Electronica Sinica 52(10). *A reconstruction from its abstract*:
    offsets learned from the input change the strides; all details here are ours.

    Examples
    --------
    >>> import torch
    >>> layer = DynamicStrideConv2d(3, 8, 3, stride=2, padding=1)
    >>> x = torch.rand(1, 3, 20, 15)
    >>> layer(x).shape, bool(layer.offsets(x).any())
    (torch.Size([1, 8, 10, 8]), False)
    """

    _dims = 2


class DynamicStrideConv3d(_DynamicStrideConv, nn.Conv3d):
    """`DynamicStrideConv2d` of volumes; displacements (B, 3, Do, Ho, Wo) as (z, y, x)."""

    _dims = 3
