"""The attention layers that PPCR is compared with, and a residual backbone, in plain torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ConstantFactor(nn.Module):
    """No attention: features times a constant, as an attention whose map is even."""

    def __init__(self, channels: int, size: Sequence[int] = (), *, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class SqueezeExcitation(nn.Module):
    """Hu et al. 2018: channel weights from the global mean through a bottleneck."""

    def __init__(self, channels: int, size: Sequence[int] = (), *, reduction: int = 16) -> None:
        super().__init__()
        inner = max(channels // reduction, 4)
        self.mlp = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.mlp(x.mean((2, 3))))[:, :, None, None]


class ConvolutionalBlockAttention(nn.Module):
    """Woo et al. 2018 (CBAM): channel weights from mean and maximum, then pixel weights from
    both.
    """

    def __init__(self, channels: int, size: Sequence[int] = (), *, reduction: int = 16) -> None:
        super().__init__()
        inner = max(channels // reduction, 4)
        self.mlp = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))
        self.pixels = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1))

    def forward(self, x: Tensor) -> Tensor:
        x = x * torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))[:, :, None, None]
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.pixels(summary))


class EfficientChannelAttention(nn.Module):
    """Wang et al. 2020 (ECA): channel weights from a short convolution along the channels."""

    def __init__(self, channels: int, size: Sequence[int] = ()) -> None:
        super().__init__()
        k = int(abs(math.log2(channels) / 2 + 0.5)) | 1
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x.mean((2, 3))[:, None])[:, 0])[:, :, None, None]


class SpatialPyramidAttention(nn.Module):
    """Guo et al. 2020 (SPA): channel weights from means over 1x1, 2x2 and 4x4 parts of the
    image.
    """

    def __init__(self, channels: int, size: Sequence[int] = (), *, reduction: int = 16) -> None:
        super().__init__()
        inner = max(channels // reduction, 4)
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(n) for n in (1, 2, 4))
        self.mlp = nn.Sequential(
            nn.Linear(21 * channels, inner), nn.ReLU(), nn.Linear(inner, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        pyramid = torch.cat([pool(x).flatten(1) for pool in self.pools], 1)
        return x * torch.sigmoid(self.mlp(pyramid))[:, :, None, None]


class SimpleAttention(nn.Module):
    """Yang et al. 2021 (SimAM): no parameters, weight by the squared deviation from the channel's
    mean.
    """

    def __init__(
        self, channels: int, size: Sequence[int] = (), *, regulariser: float = 1e-4
    ) -> None:
        super().__init__()
        self.regulariser = regulariser

    def forward(self, x: Tensor) -> Tensor:
        squared = (x - x.mean((2, 3), keepdim=True)).square()
        variance = squared.sum((2, 3), keepdim=True) / max(x.shape[2] * x.shape[3] - 1, 1)
        return x * torch.sigmoid(squared / (4 * (variance + self.regulariser)) + 0.5)


class StyleRecalibration(nn.Module):
    """Lee et al. 2019 (SRM): channel weights from each channel's own mean and standard
    deviation.
    """

    def __init__(self, channels: int, size: Sequence[int] = ()) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 2))
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        style = torch.stack([flat.mean(2), (flat.var(2, correction=0) + 1e-5).sqrt()], 2)
        return x * torch.sigmoid(self.norm((style * self.weight).sum(2)))[:, :, None, None]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with norms around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.downsample(x))


def resnet(
    in_channels: int,
    classes: int,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    depth: int = 2,
    stride: int = 1,
    large: bool = False,
) -> nn.Sequential:
    """ResNet-18 by default; `large` takes the stem for photographs, otherwise one 3x3 convolution
    of this stride.
    """
    kernel, stride = (7, 2) if large else (3, stride)
    stem = nn.Conv2d(in_channels, widths[0], kernel, stride, kernel // 2, bias=False)
    layers: list[nn.Module] = [stem, nn.BatchNorm2d(widths[0]), nn.ReLU()]
    if large:
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = widths[0]
    for level, width in enumerate(widths):
        for i in range(depth):
            layers.append(BasicBlock(inputs, width, 2 if level and not i else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
