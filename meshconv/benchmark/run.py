"""Run a benchmark cell by cell; what is finished is in the file, so that a run can be broken off
and gone on with.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import meshconv
from meshconv._check import FloatArray, IntArray
from meshconv.benchmark.deletion import deletion_areas
from meshconv.benchmark.models import DETERMINISTIC, model_named
from meshconv.benchmark.seeds import Row
from meshconv.benchmark.task import Part, Task, UnfitTaskError, mass_in_boxes
from meshconv.benchmark.trained import Trained
from meshconv.errors import CheckpointError, MeshConvWarning
from meshconv.io.atomic import write_bytes_atomic
from meshconv.stats.metrics import evaluate


@dataclass
class Record:
    """The rows of a benchmark, one for each data set, model and seed, and the file they are kept
    in.

    Attributes
    ----------
    path : Path
    settings : dict
        What all rows share; a file with other settings is refused.
    rows : list of dict
    """

    path: Path
    settings: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | PathLike[str], settings: dict[str, Any]) -> Record:
        """Read the file, or begin one.

        Raises
        ------
        CheckpointError
            If the file was made with other settings.
        """
        record = cls(Path(path), settings)
        if record.path.exists():
            found = json.loads(record.path.read_text())
            if found["settings"] != settings:
                raise CheckpointError(
                    f"made with {found['settings']}, now asked for {settings}",
                    path=record.path,
                    hint="name another file",
                )
            record.rows = found["rows"]
        return record

    def has(self, task: str, model: str, seed: int | None) -> bool:
        """Return whether a row is there."""
        return any(
            (row["task"], row["model"], row["seed"]) == (task, model, seed) for row in self.rows
        )

    def add(self, row: Row) -> None:
        """Take a row up and write the file, whole or not at all."""
        self.rows.append(row)
        text = json.dumps({"settings": self.settings, "rows": self.rows}, indent=1)
        write_bytes_atomic(self.path, (text + "\n").encode())


def run(
    names: Sequence[str],
    models: Sequence[str],
    seeds: Iterable[int],
    load: Callable[[str], Task],
    record: Record,
    *,
    epochs: int = 60,
    progress: bool = True,
    crossed: Callable[[str], bool] = lambda name: False,
    on_cell: Callable[[Task, str, int | None, Trained], None] | None = None,
) -> Record:
    """Fit and judge every model on every data set with every seed, but for the rows that are there
    already.

    A model that takes what a data set lacks is left out there, with a warning.

    Parameters
    ----------
    names : sequence of str
        Of data sets, for `load`; each is loaded only if a row of it is missing.
    models : sequence of str
        See `meshconv.benchmark.models.model_named`.
    seeds : iterable of int
    load : callable
        Name -> `Task`.
    record : Record
    epochs : int
        Of every network.
    progress : bool
        Show a bar, on a terminal only.
    crossed : callable
        Name -> whether each seed is another split, so that no model is the same with all.
    on_cell : callable, optional
        Called after each cell with what was fitted.
    """
    for name in tqdm(names, desc="data sets", disable=None if progress else True):
        cells = _cells(models, seeds, every=crossed(name))
        missing = [cell for cell in cells if not record.has(name, *cell)]
        if not missing:
            continue
        task, unfit = load(name), set[str]()
        for model, seed in tqdm(
            missing, desc=name, leave=False, disable=None if progress else True
        ):
            if model in unfit:
                continue
            try:
                row, fitted = cell(task, model, seed or 0, epochs)
            except UnfitTaskError as error:
                warnings.warn(f"{model} is left out: {error}", MeshConvWarning, stacklevel=2)
                unfit.add(model)
                continue
            record.add({"task": name, "model": model, "seed": seed, **row})
            if on_cell is not None:
                on_cell(task, model, seed, fitted)
    return record


def _cells(
    models: Sequence[str], seeds: Iterable[int], *, every: bool
) -> Iterator[tuple[str, int | None]]:
    """Yield the cells of a data set: by split, where each seed is one, so that it is made once."""
    seeds = list(seeds)
    if every:
        yield from ((model, seed) for seed in seeds for model in models)
        return
    for model in models:
        alone = model in DETERMINISTIC
        yield from [(model, None)] if alone else [(model, seed) for seed in seeds]


def cell(task: Task, model: str, seed: int, epochs: int) -> tuple[Row, Trained]:
    """Return the row of one model with one seed, and what was fitted (the last, over folds)."""
    if not task.folds:
        fitted = model_named(model)(task, seed, epochs)
        return judged(task, fitted), fitted
    shares, rows, found = np.full((len(task.test.labels), len(task.classes)), np.nan), [], []
    for part, held in task.splits(seed):
        fitted = model_named(model)(part, seed, epochs)
        row: Row = {"parameters": fitted.parameters, "cpu_s": fitted.seconds, "saliency": {}}
        if fitted.probabilities is not None:
            shares[held] = fitted.probabilities(part.test)
            row["train_accuracy"] = _accuracy(part.train, fitted.probabilities)
            row["deletion"] = deletion_areas(part, fitted)
        rows.append(row)
        found.append(fitted)
    total: Row = {**rows[0], "cpu_s": sum(row["cpu_s"] for row in rows)}
    if found[-1].epochs:
        total |= {"epochs": found[-1].epochs}
        total["cpu_s_per_epoch"] = total["cpu_s"] / task.folds / found[-1].epochs
    if found[-1].last_train_accuracy is not None:
        total |= _told(found)
    if found[-1].probabilities is not None:
        total["train_accuracy"] = float(np.mean([row["train_accuracy"] for row in rows]))
        asked = np.flatnonzero(~np.isnan(shares[:, 0]))  # the others were in no frame
        tested = task.test.take(asked)
        total |= _figures(tested.labels, shares[asked], tested.subjects)
        each = [row["deletion"] for row in rows]
        total["deletion"] = {m: float(np.mean([one[m] for one in each])) for m in each[0]}
    return total, found[-1]


def _told(found: Sequence[Trained]) -> Row:
    """What networks that choose their epoch say of it, means over folds."""
    last = [one.last_train_accuracy or 0.0 for one in found]
    chosen = [one.chosen_epoch or 0 for one in found]
    return {
        "last_train_accuracy": float(np.mean(last)),
        "chosen_epoch": float(np.mean(chosen)),
        "epochs_run": [one.epochs for one in found],
    }


def _figures(labels: IntArray, shares: FloatArray, subjects: tuple[str, ...] | None) -> Row:
    found = evaluate(labels, shares, subjects=subjects)
    return {
        "n": found.n,
        "accuracy": found.accuracy,
        "interval": list(found.intervals["accuracy"]),
        "balanced_accuracy": found.balanced_accuracy,
        "auc": found.auc,
        "auc_interval": list(found.intervals["auc"]),
        "calibration_error": found.calibration_error,
    }


def judged(task: Task, fitted: Trained) -> Row:
    """Return one row: accuracy with its interval, true sites found, parameters, CPU time of
    training.
    """
    row: Row = {"parameters": fitted.parameters, "cpu_s": fitted.seconds}
    if fitted.epochs:
        row |= {"epochs": fitted.epochs, "cpu_s_per_epoch": fitted.seconds / fitted.epochs}
    if fitted.last_train_accuracy is not None:
        row |= _told([fitted])
    if fitted.probabilities is not None:
        start = time.process_time()
        shares = fitted.probabilities(task.test)
        row["ms_per_prediction"] = 1e3 * (time.process_time() - start) / len(task.test.labels)
        row |= _figures(task.test.labels, shares, task.test.subjects)
        row["train_accuracy"] = _accuracy(task.train, fitted.probabilities)
        row["variants"] = {
            name: _accuracy(part, fitted.probabilities) for name, part in task.variants.items()
        }
    sites = {method: task.judge(pixels) for method, pixels in fitted.maps.items()}
    row["saliency"] = {
        method: found.as_dict() for method, found in sites.items() if found is not None
    }
    if task.truth is None:
        row["deletion"] = deletion_areas(task, fitted)
    if "density" in fitted.maps:
        density = fitted.maps["density"]
        row["density_ratio"] = float(density.max() / density.min())
    if fitted.densities is not None and task.test.boxes is not None:
        mass, share = mass_in_boxes(fitted.densities(task.test.images), task.test.boxes)
        row |= {"mass_in_box": mass, "area_of_box": share}
    return row


def _accuracy(part: Part, probabilities: Callable[[Part], Any]) -> float:
    return float((probabilities(part).argmax(axis=1) == part.labels).mean())


def settings(*, n: int, epochs: int, folds: int = 5) -> dict[str, Any]:
    """Return what all rows of a record share."""
    return {"version": meshconv.__version__, "scans": n, "epochs": epochs, "folds": folds}
