"""Real populations as tasks of a benchmark: images in a frame, measures, folds by subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import meshconv as mc
from meshconv.benchmark.measured import measured
from meshconv.benchmark.task import Part, Task, shuffled
from meshconv.datasets.scan import Part as Scans
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import icosphere
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.prepare import prepare

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
    target, _, which = option.partition("-")
    band = (8.0, 20.0) if which == "8-20" else (0.0, np.inf)
    return mc.LungNodules(target, diameters=band, plausible=which == "plausible")


SOURCES: dict[str, Source] = {
    "nodules": Source(
        _nodules,
        (
            "spiculation",
            "spiculation-plausible",
            "lobulation",
            "lobulation-plausible",
            "malignancy",
            "malignancy-8-20",
        ),
        axis=(0.0, 0.0, 1.0),
    ),
    "spines": Source(lambda option: mc.DendriticSpines(n_classes=int(option)), ("3", "5")),
    "ventricles": Source(
        lambda option: mc.Ventricles(wall=option), ("endo", "epi"), channels=CHANNELS, ball=False
    ),
    # no genus: several have a single species, which no fold could learn without
    "finches": Source(lambda option: mc.FinchSkulls(option, cache=Path("out/finches")), ("clade",)),
}


def is_population(name: str) -> bool:
    """Return whether a data set is one of these."""
    return name.split(":", maxsplit=1)[0] in SOURCES


def load_population(
    name: str, *, folds: int = 5, cache: Path = Path("out/faces"), workers: int = 1
) -> Task:
    """Return a population by its name, as a task of folds by subject: each seed another split.

    Scans of which the measures or the image cannot be made are left out of all models.

    Parameters
    ----------
    name : str
        ``nodules:spiculation``, ``:lobulation`` (either ``-plausible``: without readings that
        contradict themselves), ``:malignancy``, ``:malignancy-8-20``,
        ``spines:3``, ``:5``, ``ventricles:endo``, ``:epi``, ``finches:clade``;
        ``:shuffled`` behind it shuffles the labels.
    folds : int
    cache, workers
        See `meshconv.benchmark.tasks.load_task`.

    Raises
    ------
    ArgumentError, MissingFileError
        If there is no such population or option, or its file is missing.
    """
    kind, *rest = name.removesuffix(":shuffled").split(":")
    if kind not in SOURCES:
        raise ArgumentError(f"no population {name!r}; there are {', '.join(SOURCES)}")
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
    task = Task(
        name.removesuffix(":shuffled"),
        part,
        part,
        tuple(scans.classes),
        template=template,
        aligned=not source.ball,
        channels=source.channels,
        measures=names,
        folds=folds,
    )
    return shuffled(task) if name.endswith(":shuffled") else task


def _frame(source: Source, scans: Population) -> mc.Template:
    """Return a ball, or the first surface of all: none is a mean of scans that are tested."""
    if source.ball:
        return mc.Template.from_surface(icosphere(4), orientation="kept")
    return mc.Template.from_surface(scans[0].surface)
