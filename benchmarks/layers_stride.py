"""Dynamic stride convolution beside the plain one: time, focus and editing, a small object among clutter.

    python benchmarks/layers_stride.py --quick     # below 3 minutes on one core: 1 seed, too few images to learn much
    python benchmarks/layers_stride.py             # 5 seeds

Times are CPU seconds on one thread, taking turns. The learning task is a digit of `--digit` pixels somewhere in
60 x 60 among pieces of other digits; every network has the same plain layers and sees the same images. Writes
results/layers_stride.json and, where the blood cells are, results/layers_stride.png.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import environment, interleaved, print_table, ratio, summary, write
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn.dynamic_stride import DynamicStrideConv2d
from meshconv.nn.focus import clear_edits, edit_offsets, focus_loss, share_inside
from meshconv.nn.landing_map import Landing, landing_map, local_strides, record_landings
from meshconv.nn.windows import window_corners

DATA = Path(os.environ.get("MESHCONV_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SIDE = 60
HEAD_RATE = 6e-3


# --- time ----------------------------------------------------------------------------------------


def time_table(repeats: int) -> list[dict[str, object]]:
    """Forward of one 3 x 3 layer (batch 4), and the landing map from its displacements."""
    rows: list[dict[str, object]] = []
    for channels, side, stride in ((16, 64, 2), (64, 64, 1), (64, 64, 2), (128, 28, 1), (256, 14, 1)):
        layer = DynamicStrideConv2d(channels, channels, 3, stride, 1)
        nn.init.normal_(layer.offsets.head.last.weight, std=0.5)
        x = torch.randn(4, channels, side, side)
        record = Landing(layer.window, layer.offsets(x).detach())
        times = interleaved(
            {
                "conv": lambda x=x, conv=layer: functional.conv2d(x, conv.weight, conv.bias, conv.stride, 1),
                "layer": lambda x=x, layer=layer: layer(x),
                "map": lambda record=record, side=side: landing_map(record, (side, side)),
            },
            repeats,
        )
        rows.append({
            "layer": f"{channels} channels, {side}^2, stride {stride}",
            "conv_ms": 1e3 * summary(times["conv"])["median_s"],
            "layer / conv": ratio(times["layer"], times["conv"]),
            "map / layer": ratio(times["map"], times["layer"]),
        })  # fmt: skip
    return [*rows, network_time(repeats)]


def network_time(repeats: int) -> dict[str, object]:
    """A network of 5 convolutions, two of them dynamic, at 128 x 128: 64, 128 and 256 channels."""
    x = torch.randn(2, 3, 128, 128)
    plain, moved = (
        nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU(), make(64, 128, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(), make(128, 256, 3, 2, 1), nn.ReLU(), nn.Conv2d(256, 256, 3, 1, 1),
        ).eval()
        for make in (nn.Conv2d, DynamicStrideConv2d)
    )  # fmt: skip
    with record_landings(moved) as records:
        moved(x)
    times = interleaved(
        {"conv": lambda: plain(x), "layer": lambda: moved(x), "map": lambda: landing_map(records, (128, 128))}, repeats
    )
    return {
        "layer": "network, 2 of 5 dynamic",
        "conv_ms": 1e3 * summary(times["conv"])["median_s"],
        "layer / conv": ratio(times["layer"], times["conv"]),
        "map / layer": ratio(times["map"], times["layer"]),
    }


# --- learning ------------------------------------------------------------------------------------


def cluttered(part: str, n: int, digit: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, 1, 60, 60), labels (n,), and masks of the digit's box: each digit among 6 pieces of others."""
    with np.load(DATA / "mnist.npz") as data:
        images, labels = data[f"{part}_images"], data[f"{part}_labels"]
    rng = np.random.default_rng(seed)
    pick = rng.permutation(len(images))[:n]
    small = functional.adaptive_avg_pool2d(torch.from_numpy(images).float()[:, None] / 255, digit)[:, 0].numpy()
    x, box = np.zeros((n, SIDE, SIDE), np.float32), np.zeros((n, SIDE, SIDE), np.float32)
    piece = digit * 2 // 5
    for k in range(n):
        for other in rng.integers(len(images), size=6):
            i, j, r, c = *rng.integers(0, SIDE - piece + 1, 2), *rng.integers(2, digit - piece - 1, 2)
            place = x[k, i : i + piece, j : j + piece]
            np.maximum(place, small[other, r : r + piece, c : c + piece], out=place)
        i, j = rng.integers(0, SIDE - digit + 1, 2)
        place = x[k, i : i + digit, j : j + digit]
        np.maximum(place, small[pick[k]], out=place)
        box[k, i : i + digit, j : j + digit] = 1
    return torch.from_numpy(x)[:, None], torch.from_numpy(labels[pick].astype(np.int64)), torch.from_numpy(box)[:, None]


NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain, wider": {"width": 21},
    "offset": {"variant": "offset"},
    "monotone": {"variant": "monotone"},
    "offset + focus on boxes": {"variant": "offset", "focus": 0.3},
}


def network(seed: int, *, width: int = 16, variant: str | None = None, **_: float) -> nn.Sequential:
    torch.manual_seed(seed)
    w = width
    layers: list[nn.Module] = []
    for k, (inputs, outputs, stride) in enumerate(((1, w, 2), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2))):
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        if variant is not None and k == 1:
            conv = DynamicStrideConv2d.from_conv(conv, variant=variant)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16 * w, 10))


def trained(net: nn.Module, data: tuple[Tensor, Tensor, Tensor], epochs: int, seed: int, focus: float) -> float:
    x, y, box = data
    generator = torch.Generator().manual_seed(seed)
    heads = [p for name, p in net.named_parameters() if ".offsets." in name]
    others = [p for name, p in net.named_parameters() if ".offsets." not in name]
    groups = [{"params": part} for part in (others, heads) if part]
    rates = [3e-3, HEAD_RATE][: len(groups)]
    optimiser = torch.optim.AdamW(groups, lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, epochs * math.ceil(len(x) / 64))
    start = time.process_time()
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(64):
            optimiser.zero_grad()
            with record_landings(net) as records:
                loss = functional.cross_entropy(net(x[batch]), y[batch])
            if focus:
                loss = loss + focus_loss(records[:2], box[batch], focus=focus)
            loss.backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - start


@torch.no_grad()
def tested(net: nn.Module, data: tuple[Tensor, Tensor, Tensor]) -> dict[str, float]:
    """Accuracy; share of the windows on the digit over its share of the area; smallest local stride."""
    right, share, shortest = [], [], math.inf
    for x, y, box in zip(*(part.split(250) for part in data), strict=True):
        with record_landings(net.eval()) as records:
            right.append((net(x).argmax(1) == y).float())
        landings = landing_map(records, (SIDE, SIDE))
        area = box.flatten(1).mean(1)
        share.append(share_inside(landings, box) / area)
        moved = [record for record in records if record.offset is not None]
        shortest = min([shortest, *(float(t.min()) / 2 for record in moved for t in local_strides(record))])
    return {"accuracy": float(torch.cat(right).mean()), "share / area": float(torch.cat(share).mean()),
            "shortest stride": shortest if math.isfinite(shortest) else 1.0}  # fmt: skip


