"""Content-adaptive downsampling: time of a layer, and cost against accuracy on thin structures.

    python benchmarks/layers_adaptive.py --quick             # a few CPU minutes
    python benchmarks/layers_adaptive.py                     # 5 seeds, 15 minutes
    python benchmarks/layers_adaptive.py time                # one part; the others keep theirs
    python benchmarks/layers_adaptive.py scars --resume      # go on with an interrupted run

Times are CPU seconds on one thread, taking turns, the making of the mask included. One small
residual network, its strided stages wrapped by `make_adaptive`, gives a class for every pixel of
the tasks in `_adaptive_tasks`. Alike for every row of a seed: images, first weights, order, steps,
optimiser; tested after the last step.

"all low" is the strided network, also with its logits interpolated; "all high" the dilated one. The
others are one network each, trained with a budget drawn anew in every step and read at several. The
budget is spent at random places, where the image has edges, or where the density of a DECNN is
high: one that was told only which images have something to find. Writes
results/layers_adaptive.json (times) and results/layers_adaptive_{scars,hippocampi}.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from _common import interleaved, one_thread, print_table, ratio

one_thread()

import torch
from _adaptive_tasks import Scores, Task, at_random, hippocampi, scars
from _learning import arguments, file_of, keep, learned, parsed
from attention_peers import BasicBlock
from torch import Tensor, nn
from torch.nn import functional

from meshconv.benchmark.seeds import Row, differences, over_seeds
from meshconv.nn import (
    AdaptiveConv2d,
    AdaptiveNetwork,
    AdaptiveNodes,
    levels_for_cost,
    make_adaptive,
)

TASKS: dict[str, Callable[..., Task]] = {"scars": scars, "hippocampi": hippocampi}
PARTS = ("time", *TASKS)
MASKS = ("edges", "density", "edges times density")
WIDTHS, LEVELS, BUDGETS = (8, 16, 32), 2, (0.1, 0.3, 1.0)
LOW, SMOOTH, HIGH = "all low (strided)", "all low, logits interpolated", "all high (dilated)"


# --- time of one layer ---------------------------------------------------------------------------


def time_table(repeats: int) -> list[Row]:
    """One 3x3 layer on 75 % downsampled area, the mask in patches of 4 x 4 pixels, against the
    dense layer in the faster of torch's two memory layouts.
    """
    rows: list[Row] = []
    for channels, side in ((128, 32), (128, 64), (128, 128), (256, 32), (256, 64)):
        torch.manual_seed(0)
        x = torch.randn(1, channels, side, side)
        level = levels_for_cost(at_random(x), 1, 0.25 + 0.75 / 4)
        layer = AdaptiveConv2d(channels, channels, levels=1)
        with torch.no_grad():
            times = interleaved(_runs(layer, x, level), repeats)
        dense = min(
            ("dense", "dense, channels last"), key=lambda name: statistics.median(times[name])
        )
        four = [4 * t for t in times[dense]]
        rows.append(
            {
                "channels": channels,
                "side": side,
                "low": (level == 1).float().mean().item(),
                "dense_ms": 1e3 * statistics.median(times[dense]),
                "layer / dense": ratio(times["layer"], times[dense]),
                "fastest layer / fastest dense": min(times["layer"]) / min(times[dense]),
                "image to nodes, layer, image / dense": ratio(
                    times["there and back"], times[dense]
                ),
                "image to nodes, 4 layers, image / 4 dense": ratio(times["four"], four),
            }
        )
    return rows


def _runs(layer: AdaptiveConv2d, x: Tensor, level: Tensor) -> dict[str, Callable[[], object]]:
    nodes = AdaptiveNodes.from_image(x, level)
    rows, weight = x.contiguous(memory_format=torch.channels_last), layer.weight.contiguous()
    dense = partial(functional.conv2d, bias=layer.bias, dilation=2, padding=2)

    def some(start: AdaptiveNodes, count: int) -> AdaptiveNodes:
        for _ in range(count):
            start = layer(start)
        return start

    return {
        "dense": lambda: dense(x, weight),
        "dense, channels last": lambda: dense(rows, layer.weight),
        "layer": lambda: layer(nodes),
        "there and back": lambda: some(AdaptiveNodes.from_image(x, level), 1).to_image(),
        "four": lambda: some(AdaptiveNodes.from_image(x, level), 4).to_image(),
    }


# --- learning ------------------------------------------------------------------------------------


def network(channels: int, classes: int) -> nn.Sequential:
    """A stem at full resolution, two residual blocks of stride 2, a class for every pixel."""
    a, b, c = WIDTHS
    stem = nn.Sequential(
        nn.Conv2d(channels, a, 3, padding=1, bias=False), nn.BatchNorm2d(a), nn.ReLU()
    )
    stages = nn.Sequential(BasicBlock(a, b, 2), BasicBlock(b, c, 2))
    return nn.Sequential(stem, stages, nn.Conv2d(c, classes, 1))


class Interpolated(nn.Module):
    """The strided network, its logits interpolated instead of repeated."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        return functional.interpolate(self.model(x), size, mode="bilinear", align_corners=False)


