"""Scale-equivariant layers beside ordinary ones: equal parameters, both augmented, sizes .5 to 1.4.

    python benchmarks/layers_sizes.py --quick      # 1 seed, 5 volumes
    python benchmarks/layers_sizes.py              # 5 and 10 volumes, 5 seeds: 4 CPU minutes
    python benchmarks/layers_sizes.py --resume     # go on with an interrupted run, row by row
    python benchmarks/layers_sizes.py settings --steps 200     # options, on training volumes alone

Hippocampus MRI (MESHCONV_DATA) at half resolution. All networks train on volumes reduced to .7 to 1
of their size at random and have 18,747 parameters: ours with kernels of 5 voxels on 27 functions
and scales 1, .9, .81 and .73, the plain one with kernels of 3 voxels. Sizes .5, .6, 1.2 and 1.4 are
never seen. Equal steps, batches, optimiser and learning rate; the last step is tested, none is
picked. Part "settings" tries the step of scale, the projection and scale dropout on volumes of the
training part, drawn by seeds of its own. Writes results/layers_sizes.json.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from _common import one_thread, print_table

one_thread()

import torch
from _learning import arguments, file_of, keep, learned, parsed
from layers_scale import CHANNELS, STRIDES
from torch import Tensor, nn
from torch.nn import functional

from meshconv.benchmark.plain_unet import PlainUNet
from meshconv.benchmark.seeds import Row, as_words, differences, over_seeds
from meshconv.datasets.volumes import Hippocampi
from meshconv.nn import ScaleEquivariantUNet

PARTS = ("learning", "settings")
SHAPE, SEEN = (40, 56, 48), (32, 48, 32)
SIZES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4)
DICE = tuple(f"dice at {s}" for s in SIZES)
MEAN = f"dice, mean over {SIZES[0]:g} to {SIZES[-1]:g}"
OURS, PLAIN = "scale-equivariant", "plain, equal parameters"
SETTINGS: dict[str, dict[str, Any]] = {
    "ratio .9": {"scale_ratio": 0.9},
    "ratio .8": {"scale_ratio": 0.8},
    "ratio .9, largest scale": {"scale_ratio": 0.9, "projection": "max"},
    "ratio .9, scale dropout .3": {"scale_ratio": 0.9},
}


class SomeScales(nn.Module):
    """Mean over the scales; in training over those that a coin lets through, one at least."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x.mean(dim=2)
        kept = (torch.rand(len(x), 1, x.shape[2], *[1] * (x.ndim - 3)) >= self.p).to(x.dtype)
        kept[kept.flatten(1).sum(1) == 0] = 1
        return (x * kept).sum(dim=2) / kept.sum(dim=2)


def volumes(part: Hippocampi) -> tuple[Tensor, Tensor]:
    """Images (n, 1, *S) and labels (n, *S) at half resolution."""
    x, y = map(torch.from_numpy, part.stacked(SHAPE))
    return functional.avg_pool3d(x, 2), y[:, ::2, ::2, ::2]


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


def train(net: nn.Module, x: Tensor, y: Tensor, *, steps: int, seed: int) -> float:
    """Train in place at sizes .7 to 1 and return the CPU seconds."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.process_time()
    net.train()
    for _ in range(steps):
        pick = torch.randint(len(x), (2,), generator=generator)
        scale = 0.7 + 0.3 * float(torch.rand((), generator=generator))
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


def network(name: str, seed: int) -> nn.Module:
    """A fresh network by its name in the tables."""
    torch.manual_seed(seed)
    options: dict[str, Any] = {"channels": CHANNELS, "strides": STRIDES}
    if name == PLAIN:
        net = PlainUNet(1, 3, kernel_size=3, **options)
        return net.to(memory_format=torch.channels_last_3d)  # the faster layout
    ours = ScaleEquivariantUNet(1, 3, **options, **SETTINGS.get(name, {}))
    if name.endswith("dropout .3"):
        ours.project = SomeScales(0.3)
    return ours


def scored(net: nn.Module, test: Any) -> Row:
    """Dice at every size, and their mean."""
    scores = {key: dice_of(net, *test, size) for key, size in zip(DICE, SIZES, strict=True)}
    return {MEAN: statistics.fmean(scores.values()), **scores}


def means(runs: list[Row]) -> list[Row]:
    """Means over seeds, then ours minus plain within seeds; also over both numbers of volumes."""
    measures = [MEAN, *DICE]
    every = [
        row | {"volumes": "all", "seed": f"{row['seed']}, {row['volumes']} volumes"} for row in runs
    ]
    gaps = [
        row
        for rows in (runs, every)
        for row in differences(rows, "network", (OURS, PLAIN), "volumes", measures)
    ]
    return over_seeds(runs, ["volumes", "network", "parameters"], ["train_s", *measures]) + gaps


def settings(steps: int) -> list[Row]:
    """Options of ours on eight training volumes, tested on others of the training part."""
    rows = []
    for seed in (1000, 1001):
        part = volumes(Hippocampi("train").few(20, seed=seed))
        learn, test = (tuple(t[where] for t in part) for where in (slice(8), slice(8, None)))
        for name in (*SETTINGS, PLAIN):
            net = network(name, seed)
            seconds = train(net, *learn, steps=steps, seed=seed)
            row = {"volumes": 8, "network": name, "seed": seed, "train_s": seconds}
            rows.append(row | scored(net, test))
            print(as_words(rows[-1]), flush=True)
    return over_seeds(rows, ["volumes", "network"], ["train_s", MEAN, *DICE])


def main(argv: Sequence[str] | None = None) -> None:
    """Run what the arguments ask for."""
    parser = arguments(__doc__, PARTS)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--tests", type=int, default=12, help="volumes to test on")
    args = parsed(parser, argv, PARTS)
    path = file_of("layers_sizes", quick=args.quick)
    if "settings" in args.parts:
        print_table(keep(path, settings=settings(args.steps))["settings"])
    if "learning" not in args.parts:
        return

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        x, y = volumes(Hippocampi("train").few(case["volumes"], seed=seed))
        net = network(case["network"], seed)
        seconds = train(net, x, y, steps=args.steps, seed=seed)
        count = sum(p.numel() for p in net.parameters())
        test = volumes(Hippocampi("test").few(args.tests))
        yield {"parameters": count, "train_s": seconds, **scored(net, test)}

    counts = (5,) if args.quick else (5, 10)
    cases = [{"volumes": n, "network": name} for n in counts for name in (OURS, PLAIN)]
    options = {"seeds": args.seeds, "steps": args.steps, "tests": args.tests}
    learned(path, options, cases, rows_of, means, args)


if __name__ == "__main__":
    main()
