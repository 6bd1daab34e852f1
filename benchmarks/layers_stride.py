"""Dynamic stride convolution beside the plain one: time, focus and editing, a small object among
clutter.

    python benchmarks/layers_stride.py --quick               # a few CPU minutes
    python benchmarks/layers_stride.py                       # 5 seeds, 8 minutes (MESHCONV_DATA)
    python benchmarks/layers_stride.py time                  # one part; the others keep theirs
    python benchmarks/layers_stride.py learning --resume     # go on with an interrupted run

Times are CPU seconds on one thread, taking turns. The learning task is a digit of 14 x 14 pixels
somewhere in 60 x 60 among pieces of other digits (5.4 % of the area); all networks have the same
plain layers and see the same images. One is told where the digit is, by the focus loss; so is, for
comparison, a plain one, by a second task. Two are taught where to look before the rest learns, by
the images' own edges or by boxes (`warm_start_offsets`), and keep their windows. Writes
results/layers_stride.json and results/layers_stride.png.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from _common import RESULTS, interleaved, one_thread, print_table, ratio, summary

one_thread()

import torch
from _learning import OUT, arguments, file_of, keep, learned, parsed
from torch import Tensor, nn
from torch.nn import functional

from meshconv.benchmark.seeds import Row, over_seeds
from meshconv.datasets.blood import KINDS, BloodCells
from meshconv.datasets.images import cluttered_mnist
from meshconv.nn import (
    DynamicStrideConv2d,
    Landing,
    clear_edits,
    edit_offsets,
    focus_loss,
    landing_map,
    local_strides,
    record_landings,
    share_inside,
    warm_start_offsets,
    window_corners,
)

PARTS = ("time", "editing", "learning")
SIDE = 60
HEAD_RATE = 6e-3
Data = tuple[Tensor, Tensor, Tensor]


# --- time ----------------------------------------------------------------------------------------


def time_table(repeats: int) -> list[Row]:
    """Forward of one 3 x 3 layer (batch 4), and the landing map from its displacements; then of a
    network of 5 convolutions, two of them dynamic, at 128 x 128: 64, 128 and 256 channels.
    """
    rows: list[Row] = []
    for channels, side, stride in (
        (16, 64, 2),
        (64, 64, 1),
        (64, 64, 2),
        (128, 28, 1),
        (256, 14, 1),
    ):
        layer = DynamicStrideConv2d(channels, channels, 3, stride, 1)
        nn.init.normal_(layer.offsets.head.last.weight, std=0.5)
        plain = nn.Conv2d(channels, channels, 3, stride, 1)
        x = torch.randn(4, channels, side, side)
        name = f"{channels} channels, {side}^2, stride {stride}"
        rows.append(time_row(name, plain, layer, x, repeats))
    plain, moved = (
        nn.Sequential(
            *(nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU(), make(64, 128, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(), make(128, 256, 3, 2, 1), nn.ReLU()),
            nn.Conv2d(256, 256, 3, 1, 1),
        ).eval()
        for make in (nn.Conv2d, DynamicStrideConv2d)
    )
    x = torch.randn(2, 3, 128, 128)
    return [*rows, time_row("network, 2 of 5 dynamic", plain, moved, x, repeats)]


def time_row(name: str, plain: nn.Module, moved: nn.Module, x: Tensor, repeats: int) -> Row:
    with record_landings(moved) as records:
        moved(x)
    times = interleaved(
        {
            "conv": lambda: plain(x),
            "layer": lambda: moved(x),
            "map": lambda: landing_map(records, x.shape[2:]),
        },
        repeats,
    )
    return {
        "layer": name,
        "conv_ms": 1e3 * summary(times["conv"])["median_s"],
        "layer / conv": ratio(times["layer"], times["conv"]),
        "map / layer": ratio(times["map"], times["layer"]),
        "map / layer, least times": min(times["map"]) / min(times["layer"]),
    }


# --- learning ------------------------------------------------------------------------------------


@cache
def small_digits(split: str, n: int, seed: int) -> Data:
    """Images (n, 1, 60, 60), labels (n,), and masks of the digit's box: 14 x 14 pixels, 5.4 % of
    the area.
    """
    found = cluttered_mnist(n, split, size=2 * SIDE, seed=seed)
    rows, columns = (torch.arange(2 * SIDE)[None] for _ in range(2))
    first_row, first_column, last_row, last_column = torch.from_numpy(found.boxes).T[:, :, None]
    tall, wide = (
        (rows >= first_row) & (rows < last_row),
        (columns >= first_column) & (columns < last_column),
    )
    box = (tall[:, :, None] & wide[:, None]).float()[:, None]
    half = partial(functional.avg_pool2d, kernel_size=2)
    return half(torch.from_numpy(found.images)), torch.from_numpy(found.labels), half(box)


EQUAL = "plain, equal parameters"
NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain, wider": {"width": 24},
    "plain + boxes as a second task": {"boxes": 1.0},
    "offset": {"variant": "offset"},
    "monotone": {"variant": "monotone"},
    "offset + focus on boxes": {"variant": "offset", "focus": 0.3},
    EQUAL: {"width": 19},
    "offset, edges first, then frozen": {"variant": "offset", "warm": "edges"},
    "offset, boxes first, then frozen": {"variant": "offset", "warm": "boxes"},
}


class Network(nn.Module):
    """Three convolutions; the first, of stride 4, may choose where its windows land."""

    def __init__(self, seed: int, *, width: int = 16, variant: str | None = None, **_: Any) -> None:
        super().__init__()
        torch.manual_seed(seed)
        w = width
        conv: nn.Module = nn.Conv2d(1, w, 5, 4, 2)
        if variant is not None:
            conv = DynamicStrideConv2d.from_conv(conv, variant=variant)
        self.body = nn.Sequential(
            conv,
            nn.BatchNorm2d(w),
            nn.ReLU(),
            nn.Conv2d(w, w, 3, 1, 1),
            nn.BatchNorm2d(w),
            nn.ReLU(),
            nn.Conv2d(w, 2 * w, 3, 2, 1),
            nn.BatchNorm2d(2 * w),
            nn.ReLU(),
        )
        self.classify = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * w, 10))
        self.place = nn.Conv2d(2 * w, 1, 1)  # of the second task alone

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classify(self.body(x))
        return out

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits, and one logit per place of the last layer: is the digit here?"""
        features = self.body(x)
        return self.classify(features), self.place(features)


