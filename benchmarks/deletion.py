"""Saliency on nodules, where no truth is known: what the answer loses when salient places go first.

    MESHCONV_DATA=../shared/data python benchmarks/deletion.py        # 4 minutes on one core

A plain network, its features pooled over places, on the first nodules (spiculated or not), 30 % of
the patients held out, another split with each seed. Pixels of each held-out image are set to the
training mean in the order of its own map, ten steps; the figure is the mean probability of the
predicted class on the way over that at the start. Writes results/deletion.json.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, write

one_thread()

import numpy as np

import meshconv as mc
from meshconv.benchmark.deletion import deletion_areas
from meshconv.benchmark.models import model_named
from meshconv.benchmark.populations import SOURCES
from meshconv.benchmark.task import Part, Task
from meshconv.datasets.scan import Part as Scans
from meshconv.mesh.shapes import icosphere
from meshconv.stats.folds import hold_out
from meshconv.stats.metrics import roc_auc
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare


def main() -> None:
    """Prepare, fit, delete, print, write."""
    parser = argparse.ArgumentParser(description="Deletion curves on nodules.")
    parser.add_argument("--scans", type=int, default=280)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--cache", type=Path, default=Path("out/deletion"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    source = SOURCES["nodules"]
    scans = source.scans("spiculation")
    some = Scans(scans, tuple(range(args.scans)))
    frame = mc.Template.from_surface(icosphere(4), orientation="kept")
    config = PrepareConfig(33, source.channels)
    done = prepare(some, frame, config=config, cache=args.cache, on_error="skip")
    labels = np.asarray(scans.labels)[done.kept]
    subjects = tuple(scans.subjects[int(k)] for k in done.kept)
    whole = Part(np.asarray(done.images), labels, subjects=subjects)
    rows: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        learn, held = hold_out(labels, subjects, share=0.3, seed=seed)
        task = Task(
            "nodules:spiculation",
            whole.take(learn),
            whole.take(held),
            ("no spiculation", "spiculation"),
            template=frame,
            aligned=False,
            channels=source.channels,
        )
        fitted = model_named("plain 33, pooled")(task, seed, args.epochs)
        assert fitted.probabilities is not None
        auc = roc_auc(task.test.labels == 1, fitted.probabilities(task.test)[:, 1])
        row = {"seed": seed, "tested": len(held), "AUC": auc, **deletion_areas(task, fitted)}
        rows.append(row)
        print_table([row])
    write("deletion", {"environment": environment("numpy", "torch"), "rows": rows})


if __name__ == "__main__":
    main()