def loss_of(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy, the background a quarter as heavy, + 1 - soft Dice of all but it."""
    classes = logits.shape[1]
    weight = torch.tensor([1.0] + [4.0] * (classes - 1))
    p = logits.softmax(1)[:, 1:]
    t = functional.one_hot(y, classes).movedim(-1, 1)[:, 1:].to(p.dtype)
    dice = (2 * (p * t).sum((0, 2, 3)) + 1) / (p.sum((0, 2, 3)) + t.sum((0, 2, 3)) + 1)
    return functional.cross_entropy(logits, y, weight) + 1 - dice.mean()


def train(
    model: nn.Module, data: tuple[Tensor, Tensor], epochs: int, seed: int, batch: int = 4
) -> float:
    """Train in place, return CPU seconds."""
    (x, y), generator = data, torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    steps = epochs * -(-len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    start = time.process_time()
    model.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=generator).split(batch):
            optimizer.zero_grad()
            loss_of(model(x[part]), y[part]).backward()
            optimizer.step()
            schedule.step()
    return time.process_time() - start


@torch.no_grad()
def dice_of(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Mean Dice of the classes but the background, over all pixels."""
    model.eval()
    found = torch.cat([model(x).argmax(1) for x in data[0].split(16)])
    classes = range(1, int(data[1].max()) + 1)
    both = ((found == c, data[1] == c) for c in classes)
    return statistics.fmean(float(2 * (f & t).sum() / (f.sum() + t.sum())) for f, t in both)


def budgeted(score: Scores, draw: Callable[[], float]) -> Callable[..., Tensor]:
    """A mask that spends a share of the nodes where a score is high."""
    return lambda image, size: levels_for_cost(score(image), LEVELS, draw(), size=size)


def drawn(seed: int) -> Callable[[], float]:
    """Budgets from .07 to 1."""
    generator = torch.Generator().manual_seed(seed)
    return lambda: 0.07 + 0.93 * float(torch.rand((), generator=generator))


def cost_of(model: AdaptiveNetwork, x: Tensor, dense: AdaptiveNetwork) -> Row:
    """Multiply-accumulates and CPU time beside the dense network."""
    runs = {"it": partial(model.eval(), x), "dense": partial(dense.eval(), x, 0)}
    with torch.no_grad():
        times = interleaved(runs, 3)
    return {
        "MACs / all high": model.macs(x) / dense.macs(x, 0),
        "time / all high": ratio(times["it"], times["dense"]),
    }


def rows_of(case: Row, seed: int, task: Callable[..., Task], args: argparse.Namespace) -> Any:
    """Train one network; a row for each way to read it."""
    found = task(seed, args.part, quick=args.quick)
    (x, y), name, few = found.learn, case["network"], found.test[0][:8]
    torch.manual_seed(seed)
    base = network(x.shape[1], 1 + int(y.max()))
    dense = make_adaptive(base, "1", anchor="centre")
    if name == SMOOTH:
        smooth = Interpolated(base)
        seconds = train(smooth, found.learn, args.epochs, seed)
        yield {"read": name, "dice": dice_of(smooth, found.test), "train s": seconds}
        return
    whole = {LOW: LEVELS, HIGH: 0}.get(name)
    if whole is not None:
        everywhere = partial(_even, level=whole)
        model = make_adaptive(base, "1", mask=everywhere, anchor="centre")
        readings = {name: everywhere}
    else:
        score = {"random": at_random, **found.scores}[name]
        model = make_adaptive(base, "1", mask=budgeted(score, drawn(seed)), anchor="centre")
        readings = {f"{name}, budget {b:g}": budgeted(score, lambda b=b: b) for b in BUDGETS}
    seconds = train(model, found.learn, args.epochs, seed)
    for read, mask in readings.items():
        model.mask = mask
        row = {"read": read, "dice": dice_of(model, found.test), "train s": seconds}
        yield row | cost_of(model, few, dense)


def _even(image: Tensor, size: tuple[int, ...], level: int) -> Tensor:
    return torch.full((1, 1, *size), level)


def means(rows: list[Row]) -> list[Row]:
    """Means over seeds, then the differences within seeds that the question is about."""
    measures = ["dice", "MACs / all high", "time / all high", "train s"]
    pairs = [(HIGH, LOW), (HIGH, SMOOTH)]
    for name in MASKS:
        at = f"{name}, budget 0.3"
        pairs += [(at, other) for other in (HIGH, SMOOTH, "random, budget 0.3")]
    told = [row | {"task": ""} for row in rows]
    gaps = [row for pair in pairs for row in differences(told, "read", pair, "task", ["dice"])]
    return over_seeds(rows, ["read"], measures) + gaps


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts that the arguments ask for."""
    parser = arguments(__doc__, PARTS)
    parser.add_argument("--epochs", type=int, default=None, help="8, or 2 with --quick")
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    args = parsed(parser, argv, PARTS)
    args.epochs = args.epochs or (2 if args.quick else 8)
    tried = args.quick or args.part != "test"  # the tables are of the test part
    if "time" in args.parts:
        path = file_of("layers_adaptive", quick=tried)
        print_table(keep(path, time=time_table(7 if args.quick else 11))["time"])
    cases = [{"network": name} for name in (LOW, SMOOTH, HIGH, "random", *MASKS)]
    options = {"seeds": args.seeds, "epochs": args.epochs, "part": args.part}
    for name, task in TASKS.items():
        if name in args.parts:
            path = file_of(f"layers_adaptive_{name}", quick=tried)
            learned(path, options, cases, partial(rows_of, task=task, args=args), means, args)


if __name__ == "__main__":
    main()
