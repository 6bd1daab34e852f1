"""A class for every pixel: dynamic strides beside plain networks of equal parameters and of finer
stride, on blood smears and on small digits among clutter.

    python benchmarks/layers_segment.py --quick     # 1 seed, few epochs: too few to learn much
    python benchmarks/layers_segment.py             # 5 seeds: twenty minutes of CPU (MESHCONV_DATA)
    python benchmarks/layers_segment.py digits --seeds 3    # one task; the other keeps its table
    python benchmarks/layers_segment.py --resume    # go on with an interrupted run, row by row

Cells: smears of 120 x 160 pixels, split by field of view; classes are the ellipses in the boxes of
red cells, white cells and platelets (.6 % of the pixels), and none. Digits: the ink (a pixel wider)
of a digit of 14 x 14 pixels somewhere in 60 x 60, the ink of pieces of others, and none. A small
encoder-decoder whose first convolution has stride 4; logits per window are brought back to the
pixels by the inverse of where the windows went, so that plain windows are interpolated bilinearly.
The moved ones are taught by the images' own edges where to look, then they stay
(`warm_start_offsets`), or learn with the rest; both see how much each is magnified
(`stride_channels`). All see the same images in the same order, with the same loss and optimiser;
the last step is tested, none is picked. Writes results/layers_segment_{cells,digits}.json.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from _common import one_thread

one_thread()

import torch
from _learning import arguments, file_of, learned, parsed
from layers_stride import small_digits
from torch import Tensor, nn
from torch.nn import functional

from meshconv.benchmark.seeds import Row, over_seeds
from meshconv.datasets.blood import KINDS, BloodCells
from meshconv.nn import DynamicStrideConv2d, warm_start_offsets

EQUAL = "plain, equal parameters"
NETWORKS: dict[str, dict[str, Any]] = {
    EQUAL: {"width": 17},
    "dynamic stride, edges first, then frozen": {"moved": True, "frozen": True},
    "dynamic stride, learned": {"moved": True},
    "plain, finer stride": {"stem": 2},
}
Data = tuple[Tensor, Tensor]


class Task(NamedTuple):
    """Classes, the small one last; images in a step, and passes over all to learn from."""

    classes: tuple[str, ...]
    batch: int
    epochs: int

    @property
    def small(self) -> str:
        return f"IoU of {self.classes[-1]}"


TASKS = {
    "cells": Task(("none", *KINDS), 8, 12),
    "digits": Task(("none", "other ink", "digit"), 32, 5),
}


class Segmenter(nn.Module):
    """Five convolutions, the first of which may move its windows; one skip; logits per pixel."""

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 16,
        stem: int = 4,
        moved: bool = False,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        w, more = width, 2 * moved
        first: nn.Module = nn.Conv2d(channels, w, 5, stem, 2)
        if moved:
            first = DynamicStrideConv2d.from_conv(first, stride_channels=True, min_stride=0.5)
        self.stem, self.stride, self.frozen = first, stem, frozen
        self.fine = nn.Sequential(nn.BatchNorm2d(w + more), nn.ReLU(), *_block(w + more, 2 * w))
        self.coarse = nn.Sequential(*_block(2 * w, 2 * w, 2), *_block(2 * w, 2 * w))
        self.decode = nn.Sequential(*_block(4 * w, 2 * w), nn.Conv2d(2 * w, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (B, K, H, W)."""
        seen = self.stem(x)
        fine = self.fine(seen)
        coarse = functional.interpolate(self.coarse(fine), fine.shape[2:], mode="bilinear")
        logits = self.decode(torch.cat([fine, coarse], dim=1))
        moved = isinstance(self.stem, DynamicStrideConv2d)
        offset = self.stem.offsets(x) if moved else x.new_zeros(len(x), 2, *seen.shape[2:])
        return sampled(logits, windows_at(offset, self.stride, (x.shape[2], x.shape[3])))


