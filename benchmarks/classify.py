"""DECNN and its opponents: data sets x models x seeds, one table, one page of pictures.

    MESHCONV_DATA=../shared/data python benchmarks/classify.py                 # eight effects at 4
    mm, 1 to 2 hours python benchmarks/classify.py --millimetres 1.5 2.5 4 --seeds 5            #
    every effect and peak python benchmarks/classify.py --sets mnist pneumonia cluttered --name
    classify_images

Faces: independent meshing, cropping, pose and noise; the frame is found by registration, without
landmarks; every model learns from the same images. Each finished cell is in results/NAME.json at
once: break off, call again, and the rest is done. ``python -m meshconv benchmark`` does the same
for data sets of your own.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, one_thread

one_thread()

import torch

from meshconv.benchmark.page import as_text, load_maps, means, saliency_page, save_maps, table
from meshconv.benchmark.run import Record, run, settings
from meshconv.benchmark.tasks import load_task
from meshconv.datasets.morphable import EFFECTS, face_model
from meshconv.viz.picture import save_figure

MAIN = (
    "DECNN 33",
    "DECNN 33, area only",
    "plain 33",
    "plain 33, points",
    "plain 33, direct heads",
    "plain 33/12",
    "plain 33, 8 x wider",
    "PCA 99.9 % + logistic",
    "pixels chosen by t + logistic",
    "t-map",
)


def page(names: list[str], folder: Path) -> Any:
    """The true site of every effect beside what the models say."""
    model, panels = face_model(), []
    for name in names:
        effect = (model.effects[name.split(":")[1]] ** 2).sum(axis=1) ** 0.5
        maps = {who: load_maps(folder, name, who) for who in ("t-map", "DECNN 33", "plain 33")}
        fields = [
            ("truth", effect),
            ("t-map", maps["t-map"].get("t-map")),
            ("DECNN", maps["DECNN 33"].get("density")),
        ]
        fields += [(f"plain, {how}", maps["plain 33"].get(how)) for how in ("gradient", "gradcam")]
        panels.append(
            (name.removeprefix("faces:"), model.mean, [one for one in fields if one[1] is not None])
        )
    return saliency_page(panels)


def overview(effects: list[str], peak: float, folder: Path) -> Any:
    """True sites above, learned densities below, one column an effect."""
    model, rows = face_model(), {"where they differ": [], "where DECNN looks": []}
    for effect in effects:
        density = load_maps(folder, f"faces:{effect}:{peak:g}", "DECNN 33").get("density")
        if density is not None:
            title = effect.replace("_", " ")
            rows["where they differ"].append(
                (title, (model.effects[effect] ** 2).sum(axis=1) ** 0.5)
            )
            rows["where DECNN looks"].append(("", density))
    return (
        saliency_page([(name, model.mean, fields) for name, fields in rows.items()])
        if rows["where DECNN looks"]
        else None
    )


def main() -> None:
    """Run what is missing, print, draw."""
    parser = argparse.ArgumentParser(description="Data sets x models x seeds.")
    parser.add_argument(
        "--millimetres", type=float, nargs="+", default=[4.0], help="peaks of the eight effects"
    )
    parser.add_argument("--effects", nargs="+", default=list(EFFECTS))
    parser.add_argument(
        "--sets",
        nargs="+",
        help="names for meshconv.benchmark.tasks.load_task instead of the faces",
    )
    parser.add_argument("--models", nargs="+", default=list(MAIN), help="see model_named")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scans", type=int, default=400, help="of each part")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--name", default="classify")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    faces = [f"faces:{effect}:{peak:g}" for peak in args.millimetres for effect in args.effects]
    names = args.sets or faces
    maps = Path("out") / args.name
    record = Record.open(RESULTS / f"{args.name}.json", settings(n=args.scans, epochs=args.epochs))

    def kept(task: Any, model: str, seed: int | None, fitted: Any) -> None:
        save_maps(maps, task, model, fitted.maps)
        print(as_text(table(record.rows)[-1:]), flush=True)

    run(
        names,
        args.models,
        range(args.seeds),
        partial(load_task, n=args.scans, cache=args.cache),
        record,
        epochs=args.epochs,
        on_cell=kept,
    )
    print(as_text(table([row for row in record.rows if row["task"] in names])))
    print(
        {model: round(error, 4) for model, error in means(record.rows, args.models, names).items()}
    )
    shown = [name for name in names if name.startswith("faces:") and len(name.split(":")) == 3]
    if shown:
        peak = {name: float(name.split(":")[2]) for name in shown}
        weakest = [name for name in shown if peak[name] == min(peak.values())]
        save_figure(page(weakest, maps), RESULTS / f"{args.name}.png", dpi=110)
    strip = overview(args.effects, max(args.millimetres), maps)
    if strip is not None:
        save_figure(strip, RESULTS / f"{args.name}_overview.png", dpi=110)


if __name__ == "__main__":
    main()
