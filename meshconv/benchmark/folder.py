"""A folder of the user's own scans as a task: each seed is another split into folds by subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

import meshconv as mc
from meshconv._check import IntArray
from meshconv.benchmark.task import InFrame, Part, Task, shuffled
from meshconv.datasets.folder import FolderDataset
from meshconv.datasets.scan import Part as Scans
from meshconv.errors import ArgumentError
from meshconv.stats.folds import rarest
from meshconv.stats.shape_measures import shape_measures
from meshconv.train.config import PrepareConfig
from meshconv.train.frames import population_template
from meshconv.train.prepare import prepare

_CONFIG = PrepareConfig(measures=True)


def load_folder(
    name: str, *, folds: int = 5, cache: Path = Path("out/benchmark"), workers: int = 1
) -> Task:
    """Return a folder of scans and a table of labels as a task of folds by subject.

    Every fold has a frame of its own, made of the scans that are learned from there; scans that
    cannot be placed in it are left out of all models in that fold, with their measures.

    Parameters
    ----------
    name : str
        ``folder:PATH``, see `meshconv.FolderDataset`; ``:shuffled`` behind it shuffles the labels.
    folds : int
        Fewer where the rarest class has fewer subjects.
    cache, workers
        See `meshconv.benchmark.tasks.load_task`.

    Raises
    ------
    MissingFileError, FolderError, BadFormatError
        See `meshconv.FolderDataset`.
    ArgumentError
        If there is one class only, or a class has a single subject.
    """
    plain = name.removesuffix(":shuffled")
    scans = FolderDataset(plain.removeprefix("folder:"))
    scans.check_classes()
    index = {label: k for k, label in enumerate(scans.classes)}
    labels = np.array([index[label] for label in scans.labels])
    fewest, rare = rarest(labels, scans.subjects)
    if len(index) < 2 or fewest < 2:
        raise ArgumentError(
            f"a benchmark needs two classes of two subjects each; {scans.classes[rare]!r} has"
            f" {fewest}, and there are {len(index)} classes"
        )
    subjects = tuple(scans.subjects)
    blank = np.zeros((len(scans), 1, 1, 1), dtype=np.float32)
    part = Part(blank, labels, scans=lambda: scans, subjects=subjects)
    task = Task(
        plain,
        part,
        part,
        scans.classes,
        folds=folds,
        in_frame_of=_Frames(scans, cache, workers),
    )
    task = shuffled(task) if name != plain else task
    return replace(task, folds=max(2, min(folds, rarest(task.train.labels, subjects)[0])))


@dataclass(frozen=True)
class _Frames:
    """Makes frames of some of the scans, and puts all in them."""

    scans: FolderDataset
    cache: Path
    workers: int

    def __call__(self, rows: IntArray) -> InFrame:
        known = Scans(self.scans, tuple(rows.tolist()))
        key = hashlib.sha256(repr([self._file(int(k)) for k in rows]).encode()).hexdigest()
        path = self.cache / "parts" / f"frame_{key[:32]}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            population_template(known, on_error="skip").save(path)
        template = mc.Template.load(path)
        ready = partial(prepare, cache=self.cache, workers=self.workers, on_error="skip")
        done = ready(self.scans, template, config=_CONFIG)
        names = tuple(shape_measures(template.surface))
        return InFrame(template, np.asarray(done.images), done.kept, names, done.measures)

    def _file(self, k: int) -> tuple[str, int, int, bool]:
        """Return what a scan's file is known by: another in its place is seen."""
        entry = self.scans.entries[k]
        found = entry.path.stat()
        return str(entry.path.absolute()), found.st_size, found.st_mtime_ns, entry.mirrored
