"""Rows of the README's tables of faces, from results/classify*.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from meshconv.benchmark.seeds import Row, over_seeds, with_half_width

Table = tuple[list[str], list[list[str]], str]

EVEN, LARGER = "DECNN 33, area only", "plain 33, 8 x wider"
LINEAR, CHOSEN = "PCA 99.9 % + logistic", "pixels chosen by t + logistic"
DIRECT, AS_LARGE = "plain 33, direct heads", "plain 33/12"
OPPONENTS = {
    EVEN: "even area",
    DIRECT: "plain, direct heads",
    AS_LARGE: "plain, as large",
    LARGER: "plain, 8 x larger",
    LINEAR: "PCA + logistic",
    CHOSEN: "pixels by t + logistic",
}
FACES = "python benchmarks/classify.py --millimetres 1.5 2.5 4 --seeds 5"


def values(rows: Sequence[Row], model: str, key: str = "accuracy") -> list[float]:
    """One figure of a model, one value a seed; of a saliency its ROC-AUC."""
    mine = [row for row in rows if row["model"] == model]
    found = [
        row.get(key) if key in row else (row["saliency"].get(key) or {}).get("auc") for row in mine
    ]
    return [value for value in found if value is not None]


def mean(found: Sequence[float]) -> float:
    """NaN of nothing."""
    return sum(found) / len(found) if found else float("nan")


def shown(value: float, pattern: str = "{:.3f}") -> str:
    """A dash for NaN."""
    return "-" if math.isnan(value) else pattern.format(value)


def spread(found: Sequence[float]) -> str:
    """Mean, and half its 95 % interval over seeds, see `meshconv.benchmark.seeds`."""
    if not found:
        return "-"
    (cell,) = over_seeds([{"mean": value} for value in found], [], ["mean"])
    return with_half_width(cell, "mean")


def by_task(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each data set."""
    return {
        task: [row for row in rows if row["task"] == task]
        for task in dict.fromkeys(row["task"] for row in rows)
    }


def by_grid_and_peak(
    coarse: Sequence[Row], fine: Sequence[Row]
) -> Iterator[tuple[str, int, list[list[Row]]]]:
    """What a line is called, its grid, and the rows of each effect, for each grid and peak; the
    highest peak first.
    """
    for grid, rows in ((33, coarse), (65, fine)):
        tasks = by_task(rows)
        for peak in sorted({task.split(":")[2] for task in tasks}, key=float, reverse=True):
            mine = [part for task, part in tasks.items() if task.split(":")[2] == peak]
            yield f"{peak} mm, {grid} x {grid}", grid, mine


def plain(rows: Sequence[Row], grid: int) -> list[float]:
    """The better of the two plain networks on one data set: averaged over area, or point by
    point.
    """
    return max((values(rows, f"plain {grid}"), values(rows, f"plain {grid}, points")), key=mean)


def summary(coarse: Sequence[Row], fine: Sequence[Row]) -> Table:
    """Mean error over the effects, and how well their sites are found, for each grid and peak."""
    lines = []
    for title, grid, tasks in by_grid_and_peak(coarse, fine):
        mine = [part for part in tasks if values(part, f"DECNN {grid}") and plain(part, grid)]
        lines.append([title, str(len(mine)), *_errors(mine, grid)])
    head = ["peak, grid", "effects", "DECNN", "plain, best of two", "ratio", *OPPONENTS.values()]
    models = '--models "DECNN 65" "plain 65" "plain 65, points" --name classify_65'
    return (
        head,
        lines,
        f"{FACES}`, `python benchmarks/classify.py --millimetres 1.5 2.5 4 --seeds 1 {models}",
    )


def sites(coarse: Sequence[Row], fine: Sequence[Row]) -> Table:
    """How well the true sites are found: mean ROC-AUC over the effects, the least of them in
    brackets.
    """
    lines = []
    for title, grid, tasks in by_grid_and_peak(coarse, fine):
        columns = [(f"DECNN {grid}", "density"), ("t-map", "t-map")]
        columns += [(f"plain {grid}", "gradient"), (f"plain {grid}", "gradcam")]
        lines.append([title, *(_site(tasks, *column) for column in columns)])
    return (
        ["peak, grid", "DECNN's density", "t-map", "gradient x input, plain", "Grad-CAM, plain"],
        lines,
        FACES,
    )


