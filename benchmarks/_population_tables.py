"""Tables of real populations, of networks on raw scans, and of registrations beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Table = tuple[list[str], list[list[str]], str]
_MEASURES = ("axial", "axial, free")


def measured(found: Mapping[str, Any]) -> Table:
    """AUC of what learns from measures, by population."""
    cells = {(r["population"], r["measures"], r["model"]): r for r in found["means"]}
    models = list(dict.fromkeys(model for _, _, model in cells))
    rows = []
    for population in dict.fromkeys(name for name, _, _ in cells):
        for kind in _MEASURES:
            mine = [cells.get((population, kind, model)) for model in models]
            if any(mine):
                shown = [_auc(cell) for cell in mine]
                rows.append([population, kind, *shown, _accuracy([cell for cell in mine if cell])])
    head = ["population", "measures", *models, "best accuracy"]
    return head, rows, "python benchmarks/populations.py"


def _auc(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["auc"] is None:
        return "-"
    width = cell.get("auc +-")
    return f"{cell['auc']:.3f}" + (f" ± {width:.3f}" if width else "")


def _accuracy(cells: Sequence[Mapping[str, Any]]) -> str:
    known = [(cell["accuracy"], cell["model"]) for cell in cells if cell["accuracy"] is not None]
    return f"{max(known)[0]:.3f} ({max(known)[1]})" if known else "-"


def raw(found: Mapping[str, Any]) -> Table:
    """Networks on raw scans."""
    rows = []
    for row in found["rows"]:
        low, high = row["interval"]
        last = row["at the last epoch"]
        fitted = row["training accuracy"] if last is None else last
        rows.append(
            [
                row["population"],
                row["model"],
                f"{row['n']} ({row['folds']} of 5)",
                f"{row['accuracy']:.2f} [{low:.2f}, {high:.2f}]",
                f"{row['AUC']:.3f}",
                f"{fitted:.2f}",
                f"{row['epochs']:.0f}" if row["epochs"] else "-",
                f"{row['CPU s'] / 60:.1f}",
            ]
        )
    head = ["population", "model", "tested (folds)", "accuracy", "AUC", "training accuracy"]
    head += ["epochs", "CPU minutes"]
    return head, rows, "python benchmarks/raw_scans.py spines ventricles"


def tasks(found: Mapping[str, Any], command: str = "") -> Table:
    """Populations by the benchmark command: images, measures and both."""
    rows = []
    keys = dict.fromkeys((row["task"], row["model"]) for row in found["rows"])
    for key in sorted(keys, key=lambda key: key[0]):
        mine = [row for row in found["rows"] if (row["task"], row["model"]) == key]
        shown = [_over(mine, name) for name in ("accuracy", "auc", "calibration_error")]
        train = sum(row["train_accuracy"] for row in mine) / len(mine)
        minutes = sum(row["cpu_s"] for row in mine) / len(mine) / 60
        rows.append([*key, str(len(mine)), *shown, f"{train:.2f}", f"{minutes:.1f}"])
    head = ["data set", "model", "splits", "accuracy", "AUC", "calibration error"]
    head += ["training accuracy", "CPU minutes a split"]
    names = " ".join(dict.fromkeys(row["task"] for row in found["rows"]))
    command = command or f"meshconv benchmark {names} --seeds 3 --out populations.json"
    return head, rows, command


def frames(found: Mapping[str, Any]) -> Table:
    """The same faces in a frame made of training scans and in that of the generator's mean."""
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for task, model in dict.fromkeys((row["task"], row["model"]) for row in found["rows"]):
        seeds = [one for one in found["rows"] if (one["task"], one["model"]) == (task, model)]
        keys = ("accuracy", "auc")
        cells[task, model] = {key: sum(one[key] for one in seeds) / len(seeds) for key in keys}
    rows, losses = list[list[str]](), dict[str, list[float]]()
    for (task, model), ours in cells.items():
        best = cells.get((f"{task}:perfect", model))
        if best is not None:
            _, effect, size, _ = task.split(":")
            shown = [f"{one[key]:.3f}" for key in ("accuracy", "auc") for one in (ours, best)]
            losses.setdefault(model, []).append(best["auc"] - ours["auc"])
            rows.append([effect, size, model, *shown, f"{losses[model][-1]:+.3f}"])
    for model, each in losses.items():
        rows.append(["mean", "", model, "", "", "", "", f"{sum(each) / len(each):+.3f}"])
    head = ["effect", "mm", "model", "accuracy", "in the perfect frame", "AUC"]
    head += ["in the perfect frame", "loss of AUC"]
    names = " ".join(list(dict.fromkeys(task for task, _ in cells))[:2])
    models = " ".join(f"'{model}'" for model in dict.fromkeys(model for _, model in cells))
    return (
        head,
        rows,
        f"meshconv benchmark {names} ... --scans {found['settings']['scans']} --models {models}",
    )


def _over(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [row[name] for row in rows]
    spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.3f}{spread}"


def rivals(found: Mapping[str, Any]) -> Table:
    """Registrations of the same scans by others."""
    ours = found["rivals"][0]["CPU s a scan"]
    rows = [
        [
            row["method"],
            str(row["scans"]),
            f"{row['median mm']:.2f}",
            f"{row['p95 mm']:.2f}",
            f"{row['worst scan median']:.2f}",
            f"{row['CPU s a scan'] / ours:.1f}",
        ]
        for row in found["rivals"]
    ]
    head = ["method", "scans", "median mm", "95 % mm", "worst scan, median mm", "time"]
    return head, rows, "python benchmarks/registration.py --scans 0 --rivals 10"


def where(found: Mapping[str, Any]) -> Table:
    """Where groups of faces differ: area under the ROC curve of each effect's site."""
    cells = {
        (r["task"], r["model"]): next(iter(r["saliency"].values()))["auc"] for r in found["rows"]
    }
    sets, methods = (list(dict.fromkeys(key[k] for key in cells)) for k in (0, 1))
    rows = [[name.split(":")[1], *(f"{cells[name, m]:.3f}" for m in methods)] for name in sets]
    mean = [sum(cells[name, m] for name in sets) / len(sets) for m in methods]
    rows.append(["mean", *(f"{value:.3f}" for value in mean)])
    command = f"meshconv benchmark {sets[0]} ... --models {' '.join(repr(m) for m in methods)}"
    return ["effect", *methods], rows, f"{command} --scans 400 --out where.json"


def deletion(found: Mapping[str, Any]) -> Table:
    """Deletion curves of single scans."""
    head = [name for name in found["rows"][0] if name != "seed"]
    rows = [
        [f"{r[n]:.3f}" if isinstance(r[n], float) else str(r[n]) for n in head]
        for r in found["rows"]
    ]
    return head, rows, "python benchmarks/deletion.py"


def ventricles(found: Mapping[str, Any]) -> Table:
    """Five groups of left ventricles, from measures and from the frame."""
    rows = [
        [row["from"], f"{row['accuracy']:.3f}", f"{row['over splits']:.3f}"]
        for row in found["accuracy"]
    ]
    head = ["logistic regression from", "accuracy", "spread over splits"]
    return head, rows, "python benchmarks/ventricles.py"