def trained(
    net: Network,
    data: Data,
    epochs: int,
    seed: int,
    focus: float = 0.0,
    boxes: float = 0.0,
    warm: str | None = None,
    **_: Any,
) -> float:
    x, y, box = data
    generator = torch.Generator().manual_seed(seed)
    heads = [p for name, p in net.named_parameters() if ".offsets." in name and warm is None]
    others = [p for name, p in net.named_parameters() if ".offsets." not in name]
    groups = [{"params": part} for part in (others, heads) if part]
    rates = [6e-3, HEAD_RATE][: len(groups)]
    optimiser = torch.optim.AdamW(groups, lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rates, epochs * math.ceil(len(x) / 32)
    )
    start = time.process_time()
    if warm is not None:
        warm_start_offsets(net, x, box if warm == "boxes" else warm, layers=[net.body[0]])
    net.train()
    for _epoch in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(32):
            optimiser.zero_grad()
            with record_landings(net) as records:
                logits, places = net.both(x[batch])
            loss = functional.cross_entropy(logits, y[batch])
            if focus:
                loss = loss + focus_loss(records[0], box[batch], focus=focus)
            if boxes:
                target = functional.adaptive_avg_pool2d(box[batch], places.shape[2:])
                loss = loss + boxes * functional.binary_cross_entropy_with_logits(places, target)
            loss.backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - start


@torch.no_grad()
def tested(net: nn.Module, data: Data) -> dict[str, float]:
    """Accuracy; share of the windows on the digit over its share of the area; smallest local
    stride.
    """
    right, share, shortest, seconds = [], [], 1.0, 0.0
    for x, y, box in zip(*(part.split(250) for part in data), strict=True):
        start = time.process_time()
        with record_landings(net.eval()) as records:
            right.append((net(x).argmax(1) == y).float())
        seconds += time.process_time() - start
        landings = landing_map(records[0], (SIDE, SIDE))
        share.append(share_inside(landings, box) / box.flatten(1).mean(1))
        moved = [record for record in records if record.offset is not None]
        shortest = min(
            [shortest, *(float(t.min()) / 4 for record in moved for t in local_strides(record))]
        )
    return {
        "accuracy": float(torch.cat(right).mean()),
        "share / area": float(torch.cat(share).mean()),
        "shortest stride": shortest,
        "test s": seconds,
    }


def means(rows: list[Row]) -> list[Row]:
    """Means over seeds with 95 % intervals, and the differences to two plain networks, seed by
    seed: the one of equal width, and the one of equal parameters where it was run.
    """
    for name, suffix in (("plain", "plain"), (EQUAL, "equal parameters")):
        base = {row["seed"]: row for row in rows if row["network"] == name}
        for row in rows:
            if row["seed"] in base:
                plain = base[row["seed"]]
                row[f"accuracy - {suffix}"] = row["accuracy"] - plain["accuracy"]
                row[f"test time / {suffix}"] = row["test s"] / plain["test s"]
    measures = [
        "accuracy",
        *(f"accuracy - {suffix}" for suffix in ("plain", "equal parameters")),
        "share / area",
        "shortest stride",
        *(f"test time / {suffix}" for suffix in ("plain", "equal parameters")),
        "train s",
    ]
    told = [key for key in measures if all(key in row for row in rows)]
    return over_seeds(rows, ["network", "parameters"], told)


