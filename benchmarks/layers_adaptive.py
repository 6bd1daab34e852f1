"""Content-adaptive downsampling: time beside the dense layer, and cost against accuracy on blood
cells.

    python benchmarks/layers_adaptive.py --quick     # about 2 CPU minutes: times, one seed, short
    trainings python benchmarks/layers_adaptive.py             # 5 seeds, about 8 CPU minutes
    (MESHCONV_DATA) python benchmarks/layers_adaptive.py --resume    # go on with an interrupted
    run, row by row

Times are CPU seconds on one thread, taking turns, as ratios to the dense (dilated) convolution at
full size, in the faster of torch's two memory layouts. The task: BCCD images, each box an ellipse
of its class (background, red, white, platelet), labelled per pixel at a quarter of the image's
side; one small network of output stride 4 beyond that, its strided stages wrapped by
`make_adaptive`. Training and test images are of parts that share no field of view (`BloodCells`),
drawn anew by each seed. Same initial weights, images and epochs for each mask; tested after the
last epoch. The density is that of a DECNN that learned how much of each image each kind of cell
covers, never seeing a box.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from _common import RESULTS, environment, interleaved, one_thread, print_table, ratio, write

one_thread()

import numpy as np
import torch
from _learning import Row, differences, learn, over_seeds, text
from torch import Tensor, nn
from torch.nn import functional

from meshconv.datasets.blood import BloodCells
from meshconv.nn import (
    AdaptiveConv2d,
    AdaptiveNetwork,
    AdaptiveNodes,
    LearnedLevels,
    LevelChoice,
    cost_penalty,
    edge_strength,
    levels_for_cost,
    levels_from_density,
    macs,
    make_adaptive,
    node_fraction,
)
from meshconv.nn.decnn import DECNN

SIZE, CLASSES, LEVELS = (120, 160), 4, 2
FEATURES = (SIZE[0] // 2, SIZE[1] // 2)
LOW, HIGH = "all low (strided)", "all high (dilated)"
RANDOM, EDGES, DENSITY = (f"{name}, budget .15" for name in ("random", "edges", "DECNN density"))


def time_table(repeats: int) -> list[Row]:
    """One 3x3 layer on 75 % downsampled area, the mask in patches of 4 x 4 pixels, against the
    dense layer.
    """
    rows: list[Row] = []
    for channels, side in ((128, 32), (128, 64), (128, 128), (256, 32), (256, 64)):
        torch.manual_seed(0)
        x = torch.randn(1, channels, side, side)
        patches = (
            torch.rand(1, 1, side // 4, side // 4)
            .repeat_interleave(4, dim=2)
            .repeat_interleave(4, dim=3)
        )
        level = levels_for_cost(patches, 1, 0.25 + 0.75 / 4)
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

    def some(start: AdaptiveNodes, count: int) -> AdaptiveNodes:
        for _ in range(count):
            start = layer(start)
        return start

    return {
        "dense": lambda: functional.conv2d(x, weight, layer.bias, dilation=2, padding=2),
        "dense, channels last": lambda: functional.conv2d(
            rows, layer.weight, layer.bias, dilation=2, padding=2
        ),
        "layer": lambda: layer(nodes),
        "there and back": lambda: some(AdaptiveNodes.from_image(x, level), 1).to_image(),
        "four": lambda: some(AdaptiveNodes.from_image(x, level), 4).to_image(),
    }


def blood_cells(part: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return images (n, 3, *SIZE) and classes per pixel (n, *FEATURES) of one part of the split of
    `seed`.
    """
    found = BloodCells(part, reduce=2, seed=seed)
    order = np.random.default_rng([seed, 2]).permutation(len(found))[:count]
    cells = [found[int(k)] for k in order]
    labels = [one.pixel_classes(FEATURES) for one in cells]
    return torch.from_numpy(np.stack([one.image for one in cells])) - 0.5, torch.from_numpy(
        np.stack(labels)
    )