def learning(args: argparse.Namespace) -> list[dict[str, object]]:
    train = cluttered("train", args.images, args.digit, 0)
    test = cluttered("test", args.images // 4, args.digit, 1)
    rows: list[dict[str, object]] = []
    for seed in range(args.seeds):
        for name, options in NETWORKS.items():
            net = network(seed, **options)
            seconds = trained(net, train, args.epochs, seed, options.get("focus", 0.0))
            n = sum(p.numel() for p in net.parameters())
            rows.append({"network": name, "seed": seed, "parameters": n, **tested(net, test), "train_s": seconds})
            print(rows[-1], flush=True)
    return rows


def over_seeds(rows: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Means, and for the accuracy the difference to the plain network of the same seed with a 95 % interval."""
    plain = {row["seed"]: row["accuracy"] for row in rows if row["network"] == "plain"}
    out: list[dict[str, object]] = []
    for name in NETWORKS:
        mine = [row for row in rows if row["network"] == name]
        gain = [row["accuracy"] - plain[row["seed"]] for row in mine]
        cell: dict[str, object] = {"network": name, "seeds": len(mine), "parameters": mine[0]["parameters"]}
        for key in ("accuracy", "share / area", "shortest stride", "train_s"):
            cell[key] = statistics.fmean(row[key] for row in mine)
        cell["gain"] = statistics.fmean(gain)
        quantile = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(len(gain))  # Student's t
        cell["+-"] = None if quantile is None else quantile * statistics.stdev(gain) / math.sqrt(len(gain))
        out.append(cell)
    return out


# --- editing -------------------------------------------------------------------------------------


def blood_cells() -> tuple[Tensor, Tensor]:
    """One blood smear (1, 3, 120, 160) and a mask of its first white cell's box: what the user asks for."""
    from PIL import Image

    with np.load(DATA / "bccd_320x240.npz") as data:
        names = list(data["classes"])
        box = next(b for b in data["boxes"] if names[int(b[1])] == "WBC")
        image, start = int(box[0]), data["ptr"]
        picture = Image.open(io.BytesIO(data["jpeg"][start[image] : start[image + 1]].tobytes())).convert("RGB")
    x = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255).permute(2, 0, 1)[None]
    x0, y0, x1, y1 = (round(float(v) / 2) for v in box[2:])
    mask = torch.zeros(120, 160)
    mask[y0:y1, x0:x1] = 1
    return functional.avg_pool2d(x, 2), mask


def editing(steps: int, picture: Path) -> list[dict[str, object]]:
    """Windows of a two-layer network, moved to a white blood cell with its kernels frozen."""
    x, mask = blood_cells()
    rows: list[dict[str, object]] = []
    panels = []
    for variant in ("offset", "monotone"):
        torch.manual_seed(0)
        model = nn.Sequential(
            DynamicStrideConv2d(3, 8, 3, 2, 1, variant=variant), nn.ReLU(),
            DynamicStrideConv2d(8, 8, 3, 2, 1, variant=variant),
        )  # fmt: skip
        start = time.process_time()
        edit_offsets(model, x, mask, steps=steps, learning_rate=0.02)
        seconds = time.process_time() - start
        with torch.no_grad(), record_landings(model) as records:
            model(x)
        landings = landing_map(records, x.shape[2:])
        shortest = min(float(t.min()) / 2 for record in records for t in local_strides(record))
        share, area = float(share_inside(landings, mask)), float(mask.mean())
        rows.append({"variant": variant, "area": area, "share": share, "share / area": share / area,
                     "shortest stride": shortest, "seconds": seconds})  # fmt: skip
        panels.append((f"{variant}, edited", records[0], landing_map(records, x.shape[2:], relative=True)))
        clear_edits(model)
    with torch.no_grad(), record_landings(model) as records:
        model(x)
    panels.insert(0, ("before", records[0], landing_map(records, x.shape[2:], relative=True)))
    draw(picture, x, mask, panels)
    return rows


def draw(path: Path, x: Tensor, mask: Tensor, panels: list[tuple[str, Landing, Tensor]]) -> None:
    """Above, the centres of the first layer's windows; below, the landing map relative to plain strides."""
    import matplotlib as mpl
    from PIL import Image

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(panels), figsize=(3 * len(panels), 4.9), layout="constrained")
    for (above, below), (title, record, ratio_map) in zip(axes.T, panels, strict=True):
        above.imshow(x[0].permute(1, 2, 0).numpy())
        centres = (window_corners(record.offset, record.window)[0, ::2, ::2] + 1).reshape(-1, 2).numpy()
        above.plot(centres[:, 1], centres[:, 0], ".", color="black", markersize=1.2)
        above.set(title=title, xlim=(-0.5, 159.5), ylim=(119.5, -0.5))
        shown = below.imshow(ratio_map[0, 0].clamp(1 / 16, 16).log2().numpy(), cmap="RdBu_r", vmin=-4, vmax=4)
        for axis in (above, below):
            axis.contour(mask.numpy(), [0.5], colors="lime", linewidths=1)
            axis.set_axis_off()
    figure.colorbar(shown, ax=axes[1], label="windows, log2 of the ratio to plain", shrink=0.9)
    path.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(96).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument("--images", type=int, default=None, help="20000, or 2000 with --quick")
    parser.add_argument("--epochs", type=int, default=None, help="12, or 6 with --quick")
    parser.add_argument("--digit", type=int, default=20, help="side of the digit in pixels")
    args = parser.parse_args()
    args.seeds, args.images = args.seeds or (1 if args.quick else 5), args.images or (2000 if args.quick else 20000)
    args.epochs = args.epochs or (6 if args.quick else 12)
    torch.set_num_threads(1)
    record: dict[str, Any] = {"environment": environment("torch", "numpy"), "options": vars(args)}
    with torch.no_grad():
        record["time"] = time_table(5 if args.quick else 15)
    print_table(record["time"])
    if (DATA / "bccd_320x240.npz").is_file():
        record["editing"] = editing(100, Path(__file__).parent / "results" / "layers_stride.png")
        print_table(record["editing"])
    if (DATA / "mnist.npz").is_file():
        record["runs"] = learning(args)
        record["summary"] = over_seeds(record["runs"])
        print_table(record["summary"])
    print(write("layers_stride", record))


if __name__ == "__main__":
    main()
