"""Rows of the tables of groups that are alike in their means, from results/kinds.json."""

from __future__ import annotations

from collections.abc import Sequence

from _face_tables import Table, by_task, mean, shown, spread, values

from meshconv.benchmark.page import over_populations
from meshconv.benchmark.seeds import Row

OURS = "DECNN 33"
NAMES = {OURS: "DECNN", "plain 33": "plain", "PCA 99.9 % + RBF-SVM": "PCA + RBF-SVM"}  # as columns
SITES = {
    (OURS, "density"): "DECNN's density",
    ("plain 33", "gradient"): "gradient x input, plain",
    ("plain 33", "gradcam"): "Grad-CAM, plain",
}


def accuracies(rows: Sequence[Row], command: str) -> Table:
    """Accuracy of every model on every effect over its populations, with that on what was learned
    from in brackets; last, the mean error.
    """
    tasks = by_task(over_populations(rows))
    models = [model for model in NAMES if values(rows, model)]
    lines = []
    for task, mine in tasks.items():
        cells = [_with_training(mine, model) for model in models]
        seeds = str(len(values(mine, OURS)))
        lines.append([" ".join(task.split(":")[1:3]) + " mm", seeds, *cells])
    errors = [shown(error(tasks, model)) for model in models]
    lines.append(["mean error", "", *errors])
    return ["effect", "populations", *(NAMES[model] for model in models)], lines, command


def _with_training(rows: Sequence[Row], model: str) -> str:
    found = values(rows, model)
    if not found:
        return "-"
    return f"{spread(found)} ({shown(mean(values(rows, model, 'train_accuracy')), '{:.2f}')})"


def error(tasks: dict[str, list[Row]], model: str) -> float:
    """Mean over the effects; NaN where one of them is missing."""
    return 1 - mean([mean(values(rows, model)) for rows in tasks.values()])


def sites(rows: Sequence[Row], command: str) -> Table:
    """How well the true site of every effect is found: ROC-AUC over its populations; last, the mean
    over the effects.
    """
    tasks = by_task(over_populations(rows))
    columns = [column for column in SITES if values(rows, *column)]
    lines = [
        [" ".join(task.split(":")[1:3]) + " mm", *(spread(values(mine, *one)) for one in columns)]
        for task, mine in tasks.items()
    ]
    lines.append(["mean (least)", *(site(tasks, *column) for column in columns)])
    return ["effect", *(SITES[column] for column in columns)], lines, command


def site(tasks: dict[str, list[Row]], model: str, how: str) -> str:
    """Mean ROC-AUC over the effects, the least of them in brackets."""
    found = [mean(one) for one in (values(rows, model, how) for rows in tasks.values()) if one]
    return f"{mean(found):.3f} ({min(found):.3f})" if found else "-"
