"""Every layer of `meshconv.nn` with an input, for comparing a device with the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from meshconv.nn import (
    DECNN,
    AdaptiveConv2d,
    AdaptiveNodes,
    DensityEqualizingConv2d,
    DynamicStrideConv2d,
    DynamicStrideConv3d,
    PyramidPixelContext,
    ScaleEquivariantConv,
    ScaleEquivariantUNet,
    area_sample,
    bounded_density,
    equalizing_grid,
    gather,
    make_adaptive,
    splat,
)

Case = tuple[nn.Module, tuple[Tensor, ...]]


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class _OnNodes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = AdaptiveConv2d(4, 6, 3, levels=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return self.conv(AdaptiveNodes.from_image(x, level.detach().round().long())).to_image()


def _uneven(*shape: int) -> Tensor:
    return bounded_density(torch.randn(shape[0], 1, 9, 9), size=shape[-1])


def _spots(*shape: int) -> Tensor:
    """Positions well inside cells, where rounding moves none across a node."""
    n = shape[-2]
    cells = torch.randint(0, n - 1, shape) + 0.2 + 0.6 * torch.rand(shape)
    return 2 * cells / (n - 1) - 1


def cases() -> dict[str, Callable[[], Case]]:
    """Return a maker of each layer, in double precision, and of what it is given."""

    def net(**options: Any) -> Case:
        return DECNN(3, 4, size=33, network_size=17, dropout=0.0, seed=0, **options), (
            torch.randn(4, 3, 33, 33),
        )

    def adaptive() -> Case:
        level = (torch.rand(2, 1, 4, 4) > 0.5).double()
        level = level.repeat_interleave(4, 2).repeat_interleave(4, 3)
        return _OnNodes(), (torch.randn(2, 4, 16, 16), level)

    def whole() -> Case:
        down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        made = make_adaptive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), down), "2")
        return made, (torch.randn(2, 3, 16, 16), torch.ones(2, 1, 16, 16).double())

    unet = {"dims": 2, "channels": (2, 3), "strides": (2,), "n_scales": 2, "dropout": 0.0}
    found: dict[str, Callable[[], Case]] = {
        "DECNN, shared": lambda: net(direct=True),
        "DECNN, task": lambda: net(density="task"),
        "DECNN, sample": lambda: net(density="sample"),
        "DECNN, uniform, mean": lambda: net(density="uniform", head="mean"),
        "density-equalizing convolution": lambda: (
            DensityEqualizingConv2d(3, 5),
            (torch.randn(2, 3, 33, 33), _uneven(2, 33)),
        ),
        "area sampling": lambda: (
            Call(area_sample),
            (torch.randn(2, 3, 65, 65), equalizing_grid(_uneven(2, 65), size=17)),
        ),
        "gather": lambda: (Call(gather), (torch.randn(2, 3, 17, 17), _spots(2, 17, 17, 2))),
        "splat": lambda: (
            Call(lambda v, p: splat(v, p, (17, 17))),
            (torch.randn(2, 3, 17, 17), _spots(2, 17, 17, 2)),
        ),
        "dynamic stride 2-D": lambda: (
            DynamicStrideConv2d(4, 6, 3, 2, 1),
            (torch.randn(2, 4, 13, 10),),
        ),
        "dynamic stride 3-D": lambda: (
            DynamicStrideConv3d(2, 3, 3, 2, 1),
            (torch.randn(2, 2, 9, 8, 7),),
        ),
        "pixel context": lambda: (PyramidPixelContext(10, (7, 6)), (torch.randn(2, 10, 9, 8),)),
        "scale lifting": lambda: (
            ScaleEquivariantConv(3, 4, 5, 2, dims=2),
            (torch.randn(2, 3, 13, 10),),
        ),
        "scale to scale, 3-D": lambda: (
            ScaleEquivariantConv(2, 4, scale_size=2, n_scales=3),
            (torch.randn(2, 2, 3, 8, 7, 6),),
        ),
        "scale U-Net": lambda: (ScaleEquivariantUNet(1, 2, **unet), (torch.randn(2, 1, 16, 12),)),
        "adaptive convolution": adaptive,
        "adaptive network": whole,
    }
    for method in ("moser", "knothe_rosenblatt", "diffusion"):
        for direction in ("backward", "forward"):
            options = {"method": method, "direction": direction}
            found[f"{method}, {direction}"] = lambda options=options: (
                Call(lambda rho: equalizing_grid(rho, **options)),
                (_uneven(2, 33),),
            )
    return found


def shaken(layer: nn.Module) -> nn.Module:
    """Return a layer with no weight at zero, where half of it would be idle."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def outcome(layer: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Return what a layer gives, and all gradients of a fixed sum of it, on the CPU in double."""
    leaves = [one.detach().requires_grad_() for one in inputs]
    made = layer(*leaves)
    parts = list(made.values()) if isinstance(made, dict) else [made]
    total = sum((part * _weights(part)).sum() for part in parts)
    wanted = [*leaves, *(p for p in layer.parameters() if p.requires_grad)]
    slopes = torch.autograd.grad(total, wanted, allow_unused=True)
    found = [*parts, *(slope for slope in slopes if slope is not None)]
    return [one.detach().double().cpu() for one in found]


def _weights(like: Tensor) -> Tensor:
    """Return the same numbers on every device, unlike for neighbours."""
    return torch.sin(torch.arange(like.numel(), dtype=torch.float64)).view_as(like).to(like)
