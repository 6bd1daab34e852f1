"""One model that was learned, on test faces as they come, on meshes half as dense, and on twice as
many faces: does it hold, and are its probabilities honest?

    python benchmarks/meshings.py                         # about 15 minutes on one core
    python benchmarks/meshings.py --effects sign --learn "half as dense" "at both densities"
    python benchmarks/meshings.py --effects cleft_like_L --seeds 3 --folds 0

`SurfaceClassifier` by its defaults learns an effect (see kinds.py; shifts of the mean, 2.5 mm) of
400 faces, and is tested on 200 others; on the same 200 as meshes of half as many vertices; and, of
effects alike in their means, on 200 more, for the calibration error over 400. The frame is that of
the faces that were learned from. With ``--learn``, these are meshes of half as many vertices, or
each face twice, as it comes and so. Each finished row is in results/meshings.json at once. (The
same of a network that kinds.py fitted: ``kinds.py --kept``.)
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import numpy as np
import torch
from verdicts import as_images

import meshconv as mc
from meshconv.benchmark.effects import KINDS, FactorialFaces
from meshconv.benchmark.task import Task
from meshconv.benchmark.tasks import TEST_SEED, TRAIN_SEED, VARIANTS, load_task
from meshconv.datasets.morphable import EFFECTS
from meshconv.errors import ArgumentError
from meshconv.stats.metrics import evaluate
from meshconv.train.config import PrepareConfig, TrainConfig
from meshconv.train.prepare import prepare

MORE_SEED = 300  # of the 200 faces beside those of `TEST_SEED`
AS_THEY_COME, COARSE, BOTH = "as they come", "half as dense", "at both densities"
WHICH = ("effect", "population", "learned", "images")  # what names a row
IMAGES = f"detail {PrepareConfig.detail:g}"  # 0: linear between vertices, whose normals they have


def pictures(task: Task, first: int, cache: Path, variant: str = "", n: int = 200) -> Any:
    """Return images of other faces of a task's population, or of the same as other meshes, and
    their labels; kept in a file.
    """
    effect, peak, population = task.name.split(":")[1:4]
    effects = KINDS if effect in KINDS else EFFECTS
    seed = first + 1000 * int(population)
    family = "" if (effects, peak) == (KINDS, "4") else f"{len(effects)}_effects_{peak}_"
    path = cache / "parts" / f"meshings_{family}{seed}_{'_'.join(variant.split())}.npz"
    if not path.exists():
        how = VARIANTS.get(variant)
        scans = FactorialFaces(n, effects, float(peak), seed=seed, acquisition=how)
        done = prepare(scans, task.template, on_error="skip")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=np.asarray(done.images).astype(np.float16), y=scans.codes()[done.kept])
    with np.load(path) as found:
        return found["x"].astype(np.float32), found["y"][:, effects.index(effect)]


def judged(
    said: Callable[[Any], Any], task: Task, kept: Path, *, more: bool = True
) -> dict[str, Any]:
    """Return how a model (images -> probabilities) does on the test faces of a task, on the same as
    coarser meshes, and with 200 more.
    """

    def of(first: int, variant: str = "") -> tuple[Any, Any]:
        images, labels = pictures(task, first, kept, variant)
        return labels, said(images)

    plain, half = (task.test.labels, said(task.test.images)), of(TEST_SEED, COARSE)
    found = {"200": evaluate(*plain), "half": evaluate(*half)}
    figures = {
        "accuracy": found["200"].accuracy,
        "AUC": found["200"].auc,
        "half as dense": found["half"].accuracy,
        "half as dense, AUC": found["half"].auc,
        "calibration error, 200": found["200"].calibration_error,
        "half as dense, calibration error": found["half"].calibration_error,
    }
    if more:
        pairs = zip(plain, of(MORE_SEED), strict=True)
        both = evaluate(*(np.concatenate(parts) for parts in pairs))
        figures |= {
            "accuracy, 400": both.accuracy,
            "calibration error, 400": both.calibration_error,
        }
    return figures


def row(
    effect: str, population: int, learn: str, folds: int, cache: Path, kept: Path
) -> dict[str, Any]:
    """Fit and test."""
    task = load_task(f"kinds:{effect}:{4 if effect in KINDS else 2.5}:{population}", cache=cache)
    images, labels = learned_from(task, learn, kept)
    whom = tuple(f"face {k % len(task.train.labels)}" for k in range(len(labels)))
    known = replace(as_images(images), subjects=whom if learn == BOTH else ("",) * len(labels))
    start = time.process_time()
    model = mc.SurfaceClassifier(
        template=task.template, size=task.size, seed=population, verdict=folds
    ).fit(known, labels)
    seconds = time.process_time() - start
    more = effect in KINDS and folds > 0
    return {
        **which(effect, population, learn, folds),
        **judged(lambda x: model.predict_proba(as_images(x)), task, kept, more=more),
        "verdict": str(model.quality_),
        "CPU s": seconds,
    }


def learned_from(task: Task, learn: str, kept: Path) -> tuple[Any, Any]:
    """Return images and labels of the faces to learn from, of meshes as asked."""
    part = task.train
    if learn == AS_THEY_COME:
        return part.images, part.labels
    n = len(part.labels)
    coarse = pictures(task, TRAIN_SEED, kept, COARSE, n)
    if learn == COARSE:
        return coarse
    if len(coarse[1]) != n or (coarse[1] != part.labels).any():
        raise ArgumentError("a face could not be registered at one density: pairs are not known")
    return np.concatenate([part.images, coarse[0]]), np.concatenate([part.labels, coarse[1]])


def which(effect: str, population: int, learn: str, folds: int) -> dict[str, Any]:
    """Return what names a row."""
    learned = learn if folds else f"{learn}, no verdict"
    return dict(zip(WHICH, (effect, population, learned, IMAGES), strict=True))


def keep(made: dict[str, Any]) -> None:
    """Put a row in the place of an earlier one of the same fit, and write."""
    rows = rows_in("meshings")
    rows = [one for one in rows if any(one[name] != made[name] for name in WHICH)] + [made]
    print_table([made])
    write("meshings", {"environment": environment("numpy", "torch"), "rows": rows})


def main() -> None:
    """Run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--effects", nargs="+", default=list(KINDS), choices=(*KINDS, *EFFECTS))
    parser.add_argument(
        "--learn", nargs="+", default=[AS_THEY_COME], choices=(AS_THEY_COME, COARSE, BOTH)
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[2], help="populations")
    parser.add_argument(
        "--folds", type=int, default=TrainConfig.verdict, help="of the verdict; 0: none, six times"
        " as fast, all parts of the classifier count alike",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--kept", type=Path, default=Path("out/meshings"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = rows_in("meshings")
    for population, effect, learn in product(args.seeds, args.effects, args.learn):
        known = which(effect, population, learn, args.folds)
        if not any(known.items() <= one.items() for one in rows):
            keep(row(effect, population, learn, args.folds, args.cache, args.kept))


if __name__ == "__main__":
    main()
