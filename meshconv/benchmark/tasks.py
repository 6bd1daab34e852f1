"""The data sets of a benchmark by name: faces, images, adrenal glands."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

import meshconv as mc
from meshconv._check import FloatArray
from meshconv.benchmark.effects import KINDS, FactorialFaces, effect_site
from meshconv.benchmark.measured import measured
from meshconv.benchmark.task import Part, Task, shuffled
from meshconv.datasets.adrenal import CLASSES
from meshconv.datasets.images import LabelledImages, cluttered_mnist, mnist, pneumonia_mnist
from meshconv.datasets.morphable import EFFECTS, Acquisition, MorphableFaces, face_model
from meshconv.datasets.scan import Part as Scans
from meshconv.datasets.scan import Population
from meshconv.errors import ArgumentError
from meshconv.io.atomic import write_bytes_atomic
from meshconv.saliency.project import to_vertices
from meshconv.stats.split import PARTS
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.frames import population_template
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared

TRAIN_SEED, TEST_SEED = 100, 200  # of the populations: no face is in both
VARIANTS = {
    "mirrored, and said so": Acquisition(mirrored=1.0),
    "4 x denser": Acquisition(n_vertices=20000),
    "half as dense": Acquisition(n_vertices=2500),
}


def load_task(
    name: str, *, n: int = 400, cache: Path = Path("out/faces"), workers: int = 1
) -> Task:
    """Return a data set by its name.

    Parameters
    ----------
    name : str
        ``faces:EFFECT:MM`` (morphable faces, independent meshing, cropping, pose and noise; `n` to
        learn from and `n` to test), ``faces:EFFECT:MM:variants`` (with mirrored, denser and coarser
        test scans), ``kinds:EFFECT:MM[:SEED]`` (`FactorialFaces`: groups alike in their means, or
        all eight mean effects at once; other faces for each seed, `n` to learn from, half as many
        to test, in a frame made of eight that are learned from; with ``:perfect`` behind the seed
        in that of the generator's mean, which no user has), ``mnist``, ``pneumonia``,
        ``cluttered``, ``cells`` (which kind of blood cell),
        ``platelets`` (is there one in this field of blood, and where), or ``adrenal`` (official
        split). ``:shuffled`` behind it shuffles the training labels.
    n : int
        Of each part, for sets that are generated.
    cache : Path
        Folder of prepared images, see `meshconv.train.prepare.prepare`; whole parts are kept in
        ``parts``. Remove it after a change of the library that changes images.

    Raises
    ------
    ArgumentError, MissingFileError
        If there is no such data set, or its file is missing.

    See Also
    --------
    meshconv.benchmark.populations.load_population, meshconv.benchmark.folder.load_folder :
        sets without a split.
    """
    kind, *rest = name.removesuffix(":shuffled").split(":")
    if kind not in _LOADERS:
        known = ", ".join(_LOADERS)
        raise ArgumentError(f"no data set {name!r}; there are {known}, folder and the populations")
    task = _LOADERS[kind](rest, n, cache, workers)
    task = replace(task, name=name.removesuffix(":shuffled"))
    return shuffled(task) if name.endswith(":shuffled") else task


def _faces(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    if len(rest) not in (2, 3) or (len(rest) == 3 and rest[2] != "variants"):
        raise ArgumentError(
            f"faces:EFFECT:MM[:variants] needed, effects {', '.join(EFFECTS)}; found"
            f" faces:{':'.join(rest)}"
        )
    effect, amplitude = rest[0], float(rest[1])
    model = face_model()
    template = mc.Template.from_surface(model.mean, landmarks=model.landmarks)

    def part(seed: int, count: int, variant: str = "") -> Part:
        def scans() -> Population:
            return MorphableFaces(
                count, effect, amplitude, seed=seed, acquisition=VARIANTS.get(variant)
            )

        def ready() -> Prepared:
            return prepare(scans(), template, cache=cache, workers=workers, on_error="skip")

        name = "_".join([effect, f"{amplitude:g}", str(seed), str(count), *variant.split()])
        return replace(_kept(cache / "parts" / f"{name}.npz", ready), scans=scans)

    size = np.linalg.norm(model.effects[effect], axis=1)
    variants = (
        {how: part(TEST_SEED, min(n, 200), how) for how in VARIANTS} if len(rest) == 3 else {}
    )
    return Task(
        "",
        part(TRAIN_SEED, n),
        part(TEST_SEED, n),
        ("without", "with"),
        template=template,
        truth=size / size.max(),
        variants=variants,
    )


def _kinds(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    perfect = rest[3:] == ["perfect"]
    if len(rest) - perfect not in (2, 3) or rest[0] not in (*KINDS, *EFFECTS):
        raise ArgumentError(
            f"kinds:EFFECT:MM[:SEED[:perfect]] needed, effects {', '.join((*KINDS, *EFFECTS))};"
            f" found kinds:{':'.join(rest)}"
        )
    effect, amplitude, seed = rest[0], float(rest[1]), int(rest[2]) if len(rest) > 2 else 0
    effects = KINDS if effect in KINDS else EFFECTS
    kind = ("kinds" if effects is KINDS else "means") + "_perfect" * perfect
    name = f"{kind}_{amplitude:g}_{{}}_{n}{{}}.npz"

    def faces(first: int, count: int) -> FactorialFaces:
        return FactorialFaces(count, effects, amplitude, seed=first + 1000 * seed)

    learned = faces(TRAIN_SEED, n)
    template = (
        mc.Template.from_surface(learned.model.mean)
        if perfect
        else _frame_of(learned, cache / "parts" / name.format(learned.seed, "_frame"))
    )

    def part(scans: FactorialFaces) -> Part:
        def ready() -> Prepared:
            done = prepare(scans, template, workers=workers, on_error="skip")
            return replace(done, labels=scans.codes()[done.kept] @ 2 ** np.arange(len(effects)))

        found = _kept(cache / "parts" / name.format(scans.seed, f"_{scans.n}"), ready)
        return replace(found, labels=(found.labels >> effects.index(effect)) & 1)

    truth = _in_frame(effect_site(learned.model, effect), learned.model.mean, template)
    tests = part(faces(TEST_SEED, n // 2))
    return Task("", part(learned), tests, ("without", "with"), template=template, truth=truth)


def _frame_of(scans: Population, path: Path) -> mc.Template:
    """Return the frame of scans to learn from, kept in a file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        population_template(scans, on_error="skip").save(path)
    return mc.Template.load(path)


def _in_frame(field: FloatArray, surface: mc.Surface, template: mc.Template) -> FloatArray:
    """Return a field (V,) of a surface on the vertices of a frame, which it is registered to."""
    image = mc.place(surface, template).resampler.to_image({"field": field}).filled(0.0)
    return to_vertices(image.channels[0], mc.Resampler(template.parameterization, image.size))


def _kept(path: Path, ready: Callable[[], Prepared]) -> Part:
    """Return a prepared part from one file, which is made if it is not there.

    Images are kept in half precision: rounded by less than a twentieth of the scans' noise.
    """
    if not path.exists():
        done, buffer = ready(), io.BytesIO()
        np.savez(buffer, x=done.images.astype(np.float16), y=done.labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as found:
        return Part(found["x"].astype(np.float32), found["y"])


def _part(found: LabelledImages, rows: slice = slice(None)) -> Part:
    return Part(
        found.images[rows], found.labels[rows], None if found.boxes is None else found.boxes[rows]
    )


def _mnist(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    train, test = mnist("train"), mnist("test")
    return Task("", _part(train, slice(10 * n)), _part(test), train.classes)


def _pneumonia(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    parts = {split: pneumonia_mnist(split) for split in ("train", "val", "test")}
    return Task(
        "",
        _part(parts["train"]),
        _part(parts["test"]),
        parts["train"].classes,
        validation=_part(parts["val"]),
    )


def _cluttered(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    train, test = cluttered_mnist(20 * n, seed=0), cluttered_mnist(2000, "test", seed=1)
    return Task("", _part(train), _part(test), train.classes, aligned=False)


def _cells(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    train, validation, test = (mc.BloodCells(part).cells(65, window=64) for part in PARTS[1:])
    return Task("", _part(train), _part(test), train.classes, validation=_part(validation))


def _platelets(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    train, validation, test = (mc.BloodCells(part).presence("Platelets", 65) for part in PARTS[1:])
    return Task(
        "", _part(train), _part(test), train.classes, validation=_part(validation), aligned=False
    )


def _adrenal(rest: list[str], n: int, cache: Path, workers: int) -> Task:
    """Official split; the frame is the mean of training glands."""
    parts, names = dict[str, Part](), tuple[str, ...]()
    template: mc.Template | None = None
    config = PrepareConfig(33, ("thickness", "mean_curvature", *CHANNELS))
    for split in ("train", "val", "test"):
        scans = mc.AdrenalSurfaces(split, cache=cache / "surfaces")
        names, measures, sound = measured(
            scans, cache / "measures" / f"adrenal_{split}.npz", axis=(0.0, 0.0, 1.0)
        )
        template = template or population_template(
            scans, count=30, orientation="kept", on_error="skip"
        )
        some = Scans(scans, sound)
        done = prepare(some, template, config=config, cache=cache, workers=workers, on_error="skip")
        rows = np.array(sound)[done.kept]
        parts[split] = Part(
            np.asarray(done.images),
            scans.labels[rows],
            scans=partial(Scans, scans, tuple(rows.tolist())),
            measures=measures[done.kept],
        )
    return Task(
        "",
        parts["train"],
        parts["test"],
        CLASSES,
        validation=parts["val"],
        template=template,
        aligned=False,
        channels=config.channels,
        measures=names,
    )


_LOADERS: dict[str, Callable[[list[str], int, Path, int], Task]] = {
    "faces": _faces,
    "kinds": _kinds,
    "mnist": _mnist,
    "pneumonia": _pneumonia,
    "cluttered": _cluttered,
    "cells": _cells,
    "platelets": _platelets,
    "adrenal": _adrenal,
}