# --- editing -------------------------------------------------------------------------------------


def blood_cells() -> tuple[Tensor, Tensor]:
    """One blood smear (1, 3, 120, 160) and a mask of its first white cell's box: what the user asks
    for.
    """
    white = KINDS.index("WBC")
    smear = next(one for one in BloodCells(reduce=2) if white in one.labels)
    mask = smear.masks(shape="box")[list(smear.labels).index(white)]
    return torch.from_numpy(smear.image)[None], torch.from_numpy(mask).float()


def editing(steps: int, picture: Path) -> list[Row]:
    """Windows of a two-layer network, moved to a white blood cell with its kernels frozen."""
    x, mask = blood_cells()
    rows: list[Row] = []
    panels = []
    for variant in ("offset", "monotone"):
        torch.manual_seed(0)
        model = nn.Sequential(
            DynamicStrideConv2d(3, 8, 3, 2, 1, variant=variant),
            nn.ReLU(),
            DynamicStrideConv2d(8, 8, 3, 2, 1, variant=variant),
        )
        start = time.process_time()
        edit_offsets(model, x, mask, steps=steps, learning_rate=0.02)
        seconds = time.process_time() - start
        with torch.no_grad(), record_landings(model) as records:
            model(x)
        landings = landing_map(records, x.shape[2:])
        shortest = min(float(t.min()) / 2 for record in records for t in local_strides(record))
        share, area = float(share_inside(landings, mask)), float(mask.mean())
        rows.append(
            {
                "variant": variant,
                "area": area,
                "share": share,
                "share / area": share / area,
                "shortest stride": shortest,
                "seconds": seconds,
            }
        )
        panels.append(
            (f"{variant}, edited", records[0], landing_map(records, x.shape[2:], relative=True))
        )
        clear_edits(model)
    with torch.no_grad(), record_landings(model) as records:
        model(x)
    panels.insert(0, ("before", records[0], landing_map(records, x.shape[2:], relative=True)))
    draw(picture, x, mask, panels)
    return rows


def draw(path: Path, x: Tensor, mask: Tensor, panels: list[tuple[str, Landing, Tensor]]) -> None:
    """Above, the centres of the first layer's windows; below, the landing map relative to plain
    strides.
    """
    import matplotlib as mpl
    from PIL import Image

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        2, len(panels), figsize=(3 * len(panels), 4.9), layout="constrained"
    )
    for (above, below), (title, record, ratio_map) in zip(axes.T, panels, strict=True):
        above.imshow(x[0].permute(1, 2, 0).numpy())
        centres = (
            (window_corners(record.offset, record.window)[0, ::2, ::2] + 1).reshape(-1, 2).numpy()
        )
        above.plot(centres[:, 1], centres[:, 0], ".", color="black", markersize=1.2)
        above.set(title=title, xlim=(-0.5, 159.5), ylim=(119.5, -0.5))
        shown = below.imshow(
            ratio_map[0, 0].clamp(1 / 16, 16).log2().numpy(), cmap="RdBu_r", vmin=-4, vmax=4
        )
        for axis in (above, below):
            axis.contour(mask.numpy(), [0.5], colors="lime", linewidths=1)
            axis.set_axis_off()
    figure.colorbar(shown, ax=axes[1], label="windows, log2 of the ratio to plain", shrink=0.9)
    path.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(96).save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts that the arguments ask for."""
    parser = arguments(__doc__, PARTS)
    parser.add_argument("--images", type=int, default=None, help="2500, or 1000 with --quick")
    parser.add_argument("--epochs", type=int, default=None, help="8, or 3 with --quick")
    args = parsed(parser, argv, PARTS)
    path = file_of("layers_stride", quick=args.quick)
    if "time" in args.parts:
        with torch.no_grad():
            print_table(keep(path, time=time_table(5 if args.quick else 15))["time"])
    if "editing" in args.parts:
        picture = (OUT if args.quick else RESULTS) / "layers_stride.png"
        print_table(keep(path, editing=editing(100, picture))["editing"])
    if "learning" not in args.parts:
        return
    images = args.images or (1000 if args.quick else 2500)
    epochs = args.epochs or (3 if args.quick else 8)

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        how = NETWORKS[case["network"]]
        net = Network(seed, **how)
        seconds = trained(net, small_digits("train", images, 0), epochs, seed, **how)
        n = sum(p.numel() for key, p in net.named_parameters() if not key.startswith("place"))
        yield {"parameters": n, **tested(net, small_digits("test", 2000, 1)), "train s": seconds}

    options = {"seeds": args.seeds, "images": images, "epochs": epochs}
    cases = [{"network": name} for name in NETWORKS]
    learned(path, options, cases, rows_of, means, args)


if __name__ == "__main__":
    main()
