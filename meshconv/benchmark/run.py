"""Run a benchmark cell by cell; what is finished is in the file, so that a run can be broken off
and gone on with.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from tqdm import tqdm

import meshconv
from meshconv.benchmark.models import DETERMINISTIC, model_named
from meshconv.benchmark.seeds import Row
from meshconv.benchmark.task import Part, Task, mass_in_boxes
from meshconv.benchmark.trained import Trained
from meshconv.errors import CheckpointError
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
    on_cell: Callable[[Task, str, int | None, Trained], None] | None = None,
) -> Record:
    """Fit and judge every model on every data set with every seed, but for the rows that are there
    already.

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
    on_cell : callable, optional
        Called after each cell with what was fitted.
    """
    for name in tqdm(names, desc="data sets", disable=None if progress else True):
        missing = [cell for cell in _cells(models, seeds) if not record.has(name, *cell)]
        if not missing:
            continue
        task = load(name)
        for model, seed in tqdm(
            missing, desc=name, leave=False, disable=None if progress else True
        ):
            fitted = model_named(model)(task, seed or 0, epochs)
            row = judged(task, fitted)
            record.add({"task": name, "model": model, "seed": seed, **row})
            if on_cell is not None:
                on_cell(task, model, seed, fitted)
    return record


def _cells(models: Sequence[str], seeds: Iterable[int]) -> Iterator[tuple[str, int | None]]:
    seeds = list(seeds)
    for model in models:
        yield from [(model, None)] if model in DETERMINISTIC else [(model, seed) for seed in seeds]


def judged(task: Task, fitted: Trained) -> Row:
    """Return one row: accuracy with its interval, true sites found, parameters, CPU time of
    training.
    """
    row: Row = {"parameters": fitted.parameters, "cpu_s": fitted.seconds}
    if fitted.epochs:
        row["cpu_s_per_epoch"] = fitted.seconds / fitted.epochs
    if fitted.probabilities is not None:
        start = time.process_time()
        found = evaluate(task.test.labels, fitted.probabilities(task.test))
        row["ms_per_prediction"] = 1e3 * (time.process_time() - start) / len(task.test.labels)
        row |= {
            "n": found.n,
            "accuracy": found.accuracy,
            "interval": list(found.intervals["accuracy"]),
        }
        row |= {"balanced_accuracy": found.balanced_accuracy, "auc": found.auc}
        row["calibration_error"] = found.calibration_error
        row["variants"] = {
            name: _accuracy(part, fitted.probabilities) for name, part in task.variants.items()
        }
    sites = {method: task.judge(pixels) for method, pixels in fitted.maps.items()}
    row["saliency"] = {
        method: found.as_dict() for method, found in sites.items() if found is not None
    }
    if "density" in fitted.maps:
        density = fitted.maps["density"]
        row["density_ratio"] = float(density.max() / density.min())
    if fitted.densities is not None and task.test.boxes is not None:
        mass, share = mass_in_boxes(fitted.densities(task.test.images), task.test.boxes)
        row |= {"mass_in_box": mass, "area_of_box": share}
    return row


def _accuracy(part: Part, probabilities: Callable[[Part], Any]) -> float:
    return float((probabilities(part).argmax(axis=1) == part.labels).mean())


def settings(*, n: int, epochs: int) -> dict[str, Any]:
    """Return what all rows of a record share."""
    return {"version": meshconv.__version__, "scans": n, "epochs": epochs}
