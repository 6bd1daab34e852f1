"""Groups of faces that are alike in their means, or of eight means at once: models x populations.

    python benchmarks/kinds.py                                     # sign, side, rough, xor at 4 mm
    python benchmarks/kinds.py --effects micrognathia saddle_nose --millimetres 2.5 --name means

Every face carries each effect with probability one half; independent meshing, cropping, pose and
noise; the frame is made of eight of the 400 scans that are learned from, found by registration
without landmarks; 200 others are tested. Each seed is another population and another
initialisation. Each finished cell is in results/NAME.json at once: break off, call again, and the
rest is done.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, one_thread

one_thread()

import numpy as np
import torch
from meshings import AS_THEY_COME, judged, keep, which

from meshconv.benchmark.effects import KINDS
from meshconv.benchmark.page import (
    as_text,
    load_maps,
    means,
    over_populations,
    saliency_page,
    save_maps,
    table,
)
from meshconv.benchmark.run import Record, run, settings
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.tasks import load_task
from meshconv.datasets.morphable import EFFECTS
from meshconv.train.config import TrainConfig
from meshconv.viz.picture import save_figure

MAIN = ("DECNN 33", "plain 33", "PCA 99.9 % + RBF-SVM")
INTERVALS = (
    "of a row: over its test faces (bootstrap); of a mean: over populations, each with other faces,"
    " another frame and another initialisation"
)
_COLUMNS = (("DECNN 33", "density"), ("plain 33", "gradient"), ("plain 33", "gradcam"))


def page(tasks: list[Task], folder: Path) -> Any:
    """The true site of every effect beside what the models say."""
    panels = []
    for task in tasks:
        fields = [("truth", task.truth)]
        for who, how in _COLUMNS:
            found = load_maps(folder, task.name, who).get(how)
            fields += [] if found is None else [(f"{who}, {how}", found)]
        name = " ".join(task.name.split(":")[1:3]).replace("_", " ")
        panels.append((f"{name} mm", task.template.surface, fields))
    return saliency_page(panels)


def main() -> None:
    """Run what is missing, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--millimetres", type=float, default=4.0, help="peak of the effects")
    parser.add_argument("--effects", nargs="+", default=list(KINDS), choices=(*KINDS, *EFFECTS))
    parser.add_argument("--models", nargs="+", default=list(MAIN), help="see model_named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--scans", type=int, default=400, help="to learn from")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--name", default="kinds")
    parser.add_argument(
        "--kept",
        type=Path,
        help="folder for test faces half as dense, and 200 more of the first population: DECNN is"
        " judged on them too, see meshings.py",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    maps = Path("out") / args.name
    how = settings(n=args.scans, epochs=args.epochs) | {"intervals": INTERVALS}
    record = Record.open(RESULTS / f"{args.name}.json", how)

    def kept(task: Any, model: str, seed: int | None, fitted: Any) -> None:
        save_maps(maps, task, model, fitted.maps)
        print(as_text(table(record.rows)[-1:]), flush=True)
        if args.kept and model == MAIN[0] and fitted.probabilities is not None:
            effect, population = task.name.split(":")[1], int(task.name.split(":")[3])
            more = population == args.seeds[0] and effect in KINDS
            found = judged(
                lambda x: fitted.probabilities(Part(x, np.zeros(len(x), dtype=np.int64))),
                task,
                args.kept,
                more=more,
            )
            named = which(effect, population, AS_THEY_COME, TrainConfig.verdict)
            keep({**named, **found, "CPU s": fitted.seconds})

    load = partial(load_task, n=args.scans, cache=args.cache)
    names: list[str] = []
    for seed in args.seeds:
        names = [f"kinds:{effect}:{args.millimetres:g}:{seed}" for effect in args.effects]
        run(names, args.models, [seed], load, record, epochs=args.epochs, on_cell=kept)
    rows = over_populations(record.rows)
    print(as_text(table(rows)))
    errors = means(rows, args.models, list(dict.fromkeys(row["task"] for row in rows)))
    print({model: round(error, 4) for model, error in errors.items()})
    save_figure(page(list(map(load, names)), maps), RESULTS / f"{args.name}.png", dpi=110)


if __name__ == "__main__":
    main()
