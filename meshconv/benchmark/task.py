"""`Task`: one data set of a benchmark, split and in one frame, with its truth where there is
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

import meshconv as mc
from meshconv._check import FloatArray, IntArray
from meshconv.datasets.scan import Part as Scans
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.saliency.evaluate import Agreement, agreement
from meshconv.saliency.project import to_vertices
from meshconv.stats.folds import grouped_folds
from meshconv.train.config import CHANNELS


class UnfitTaskError(ArgumentError):
    """A model was asked for on a data set that lacks what it takes."""


@dataclass(frozen=True, eq=False)
class Part:
    """Images (n, C, N, N) float32 and their labels (n,) int64; `boxes` (n, 4) say where the object
    is, if known.

    `scans` makes the surfaces again, for models that take raw meshes; `measures` (n, M) are those
    of `Task.measures`; `subjects` whom each is of, if known.
    """

    images: NDArray[np.float32]
    labels: IntArray
    boxes: IntArray | None = None
    scans: Callable[[], Population] | None = None
    measures: FloatArray | None = None
    subjects: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.labels.shape != (len(self.images),):
            raise ArrayTypeError(
                f"images (n, C, N, N) and labels (n,) needed, found {self.images.shape} and"
                f" {self.labels.shape}"
            )

    def take(self, rows: IntArray) -> Part:
        """Return some of it."""
        some: Callable[[], Population] | None = None
        if (scans := self.scans) is not None:
            some = partial(_some, scans, tuple(rows.tolist()))
        boxes = None if self.boxes is None else self.boxes[rows]
        measures = None if self.measures is None else self.measures[rows]
        whom = None if self.subjects is None else tuple(self.subjects[int(k)] for k in rows)
        return Part(self.images[rows], self.labels[rows], boxes, some, measures, whom)


@dataclass(frozen=True, eq=False)
class InFrame:
    """Scans in a frame that was made of some of them.

    Attributes
    ----------
    template : Template
    images : (m, C, N, N) float32
    rows : (m,) int64
        Which of the scans: those that could be placed.
    measures : tuple of M str
    values : (m, M) float64, optional
        Of these measures.
    """

    template: mc.Template
    images: NDArray[np.float32]
    rows: IntArray
    measures: tuple[str, ...] = ()
    values: FloatArray | None = None

    def part(self, whole: Part, rows: IntArray) -> tuple[Part, IntArray]:
        """Return those of some rows of `whole` that are in the frame, and which these are."""
        place = {int(row): k for k, row in enumerate(self.rows)}
        kept = np.array([int(row) for row in rows if int(row) in place], dtype=np.int64)
        mine = np.array([place[int(row)] for row in kept], dtype=np.int64)
        values = None if self.values is None else self.values[mine]
        return replace(whole.take(kept), images=self.images[mine], measures=values), kept


@dataclass(frozen=True, eq=False)
class Task:
    """A data set of a benchmark.

    Attributes
    ----------
    name : str
    train, test : Part
    validation : Part, optional
        Where the data set has an official one; models may choose their epoch on it.
    classes : tuple of str
    template : Template, optional
        The frame of surfaces.
    truth : (V,) float64, optional
        On the template's vertices: where the groups truly differ.
    variants : mapping of str to Part
        Other versions of the test set, for the same fitted models.
    aligned : bool
        Whether a pixel means the same place in all images; a density shared by all needs it.
    channels : tuple of str
        What the channels of surfaces are.
    measures : tuple of str
        Names of the measures of its parts; none if empty.
    folds : int
        Of populations without a split of their own: `train` is everybody, and each seed is a split
        into so many parts, classes in proportion and no subject on both sides, each predicted by
        what learned from the others. 0 for a split.
    in_frame_of : callable, optional
        Rows that are learned from in a fold -> all scans in the frame of these; without one, all
        folds share `template` and the images of `train`.
    """

    name: str
    train: Part
    test: Part
    classes: tuple[str, ...]
    validation: Part | None = None
    template: mc.Template | None = None
    truth: FloatArray | None = None
    variants: Mapping[str, Part] = field(default_factory=dict)
    aligned: bool = True
    channels: tuple[str, ...] = CHANNELS
    measures: tuple[str, ...] = ()
    folds: int = 0
    in_frame_of: Callable[[IntArray], InFrame] | None = None

    def __post_init__(self) -> None:
        if self.truth is not None and self.template is None:
            raise ArgumentError(f"task {self.name!r}: a truth on vertices needs the template")

    def splits(self, seed: int) -> Iterator[tuple[Task, IntArray]]:
        """Yield what is learned and tested, and which rows of `test` these are."""
        if not self.folds:
            yield self, np.arange(len(self.test.labels))
            return
        whole = self.train
        for rows, held in grouped_folds(whole.labels, whole.subjects, folds=self.folds, seed=seed):
            if self.in_frame_of is not None:
                yield self._framed(self.in_frame_of(rows), rows, held)
            else:
                yield replace(self, train=whole.take(rows), test=whole.take(held), folds=0), held

    def _framed(self, found: InFrame, rows: IntArray, held: IntArray) -> tuple[Task, IntArray]:
        (train, _), (test, tested) = (found.part(self.train, some) for some in (rows, held))
        own = replace(self, template=found.template, measures=found.measures, in_frame_of=None)
        return replace(own, train=train, test=test, folds=0), tested

    @property
    def size(self) -> int:
        """Nodes per side of the images."""
        return int(self.train.images.shape[-1])

    @property
    def variation(self) -> float:
        """`TrainConfig.variation` of all networks: differences of images that are not registered
        are not mixed in.
        """
        return 1.0 if self.aligned and self.template is not None else 0.0

    def on_template(self, pixels: FloatArray) -> FloatArray:
        """Return a map (N, N) of the frame on the template's vertices, (V,)."""
        if self.template is None:
            raise ArgumentError(f"task {self.name!r} has no template")
        return to_vertices(pixels, mc.Resampler(self.template.parameterization, len(pixels)))

    def judge(self, pixels: FloatArray) -> Agreement | None:
        """Return how well a map (N, N) of the population says where the truth is; None without a
        truth.
        """
        if self.truth is None or self.template is None:
            return None
        areas = mc.mass_matrix(self.template.surface).diagonal()
        return agreement(self.on_template(pixels), self.truth, areas=areas)


def _some(scans: Callable[[], Population], rows: tuple[int, ...]) -> Population:
    return Scans(scans(), rows)


def shuffled(task: Task, *, seed: int = 0) -> Task:
    """Return the task with its training labels in random order: nothing is left to learn."""
    labels = np.random.default_rng(seed).permutation(task.train.labels)
    train = replace(task.train, labels=labels)
    test = train if task.folds else task.test
    return replace(
        task, name=f"{task.name}:shuffled", train=train, test=test, validation=None, variants={}
    )


def mass_in_boxes(density: FloatArray, boxes: IntArray) -> tuple[float, float]:
    """Return the mean share of each image's density (n, N, N) in its box (n, 4), and of the
    area.
    """
    n, size, _ = density.shape
    rows = np.arange(size)
    inside_rows = (rows >= boxes[:, :1]) & (rows < boxes[:, 2:3])
    inside_columns = (rows >= boxes[:, 1:2]) & (rows < boxes[:, 3:])
    inside = inside_rows[:, :, None] & inside_columns[:, None, :]
    mass = (density * inside).sum(axis=(1, 2)) / density.sum(axis=(1, 2))
    return float(mass.mean()), float(inside.reshape(n, -1).mean())
