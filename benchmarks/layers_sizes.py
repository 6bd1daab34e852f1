"""Scale-equivariant layers beside ordinary ones: equal parameters, both augmented, sizes .5 to 1.4.

    python benchmarks/layers_sizes.py --quick      # 1 seed, 5 volumes
    python benchmarks/layers_sizes.py              # 5 and 10 volumes, 4 seeds: 10 min of CPU
    python benchmarks/layers_sizes.py --resume     # go on with an interrupted run, row by row
    python benchmarks/layers_sizes.py settings     # options of ours, on training volumes alone

Hippocampus MRI (MESHCONV_DATA) at half resolution. All networks train on volumes reduced to .7 to 1
of their size at random and have 18,747 parameters: ours with kernels of 5 voxels on 27 functions,
the plain one with kernels of 3 voxels. Sizes .5, .6, 1.2 and 1.4 are never seen. Equal steps,
batches, optimiser and learning rate; the last step is tested, none is picked. Part "settings" tries
the anti-aliasing and the width of our kernels on volumes of the training part that no row trains
on.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import torch
from _learning import Row, differences, learn, over_seeds, text
from layers_scale import CHANNELS, STRIDES, dice_of, train, volumes
from torch import nn

from meshconv.benchmark.plain_unet import PlainUNet
from meshconv.datasets.volumes import Hippocampi
from meshconv.nn import ScaleEquivariantUNet

SIZES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4)
DICE = tuple(f"dice at {s}" for s in SIZES)
MEAN = f"dice, mean over {SIZES[0]:g} to {SIZES[-1]:g}"
OURS: dict[str, dict[str, Any]] = {
    "scale-equivariant": {},
    "scale-equivariant, sigma 1.25": {"sigma": 1.25},
}
PLAIN = "plain, equal parameters"
SETTINGS: dict[str, dict[str, Any]] = {
    f"antialias {a:g}, sigma {sigma:g}": {"antialias": a, "sigma": sigma}
    for a, sigma in ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (0.5, 1.25))
}


def network(name: str, seed: int) -> nn.Module:
    """A fresh network by its name in the tables."""
    torch.manual_seed(seed)
    options: dict[str, Any] = {"channels": CHANNELS, "strides": STRIDES}
    if name == PLAIN:
        net = PlainUNet(1, 3, kernel_size=3, **options)
        return net.to(memory_format=torch.channels_last_3d)  # the faster layout
    return ScaleEquivariantUNet(1, 3, **options, **(OURS | SETTINGS)[name])


def scored(net: nn.Module, test: Any) -> Row:
    """Dice at every size, and their mean."""
    scores = {key: dice_of(net, *test, size) for key, size in zip(DICE, SIZES, strict=True)}
    return {MEAN: statistics.fmean(scores.values()), **scores}


def runs_of(seed: int, options: Row, rows: list[Row]) -> Iterator[None]:
    """Append a row per number of volumes and network; stops after each for it to be written."""
    done = {(row["volumes"], row["network"]) for row in rows if row["seed"] == seed}
    test = volumes(Hippocampi("test").few(options["tests"]), half=True)
    for n in options["samples"]:
        x, y = volumes(Hippocampi("train").few(n, seed=seed), half=True)
        for name in (*list(OURS)[: 1 + options["wide"]], PLAIN):
            if (n, name) in done:
                continue
            net = network(name, seed)
            seconds = train(net, x, y, steps=options["steps"], augment=True, seed=seed)
            count = sum(p.numel() for p in net.parameters())
            rows.append({"volumes": n, "seed": seed, "network": name, "parameters": count})
            rows[-1] |= {"train_s": seconds, **scored(net, test)}
            print(text(rows[-1]), flush=True)
            yield


def summarised(runs: list[Row]) -> list[Row]:
    """Means over seeds, then ours minus plain within seeds; also over both numbers of volumes."""
    measures = [MEAN, *DICE]
    every = [
        row | {"volumes": "all", "seed": f"{row['seed']}, {row['volumes']} volumes"} for row in runs
    ]
    gaps = [
        row
        for name in OURS
        if any(row["network"] == name for row in runs)
        for rows in (runs, every)
        for row in differences(rows, "network", (name, PLAIN), "volumes", measures)
    ]
    return over_seeds(runs, ["volumes", "network", "parameters"], ["train_s", *measures]) + gaps


def settings(steps: int) -> list[Row]:
    """Options of ours on eight training volumes, tested on others of the training part."""
    part = volumes(Hippocampi("train").few(20, seed=1000), half=True)
    (x, y), test = (tuple(t[where] for t in part) for where in (slice(8), slice(8, None)))
    rows = []
    for name in (*SETTINGS, PLAIN):
        net = network(name, 1000)
        seconds = train(net, x, y, steps=steps, augment=True, seed=1000)
        rows.append({"network": name, "train_s": seconds, **scored(net, test)})
        print(text(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=("learning", "settings"), default="learning")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true", help="keep the learning rows there are")
    parser.add_argument("--wide", action="store_true", help="also ours with sigma 1.25")
    parser.add_argument("--samples", type=int, nargs="+", default=None, help="volumes (5 10)")
    parser.add_argument("--seeds", type=int, default=None, help="4, or 1 with --quick")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--tests", type=int, default=12, help="volumes to test on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "layers_sizes.json"
    result: Row = json.loads(path.read_text()) if path.is_file() else {}
    result |= {"environment": environment("torch", "numpy")}
    if args.part == "settings":
        result["settings"] = settings(args.steps)
        print_table(result["settings"])
    else:
        options = {
            "seeds": args.seeds or (1 if args.quick else 4),
            "samples": args.samples or ([5] if args.quick else [5, 10]),
            "steps": args.steps,
            "tests": args.tests,
            "wide": args.wide,
        }
        learn("layers_sizes", result, options, runs_of, summarised, resume=args.resume)
    print(write("layers_sizes", result))


if __name__ == "__main__":
    main()
