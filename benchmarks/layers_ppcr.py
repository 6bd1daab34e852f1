"""PPCR beside SE, CBAM, ECA, SPA, SimAM and SRM: only the layer after each block's last norm is swapped.

    python benchmarks/layers_ppcr.py --quick       # a minute or two on one core: times, short trainings
    python benchmarks/layers_ppcr.py --seeds 3     # the table on PneumoniaMNIST (MESHCONV_DATA)

Times are CPU seconds on one thread, networks taking turns, as ratios to the same ResNet-18 without attention.
Accuracy: same stem, seeds, batches and number of epochs; tested after the last epoch. AUC beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from attention_peers import (
    ConvolutionalBlockAttention,
    EfficientChannelAttention,
    SimpleAttention,
    SpatialPyramidAttention,
    SqueezeExcitation,
    StyleRecalibration,
    resnet,
)
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn.recalibration import PyramidPixelContext, add_recalibration

DATA = Path(os.environ.get("MESHCONV_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
LAYERS = {
    "none": None,
    "PPCR": PyramidPixelContext,
    "PPCR, identity at first": partial(PyramidPixelContext, identity=True),
    "PPCR, shared weights": partial(PyramidPixelContext, shared=True, identity=True),
    "SE": SqueezeExcitation,
    "CBAM": ConvolutionalBlockAttention,
    "ECA": EfficientChannelAttention,
    "SPA": SpatialPyramidAttention,
    "SimAM": SimpleAttention,
    "SRM": StyleRecalibration,
}


def network(layer: str, example: Tensor, seed: int, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    model = resnet(example.shape[1], 2, **options)
    make = LAYERS[layer]
    return model if make is None else add_recalibration(model, example, make=make)


def time_table(side: int, repeats: int) -> list[dict[str, object]]:
    """Forward time of ResNet-18 on side x side images, networks interleaved."""
    x = torch.randn(4, 3, side, side)
    nets = {name: network(name, x, 0, large=True).eval() for name in LAYERS}
    times: dict[str, list[float]] = {name: [] for name in nets}
    with torch.no_grad():
        for _ in range(repeats + 1):
            for name, net in nets.items():
                start = time.process_time()
                net(x)
                times[name].append(time.process_time() - start)
    base = nets["none"]
    n_base = sum(p.numel() for p in base.parameters())
    rows: list[dict[str, object]] = []
    for name, net in nets.items():
        ratios = [a / b for a, b in zip(times[name][1:], times["none"][1:], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        extra = sum(p.numel() for p in net.parameters()) - n_base
        rows.append({"layer": name, "forward_ratio": middle, "iqr": high - low, "parameters_added": extra})
    return rows


def pneumonia(part: str) -> tuple[Tensor, Tensor]:
    with np.load(DATA / "pneumoniamnist.npz") as data:
        image, label = data[f"{part}_images"], data[f"{part}_labels"]
    x = torch.from_numpy(image.astype(np.float32) / 255.0)[:, None]
    return (x - 0.57) / 0.17, torch.from_numpy(label.reshape(-1).astype(np.int64))


def trained(net: nn.Module, x: Tensor, y: Tensor, *, epochs: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = epochs * math.ceil(len(x) / 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.process_time()
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(32):
            optimiser.zero_grad()
            functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimiser.step()
            schedule.step()
    return time.process_time() - start


@torch.no_grad()
def tested(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, float]:
    score = torch.cat([net.eval()(part) for part in x.split(256)]).softmax(1)[:, 1]
    return {"accuracy": float(((score > 0.5) == y).float().mean()), "auc": float(roc_auc_score(y, score))}


def learning_table(args: argparse.Namespace) -> list[dict[str, object]]:
    x, y = pneumonia("train")
    test = pneumonia("test")
    if args.quick:  # the file is sorted by class
        pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:960]
        x, y = x[pick], y[pick]
    options = {"widths": (16, 32, 64), "depth": 1} if args.backbone == "small" else {}
    rows: list[dict[str, object]] = []
    for seed in range(args.seeds):
        for name in LAYERS:
            net = network(name, x[:2], seed, **options)
            seconds = trained(net, x, y, epochs=args.epochs, seed=seed)
            rows.append({"layer": name, "seed": seed, **tested(net, *test), "train_s": seconds})
            print(_line(rows[-1]), flush=True)
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Mean over the seeds and the half-width of a normal 95 % interval."""
    out: list[dict[str, object]] = []
    for name in LAYERS:
        cell: dict[str, object] = {"layer": name}
        for key in ("accuracy", "auc", "train_s"):
            values = [row[key] for row in rows if row["layer"] == name]
            cell[key] = statistics.fmean(values)
            if len(values) > 1:
                cell[f"{key}_half_width"] = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
        out.append(cell)
    return out


def _line(row: dict[str, object]) -> str:
    return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=None, help="3, or 1 with --quick")
    parser.add_argument("--epochs", type=int, default=None, help="12, or 3 with --quick")
    parser.add_argument("--backbone", choices=("small", "resnet18"), default="small")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "layers_ppcr.json")
    args = parser.parse_args()
    args.seeds, args.epochs = args.seeds or (1 if args.quick else 3), args.epochs or (3 if args.quick else 12)
    torch.set_num_threads(1)
    result: dict[str, object] = {
        "torch": torch.__version__, "machine": platform.machine(), "threads": 1,
        "options": {k: v for k, v in vars(args).items() if k != "json"},
        "time": time_table(112 if args.quick else 224, 5 if args.quick else 9),
    }  # fmt: skip
    for row in result["time"]:
        print(_line(row), flush=True)
    if (DATA / "pneumoniamnist.npz").is_file():
        result["runs"] = learning_table(args)
        result["summary"] = summary(result["runs"])
        for row in result["summary"]:
            print(_line(row))
    else:
        print(f"no pneumoniamnist.npz in {DATA}: learning table left out")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
