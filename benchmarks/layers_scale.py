"""Scale-equivariant layers beside ordinary ones: equivariance, time, segmentation at unseen sizes.

    python benchmarks/layers_scale.py --quick          # 1 min of CPU: 10 volumes, one seed, few
    steps python benchmarks/layers_scale.py                  # 10, 25 and 100 volumes, 3 seeds,
    about 3 min of CPU python benchmarks/layers_scale.py --full           # the same at the volumes'
    own resolution, hours python benchmarks/layers_scale.py equivariance     # one part; the others
    keep what the JSON file holds python benchmarks/layers_scale.py learning --resume     # go on
    with an interrupted run, row by row

Hippocampus MRI (MESHCONV_DATA), at half resolution unless --full: networks of equal channels are
trained at scale 1 and tested on volumes reduced to .7 to 1 of their size; a plain one more trains
on randomly reduced volumes (with --both, a scale-equivariant one too). Equal steps, batches,
optimiser and learning rate; the last step is tested, none is picked. CPU seconds, one thread.
Results are written after every row.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from _common import (
    RESULTS,
    environment,
    interleaved,
    one_thread,
    print_table,
    ratio,
    summary,
    write,
)

one_thread()

import torch
from _learning import Row, differences, learn, over_seeds, text
from torch import Tensor, nn
from torch.nn import functional

from meshconv.benchmark.plain_unet import PlainUNet
from meshconv.datasets.volumes import Hippocampi
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet

PARTS = ("equivariance", "time", "learning")
SHAPE, SEEN, CHANNELS, STRIDES = (40, 56, 48), (32, 48, 32), (4, 8, 16), (2, 2)
SCALES = (1.0, 0.9, 0.8, 0.7)
DICE = tuple(f"dice at {s}" for s in SCALES)
OURS, PLAIN, AUGMENTED = "scale-equivariant", "plain", " + scale augmentation"


# --- equivariance and time -----------------------------------------------------------------------


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


def networks(seed: int) -> dict[str, nn.Module]:
    """The four networks of a seed; those of one kind start alike."""
    options: dict[str, Any] = {"channels": CHANNELS, "strides": STRIDES}
    made: dict[str, nn.Module] = {}
    for suffix in ("", AUGMENTED):
        torch.manual_seed(seed)
        made[OURS + suffix] = ScaleEquivariantUNet(1, 3, **options)
        torch.manual_seed(seed)
        made[PLAIN + suffix] = PlainUNet(1, 3, **options).to(
            memory_format=torch.channels_last_3d
        )  # the faster layout
    return made


def time_table(side: int, repeats: int) -> list[Row]:
    """Forward in evaluation and a training step, in turns."""
    x, made = torch.randn(1, 1, side, side, side), networks(0)
    nets = {name: made[name] for name in (OURS, PLAIN)}

    def forward(net: nn.Module) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return net.eval()(x)

        return run

    forwards = interleaved({name: forward(net) for name, net in nets.items()}, repeats)
    steps = interleaved(
        {
            name: lambda net=net: net.train()(x).square().mean().backward()
            for name, net in nets.items()
        },
        max(3, repeats // 2),
    )
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


# --- segmentation --------------------------------------------------------------------------------


def volumes(part: Hippocampi, *, half: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 1, *S) and labels (n, *S)."""
    x, y = map(torch.from_numpy, part.stacked(SHAPE))
    return (functional.avg_pool3d(x, 2), y[:, ::2, ::2, ::2]) if half else (x, y)


