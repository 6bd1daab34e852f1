"""PPCR beside SE, CBAM, ECA, SPA, SimAM and SRM: only the layer after each block's last norm is swapped.

    python benchmarks/layers_ppcr.py --quick       # a few minutes on one core: 1 seed, short trainings
    python benchmarks/layers_ppcr.py               # 5 seeds: PneumoniaMNIST, faces (MESHCONV_DATA), times
    python benchmarks/layers_ppcr.py time          # one part; the others keep what the JSON file holds

Times are CPU seconds on one thread, networks taking turns, as ratios to the same ResNet-18 without attention.
Learning: one small residual network, same stem, seeds, batches and number of epochs; tested after the last epoch,
nothing chosen on the test set. Faces: two groups of morphable faces without correspondence (`MorphableFaces`),
on 33 x 33 nodes; the attention on the mean face is judged by how it ranks the vertices of the true site. Prepared
images are kept in out/faces. Writes results/layers_ppcr.json and results/layers_ppcr.png.
"""

from __future__ import annotations

import argparse
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

import numpy as np  # noqa: E402
import torch  # noqa: E402
from _learning import over_seeds, text  # noqa: E402
from attention_peers import (  # noqa: E402
    ConvolutionalBlockAttention,
    EfficientChannelAttention,
    SimpleAttention,
    SpatialPyramidAttention,
    SqueezeExcitation,
    StyleRecalibration,
    resnet,
)
from sklearn.metrics import roc_auc_score  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from meshconv.datasets.images import pneumonia_mnist  # noqa: E402
from meshconv.nn.recalibration import PyramidPixelContext, add_recalibration, attention_maps  # noqa: E402
from meshconv.nn.sample import pyramid  # noqa: E402
from meshconv.saliency.evaluate import agreement  # noqa: E402
from meshconv.saliency.project import to_vertices  # noqa: E402
from meshconv.train.dataset import Standardizer  # noqa: E402

