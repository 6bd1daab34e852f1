"""Published networks on raw scans of real populations, beside measures and images, fold by fold.

    MESHCONV_DATA=../shared/data python benchmarks/raw_scans.py spines ventricles   # some hours

DGCNN, PointNet++ and DiffusionNet by the recipes of their papers (`benchmark.raw_recipes`),
in the pose of the scanner and turned at random. A fold of a population is one cell; cells that are
in the file are not run again, so that it goes on where it was broken off, and ``--folds`` says how
many of the five there are. Figures are of the scans of the folds that a model has. Writes
results/raw_scans.json; rows of models that have no cell in the file stay in it, and it says which.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import json

import numpy as np

from meshconv.benchmark.models import model_named
from meshconv.benchmark.populations import SOURCES, load_population
from meshconv.benchmark.raw_recipes import RECIPES
from meshconv.benchmark.task import Part, Task
from meshconv.stats.metrics import evaluate

POSES = ("", ", posed")
MODELS = (
    *(f"{name}{pose}" for pose in POSES for name in ("DGCNN", "PointNet++")),
    "DiffusionNet, places",
    "DiffusionNet, heat, posed",
    "measures + logistic",
    "measures + boosted trees",
)


def without_images(name: str) -> Task:
    """Return a population for networks on scans and nothing else, which need no preparation."""
    kind, _, option = name.partition(":")
    scans = SOURCES[kind].scans(option or SOURCES[kind].options[0])
    empty = np.zeros((len(scans), 1, 1, 1), dtype=np.float32)
    part = Part(empty, scans.labels, scans=lambda: scans, subjects=tuple(scans.subjects))
    return Task(name, part, part, tuple(scans.classes), folds=5)


def cell(part: Any, model: str, seed: int, epochs: int) -> dict[str, Any]:
    """Fit a model on what is learned from in one fold; what it says of the scans held out."""
    start = time.process_time()
    fitted = model_named(model)(part, seed, epochs)
    assert fitted.probabilities is not None
    seen = fitted.probabilities(part.train).argmax(axis=1) == part.train.labels
    return {
        "probabilities": np.round(fitted.probabilities(part.test), 5).tolist(),
        "training accuracy": float(seen.mean()),
        "at the last epoch": fitted.last_train_accuracy,
        "epochs": fitted.epochs,
        "best epoch": fitted.chosen_epoch,
        "parameters": fitted.parameters,
        "CPU s": time.process_time() - start,
    }


def run(names: list[str], models: list[str], path: Path, args: Any) -> list[dict[str, Any]]:
    """Run the cells that are not in the file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    done = {(row["population"], row["model"], row["fold"]) for row in rows}
    for name in names:
        raw = all(model.removesuffix(", posed") in RECIPES for model in models)
        task = without_images(name) if raw else load_population(name, cache=args.cache)
        splits = list(task.splits(0))[: args.folds]
        for fold, (part, held) in enumerate(splits):
            for model in models:
                if (name, model, fold) in done:
                    continue
                row = {"population": name, "model": model, "fold": fold}
                row |= cell(part, model, 0, args.epochs)
                rows.append({**row, "labels": task.test.labels[held].tolist()})
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(rows))
                shown = {k: v for k, v in row.items() if k != "probabilities"}
                right = np.argmax(row["probabilities"], axis=1) == task.test.labels[held]
                print(shown, "test", round(float(right.mean()), 3), flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each population and model, over the folds that it has."""
    found = []
    for key in dict.fromkeys((row["population"], row["model"]) for row in rows):
        mine = [row for row in rows if (row["population"], row["model"]) == key]
        labels = np.concatenate([row["labels"] for row in mine])
        shares = np.concatenate([np.array(row["probabilities"]) for row in mine])
        shares /= shares.sum(axis=1, keepdims=True)
        figures = evaluate(labels, shares, n_bootstrap=1000)
        found.append(
            {
                "population": key[0],
                "model": key[1],
                "folds": len(mine),
                "n": len(labels),
                "accuracy": figures.accuracy,
                "interval": list(figures.intervals["accuracy"]),
                "AUC": figures.auc,
                **{
                    name: float(np.mean([row[name] for row in mine]))
                    for name in ("training accuracy", "epochs", "CPU s")
                },
                "at the last epoch": _mean([row["at the last epoch"] for row in mine]),
                "best epoch": _mean([row["best epoch"] for row in mine]),
                "parameters": mine[0]["parameters"],
            }
        )
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def main() -> None:
    """Fit, judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("populations", nargs="+")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--cache", type=Path, default=Path("out/populations"))
    parser.add_argument("--cells", type=Path, default=Path("out/raw_scans.json"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = run(args.populations, args.models, args.cells, args)
    means = summary(rows)
    print_table(means)
    record: dict[str, Any] = {"environment": environment("numpy", "torch")}
    before = rows_in("raw_scans")
    new = {(row["population"], row["model"]) for row in means}
    kept = [row for row in before if (row["population"], row["model"]) not in new]
    record["kept from earlier runs"] = [[row["population"], row["model"]] for row in kept]
    write("raw_scans", {**record, "rows": sorted(kept + means, key=lambda row: row["population"])})


if __name__ == "__main__":
    main()