def block(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


def network() -> nn.Sequential:
    stem = nn.Sequential(block(3, 12, 2), block(12, 12, 1))
    stage = nn.Sequential(
        block(12, 24, 2), block(24, 24, 1), block(24, 48, 2), block(48, 48, 1), block(48, 48, 1)
    )
    return nn.Sequential(stem, stage, nn.Conv2d(48, CLASSES, 1))


def by_edges(cost: float) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        smooth = functional.avg_pool2d(edge_strength(image), 3, 1, 1)
        return levels_for_cost(smooth, LEVELS, cost, size=size)

    return mask


def at_random(cost: float) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        return levels_for_cost(
            torch.rand(len(image), 1, -(-size[0] // 4), -(-size[1] // 4)), LEVELS, cost, size=size
        )

    return mask


def by_density(model: DECNN, cost: float) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        with torch.no_grad():
            return levels_from_density(model.density(square(image)), LEVELS, cost=cost, size=size)

    return mask


def square(image: Tensor) -> Tensor:
    return functional.interpolate(image, (65, 65), mode="bilinear", align_corners=True)


def counting_network(x: Tensor, y: Tensor, epochs: int, seed: int) -> DECNN:
    """A DECNN with a density for each image, trained on the share of each class in the image, no
    places.
    """
    shares = torch.stack([(y == c).float().mean(dim=(1, 2)) for c in range(1, CLASSES)], dim=1)
    target = (shares - shares.mean(0)) / shares.std(0)
    model = DECNN(
        3, CLASSES - 1, size=65, network_size=17, density="sample", density_nodes=17, seed=seed
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(8):
            optimizer.zero_grad()
            functional.mse_loss(model(square(x[part])), target[part]).backward()
            optimizer.step()
    return model.eval()


def masks(counting: DECNN) -> dict[str, Any]:
    """Level maps by name; a number is one level for all pixels."""
    return {
        LOW: 2,
        RANDOM: at_random(0.15),
        EDGES: by_edges(0.15),
        DENSITY: by_density(counting, 0.15),
        "edges, budget .45": by_edges(0.45),
        "learned, target .5": LearnedLevels(3, LEVELS),
        HIGH: 0,
    }


def train(model: AdaptiveNetwork, level: int | None, x: Tensor, y: Tensor, epochs: int) -> None:
    weight = torch.tensor([1.0, 1.0, 2.0, 4.0])  # platelets are few and small
    steps = epochs * -(-len(x) // 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(8):
            out, choice = model.run(x[part], level)
            loss = functional.cross_entropy(out, y[part], weight)
            if isinstance(choice, LevelChoice):
                loss = loss + cost_penalty(choice.fraction_low)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def evaluate(model: AdaptiveNetwork, level: int | None, x: Tensor, y: Tensor) -> dict[str, float]:
    """Intersection over union per class, and the share of nodes."""
    model.eval()
    confusion, fractions = torch.zeros(CLASSES, CLASSES), []
    for images, labels in zip(x.split(8), y.split(8), strict=True):
        out, used = model.run(images, level)
        used = used.level if isinstance(used, LevelChoice) else used
        fractions.append(node_fraction(used).mean().item())
        pairs = labels.flatten() * CLASSES + out.argmax(dim=1).flatten()
        confusion += torch.bincount(pairs, minlength=CLASSES**2).view(CLASSES, CLASSES)
    iou = confusion.diag() / (confusion.sum(0) + confusion.sum(1) - confusion.diag())
    names = ("background", "red", "white", "platelet")
    return {"nodes": statistics.fmean(fractions), "mean_iou": iou.mean().item()} | {
        f"iou_{name}": value for name, value in zip(names, iou.tolist(), strict=True)
    }


def runs_of(seed: int, options: Row, rows: list[Row]) -> Iterator[None]:
    """Append a row for each mask, alike but for it, to those there are; stops after each for it to
    be written.
    """
    done = {row["mask"] for row in rows if row["seed"] == seed}
    train_x, train_y = blood_cells("train", options["train"], seed)
    test_x, test_y = blood_cells("test", options["test"], seed)
    torch.manual_seed(seed)
    counting = counting_network(train_x, train_y, 2 * options["epochs"], seed)
    for name in masks(counting):
        if name in done:
            continue
        torch.manual_seed(seed)
        base = network()
        mask = masks(counting)[name]
        level = mask if isinstance(mask, int) else None
        model = make_adaptive(base, "1", mask=None if isinstance(mask, int) else mask)
        torch.manual_seed(seed)
        train(model, level, train_x, train_y, options["epochs"])
        cost = model.macs(test_x[:8], level) / macs(make_adaptive(base, "1"), test_x[:8], 0)
        rows.append(
            {"seed": seed, "mask": name, "MACs / all high": cost}
            | evaluate(model, level, test_x, test_y)
        )
        print(text(rows[-1]), flush=True)
        yield


def summarised(runs: list[Row]) -> list[Row]:
    """Means over seeds, then masks of one budget, and the ends, against each other within seeds."""
    measures = ["MACs / all high", *(key for key in runs[0] if "iou" in key or key == "nodes")]
    pairs = [(EDGES, RANDOM), (DENSITY, RANDOM), (DENSITY, EDGES), (EDGES, LOW), (HIGH, EDGES)]
    rows = [row | {"task": "BCCD"} for row in runs]
    gaps = [row for pair in pairs for row in differences(rows, "mask", pair, "task", ["mean_iou"])]
    return over_seeds(runs, ["mask"], measures) + gaps


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--time-only", action="store_true", help="measure times again, keep the learning table"
    )
    parser.add_argument("--resume", action="store_true", help="keep the learning rows there are")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument(
        "--images", type=int, default=None, help="90, or 60 with --quick; two thirds to train on"
    )
    parser.add_argument("--epochs", type=int, default=None, help="10, or 4 with --quick")
    args = parser.parse_args()
    images, seeds = (
        args.images or (60 if args.quick else 90),
        args.seeds or (1 if args.quick else 5),
    )
    options = {
        "seeds": seeds,
        "train": images * 2 // 3,
        "test": images // 3,
        "epochs": args.epochs or (4 if args.quick else 10),
    }
    torch.set_num_threads(1)
    path = RESULTS / "layers_adaptive.json"
    before: Row = json.loads(path.read_text()) if path.is_file() else {}
    result: Row = before | {"environment": environment("torch", "numpy")}
    if args.time_only or not args.resume:
        result["time"] = time_table(7 if args.quick else 11)
        print_table(result["time"])
    if not args.time_only:
        learn("layers_adaptive", result, options, runs_of, summarised, resume=args.resume)
    print(write("layers_adaptive", result))


if __name__ == "__main__":
    main()
