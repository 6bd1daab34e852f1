"""What a fitted classifier says of itself, where labels mean nothing and where they mean something.

    MESHCONV_DATA=../shared/data python benchmarks/verdicts.py       # about 15 minutes on one core

Twenty studies of shuffled labels, of 60 registered faces, distance maps of heads or chest X-rays,
drawn anew; twenty of true effects at 4 mm: the eight mean effects in two populations of 100 faces,
and the four kinds that are alike in their means, 400 faces each. Every study is one
`SurfaceClassifier().fit` by its defaults, and the verdict is what its ``quality_`` says (p < .01 is
"better than chance"). Each finished study is in results/verdicts.json at once: break off, call
again, and the rest is done.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import numpy as np
import torch

import meshconv as mc
from meshconv.benchmark.effects import KINDS
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.tasks import load_task
from meshconv.datasets.files import find_data
from meshconv.datasets.images import pneumonia_mnist
from meshconv.datasets.morphable import EFFECTS
from meshconv.train.prepared import Prepared

FEW, SHUFFLED = 100, 60  # scans of a study of a true mean effect, of shuffled labels
SHUFFLES = {"faces": 8, "heads": 6, "X-rays": 6}
Study = tuple[Any, Any, dict[str, Any]]  # images, labels, options that are the data's own


def faces(name: str, n: int, cache: Path) -> tuple[Part, dict[str, Any]]:
    """Return registered faces, and the frame they lie in."""
    task: Task = load_task(name, n=n, cache=cache)
    return task.train, {"template": task.template, "size": task.size}


def shuffled(data: str, k: int, cache: Path, seed: int) -> Study:
    """Return scans of one data set drawn anew, and their labels (classes as frequent) shuffled."""
    rng = np.random.default_rng([k, len(data)])
    own: dict[str, Any] = {}
    if data == "faces":
        part, own = faces(f"kinds:sign:4:{seed}", 400, cache)
        images, labels = part.images, part.labels
    elif data == "heads":
        with np.load(find_data("kit_distance_maps.npz")) as found:
            labels = found["labels"].astype(np.int64)
            images = found["images"][:, None].astype(np.float32) / 255
            often = np.bincount(labels)[labels] > 12  # 60 of 248 hold but three of the rarest class
            images, labels = images[often], labels[often]
    else:
        xrays = pneumonia_mnist()
        images, labels = xrays.images, xrays.labels
    rows = rng.permutation(len(labels))[:SHUFFLED]
    return images[rows], rng.permutation(labels[rows]), own


def studies(cache: Path, seed: int) -> dict[str, Callable[[], Study]]:
    """Return every study by its name."""

    def true(name: str, n: int) -> Study:
        part, own = faces(name, n, cache)
        return part.images, part.labels, own

    found: dict[str, Callable[[], Study]] = {}
    for data, count in SHUFFLES.items():
        for k in range(count):
            found[f"shuffled {data} {k}"] = partial(shuffled, data, k, cache, seed)
    for population in (seed + 50, seed + 51):
        for effect in EFFECTS:
            drawn = partial(true, f"kinds:{effect}:4:{population}", FEW)
            found[f"true {effect} {population}"] = drawn
    for effect in KINDS:
        found[f"true {effect} {seed}"] = partial(true, f"kinds:{effect}:4:{seed}", 400)
    return found


def verdict(study: Study, seed: int) -> dict[str, Any]:
    """Fit by the defaults, and return what the classifier says of itself."""
    images, labels, own = study
    start = time.process_time()
    model = mc.SurfaceClassifier(seed=seed, **own)
    quality = model.fit(as_images(images), labels).quality_
    return {
        "scans": len(labels),
        "classes": len(np.unique(labels)),
        "p": quality.p,
        "AUC": quality.metrics.auc,
        "accuracy": quality.metrics.accuracy,
        "better than chance": quality.better_than_chance,
        "says": str(quality),
        "CPU s": time.process_time() - start,
    }


def as_images(images: Any) -> Prepared:
    """Return images as preparation gives them: NaN outside a mask is allowed."""
    n, channels = len(images), tuple(f"channel {k}" for k in range(images.shape[1]))
    return Prepared(images, channels, ("",) * n, ("",) * n, np.full(n, -1), np.arange(n))


def summed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many studies of each kind are called better than chance."""
    lines = []
    for kind in ("shuffled", "true"):
        mine = [row for row in rows if row["study"].startswith(kind)]
        if mine:
            ps = [row["p"] for row in mine]
            yes = sum(row["better than chance"] for row in mine)
            p = {"least p": min(ps), "median p": float(np.median(ps)), "largest p": max(ps)}
            lines.append({"labels": kind, "studies": len(mine), "better than chance": yes, **p})
    return lines


def main() -> None:
    """Run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--seed", type=int, default=2, help="of the populations")
    parser.add_argument("--only", default="", help="studies whose names begin so")
    parser.add_argument("--name", default="verdicts")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = rows_in(args.name)
    known = {row["study"] for row in rows}
    for number, (name, study) in enumerate(studies(args.cache, args.seed).items()):
        if name in known or not name.startswith(args.only):
            continue
        rows.append({"study": name, **verdict(study(), number)})
        print(f"{name}: {rows[-1]['says']}, {rows[-1]['CPU s']:.0f} s", flush=True)
        write(args.name, {"environment": environment("numpy", "torch"), "rows": rows})
    if rows:
        print_table(summed(rows))


if __name__ == "__main__":
    main()
