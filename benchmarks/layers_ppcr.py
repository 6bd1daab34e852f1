"""PPCR beside SE, CBAM, ECA, SPA, SimAM and SRM: only the layer after each block's last norm is
swapped.

    python benchmarks/layers_ppcr.py --quick             # a few CPU minutes
    python benchmarks/layers_ppcr.py                     # 5 seeds, half an hour (MESHCONV_DATA)
    python benchmarks/layers_ppcr.py few                 # one part; the others keep their results
    python benchmarks/layers_ppcr.py faces --resume      # go on with an interrupted run

Times are CPU seconds on one thread, networks taking turns, as ratios to the same ResNet-18 without
attention. Learning: one small residual network, same stem, seeds, batches, learning rate and number
of steps. Rate and length are those of `GRID` with which the network *without* attention has the
best mean AUC over three seeds on a validation part: of PneumoniaMNIST its own, of the faces a
quarter of the training population (part "settings"); of few images, other few images than those of
the table. Tested after the last step. Faces: two groups of morphable faces without correspondence
(`MorphableFaces`), on 33 x 33 nodes; the attention on the mean face is judged by how it ranks the
vertices of the true site. PPCR starts by halving what it recalibrates: the rows "halving only" and
"quarter only" have that factor and no attention. Prepared images are kept in out/layers. Writes
results/layers_ppcr.json (times, settings), results/layers_ppcr_{faces,pneumonia,few}.json and
results/layers_ppcr.png.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from _common import RESULTS, interleaved, one_thread

one_thread()

import numpy as np
import torch
from _attention_site import Data, Site
from _learning import arguments, file_of, keep, learned, parsed
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

from meshconv.benchmark.seeds import Row, as_words, over_seeds
from meshconv.datasets.images import pneumonia_mnist
from meshconv.nn import PyramidPixelContext, add_recalibration
from meshconv.nn.area_sample import pyramid
from meshconv.train.dataset import Standardizer

PARTS = ("time", "settings", "faces", "pneumonia", "few")
COUNTS = (100, 200, 400)
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
FEW = ("none", "halving only", "quarter only", "PPCR", "PPCR, identity at first", "SE", "CBAM")


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
            print(as_words(rows[-1]), flush=True)
    return rows


# --- data ----------------------------------------------------------------------------------------


@cache
def pneumonia(split: str) -> Data:
    found = pneumonia_mnist(split)
    return (torch.from_numpy(found.images) - 0.57) / 0.17, torch.from_numpy(found.labels)


def few(count: int, seed: int) -> Data:
    """Training images drawn by the seed; fewer are always among more."""
    x, y = pneumonia("train")
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:count]
    return x[rows], y[rows]


@cache
def faces(effect: str, amplitude: float, folder: Path) -> tuple[Data, Data]:
    """Images (400, C, 33, 33) of two populations, standardised by the first; the smoothed prepared
    images.
    """
    parts = [_prepared(effect, amplitude, seed, folder) for seed in (100, 200)]
    scale = Standardizer.fit(parts[0][0])
    first, second = ((pyramid(scale(x), 2)[2], torch.from_numpy(y)) for x, y in parts)
    return first, second


def _prepared(effect: str, amplitude: float, seed: int, folder: Path) -> tuple[Any, Any]:
    kept = folder / f"{effect}_{amplitude:g}_{seed}.npz"
    if not kept.exists():
        import meshconv as mc
        from meshconv.datasets.morphable import MorphableFaces, face_model
        from meshconv.train.config import PrepareConfig
        from meshconv.train.prepare import prepare

        template = mc.Template.from_surface(face_model().mean, landmarks=face_model().landmarks)
        scans = MorphableFaces(400, effect, amplitude, seed=seed)
        cache_of = folder.parent / "faces"
        found = prepare(scans, template, config=PrepareConfig(), cache=cache_of, on_error="skip")
        folder.mkdir(parents=True, exist_ok=True)
        labels = np.asarray(found.labels, dtype=np.int64)
        np.savez(kept, x=found.images.astype(np.float16), y=labels)
    with np.load(kept) as data:
        return data["x"].astype(np.float32), data["y"]


# --- learning ------------------------------------------------------------------------------------


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


# of each learning table: pairs of a learning rate and a number of epochs
GRID: dict[str, list[tuple[float, int]]] = {
    "faces": [(rate, epochs) for epochs in (12, 24) for rate in (3e-3, 1e-2)],
    "pneumonia": [(rate, epochs) for epochs in (2, 4) for rate in (3e-3, 1e-2)],
} | {
    f"few {n}": [(rate, steps * 32 // n) for steps in (60, 150) for rate in (3e-3, 1e-2)]
    for n in COUNTS
}


def of_settings(name: str, seed: int, args: argparse.Namespace) -> tuple[Data, Data]:
    """What the settings of a table are tried on: training and validation images."""
    if name == "faces":
        x, y = faces(args.effect, args.amplitude, args.folder)[0]
        most = len(x) * 3 // 4
        return (x[:most], y[:most]), (x[most:], y[most:])
    many = name == "pneumonia"
    return pneumonia("train") if many else few(int(name[4:]), 100 + seed), pneumonia("val")


def settings(name: str, args: argparse.Namespace) -> list[Row]:
    """Validation AUC of the network without attention for each of the grid, best first."""
    tried: list[Row] = []
    for rate, epochs in GRID[name]:
        aucs = []
        for seed in range(1 if args.quick else 3):
            data, validation = of_settings(name, seed, args)
            net = small("none", data, seed)
            trained(net, data, rate=rate, epochs=epochs, seed=seed)
            aucs.append(tested(net, validation)["auc"])
        tried.append({"rate": rate, "epochs": epochs, "validation auc": statistics.fmean(aucs)})
        print(as_words({"settings": name} | tried[-1]), flush=True)
    return sorted(tried, key=lambda row: -row["validation auc"])


def means(rows: list[Row], by: Sequence[str], measures: Sequence[str] = ()) -> list[Row]:
    """Means over seeds with 95 % intervals, and the difference to no attention, seed by seed."""

    def alike(row: Row) -> tuple[Any, ...]:
        return tuple(row[key] for key in ("seed", *by) if key != "layer")

    base = {alike(row): row["auc"] for row in rows if row["layer"] == "none"}
    gains = [row | {"auc - none": row["auc"] - base[alike(row)]} for row in rows]
    return over_seeds(gains, by, ["accuracy", "auc", "auc - none", "train s", *measures])


def on_pneumonia(args: argparse.Namespace, chosen: dict[str, Row]) -> None:
    """The table of PneumoniaMNIST, all training images."""

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        train, best = pneumonia("train"), chosen["pneumonia"]
        net = small(case["layer"], train, seed)
        seconds = trained(net, train, **best, seed=seed)
        yield {**tested(net, pneumonia("test")), "train s": seconds}

    _learned("pneumonia", args, chosen["pneumonia"], [{"layer": k} for k in LAYERS], rows_of)


def on_few(args: argparse.Namespace, chosen: dict[str, Row]) -> None:
    """The table of PneumoniaMNIST, few training images, all test images."""

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        train = few(case["images"], seed)
        net = small(case["layer"], train, seed)
        seconds = trained(net, train, **chosen[f"few {case['images']}"], seed=seed)
        yield {**tested(net, pneumonia("test")), "train s": seconds}

    options = {name: best for name, best in chosen.items() if name.startswith("few")}
    cases = [{"images": n, "layer": layer} for n in COUNTS for layer in FEW]
    _learned("few", args, options, cases, rows_of)


def on_faces(args: argparse.Namespace, chosen: dict[str, Row]) -> None:
    """The table of the faces, and the attention on their site."""
    site = Site(args.effect, args.folder)

    def rows_of(case: Row, seed: int) -> Iterator[Row]:
        (train, test), layer = faces(args.effect, args.amplitude, args.folder), case["layer"]
        net = small(layer, train, seed)
        row: Row = {"train s": trained(net, train, **chosen["faces"], seed=seed)}
        row |= tested(net, test)
        yield row | site.judged(net, train, keep=seed if layer == "PPCR" else None)

    options = {"effect": args.effect, "amplitude": args.amplitude, **chosen["faces"]}
    _learned("faces", args, options, [{"layer": k} for k in LAYERS], rows_of)
    path = file_of("layers_ppcr_faces", quick=args.quick)
    told = [row for row in json.loads(path.read_text())["runs"] if "attention, mean" in row]
    readings = [key for key in told[0] if key.startswith("attention")]
    numbers = [row["seed"] for row in told if row["layer"] == "PPCR"]
    title = f"{args.effect}, {args.amplitude:g} mm: PPCR's attention, {len(numbers)} networks"
    picture = (args.folder if args.quick else RESULTS) / "layers_ppcr.png"
    mean_map = site.draw(picture, title, numbers)
    keep(path, attention=over_seeds(told, ["layer"], readings), mean_map=mean_map)


def _learned(
    name: str, args: argparse.Namespace, options: Row, cases: list[Row], rows_of: Any
) -> None:
    learned(
        file_of(f"layers_ppcr_{name}", quick=args.quick),
        {"seeds": args.seeds, **options},
        cases,
        rows_of,
        partial(means, by=[*cases[0]], measures=["gradient"] if name == "faces" else []),
        args,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts that the arguments ask for."""
    parser = arguments(__doc__, PARTS)
    parser.add_argument("--effect", default="cleft_like_L")
    parser.add_argument("--amplitude", type=float, default=4.0, help="peak of the effect, mm")
    parser.add_argument("--folder", type=Path, default=Path("out/layers"))
    args = parsed(parser, argv, PARTS)
    warnings.simplefilter("ignore")
    path = file_of("layers_ppcr", quick=args.quick)
    if "time" in args.parts:
        keep(path, time=time_table((112, 224), 5 if args.quick else 15))
    asked = [name for name in GRID if name.split()[0] in args.parts]
    if "settings" in args.parts:
        for name in asked or GRID:
            tried = json.loads(path.read_text()).get("settings", {}) if path.exists() else {}
            keep(path, settings=tried | {name: settings(name, args)})
    record = json.loads(path.read_text()) if path.exists() else {}
    chosen = {
        name: {"rate": tried[0]["rate"], "epochs": 2 if args.quick else tried[0]["epochs"]}
        for name, tried in record.get("settings", {}).items()
    }
    parts = {"faces": on_faces, "pneumonia": on_pneumonia, "few": on_few}
    for name, run in parts.items():
        if name in args.parts:
            run(args, chosen)


if __name__ == "__main__":
    main()