def _block(channels: int, out: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU()


def windows_at(offset: Tensor, stride: int, size: tuple[int, int], steps: int = 12) -> Tensor:
    """Where each pixel lies among the windows, (B, 2, *size), in windows: the inverse of
    w -> stride w + offset(w), by a damped fixed point on every other pixel. Only the last step
    has a gradient.
    """
    axes = [torch.linspace(0, n - 1, n // 2) for n in size]
    pixels = torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(offset), -1, -1, -1)
    found, last = pixels / stride, torch.tensor(offset.shape[2:])[:, None, None] - 1.0
    if not offset.any():
        steps = 0
    with torch.no_grad():
        for _ in range(steps):
            gap = pixels - stride * found - sampled(offset, found)
            found = (found + gap / (2 * stride)).clamp(min=0).minimum(last)
    if steps:
        found = found + (pixels - stride * found - sampled(offset, found)) / stride
    return functional.interpolate(found, size, mode="bilinear", align_corners=True)


def sampled(field: Tensor, at: Tensor) -> Tensor:
    """A field (B, C, h, w) at places (B, 2, H, W) in its own steps, bilinearly."""
    scale = 2 / (torch.tensor(field.shape[2:]) - 1.0)
    grid = (at.movedim(1, -1) * scale - 1).flip(-1)
    return functional.grid_sample(field, grid, padding_mode="border", align_corners=True)


@cache
def data_of(task: str, part: str) -> Data:
    """Images (n, C, H, W) and the class of each pixel."""
    if task == "cells":
        images, classes = map(torch.from_numpy, BloodCells(part, reduce=2).stacked())
        return images - 0.7, classes
    split, count, seed = {
        "train": ("train", 2000, 0),
        "validation": ("train", 500, 2),
        "test": ("test", 1000, 1),
    }[part]
    x, _, box = small_digits(split, count, seed)
    ink = functional.max_pool2d(x, 3, 1, 1) > 0.4
    return x, (ink * (1 + (box >= 0.5).long()))[:, 0]


def trained(net: Segmenter, data: Data, epochs: int, seed: int, batch: int) -> float:
    """Train in place, half the images turned left to right; return CPU seconds."""
    images, classes = data
    weight = (classes.flatten().bincount() / classes.numel()) ** -0.5
    start, generator = time.process_time(), torch.Generator().manual_seed(seed)
    if net.frozen:
        warm_start_offsets(net.stem, images, "edges", layers=[net.stem], min_stride=0.5, seed=seed)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=1e-2)
    steps = epochs * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps)
    net.train()
    for _epoch in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(batch):
            turned = torch.rand(len(rows), generator=generator) < 0.5
            x = torch.where(turned[:, None, None, None], images[rows].flip(3), images[rows])
            y = torch.where(turned[:, None, None], classes[rows].flip(2), classes[rows])
            optimiser.zero_grad()
            functional.cross_entropy(net(x), y, weight).backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - start


@torch.no_grad()
def tested(net: Segmenter, data: Data, names: Sequence[str]) -> Row:
    """Intersection over union of each class over all test pixels, CPU seconds of the passes, and
    by how many pixels windows moved.
    """
    images, classes = data
    start = time.process_time()
    net.eval()
    answers = torch.cat([net(x).argmax(1) for x in images.split(16)])
    seconds = time.process_time() - start
    count = len(names)
    pairs = (count * classes + answers).flatten().bincount(minlength=count**2)
    pairs = pairs.reshape(count, count).double()
    both = pairs.diagonal()
    shares = (both / (pairs.sum(0) + pairs.sum(1) - both)).tolist()
    row: Row = {f"IoU of {name}": share for name, share in zip(names, shares, strict=True)}
    if isinstance(net.stem, DynamicStrideConv2d):
        row["displacement"] = float(net.stem.offsets(images[:16]).norm(dim=1).mean())
    return row | {"mean IoU": sum(shares) / count, "test s": seconds}


def means(rows: list[Row], task: Task) -> list[Row]:
    """Means over seeds, and differences to the plain network of equal parameters seed by seed."""
    plain = {row["seed"]: row for row in rows if row["network"] == EQUAL}
    for row in rows:
        if row["seed"] in plain:
            peer = plain[row["seed"]]
            for measure in ("mean IoU", task.small):
                row[f"{measure} - {EQUAL}"] = row[measure] - peer[measure]
            row[f"test time / {EQUAL}"] = row["test s"] / peer["test s"]
    measures = ["mean IoU", *(f"IoU of {name}" for name in task.classes), "test s", "train s"]
    measures += [f"{what} {EQUAL}" for what in ("mean IoU -", f"{task.small} -", "test time /")]
    told = [key for key in measures if all(key in row for row in rows)]
    return over_seeds(rows, ["network", "parameters"], told)


def main(argv: Sequence[str] | None = None) -> None:
    """Train and test every network on the tasks that the arguments ask for."""
    parser = arguments(__doc__, (*TASKS,))
    parser.add_argument("--epochs", type=int, default=None, help="12 or 5, 3 with --quick")
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    args = parsed(parser, argv, (*TASKS,))
    for name in args.parts:
        task = TASKS[name]
        epochs = args.epochs or (3 if args.quick else task.epochs)

        def rows_of(
            case: Row, seed: int, name: str = name, task: Task = task, epochs: int = epochs
        ) -> Iterator[Row]:
            torch.manual_seed(seed)
            data, test = data_of(name, "train"), data_of(name, args.part)
            net = Segmenter(data[0].shape[1], len(task.classes), **NETWORKS[case["network"]])
            seconds = trained(net, data, epochs, seed, task.batch)
            count = sum(p.numel() for p in net.parameters())
            yield {"parameters": count, **tested(net, test, task.classes), "train s": seconds}

        tried = args.quick or args.part != "test"  # the tables are of the test parts
        path = file_of(f"layers_segment_{name}", quick=tried)
        options = {"seeds": args.seeds, "epochs": epochs, "part": args.part}
        cases = [{"network": name} for name in NETWORKS]
        learned(path, options, cases, rows_of, partial(means, task=task), args)


if __name__ == "__main__":
    main()
