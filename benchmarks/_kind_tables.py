"""Rows of the tables of groups that are alike in their means, from results/kinds.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from _face_tables import Table, by_task, mean, shown, spread, values

from meshconv.benchmark.effects import KINDS
from meshconv.benchmark.page import over_populations
from meshconv.benchmark.seeds import Row

OURS = "DECNN 33"
TUNED = "plain 33, tuned"
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


def shifts(rows: Sequence[Row], command: str) -> Table:
    """DECNN beside tuned plain networks on effects that move the mean; last, the mean error."""
    tasks = by_task(over_populations(rows))
    tasks = {task: mine for task, mine in tasks.items() if _all_there(mine)}
    lines = []
    for task, mine in tasks.items():
        cells = [shown(mean(values(mine, model))) for model in (OURS, TUNED)]
        cells.append(shown(mean(values(mine, OURS, "density"))))
        lines.append([" ".join(task.split(":")[1:3]) + " mm", *cells])
    ours, tuned = (error(tasks, model) for model in (OURS, TUNED))
    lines.append(["mean error, all", shown(ours), shown(tuned), ""])
    lines.append(["ratio", shown(ours / tuned, "{:.2f}"), "1", ""])
    return ["effect", "DECNN", "plain, tuned", "site: density"], lines, command


def _all_there(rows: Sequence[Row]) -> bool:
    return all(values(rows, model) for model in (OURS, TUNED))


def verdicts(rows: Sequence[Row], command: str) -> Table:
    """How many studies are called better than chance, by what their labels mean and their data."""
    lines = []
    for kind, data in dict.fromkeys(_sort(row) for row in rows):
        mine = [row for row in rows if _sort(row) == (kind, data)]
        ps = [row["p"] for row in mine]
        scans = "-".join(str(n) for n in sorted({row["scans"] for row in mine}))
        yes = sum(row["better than chance"] for row in mine)
        of = [kind, data, scans, str(len(mine)), str(yes)]
        lines.append([*of, f"{min(ps):.4f}", f"{sorted(ps)[len(ps) // 2]:.3f}", f"{max(ps):.3f}"])
    head = ["labels", "data", "scans each", "studies", "better than chance", "least p", "median"]
    return [*head, "largest"], lines, command


def _sort(row: Row) -> tuple[str, str]:
    kind, what = row["study"].split()[:2]
    if kind == "shuffled":
        return kind, what
    return kind, "faces, alike in their means" if what in KINDS else "faces, moved means"


def meshings(rows: Sequence[Row], command: str) -> Table:
    """One model on test faces as they come, half as dense, and on twice as many."""
    columns = {
        "accuracy": "accuracy",
        "half as dense": "half as dense",
        "AUC": "AUC",
        "half as dense, AUC": "half as dense",
        "accuracy, 400": "accuracy on 400",
        "calibration error, 400": "calibration error on 400",
        "half as dense, calibration error": "on half as dense",
    }
    lines = []
    for row in rows:
        figures = [shown(row[key], "{:.3f}") if key in row else "-" for key in columns]
        peak = "4 mm" if row["effect"] in KINDS else "2.5 mm"
        of = [f"{row['effect']} {peak}", str(row["population"]), row["learned"], row["images"]]
        lines.append([*of, *figures])
    return ["effect", "population", "learned from", "images", *columns.values()], lines, command


def going_on(rows: Sequence[Row], command: str) -> Table:
    """Ways in which a density goes on learning: accuracy and AUC on every effect and population;
    last, what each gains over the first map, where it finds the site, and what it costs.
    """
    names = list(dict.fromkeys(row["mechanism"] for row in rows))
    cases = list(dict.fromkeys((row["effect"], row["population"]) for row in rows))
    found = {(row["mechanism"], row["effect"], row["population"]): row for row in rows}

    def over(name: str, figure: Callable[[Row, Row], float]) -> list[float]:
        pairs = [(found.get((name, *case)), found[(names[0], *case)]) for case in cases]
        return [figure(own, first) for own, first in pairs if own is not None]

    lines = []
    for case in cases:
        own = [found.get((name, *case)) for name in names]
        cells = [f"{one['accuracy']:.3f} ({one['AUC']:.3f})" if one else "-" for one in own]
        lines.append([f"{case[0]}, {case[1]}", *cells])
    figures = {
        f"{key}, less the first map's": lambda own, first, key=key: own[key] - first[key]
        for key in ("accuracy", "AUC", "AUC, its network")
    }
    for title, figure in figures.items():
        lines.append([title, *(spread(over(name, figure)) for name in names)])
    lines.append(["site", *(shown(mean(over(name, _site))) for name in names)])
    lines.append(["CPU s", *(shown(mean(over(name, _cost)), "{:.0f}") for name in names)])
    return ["effect, population", *names], lines, command


def _site(own: Row, _first: Row) -> float:
    return float(own["AUC, site"])


def _cost(own: Row, _first: Row) -> float:
    return float(own.get("CPU s of it", "nan"))