def _site(tasks: Sequence[Sequence[Row]], model: str, how: str) -> str:
    found = [mean(one) for one in (values(rows, model, how) for rows in tasks) if one]
    return f"{mean(found):.3f} ({min(found):.3f})" if found else "-"


def _errors(tasks: Sequence[Sequence[Row]], grid: int) -> list[str]:
    ours, other = (
        _error(tasks, f"DECNN {grid}"),
        1 - mean([mean(plain(rows, grid)) for rows in tasks]),
    )
    rest = [shown(_error(tasks, model)) if grid == 33 else "-" for model in OPPONENTS]
    return [shown(ours), shown(other), shown(ours / other, "{:.2f}"), *rest]


def _error(tasks: Sequence[Sequence[Row]], model: str) -> float:
    """Mean over the effects; NaN where one of them is missing."""
    return 1 - mean([mean(values(rows, model)) for rows in tasks])


def each(rows: Sequence[Row]) -> Table:
    """Accuracy of DECNN and its opponents on every effect."""
    lines = []
    for task, mine in sorted(
        by_task(rows).items(), key=lambda item: (-float(item[0].split(":")[2]), item[0])
    ):
        _, effect, peak = task.split(":")
        columns = [
            values(mine, "DECNN 33"),
            plain(mine, 33),
            *(values(mine, model) for model in OPPONENTS),
        ]
        density = shown(mean(values(mine, "DECNN 33", "density")))
        lines.append([f"{effect}, {peak} mm", *map(spread, columns), density])
    head = ["effect, peak", "DECNN", "plain, best of two", *OPPONENTS.values(), "site: density"]
    return head, lines, FACES


ABLATION = {
    "plain": "plain 33",
    "plain, direct heads": DIRECT,
    "even area": EVEN,
    "learned, no warm start": "DECNN 33, no warm start",
    "DECNN: warm start, learned for 10 epochs": "DECNN 33",
    "never learned": "DECNN 33, warm start only",
    "learned to the end": "DECNN 33, learned to the end",
    "no direct heads": "DECNN 33, no direct heads",
    "no emphasis: the density gives room alone": "DECNN 33, no emphasis",
}


def ablation(rows: Sequence[Row]) -> Table:
    """Accuracy, and ROC-AUC of the density for the true site, with parts of the method left out;
    seed 0.
    """
    first = [row for row in rows if row["seed"] in (0, None)]
    tasks = {
        task: part
        for task, part in by_task(first).items()
        if values(part, ABLATION["learned, no warm start"])
    }
    lines = []
    for name, model in ABLATION.items():
        cells = []
        for part in tasks.values():
            site = shown(mean(values(part, model, "density"))) if model.startswith("DECNN") else "-"
            cells.append(f"{shown(mean(values(part, model)))}, {site}")
        lines.append([name, *cells])
    models = " ".join(f'"{model}"' for model in ABLATION.values())
    effects = " ".join(task.split(":")[1] for task in tasks)
    command = f"python benchmarks/classify.py --millimetres 1.5 --effects {effects}"
    command += f" --models {models} --seeds 1"
    return (
        ["density (accuracy, site)", *(", ".join(t.split(":")[1:]) + " mm" for t in tasks)],
        lines,
        command,
    )


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


def variants(rows: Sequence[Row]) -> Table:
    """Accuracy of the same networks on other versions of the test scans (of half of them)."""
    lines = []
    kinds = list(rows[0]["variants"])
    for task, part in by_task(rows).items():
        for model in dict.fromkeys(row["model"] for row in part):
            mine = [row for row in part if row["model"] == model]
            cells = [spread([row["variants"][kind] for row in mine]) for kind in kinds]
            lines.append(
                [
                    ", ".join(task.split(":")[1:3]) + " mm",
                    model,
                    spread(values(part, model)),
                    *cells,
                ]
            )
    names = " ".join(dict.fromkeys(row["task"] for row in rows))
    command = (
        f'python benchmarks/classify.py --sets {names} --models "DECNN 33" "plain 33" --seeds 5'
    )
    return (
        ["effect, peak", "network", "as trained", *kinds],
        lines,
        f"{command} --name classify_variants",
    )
