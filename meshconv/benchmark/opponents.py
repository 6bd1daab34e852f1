"""Networks that DECNN is measured against, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn.density_estimator import stage, with_places
from meshconv.nn.sample import gather, node_grid


class _Block(nn.Module):
    """Two 3 x 3 convolutions with norms around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class ResNet(nn.Sequential):
    """ResNet-18 as published (He et al., 2016, doi:10.1109/CVPR.2016.90).

    Logits (B, n_classes) of images (B, in_channels, N, N).
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        size: int = 0,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
    ) -> None:
        stem = nn.Conv2d(in_channels, widths[0], 7, stride=2, padding=3, bias=False)
        layers: list[nn.Module] = [
            stem,
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        inputs = widths[0]
        for level, width in enumerate(widths):
            layers += [_Block(inputs, width, 1 if level == 0 else 2), _Block(width, width, 1)]
            inputs = width
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, n_classes)
        )


class SaliencySampler(nn.Module):
    """Saliency sampler: each place draws the sampling grid towards itself in proportion to a
    learned saliency.

    Logits (B, n_classes) of images (B, in_channels, size, size); the classifier sees 33 x 33 nodes.

    References
    ----------
    Recasens, Kellnhofer, Stent, Matusik, Torralba, 2018, eq. (3) and (4).
    doi:10.1007/978-3-030-01240-3_4
    """

    kernel: Tensor

    def __init__(
        self, in_channels: int, n_classes: int, size: int, *, nodes: int = 17, sigma: float = 0.25
    ) -> None:
        super().__init__()
        self.nodes, self.network_size = nodes, 33
        self.attention = nn.Sequential(
            stage(in_channels + 2, 16), stage(16, 16), nn.Conv2d(16, 1, 3, padding=1)
        )
        along = torch.arange(-(nodes - 1), nodes) / (nodes - 1)
        gauss = torch.exp(-((2 * along / sigma) ** 2) / 2)
        self.register_buffer("kernel", (gauss[:, None] * gauss)[None, None])
        layers: list[nn.Module] = [stage(in_channels + 2, 24)]
        channels, side = 24, self.network_size
        while side > 5:
            layers.append(stage(channels, 48, stride=2))
            channels, side = 48, (side + 1) // 2
        self.classifier = nn.Sequential(
            *layers, nn.Flatten(), nn.Dropout(0.1), nn.Linear(channels * side**2, n_classes)
        )

    def saliency(self, x: Tensor) -> Tensor:
        """Return the saliency (B, 1, size, size), its sum over coarse nodes 1 before it is made
        finer.
        """
        return functional.interpolate(
            self._coarse(x), size=x.shape[-2:], mode="bilinear", align_corners=True
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, n_classes)."""
        weight, pad = self._coarse(x), [self.nodes - 1] * 4
        # replicated weights, at places that go on outside, keep the border from shrinking inwards
        around = functional.pad(weight, pad, mode="replicate")
        wide = torch.linspace(-3, 3, 3 * self.nodes - 2, device=x.device, dtype=x.dtype)
        y, x_ = torch.meshgrid(wide, wide, indexing="ij")
        moments = torch.cat([around, around * x_, around * y], dim=1)
        summed = functional.conv2d(moments.flatten(0, 1)[:, None], self.kernel).reshape(
            -1, 3, self.nodes, self.nodes
        )
        grid = summed[:, 1:] / summed[:, :1].clamp_min(1e-8)
        fine = functional.interpolate(
            grid, size=(self.network_size,) * 2, mode="bilinear", align_corners=True
        )
        there = fine.permute(0, 2, 3, 1).clamp(-1, 1)
        out: Tensor = self.classifier(with_places(gather(x, there), there))
        return out

    def _coarse(self, x: Tensor) -> Tensor:
        small = functional.interpolate(
            x, size=(self.nodes, self.nodes), mode="bilinear", align_corners=True
        )
        logits: Tensor = self.attention(with_places(small, node_grid(self.nodes, small)))
        return torch.softmax(logits.flatten(1), dim=1).reshape_as(logits)
