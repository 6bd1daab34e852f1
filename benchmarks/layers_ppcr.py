"""PPCR beside SE, CBAM, ECA, SPA, SimAM and SRM: only the layer after each block's last norm is
swapped.

    python benchmarks/layers_ppcr.py --quick       # a few minutes on one core: 1 seed, short
    trainings python benchmarks/layers_ppcr.py               # 5 seeds: PneumoniaMNIST, faces
    (MESHCONV_DATA), times python benchmarks/layers_ppcr.py time          # one part; the others
    keep what the JSON file holds python benchmarks/layers_ppcr.py faces pneumonia --resume      #
    go on with an interrupted run, row by row

Times are CPU seconds on one thread, networks taking turns, as ratios to the same ResNet-18 without
attention. Learning: one small residual network, same stem, seeds, batches, learning rate and number
of epochs. Rate and epochs are those of `GRID` with which the network *without* attention has the
best mean AUC over three seeds on a validation part: of PneumoniaMNIST its own, of the faces a
quarter of the training population, trained on the rest (part "settings"; earlier versions of this
table had settings that were tried on the test part with seed 0). Tested after the last epoch.
Faces: two groups of morphable faces without correspondence (`MorphableFaces`), on 33 x 33 nodes;
the attention on the mean face is judged by how it ranks the vertices of the true site. PPCR starts
by halving what it recalibrates: the rows "halving only" and "quarter only" have that factor and no
attention. Prepared images are kept in out/layers. Writes results/layers_ppcr.json and
results/layers_ppcr.png.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, interleaved, one_thread, write

one_thread()

import numpy as np
import torch
from _attention_site import Data, Site
from _learning import Row, over_seeds, text, unfinished
from attention_peers import (
    ConstantFactor,
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

from meshconv.datasets.images import pneumonia_mnist
from meshconv.nn import PyramidPixelContext, add_recalibration
from meshconv.nn.area_sample import pyramid
from meshconv.train.dataset import Standardizer

PARTS = ("time", "settings", "faces", "pneumonia")
GRID = {
    "faces": [(rate, epochs) for epochs in (12, 24) for rate in (3e-3, 1e-2)],
    "pneumonia": [(rate, epochs) for epochs in (2, 4) for rate in (3e-3, 1e-2)],
}
LAYERS: dict[str, Any] = {
    "none": None,
    "halving only": partial(ConstantFactor, factor=0.5),
    "quarter only": partial(ConstantFactor, factor=0.25),
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


def network(layer: str, example: Tensor, seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = resnet(example.shape[1], 2, **options)
    make = LAYERS[layer]
    return model if make is None else add_recalibration(model, example, make=make)


def time_table(sides: Sequence[int], repeats: int) -> list[Row]:
    """Forward time of ResNet-18 on side x side images, networks taking turns."""
    rows: list[Row] = []
    for side in sides:
        x = torch.randn(4, 3, side, side)
        nets = {name: network(name, x, 0, large=True).eval() for name in LAYERS}
        with torch.no_grad():
            times = interleaved({name: partial(net, x) for name, net in nets.items()}, repeats)
        counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
        for name in LAYERS:
            ratios = [a / b for a, b in zip(times[name], times["none"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            rows.append(
                {
                    "side": side,
                    "layer": name,
                    "forward ratio": middle,
                    "quartiles": [low, high],
                    "ratio of least times": min(times[name]) / min(times["none"]),
                    "parameters added": counts[name] / counts["none"] - 1,
                }
            )
            print(text(rows[-1]), flush=True)
    return rows


# --- learning ------------------------------------------------------------------------------------


def pneumonia(split: str) -> Data:
    found = pneumonia_mnist(split)
    return (torch.from_numpy(found.images) - 0.57) / 0.17, torch.from_numpy(found.labels)


def faces(effect: str, amplitude: float, cache: Path) -> tuple[Data, Data]:
    """Images (400, C, 33, 33) of two populations, standardised by the first; the smoothed prepared
    images.
    """
    parts = [_prepared(effect, amplitude, seed, cache) for seed in (100, 200)]
    scale = Standardizer.fit(parts[0][0])
    first, second = ((pyramid(scale(x), 2)[2], torch.from_numpy(y)) for x, y in parts)
    return first, second


def _prepared(effect: str, amplitude: float, seed: int, cache: Path) -> tuple[Any, Any]:
    kept = cache.parent / "layers" / f"{effect}_{amplitude:g}_{seed}.npz"
    if not kept.exists():
        import meshconv as mc
        from meshconv.datasets.morphable import MorphableFaces, face_model
        from meshconv.train.config import PrepareConfig
        from meshconv.train.prepare import prepare

        template = mc.Template.from_surface(face_model().mean, landmarks=face_model().landmarks)
        scans = MorphableFaces(400, effect, amplitude, seed=seed)
        found = prepare(scans, template, config=PrepareConfig(), cache=cache, on_error="skip")
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            kept, x=found.images.astype(np.float16), y=np.asarray(found.labels, dtype=np.int64)
        )
    with np.load(kept) as data:
        return data["x"].astype(np.float32), data["y"]


def small(layer: str, data: Data, seed: int) -> nn.Module:
    """The network of the learning tables."""
    return network(layer, data[0][:2], seed, widths=(8, 16, 32), depth=1, stride=2)


def trained(net: nn.Module, data: Data, *, rate: float, epochs: int, seed: int) -> float:
    x, y = data
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(x) / 32)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)
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
def tested(net: nn.Module, data: Data) -> dict[str, float]:
    x, y = data
    score = torch.cat([net.eval()(part) for part in x.split(256)]).softmax(1)[:, 1]
    return {
        "accuracy": float(((score > 0.5) == y).float().mean()),
        "auc": float(roc_auc_score(y, score)),
    }


def settings(
    data: Data, validation: Data, grid: Sequence[tuple[float, int]], seeds: int
) -> list[Row]:
    """Validation AUC of the network without attention for each learning rate and number of epochs,
    best first.
    """
    tried: list[Row] = []
    for rate, epochs in grid:
        aucs = []
        for seed in range(seeds):
            net = small("none", data, seed)
            trained(net, data, rate=rate, epochs=epochs, seed=seed)
            aucs.append(tested(net, validation)["auc"])
        tried.append({"rate": rate, "epochs": epochs, "validation auc": statistics.fmean(aucs)})
        print(text(tried[-1]), flush=True)
    return sorted(tried, key=lambda row: -row["validation auc"])


def runs(
    train: Data, test: Data, best: Row, seeds: int, rows: list[Row], site: Site | None = None
) -> Iterator[None]:
    """Append one row per layer and seed to those there are; stops after each for it to be
    written.
    """
    done = {(row["layer"], row["seed"]) for row in rows}
    for seed, name in itertools.product(range(seeds), LAYERS):
        if (name, seed) in done:
            continue
        net = small(name, train, seed)
        seconds = trained(net, train, rate=best["rate"], epochs=best["epochs"], seed=seed)
        rows.append({"layer": name, "seed": seed, **tested(net, test), "train s": seconds})
        if site is not None:
            rows[-1] |= site.judged(net, train, keep=seed if name == "PPCR" else None)
        print(text(rows[-1]), flush=True)
        yield


def summary(rows: list[Row], measures: Sequence[str]) -> list[Row]:
    """Means over seeds with 95 % intervals, and the difference to no attention, seed by seed."""
    base = {row["seed"]: row for row in rows if row["layer"] == "none"}
    gains = [row | {"auc - none": row["auc"] - base[row["seed"]]["auc"]} for row in rows]
    return over_seeds(gains, ["layer"], ["accuracy", "auc", "auc - none", *measures])


def on_faces(record: Row, args: argparse.Namespace, seeds: int, folder: Path) -> None:
    """The table of the faces, and the attention on their site."""
    (x, y), test = faces(args.effect, args.amplitude, args.cache)
    most = len(x) * 3 // 4
    if "settings" in args.parts:
        tried = settings(
            (x[:most], y[:most]), (x[most:], y[most:]), GRID["faces"], 1 if args.quick else 3
        )
        record["settings"] = record.get("settings", {}) | {"faces": tried}
    if "faces" not in args.parts:
        return
    options = {"effect": args.effect, "amplitude": args.amplitude} | _chosen(record, "faces", args)
    rows, site = _rows(record, "faces", options, resume=args.resume), Site(args.effect, folder)
    for _ in runs((x, y), test, options, seeds, rows, site):
        told = [row for row in rows if "attention, mean" in row]
        readings = [key for key in told[0] if key.startswith("attention")] if told else []
        record["faces"], record["faces attention"] = (
            summary(rows, ["gradient"]),
            over_seeds(told, ["layer"], readings),
        )
        write("layers_ppcr", record)
    numbers = [row["seed"] for row in rows if row["layer"] == "PPCR"]
    title = (
        f"{args.effect}, {args.amplitude:g} mm: PPCR's attention, mean of {len(numbers)} networks"
    )
    record["attention of the mean map"] = site.draw(RESULTS / "layers_ppcr.png", title, numbers)


def on_pneumonia(record: Row, args: argparse.Namespace, seeds: int) -> None:
    """The table of PneumoniaMNIST."""
    train = pneumonia("train")
    if "settings" in args.parts:
        tried = settings(train, pneumonia("val"), GRID["pneumonia"], 1 if args.quick else 3)
        record["settings"] = record.get("settings", {}) | {"pneumonia": tried}
    if "pneumonia" not in args.parts:
        return
    options = _chosen(record, "pneumonia", args)
    rows = _rows(record, "pneumonia", options, resume=args.resume)
    for _ in runs(train, pneumonia("test"), options, seeds, rows):
        record["pneumonia"] = summary(rows, ["train s"])
        write("layers_ppcr", record)


def _chosen(record: Row, name: str, args: argparse.Namespace) -> Row:
    best = record.get("settings", {}).get(name)
    if best is None:
        raise SystemExit(f'{name}: no settings yet; run the part "settings" too')
    return {"rate": best[0]["rate"], "epochs": 2 if args.quick else best[0]["epochs"]}


def _rows(record: Row, name: str, options: Row, *, resume: bool) -> list[Row]:
    """The rows of a part, in the record: empty ones, or those of an interrupted run."""
    rows, before = record.setdefault("runs", {}), record.setdefault("options", {})
    rows[name] = unfinished(rows.get(name, []), before.get(name, {}), options, resume=resume)
    before[name] = options
    kept: list[Row] = rows[name]
    return kept


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument("--resume", action="store_true", help="keep the learning rows there are")
    parser.add_argument("--effect", default="cleft_like_L")
    parser.add_argument("--amplitude", type=float, default=4.0, help="peak of the effect, mm")
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    args = parser.parse_args(argv)
    args.parts, seeds = args.parts or PARTS, args.seeds or (1 if args.quick else 5)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    path = RESULTS / "layers_ppcr.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    record |= {"environment": environment("torch", "numpy")}
    if "time" in args.parts:
        record["time"] = time_table((112, 224), 5 if args.quick else 15)
        write("layers_ppcr", record)
    if {"settings", "faces"} & set(args.parts):
        on_faces(record, args, seeds, args.cache.parent / "layers")
        write("layers_ppcr", record)
    if {"settings", "pneumonia"} & set(args.parts):
        on_pneumonia(record, args, seeds)
    print(write("layers_ppcr", record))


if __name__ == "__main__":
    main()
