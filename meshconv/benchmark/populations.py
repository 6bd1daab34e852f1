"""Real populations as tasks of a benchmark: images in a frame, measures, folds by subject."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import meshconv as mc
from meshconv._check import FloatArray
from meshconv.benchmark.task import Part, Task
from meshconv.datasets.scan import Part as Scans
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError
from meshconv.io.atomic import write_bytes_atomic
from meshconv.mesh.shapes import icosphere
from meshconv.stats.shape_measures import shape_measures
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.train.scans import EXPECTED

_INTRINSIC = ("mean_curvature", "shape_index", "log_conformal_factor")
_NORMALS = ("normal_x", "normal_y", "normal_z")


@dataclass(frozen=True)
class Source:
    """How a population is made and looked at.

    Attributes
    ----------
    scans : callable
        What stands behind the name -> the population.
    options : tuple of str
        What may stand behind the name; the first is the default.
    axis : (3,) tuple of float, optional
        Of the sections among the measures.
    channels : tuple of str
    ball : bool
        Whether the frame is a ball, for closed surfaces without common places: it is nobody's, so
        it need not be made of training scans.
    """

    scans: Callable[[str], Any]
    options: tuple[str, ...]
    axis: tuple[float, float, float] | None = None
    channels: tuple[str, ...] = (*_INTRINSIC, *_NORMALS)
    ball: bool = True


def _nodules(option: str) -> Any:
    target, _, band = option.partition("-")
    return mc.LungNodules(target, diameters=(8.0, 20.0) if band else (0.0, np.inf))


SOURCES: dict[str, Source] = {
    "nodules": Source(
        _nodules,
        ("spiculation", "lobulation", "malignancy", "malignancy-8-20"),
        axis=(0.0, 0.0, 1.0),
    ),
    "spines": Source(lambda option: mc.DendriticSpines(n_classes=int(option)), ("3", "5")),
    "ventricles": Source(
        lambda option: mc.Ventricles(wall=option), ("endo", "epi"), channels=CHANNELS, ball=False
    ),
    "finches": Source(
        lambda option: mc.FinchSkulls(option, cache=Path("out/finches")), ("clade", "genus")
    ),
}


def population_task(kind: str, rest: list[str], cache: Path, workers: int) -> Task:
    """Return a population of `SOURCES` as a task of grouped folds.

    Scans of which the measures or the image cannot be made are left out of all models.

    Raises
    ------
    ArgumentError
        If there is no such option.
    """
    source = SOURCES[kind]
    option = rest[0] if rest else source.options[0]
    if option not in source.options:
        raise ArgumentError(f"{kind}:{option}: there are {', '.join(source.options)}")
    scans = source.scans(option)
    names, measures, sound = measured(
        scans, cache / "measures" / f"{kind}_{option}.npz", axis=source.axis
    )
    template = _frame(source, Scans(scans, sound))
    config = PrepareConfig(33, source.channels)
    done = prepare(
        Scans(scans, sound), template, config=config, cache=cache, workers=workers, on_error="skip"
    )
    rows = np.array(sound)[done.kept]
    part = Part(
        np.asarray(done.images),
        scans.labels[rows],
        scans=partial(Scans, scans, tuple(rows.tolist())),
        measures=measures[done.kept],
        subjects=tuple(scans.subjects[int(k)] for k in rows),
    )
    return Task(
        "",
        part,
        part,
        tuple(scans.classes),
        template=template,
        aligned=not source.ball,
        measures=names,
        folds=5,
    )


def _frame(source: Source, scans: Population) -> mc.Template:
    """Return a ball, or the first surface of all: none is a mean of scans that are tested."""
    if source.ball:
        return mc.Template.from_surface(icosphere(4), orientation="kept")
    return mc.Template.from_surface(scans[0].surface)


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
