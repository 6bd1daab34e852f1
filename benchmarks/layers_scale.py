"""Scale-equivariant layers beside ordinary ones: equivariance of one layer, and time of a U-Net.

    python benchmarks/layers_scale.py                  # 2 CPU minutes
    python benchmarks/layers_scale.py equivariance     # one part; the other keeps its results

The patch errors are on band-limited fields (0 is exact). Times are CPU seconds on one thread,
networks of equal channels taking turns, on the size that `layers_sizes` segments. What the networks
learn is in that script. Writes results/layers_scale.json.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from _common import interleaved, one_thread, print_table, ratio, summary

one_thread()

import torch
from _learning import arguments, file_of, keep, parsed
from torch import nn

from meshconv.benchmark.plain_unet import PlainUNet
from meshconv.benchmark.seeds import Row
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet

PARTS = ("equivariance", "time")
CHANNELS, STRIDES = (4, 8, 16), (2, 2)
OURS, PLAIN = "scale-equivariant", "plain"


def plain_error(kernel_size: int, max_frequency: float) -> float:
    """Equivariance error of one kernel for all sizes: the layer of a single function per tap."""
    layer = ScaleEquivariantConv(4, 8, kernel_size=kernel_size, n_scales=2)
    layer.basis = torch.eye(kernel_size**3).view(-1, 1, *[kernel_size] * 3).repeat(1, 2, 1, 1, 1)
    layer.weight = nn.Parameter(torch.randn(8, 4, kernel_size**3))
    return layer.equivariance_error(max_frequency=max_frequency)


def equivariance_table() -> list[Row]:
    """Patch errors of single layers on band-limited fields."""
    bands, rows = (0.3, 0.6, 1.0), []
    layers: dict[str, dict[str, Any]] = {
        "multi, k 5 (the paper's)": {"family": "multi"},
        "single, k 7": {"family": "single", "kernel_size": 7},
        **{f"ours, k {k}": {"kernel_size": k} for k in (3, 5, 7)},
        "ours, k 5, voxels 1 : 1 : 2.5": {"spacing": (1.0, 1.0, 2.5)},
        "ours, k 5, voxels 1 : 1 : 3": {"spacing": (1.0, 1.0, 3.0)},
        "ours, k 7, voxels 1 : 1 : 3": {"spacing": (1.0, 1.0, 3.0), "kernel_size": 7},
        "ours, dilated, ratio 1/2": {"scale_ratio": 0.5, "n_scales": 3, "dilated": True},
    }
    for name, options in layers.items():
        layer = ScaleEquivariantConv(4, 8, **options)
        rows.append(
            {
                "layer": name,
                **{f"error at {w}": layer.equivariance_error(max_frequency=w) for w in bands},
            }
        )
    plain = [
        {"layer": f"plain, k {k}", **{f"error at {w}": plain_error(k, w) for w in bands}}
        for k in (3, 5, 7)
    ]
    return rows + plain


def networks() -> dict[str, nn.Module]:
    """Of equal channels."""
    options: dict[str, Any] = {"channels": CHANNELS, "strides": STRIDES}
    plain = PlainUNet(1, 3, **options).to(memory_format=torch.channels_last_3d)  # the faster layout
    return {OURS: ScaleEquivariantUNet(1, 3, **options), PLAIN: plain}


def time_table(side: int, repeats: int) -> list[Row]:
    """Forward in evaluation and a training step, in turns."""
    x, nets = torch.randn(1, 1, side, side, side), networks()

    def forward(net: nn.Module) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return net.eval()(x)

        return run

    def step(net: nn.Module) -> Callable[[], object]:
        return lambda: net.train()(x).square().mean().backward()

    forwards = interleaved({name: forward(net) for name, net in nets.items()}, repeats)
    steps = interleaved({name: step(net) for name, net in nets.items()}, max(3, repeats // 2))
    return [
        {
            "network": name,
            "parameters": sum(p.numel() for p in net.parameters()),
            "forward_s": summary(forwards[name])["median_s"],
            "forward / plain": ratio(forwards[name], forwards[PLAIN]),
            "step_s": summary(steps[name])["median_s"],
            "step / plain": ratio(steps[name], steps[PLAIN]),
        }
        for name, net in nets.items()
    ]


def whole_networks(strides: Sequence[Sequence[int]] = ((2, 2), (1, 1))) -> list[Row]:
    """Equivariance of the features of whole untrained U-Nets, beside that of their worst layer."""
    rows: list[Row] = []
    for stride in strides:
        for antialias in (0.0, 0.5, 1.0):
            torch.manual_seed(0)
            net = ScaleEquivariantUNet(1, 3, channels=CHANNELS, strides=stride, antialias=antialias)
            rows.append(
                {
                    "strides": "x".join(map(str, stride)),
                    "antialias": antialias,
                    "error of the network": net.equivariance_error(),
                    "of its worst layer": net.equivariance_error("layers"),
                }
            )
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what the arguments ask for."""
    args = parsed(arguments(__doc__, PARTS), argv, PARTS)
    path = file_of("layers_scale", quick=args.quick)
    if "equivariance" in args.parts:
        found = keep(path, equivariance=equivariance_table(), networks=whole_networks())
        print_table(found["equivariance"])
        print_table(found["networks"])
    if "time" in args.parts:
        side, repeats = (20, 5) if args.quick else (32, 9)
        print_table(keep(path, time=time_table(side, repeats))["time"])


if __name__ == "__main__":
    main()