PARTS = ("time", "faces", "pneumonia")
Data = tuple[Tensor, Tensor]
LAYERS: dict[str, Any] = {
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


def network(layer: str, example: Tensor, seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = resnet(example.shape[1], 2, **options)
    make = LAYERS[layer]
    return model if make is None else add_recalibration(model, example, make=make)


def time_table(sides: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Forward time of ResNet-18 on side x side images, networks taking turns."""
    rows: list[dict[str, Any]] = []
    for side in sides:
        x = torch.randn(4, 3, side, side)
        nets = {name: network(name, x, 0, large=True).eval() for name in LAYERS}
        with torch.no_grad():
            times = interleaved({name: partial(net, x) for name, net in nets.items()}, repeats)
        counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
        for name in LAYERS:
            ratios = [a / b for a, b in zip(times[name], times["none"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            rows.append({"side": side, "layer": name, "forward ratio": middle, "quartiles": [low, high],
                         "ratio of least times": min(times[name]) / min(times["none"]),
                         "parameters added": counts[name] / counts["none"] - 1})  # fmt: skip
            print(text(rows[-1]), flush=True)
    return rows


# --- learning ------------------------------------------------------------------------------------


def pneumonia(split: str) -> Data:
    found = pneumonia_mnist(split)
    return (torch.from_numpy(found.images) - 0.57) / 0.17, torch.from_numpy(found.labels)


def faces(effect: str, amplitude: float, cache: Path) -> tuple[Data, Data]:
    """Images (400, C, 33, 33) of two populations, standardised by the first; the smoothed prepared images."""
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
        np.savez(kept, x=found.images.astype(np.float16), y=np.asarray(found.labels, dtype=np.int64))
    with np.load(kept) as data:
        return data["x"].astype(np.float32), data["y"]


def trained(net: nn.Module, data: Data, *, epochs: int, seed: int) -> float:
    x, y = data
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(x) / 32)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, steps)
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
    return {"accuracy": float(((score > 0.5) == y).float().mean()), "auc": float(roc_auc_score(y, score))}


def runs(train: Data, test: Data, epochs: int, seeds: int, site: Site | None = None) -> Iterator[list[dict[str, Any]]]:
    """One row per layer and seed; all rows so far, after each seed."""
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        for name in LAYERS:
            net = network(name, train[0][:2], seed, widths=(8, 16, 32), depth=1, stride=2)
            seconds = trained(net, train, epochs=epochs, seed=seed)
            rows.append({"layer": name, "seed": seed, **tested(net, test), "train s": seconds})
            if site is not None:
                rows[-1] |= site.judged(name, net, train)
            print(text(rows[-1]), flush=True)
        yield rows


def summary(rows: list[dict[str, Any]], measures: Sequence[str]) -> list[dict[str, Any]]:
    """Means over seeds with 95 % intervals, and the difference to no attention, seed by seed."""
    base = {row["seed"]: row for row in rows if row["layer"] == "none"}
    gains = [row | {"auc - none": row["auc"] - base[row["seed"]]["auc"]} for row in rows]
    return over_seeds(gains, ["layer"], ["accuracy", "auc", "auc - none", *measures])


# --- attention on the surface --------------------------------------------------------------------


class Site:
    """The true place of an effect on the mean face, and what a network says of it."""

    def __init__(self, effect: str) -> None:
        import meshconv as mc
        from meshconv.datasets.morphable import face_model

        model = face_model()
        template = mc.Template.from_surface(model.mean, landmarks=model.landmarks)
        self.frame = mc.Resampler(template.parameterization, 33)
        self.surface = template.surface
        size = np.linalg.norm(model.effects[effect], axis=1)
        self.truth = size / size.max()
        self.maps: list[Any] = []

    def judged(self, name: str, net: nn.Module, data: Data) -> dict[str, float]:
        """ROC-AUC of |gradient x input| and of three readings of the attention, on the training faces."""
        x, y = data
        images = x.clone().requires_grad_()
        logits = net.eval()(images)
        (slope,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), images)
        out = {"gradient": self._auc((slope * x).abs().sum(1).mean(0))}
        if any(isinstance(m, PyramidPixelContext) for m in net.modules()):
            found = attention(net, x, y)
            out |= {f"attention, {reading}": self._auc(pixels) for reading, pixels in found.items()}
            self.maps += [found["groups"]] if name == "PPCR" else []
        return out

    def _auc(self, pixels: Tensor) -> float:
        return float(agreement(to_vertices(pixels.numpy(), self.frame), self.truth).auc)

    def draw(self, path: Path, title: str) -> float:
        """Save the mean of the maps on the mean face; return its ROC-AUC."""
        from meshconv.viz.picture import FieldStyle, figure, save_figure

        mean = torch.stack(self.maps).mean(0)
        field = to_vertices(mean.numpy(), self.frame)
        look = FieldStyle("attention, difference of the groups", iso_lines=False)
        save_figure(figure(self.surface, field, title=title, field_style=look), path, dpi=80)
        return self._auc(mean)


def attention(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return three maps (33, 33), each the mean over layers scaled to mean 1.

    The attention itself, its spread from face to face, and the distance between its means over the two groups.
    """
    readings: dict[str, list[Tensor]] = {"mean": [], "spread": [], "groups": []}
    for small in attention_maps(net.eval(), x).values():
        a = functional.interpolate(small, x.shape[2:], mode="bilinear", align_corners=True)[:, 0]
        groups = (a[y == 1].mean(0) - a[y == 0].mean(0)).abs()
        for name, found in (("mean", a.mean(0)), ("spread", a.std(0)), ("groups", groups)):
            readings[name].append(found / found.mean())
    return {name: torch.stack(found).mean(0) for name, found in readings.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=None, help="5, or 1 with --quick")
    parser.add_argument("--epochs", type=int, default=None, help="2 on PneumoniaMNIST, 12 on faces; 1, 4 with --quick")
    parser.add_argument("--effect", default="cleft_like_L")
    parser.add_argument("--amplitude", type=float, default=4.0, help="peak of the effect, mm")
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    args = parser.parse_args(argv)
    parts, seeds = args.parts or PARTS, args.seeds or (1 if args.quick else 5)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    path = RESULTS / "layers_ppcr.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    record |= {
        "environment": environment("torch", "numpy"),
        "options": {"seeds": seeds, "effect": args.effect, "amplitude": args.amplitude, "quick": args.quick},
    }
    if "time" in parts:
        record["time"] = time_table((112, 224), 5 if args.quick else 15)
        write("layers_ppcr", record)
    if "faces" in parts:
        data, site = faces(args.effect, args.amplitude, args.cache), Site(args.effect)
        for rows in runs(*data, args.epochs or (4 if args.quick else 12), seeds, site):
            told = [row for row in rows if "attention, mean" in row]
            readings = [key for key in told[0] if key.startswith("attention")]
            record["faces"] = summary(rows, ["gradient"])
            record["runs"] = record.get("runs", {}) | {"faces": rows}
            record["faces attention"] = over_seeds(told, ["layer"], readings)
            title = f"{args.effect}, {args.amplitude:g} mm: PPCR's attention, mean of {len(site.maps)} networks"
            record["attention of the mean map"] = site.draw(RESULTS / "layers_ppcr.png", title)
            write("layers_ppcr", record)
    if "pneumonia" in parts:
        for rows in runs(pneumonia("train"), pneumonia("test"), args.epochs or (1 if args.quick else 2), seeds):
            record["pneumonia"] = summary(rows, ["train s"])
            record["runs"] = record.get("runs", {}) | {"pneumonia": rows}
            write("layers_ppcr", record)
    print(path)


if __name__ == "__main__":
    main()
