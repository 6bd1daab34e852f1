"""Opponents that know a surface by its measures alone, see `meshconv.shape_measures`."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from meshconv._check import FloatArray, IntArray
from meshconv.benchmark.task import Part, Task, UnfitTaskError
from meshconv.benchmark.trained import Trained
from meshconv.datasets.scan import Population
from meshconv.io.atomic import write_bytes_atomic
from meshconv.stats.measure_families import families
from meshconv.stats.measure_logistic import LogisticModel
from meshconv.stats.measure_model import MeasureModel
from meshconv.stats.shape_measures import MEASURES, shape_measures
from meshconv.train.scans import EXPECTED

Chosen = Callable[[str], bool]


def any_measure(name: str) -> bool:
    """Return True."""
    return True


def scale_free(name: str) -> bool:
    """Return whether a measure does not change with size."""
    return MEASURES[name].scale_free


def harmonic(name: str) -> bool:
    """Return whether it is an energy of spherical harmonics."""
    return "_harmonic_" in name


def measured_logistic(
    task: Task, seed: int, epochs: int, *, chosen: Chosen = any_measure
) -> Trained:
    """Logistic regression of normal scores, the penalty chosen on inner folds by subject."""
    columns = _columns(task, chosen)
    start = time.process_time()
    x = _values(task.train, columns)
    model = LogisticModel.fit(
        x, task.train.labels, subjects=task.train.subjects, balanced=False, seed=seed
    )
    return Trained(
        lambda part: np.asarray(softmax(model.logits(_values(part, columns)), axis=1)),
        model.weights.size + model.bias.size,
        seconds=time.process_time() - start,
    )


def measured_model(task: Task, seed: int, epochs: int) -> Trained:
    """`MeasureModel`, what the classifier has beside its network: logistic regression, and a kernel
    on families of measures.
    """
    columns = _columns(task, any_measure)
    start = time.process_time()
    model = MeasureModel.fit(
        _values(task.train, columns),
        task.train.labels,
        subjects=task.train.subjects,
        balanced=False,
        seed=seed,
        family=families(task.measures),
    )
    return Trained(
        lambda part: np.asarray(softmax(model.logits(_values(part, columns)), axis=1)),
        sum(array.size for array in model.arrays().values()),
        seconds=time.process_time() - start,
    )


def boosted_trees(seed: int) -> Any:
    """Return trees still to be fitted, one setting for all populations."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.05,
        max_leaf_nodes=6,
        max_features=0.3,
        min_samples_leaf=5,
        l2_regularization=5.0,
        random_state=seed,
    )


def measured_trees(task: Task, seed: int, epochs: int) -> Trained:
    """Boosted trees of six leaves, a third of the measures offered to each split."""
    columns, model = _columns(task, any_measure), boosted_trees(seed)
    start = time.process_time()
    model.fit(_values(task.train, columns), task.train.labels)
    return Trained(
        lambda part: np.asarray(model.predict_proba(_values(part, columns))),
        6 * model.n_iter_ * model.n_trees_per_iteration_,
        seconds=time.process_time() - start,
    )


def _columns(task: Task, chosen: Chosen) -> IntArray:
    found = np.flatnonzero([chosen(name) for name in task.measures])
    if not len(found):
        raise UnfitTaskError(f"task {task.name!r} has no such measures of its surfaces")
    return found


def _values(part: Part, columns: IntArray) -> FloatArray:
    if part.measures is None:
        raise UnfitTaskError("this part has no measures of its surfaces")
    return part.measures[:, columns]


def measured(
    scans: Population, path: Path, *, axis: Sequence[float] | None = None
) -> tuple[tuple[str, ...], FloatArray, list[int]]:
    """Return names and values (n, M) of the measures of all scans of which they can be made, and
    which these are; kept in a file.
    """
    if not path.exists():
        rows, sound = [], []
        for k in range(len(scans)):
            try:
                rows.append(shape_measures(scans[k].surface, axis=axis))
            except EXPECTED:
                continue
            sound.append(k)
        values = np.array([list(row.values()) for row in rows])
        buffer = io.BytesIO()
        np.savez(buffer, names=list(rows[0]), values=values, sound=sound)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as found:
        return tuple(found["names"].tolist()), found["values"], found["sound"].tolist()
