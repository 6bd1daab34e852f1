"""Rows of the README's tables of faces, from results/classify*.json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
Table = tuple[list[str], list[list[str]], str]

LARGER, LINEAR = "plain 33, 8 x wider", "PCA 99.9 % + logistic"


def values(rows: Sequence[Row], model: str, key: str = "accuracy") -> list[float]:
    """One figure of a model, one value a seed; of a saliency its ROC-AUC."""
    mine = [row for row in rows if row["model"] == model]
    found = [row.get(key) if key in row else (row["saliency"].get(key) or {}).get("auc") for row in mine]
    return [value for value in found if value is not None]


def mean(found: Sequence[float]) -> float:
    """NaN of nothing."""
    return sum(found) / len(found) if found else float("nan")


def shown(value: float, pattern: str = "{:.3f}") -> str:
    """A dash for NaN."""
    return "-" if math.isnan(value) else pattern.format(value)


def spread(found: Sequence[float]) -> str:
    """Mean and half the range over seeds."""
    if len(found) < 2:
        return shown(mean(found))
    return f"{mean(found):.3f} ± {(max(found) - min(found)) / 2:.3f}"


def by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each data set."""
    return {task: [row for row in rows if row["task"] == task] for task in dict.fromkeys(row["task"] for row in rows)}


def plain(rows: Sequence[Row], grid: int) -> list[float]:
    """The better of the two plain networks on one data set: averaged over area, or point by point."""
    return max((values(rows, f"plain {grid}"), values(rows, f"plain {grid}, points")), key=mean)


def summary(coarse: Sequence[Row], fine: Sequence[Row]) -> Table:
    """Mean error over the effects, and how well their sites are found, for each peak and grid."""
    lines = []
    for grid, rows in ((33, coarse), (65, fine)):
        tasks = by_task(rows)
        for peak in sorted({task.split(":")[2] for task in tasks}, key=float, reverse=True):
            mine = [part for task, part in tasks.items() if task.split(":")[2] == peak]
            lines.append([f"{peak} mm, {grid} x {grid}", str(len(mine)), *_errors(mine, grid), *_sites(mine, grid)])
    head = [
        "peak, grid",
        "effects",
        "error: DECNN",
        "plain, best of two",
        "ratio",
        "plain, 8 x larger",
        "PCA + logistic",
    ]
    head += ["site: density (least)", "t-map", "gradient", "Grad-CAM"]
    command = "python benchmarks/classify.py --millimetres 1.5 2.5 4 --seeds 2"
    models = '--models "DECNN 65" "plain 65" "plain 65, points" --name classify_65'
    return head, lines, f"{command}`, `python benchmarks/classify.py --millimetres 2.5 4 --seeds 1 {models}"


def _errors(tasks: Sequence[Sequence[Row]], grid: int) -> list[str]:
    ours = 1 - mean([mean(values(rows, f"DECNN {grid}")) for rows in tasks])
    other = 1 - mean([mean(plain(rows, grid)) for rows in tasks])
    rest = [1 - mean([mean(values(rows, model)) for rows in tasks]) for model in (LARGER, LINEAR)]
    return [shown(ours), shown(other), shown(ours / other, "{:.2f}"), *map(shown, rest)]


def _sites(tasks: Sequence[Sequence[Row]], grid: int) -> list[str]:
    ours = [mean(values(rows, f"DECNN {grid}", "density")) for rows in tasks]
    found = [shown(mean([mean(values(rows, "t-map", "t-map")) for rows in tasks]))]
    for how in ("gradient", "gradcam"):
        found.append(shown(mean([mean(values(rows, f"plain {grid}", how)) for rows in tasks])))
    return [f"{shown(mean(ours))} ({shown(min(ours))})", *found]


def each(rows: Sequence[Row], grid: int = 33) -> Table:
    """Every effect: accuracy of DECNN and its opponents, and how well the site is found."""
    lines = []
    for task, mine in sorted(by_task(rows).items(), key=lambda item: (-float(item[0].split(":")[2]), item[0])):
        _, effect, peak = task.split(":")
        accuracy = [spread(values(mine, f"DECNN {grid}")), spread(plain(mine, grid))]
        accuracy += [spread(values(mine, LARGER)), shown(mean(values(mine, LINEAR)))]
        sites = [shown(mean(values(mine, f"DECNN {grid}", "density"))), shown(mean(values(mine, "t-map", "t-map")))]
        sites += [", ".join(shown(mean(values(mine, f"plain {grid}", how))) for how in ("gradient", "gradcam"))]
        lines.append([f"{effect}, {peak} mm", *accuracy, *sites])
    head = ["effect, peak", "DECNN", "plain, best of two", "plain, 8 x larger", "PCA + logistic"]
    head += ["site: density", "t-map", "gradient, Grad-CAM"]
    return head, lines, "python benchmarks/classify.py --millimetres 1.5 2.5 4 --seeds 2"


def others(rows: Sequence[Row], command: str) -> Table:
    """Accuracy of the same models on each data set, and the CPU time of one epoch."""
    tasks = by_task(rows)
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        cells = [spread(values(part, model)) for part in tasks.values()]
        seconds = mean([row["cpu_s_per_epoch"] for row in mine if "cpu_s_per_epoch" in row])
        lines.append([model, str(mine[0]["parameters"]), shown(seconds, "{:.2f}"), *cells])
    names = [", ".join(task.split(":")[1:3]) + " mm" for task in tasks]
    return ["method", "parameters", "CPU s / epoch", *names], lines, command
