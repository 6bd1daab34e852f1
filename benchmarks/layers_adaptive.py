"""Content-adaptive downsampling: time beside the dense layer, and cost against accuracy on blood cells.

    python benchmarks/layers_adaptive.py --quick     # about 2 CPU minutes: times, one seed, short trainings
    python benchmarks/layers_adaptive.py --seeds 3   # the table (MESHCONV_DATA)

Times are CPU seconds on one thread, taking turns, as ratios to the dense (dilated) convolution at full size.
The task: BCCD images, each box an ellipse of its class (background, red, white, platelet), labelled per pixel
at half the image's resolution; one small network of output stride 4 beyond that, its strided stages wrapped by
`make_adaptive`. Same initial weights, batches and epochs for each mask; tested after the last epoch.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from _common import environment, interleaved, one_thread, ratio, write

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from meshconv.nn.adaptive_downsampling import (  # noqa: E402
    AdaptiveConv2d,
    AdaptiveNetwork,
    AdaptiveNodes,
    LearnedLevels,
    LevelChoice,
    cost_penalty,
    edge_strength,
    levels_for_cost,
    levels_from_edges,
    macs,
    make_adaptive,
    node_fraction,
)

DATA = Path(os.environ.get("MESHCONV_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SIZE, CLASSES, LEVELS = (120, 160), 4, 2
FEATURES = (SIZE[0] // 2, SIZE[1] // 2)


def time_table(repeats: int) -> list[dict[str, object]]:
    """One 3x3 layer on 75 % downsampled area, the mask in patches of 4 x 4 pixels, against the dense layer."""
    rows: list[dict[str, object]] = []
    for channels, side in ((128, 32), (128, 64), (256, 32), (256, 64)):
        torch.manual_seed(0)
        x = torch.randn(1, channels, side, side)
        patches = torch.rand(1, 1, side // 4, side // 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        level = levels_for_cost(patches, 1, 0.25 + 0.75 / 4)
        layer = AdaptiveConv2d(channels, channels, levels=1)
        nodes = AdaptiveNodes.from_image(x, level)
        with torch.no_grad():
            times = interleaved(_runs(layer, x, level, nodes), repeats)
        row: dict[str, object] = {
            "channels": channels,
            "side": side,
            "fraction_low": (level == 1).float().mean().item(),
        }
        four = ratio(times.pop("image to nodes, 4 layers, image"), times.pop("4 dense"))
        row |= {name: ratio(times[name], times["dense"]) for name in times if name != "dense"}
        row["image to nodes, 4 layers, image"] = four
        rows.append(row | {"dense_s": statistics.median(times["dense"])})
    return rows


def _runs(layer: AdaptiveConv2d, x: Tensor, level: Tensor, nodes: AdaptiveNodes) -> dict[str, Callable[[], object]]:
    def four_layers(start: AdaptiveNodes) -> Tensor:
        for _ in range(4):
            start = layer(start)
        return start.to_image()

    def dense(dilation: int) -> Tensor:
        return functional.conv2d(x, layer.weight, layer.bias, dilation=dilation, padding=dilation)

    return {
        "dense": lambda: dense(2),
        "4 dense": lambda: [dense(2) for _ in range(4)],
        "dense, not dilated": lambda: dense(1),
        "layer": lambda: layer(nodes),
        "image to nodes, layer, image": lambda: layer(AdaptiveNodes.from_image(x, level)).to_image(),
        "image to nodes, 4 layers, image": lambda: four_layers(AdaptiveNodes.from_image(x, level)),
    }


def blood_cells(count: int) -> tuple[Tensor, Tensor]:
    """Return images (n, 3, *SIZE) and classes per pixel (n, *FEATURES)."""
    data = np.load(DATA / "bccd_320x240.npz")
    jpeg, start, boxes = data["jpeg"], data["ptr"], data["boxes"]
    images, labels = [], []
    y, x = np.mgrid[: FEATURES[0], : FEATURES[1]]
    for i in range(min(count, len(start) - 1)):
        picture = Image.open(io.BytesIO(jpeg[start[i] : start[i + 1]].tobytes())).convert("RGB")
        scale = FEATURES[1] / picture.width
        images.append(np.asarray(picture.resize(SIZE[::-1], Image.Resampling.BOX), dtype=np.float32) / 255)
        label = np.zeros(FEATURES, dtype=np.int64)
        for _, kind, x0, y0, x1, y1 in sorted(boxes[boxes[:, 0] == i].tolist(), key=lambda box: box[1]):
            if x1 > x0 and y1 > y0:
                u = ((x + 0.5) / scale - (x0 + x1) / 2) / (x1 - x0)
                v = ((y + 0.5) / scale - (y0 + y1) / 2) / (y1 - y0)
                label[u * u + v * v <= 0.25] = int(kind) + 1
        labels.append(label)
    return torch.from_numpy(np.stack(images)).movedim(-1, 1) - 0.5, torch.from_numpy(np.stack(labels))


def block(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def network() -> nn.Sequential:
    stem = nn.Sequential(block(3, 16, 2), block(16, 16, 1))
    stage = nn.Sequential(block(16, 32, 2), block(32, 32, 1), block(32, 64, 2), block(64, 64, 1), block(64, 64, 1))
    return nn.Sequential(stem, stage, nn.Conv2d(64, CLASSES, 1))


def by_edges(cost: float) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        smooth = functional.avg_pool2d(edge_strength(image), 3, 1, 1)
        return levels_for_cost(smooth, LEVELS, cost, size=size)

    return mask


def at_random(cost: float) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def mask(image: Tensor, size: tuple[int, ...]) -> Tensor:
        return levels_for_cost(torch.rand(len(image), 1, -(-size[0] // 4), -(-size[1] // 4)), LEVELS, cost, size=size)

    return mask


def masks() -> dict[str, object]:
    """Level maps by name; a number is one level for all pixels."""
    return {
        "all low (the network itself)": 2,
        "all at level 1": 1,
        "edges, cost .15": by_edges(0.15),
        "random, cost .25": at_random(0.25),
        "edges, cost .25": by_edges(0.25),
        "edges, cost .45": by_edges(0.45),
        "edges, threshold .06": lambda image, size: levels_from_edges(image, LEVELS, threshold=0.06, size=size),
        "learned, target .5": LearnedLevels(3, LEVELS),
        "all high (dilated)": 0,
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


def learning_table(count: int, epochs: int, seeds: int) -> list[dict[str, object]]:
    """Train and test with each mask, alike but for it."""
    x, y = blood_cells(count)
    split = len(x) * 2 // 3
    rows: list[dict[str, object]] = []
    for seed in range(seeds):
        for name in masks():
            torch.manual_seed(seed)
            base = network()
            mask = masks()[name]
            level = mask if isinstance(mask, int) else None
            model = make_adaptive(base, "1", mask=None if isinstance(mask, int) else mask)
            torch.manual_seed(seed)
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
            train(model, level, x[order[:split]], y[order[:split]], epochs)
            test = order[split:]
            row: dict[str, object] = {"seed": seed, "mask": name} | evaluate(model, level, x[test], y[test])
            cost = model.macs(x[test[:8]], level) / macs(make_adaptive(base, "1"), x[test[:8]], 0)
            rows.append(row | {"macs_over_all_high": cost})
            print(line(rows[-1]), flush=True)
    return rows


def line(row: dict[str, object]) -> str:
    return "  ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
    )


def means(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Mean over the seeds, with the range of the mean IoU."""
    out: list[dict[str, object]] = []
    for name in dict.fromkeys(row["mask"] for row in rows):
        same = [row for row in rows if row["mask"] == name]
        cell = {key: statistics.fmean(row[key] for row in same) for key in same[0] if key not in ("seed", "mask")}
        low, high = (pick(row["mean_iou"] for row in same) for pick in (min, max))
        out.append({"mask": name} | cell | {"lowest": low, "highest": high, "seeds": len(same)})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=None, help="3, or 1 with --quick")
    parser.add_argument("--epochs", type=int, default=None, help="30, or 5 with --quick")
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, object] = environment("torch", "meshconv") | {"options": vars(args)}
    result |= {"time": time_table(7 if args.quick else 15)}
    for row in result["time"]:
        print(line(row), flush=True)
    if (DATA / "bccd_320x240.npz").is_file():
        count = 75 if args.quick else 364
        rows = learning_table(count, args.epochs or (5 if args.quick else 30), args.seeds or (1 if args.quick else 3))
        result |= {"runs": rows, "summary": means(rows)}
    else:
        print(f"no bccd_320x240.npz in {DATA}: learning table left out")
    print(f"written to {write('layers_adaptive', result)}")


if __name__ == "__main__":
    main()