def seen(x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Reduce, then cut out the middle that the networks see; it holds every hippocampus."""
    x, y = resized(x, y, scale) if scale != 1 else (x, y)
    want = [s * n // m for s, n, m in zip(SEEN, x.shape[2:], SHAPE, strict=True)]
    cut = (
        ...,
        *(slice((n - w) // 2, (n - w) // 2 + w) for n, w in zip(x.shape[2:], want, strict=True)),
    )
    return x[cut], y[cut]


def resized(x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """L_r f(x) = f(x / r) about the middle; labels by their nearest voxel."""
    theta = torch.eye(3, 4) / scale
    grid = functional.affine_grid(
        theta[None].expand(len(x), 3, 4), list(x.shape), align_corners=True
    )
    image = functional.grid_sample(x, grid, padding_mode="zeros", align_corners=True)
    label = functional.grid_sample(
        y[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=True
    )
    return image, label[:, 0].long()


def loss_of(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy + 1 - soft Dice."""
    p = logits.softmax(1)[:, 1:]
    t = functional.one_hot(y, 3).movedim(-1, 1)[:, 1:].to(p.dtype)
    axes = (0, 2, 3, 4)
    dice = (2 * (p * t).sum(axes) + 1) / (p.sum(axes) + t.sum(axes) + 1)
    return functional.cross_entropy(logits, y) + 1 - dice.mean()


def train(net: nn.Module, x: Tensor, y: Tensor, *, steps: int, augment: bool, seed: int) -> float:
    """Train in place and return the CPU seconds; augmented: at sizes .7 to 1."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.process_time()
    net.train()
    for _ in range(steps):
        pick = torch.randint(len(x), (2,), generator=generator)
        scale = 0.7 + 0.3 * float(torch.rand((), generator=generator)) if augment else 1.0
        a, b = seen(x[pick], y[pick], scale)
        optimiser.zero_grad()
        loss_of(net(a), b).backward()
        optimiser.step()
        schedule.step()
    return time.process_time() - start


@torch.no_grad()
def dice_of(net: nn.Module, x: Tensor, y: Tensor, scale: float) -> float:
    """Mean Dice over the two classes and the volumes."""
    net.eval()
    x, y = seen(x, y, scale)
    scores = []
    for a, b in zip(x, y, strict=True):
        found = net(a[None]).argmax(1)[0]
        for c in (1, 2):
            common, sizes = ((found == c) & (b == c)).sum(), (found == c).sum() + (b == c).sum()
            scores.append(float(2 * common / sizes.clamp_min(1)))
    return statistics.fmean(scores)


def runs_of(seed: int, options: Row, rows: list[Row]) -> Iterator[None]:
    """Append a row per number of volumes and network to those there are; stops after each for it to
    be written.
    """
    half, done = (
        not options["full"],
        {(row["volumes"], row["network"]) for row in rows if row["seed"] == seed},
    )
    test = volumes(Hippocampi("test").few(options["tests"]), half=half)
    for n in options["samples"]:
        x, y = volumes(Hippocampi("train").few(n, seed=seed), half=half)
        for name, net in networks(seed).items():
            if (n, name) in done or (name == OURS + AUGMENTED and not options["both"]):
                continue
            seconds = train(
                net, x, y, steps=options["steps"], augment=name.endswith(AUGMENTED), seed=seed
            )
            scores = {key: dice_of(net, *test, s) for key, s in zip(DICE, SCALES, strict=True)}
            rows.append({"volumes": n, "seed": seed, "network": name, "train_s": seconds, **scores})
            print(text(rows[-1]), flush=True)
            yield


def summarised(runs: list[Row]) -> list[Row]:
    """Means over seeds, then ours minus plain within seeds, with and without augmentation."""
    pairs = [(OURS, PLAIN), (OURS, PLAIN + AUGMENTED), (OURS + AUGMENTED, PLAIN + AUGMENTED)]
    gaps = [row for pair in pairs for row in differences(runs, "network", pair, "volumes", DICE)]
    return over_seeds(runs, ["volumes", "network"], ["train_s", *DICE]) + gaps


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true", help="keep the learning rows there are")
    parser.add_argument(
        "--full", action="store_true", help="the volumes' own resolution: about 8 times slower"
    )
    parser.add_argument(
        "--both", action="store_true", help="also the scale-equivariant network with augmentation"
    )
    parser.add_argument(
        "--samples", type=int, nargs="+", default=None, help="training volumes (10 25 100)"
    )
    parser.add_argument("--seeds", type=int, default=None, help="3, or 1 with --quick")
    parser.add_argument("--steps", type=int, default=None, help="120, or 60 with --quick")
    parser.add_argument(
        "--tests", type=int, default=None, help="volumes to test on (20, or 10 with --quick)"
    )
    args = parser.parse_args()
    options = {
        "seeds": args.seeds or (1 if args.quick else 3),
        "samples": args.samples or ([10] if args.quick else [10, 25, 100]),
        "steps": args.steps or (60 if args.quick else 120),
        "tests": args.tests or (10 if args.quick else 20),
        "full": args.full,
        "both": args.both,
    }
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path, parts = RESULTS / "layers_scale.json", args.parts or PARTS
    before: Row = json.loads(path.read_text()) if path.is_file() else {}
    result: Row = before | {"environment": environment("torch", "numpy")}
    for part, table in (
        ("equivariance", equivariance_table),
        ("time", partial(time_table, 20 if args.quick else 32, 5 if args.quick else 9)),
    ):
        if part in parts:
            result[part] = table()
            print_table(result[part])
    if "learning" in parts:
        learn("layers_scale", result, options, runs_of, summarised, resume=args.resume)
    print(write("layers_scale", result))


if __name__ == "__main__":
    main()
