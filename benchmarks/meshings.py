"""One model that was learned, on test faces as they come, on meshes half as dense, and on twice as
many faces: does it hold, and are its probabilities honest?

    python benchmarks/meshings.py                         # about 15 minutes on one core
    python benchmarks/meshings.py --effects rough --learn "half as dense"

`SurfaceClassifier` by its defaults learns an effect (see kinds.py) of 400 faces, and is tested on
200 others; on the same 200 as meshes of half as many vertices; and on 200 more, for the calibration
error over 400. The frame is that of the faces that were learned from. With ``--learn``, these are
meshes of half as many vertices. Each finished row is in results/meshings.json at once. (The same of
a network that kinds.py fitted: ``kinds.py --kept``.)
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import numpy as np
import torch
from verdicts import as_images

import meshconv as mc
from meshconv.benchmark.effects import KINDS, FactorialFaces
from meshconv.benchmark.task import Task
from meshconv.benchmark.tasks import TEST_SEED, TRAIN_SEED, VARIANTS, load_task
from meshconv.stats.metrics import evaluate
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

MORE_SEED = 300  # of the 200 faces beside those of `TEST_SEED`
AS_THEY_COME, COARSE = "as they come", "half as dense"
WHICH = ("effect", "population", "learned", "images")  # what names a row
IMAGES = f"detail {PrepareConfig.detail:g}"  # 0: linear between vertices, whose normals they have


def pictures(
    first: int, population: int, template: Any, cache: Path, variant: str = "", n: int = 200
) -> Any:
    """Return images of faces and which effects each carries; kept in a file."""
    seed = first + 1000 * population
    path = cache / "parts" / f"meshings_{seed}_{'_'.join(variant.split())}.npz"
    if not path.exists():
        scans = FactorialFaces(n, KINDS, 4.0, seed=seed, acquisition=VARIANTS.get(variant))
        done = prepare(scans, template, on_error="skip")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=np.asarray(done.images).astype(np.float16), y=scans.codes()[done.kept])
    with np.load(path) as found:
        return found["x"].astype(np.float32), found["y"]


def judged(
    said: Callable[[Any], Any], task: Task, population: int, kept: Path, *, more: bool = True
) -> dict[str, Any]:
    """Return how a model (images -> probabilities) does on the test faces of a task, on the same as
    coarser meshes, and with 200 more.
    """
    effect = KINDS.index(task.name.split(":")[1])

    def of(first: int, variant: str = "") -> tuple[Any, Any]:
        images, codes = pictures(first, population, task.template, kept, variant)
        return codes[:, effect], said(images)

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


def row(effect: str, population: int, learn: str, cache: Path, kept: Path) -> dict[str, Any]:
    """Fit and test."""
    task = load_task(f"kinds:{effect}:4:{population}", cache=cache)
    images, labels = task.train.images, task.train.labels
    if learn == COARSE:
        images, codes = pictures(TRAIN_SEED, population, task.template, kept, COARSE, len(labels))
        labels = codes[:, KINDS.index(effect)]
    start = time.process_time()
    model = mc.SurfaceClassifier(template=task.template, size=task.size, seed=population)
    model.fit(as_images(images), labels)
    seconds = time.process_time() - start
    return {
        "effect": effect,
        "population": population,
        "learned": learn,
        "images": IMAGES,
        **judged(lambda x: model.predict_proba(as_images(x)), task, population, kept),
        "verdict": str(model.quality_),
        "CPU s": seconds,
    }


def keep(made: dict[str, Any]) -> None:
    """Put a row in the place of an earlier one of the same fit, and write."""
    path = RESULTS / "meshings.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [one for one in rows if any(one[name] != made[name] for name in WHICH)] + [made]
    print_table([made])
    write("meshings", {"environment": environment("numpy", "torch"), "rows": rows})


def main() -> None:
    """Run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--effects", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--learn", default=AS_THEY_COME, choices=(AS_THEY_COME, COARSE))
    parser.add_argument("--seeds", type=int, nargs="+", default=[2], help="populations")
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    parser.add_argument("--kept", type=Path, default=Path("out/meshings"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    path = RESULTS / "meshings.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for population in args.seeds:
        for effect in args.effects:
            which = (effect, population, args.learn, IMAGES)
            known = dict(zip(WHICH, which, strict=True))
            if not any(known.items() <= one.items() for one in rows):
                keep(row(effect, population, args.learn, args.cache, args.kept))


if __name__ == "__main__":
    main()
