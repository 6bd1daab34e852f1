"""`study`: from a folder of scans and a table to a map, a verdict and one report, step by step; a
step that is done is in the folder of results, so that a study goes on where it was broken off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import whole_number
from meshconv.io.atomic import write_bytes_atomic
from meshconv.registration.template import Template
from meshconv.resample.area_element import area_element
from meshconv.stats.effect_map import EffectMap
from meshconv.stats.group import group_map, score_map
from meshconv.stats.power import Power, power
from meshconv.studies.inputs import Inputs, covariates_alone
from meshconv.studies.page import write_page
from meshconv.studies.result import (
    Found,
    Registration,
    StudyResult,
    load_map,
    read_csv,
    save_map,
    write_csv,
)
from meshconv.train.checkpoint import refuse_differences
from meshconv.train.config import PrepareConfig, Settings, TrainConfig
from meshconv.train.fit import fit
from meshconv.train.fitted import Fitted
from meshconv.train.fitted_file import load_fitted, save_fitted
from meshconv.train.frames import population_template
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.target import ClassTarget, MeasureTarget, Target
from meshconv.viz.contact_sheet import contact_sheet

T = TypeVar("T")


def study(
    folder: str | PathLike[str],
    table: str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str],
    group: str | None = None,
    score: str | None = None,
    covariates: Sequence[str] = (),
    reference: str | None = None,
    cv: int = 5,
    file_column: str = "file",
    subject_column: str = "subject",
    template: Template | None = None,
    size: int = PrepareConfig.size,
    epochs: int = TrainConfig.epochs,
    permutations: int = 500,
    shown: int = 6,
    on_error: str = "skip",
    workers: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> StudyResult:
    """Return where groups of scans differ (or a score matters), how sure that is, and what a
    network makes of it; write one report and all figures to a folder.

    Scans are brought into the frame of them all and shown on a contact sheet; the map is corrected
    for all its places and adjusted for covariates; a classifier (a regressor of a score) is judged
    by subjects it has not seen; scans are explained; the power is estimated by resampling.

    Parameters
    ----------
    folder, table, file_column, subject_column
        As of `FolderDataset`.
    out : path
        Folder of results: ``report.html``, ``frame.html`` (the contact sheet), ``results.json``,
        ``predictions.csv``, ``registration.csv``, ``group_map.vtp``, ``score_map.vtp``, the
        classifier and the regressor. Steps that are there already are not done again.
    group, score : str
        Columns of the table: labels, or numbers. One of them at least.
    covariates : sequence of str
        Columns that are accounted for in the map: numbers, or texts, which become indicators.
    reference : str, optional
        The group that the other is compared with; that called control, healthy or normal, else the
        first in order. The last of the others is the positive class.
    cv : int
        Folds, by subject.
    template : Template, optional
        The frame; the mean of a few of the scans if None.
    size : int
        Nodes per side of the images.
    epochs : int
        Of the networks.
    permutations : int
        Of the maps.
    shown : int
        Scans that are explained in the report, of each group in turn.
    on_error : {'raise', 'skip'}
        What a bad scan leads to; those left out are in the report.
    workers : int
        Processes that prepare scans.
    seed : int
    progress : bool

    Raises
    ------
    MeshConvError
        As `FolderDataset`, `prepare`, `group_map` and `fit`.
    CheckpointError
        If the folder of results is of other inputs or settings; names what differs.

    Examples
    --------
    >>> import meshconv as mc
    >>> found = mc.study("scans", out="study", group="diagnosis", covariates=["age", "sex"])
    ... # doctest: +SKIP
    >>> print(found)  # doctest: +SKIP
    """
    inputs = Inputs.read(
        folder,
        table,
        group=group,
        score=score,
        covariates=covariates,
        file_column=file_column,
        subject_column=subject_column,
        on_error=on_error,
    )
    settings = {
        "group": group,
        "reference": inputs.reference(reference) if group else None,
        "score": score,
        "covariates": list(inputs.covariate_names),
        "cv": whole_number(cv, 2, "cv"),
        "size": size,
        "epochs": epochs,
        "permutations": permutations,
        "on_error": on_error,
        "seed": seed,
        "scans": len(inputs.scans),
        "inputs (SHA-256)": inputs.digest,
    }
    work = _Work(inputs, Path(out), settings, workers, progress)
    work.open()
    frame = work.frame(template)
    ready = work.images(frame)
    columns = [(what, name) for what, name in (("group", group), ("score", score)) if name]
    result = StudyResult(
        frame,
        ready,
        work.registration(ready, frame),
        tuple(work.found(what, name, ready, frame) for what, name in columns),
        area_element(frame, size),
        covariates_alone(inputs, ready, cv) if group else None,
        work.out,
    )
    result.write()
    write_page(result, inputs.scans, settings, shown)
    return result


@dataclass(frozen=True, eq=False)
class _Work:
    """The steps of a study."""

    inputs: Inputs
    out: Path
    settings: dict[str, Any]
    workers: int
    progress: bool

    def open(self) -> None:
        """Begin, or go on with what was begun with the same inputs and settings."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "study.json"
        if path.exists():
            refuse_differences(json.loads(path.read_text(encoding="utf-8")), self.settings, path)
            return
        write_bytes_atomic(path, (json.dumps(self.settings, indent=2) + "\n").encode())

    def _once(
        self, name: str, load: Callable[[Path], T], make: Callable[[], T], keep: Callable[..., Any]
    ) -> T:
        """Return what is in a file, or make it and keep it there."""
        path = self.out / name
        if path.exists():
            return load(path)
        made = make()
        keep(path, made)
        return made

    def frame(self, given: Template | None) -> Template:
        """Return the frame."""
        scans, on_error = self.inputs.scans, self.settings["on_error"]
        return self._once(
            "frame.npz",
            Template.load,
            lambda: given or population_template(scans, on_error=on_error),
            lambda path, frame: frame.save(path),
        )

    def images(self, frame: Template) -> Prepared:
        """Return the scans in the frame."""
        return prepare(
            self.inputs.scans,
            frame,
            config=PrepareConfig(size=self.settings["size"]),
            cache=self.out / "cache",
            workers=self.workers,
            on_error=self.settings["on_error"],
            progress=self.progress,
        )

    def registration(self, ready: Prepared, frame: Template) -> tuple[Registration, ...]:
        """Write the contact sheet; return how each scan lies."""
        scans = self.inputs.scans

        def make() -> list[list[str]]:
            contact_sheet(self.out / "frame.html", scans, ready, frame, overwrite=True)
            rows = {one.index: ["left out", one.reason] for one in ready.skipped}
            for k, one in zip(ready.kept, ready.standings or (), strict=True):
                rows[int(k)] = [f"{one.score:.3f}", "; ".join(one.doubts)]
            return [[scans.name(k), *rows[k]] for k in sorted(rows)]

        rows = self._once("registration.csv", read_csv, make, write_csv)
        return tuple((name, value, doubts) for name, value, doubts in rows)

    def found(self, what: str, column: str, ready: Prepared, frame: Template) -> Found:
        """Return the map, its power and the network of the groups, or of the score."""
        target, values = self._target(what, ready)
        effect, its_power = self._once(
            f"{what}_map.npz", load_map, lambda: self._mapped(what, values, ready), _save_map
        )
        name = "classifier" if what == "group" else "regressor"
        fitted = self._once(
            f"{name}.mc",
            load_fitted,
            lambda: self._fitted(target, ready, frame, self.out / f"{name}.ckpt"),
            lambda path, made: save_fitted(made, path),
        )
        (self.out / f"{name}.ckpt").unlink(missing_ok=True)
        return Found(what, column, effect, its_power, fitted, list(values))

    def _target(self, what: str, ready: Prepared) -> tuple[Target, Sequence[Any]]:
        if what == "group":
            labels = [self.inputs.scans.labels[int(k)] for k in ready.kept]
            return ClassTarget.of(labels, len(ready)), labels
        scores = np.asarray(self.inputs.scores)[ready.kept]
        return MeasureTarget.of(scores, len(ready)), scores.tolist()

    def _mapped(self, what: str, values: ArrayLike, ready: Prepared) -> tuple[EffectMap, Power]:
        covariates = self.inputs.covariates[ready.kept]
        how: dict[str, Any] = {
            "covariates": covariates if covariates.shape[1] else None,
            "subjects": ready.subjects,
            "seed": self.settings["seed"],
        }
        if what == "group":
            how["reference"] = self.settings["reference"]
        mapped: Any = group_map if what == "group" else score_map
        count, names = self.settings["permutations"], ready.channel_names
        found = mapped(ready.images, values, channels=names, permutations=count, **how)
        return found, power(ready.images, values, score=what == "score", **how)

    def _fitted(self, target: Target, ready: Prepared, frame: Template, checkpoint: Path) -> Fitted:
        own = Settings()
        told = {name: self.settings[name] for name in ("epochs", "seed")}
        train_config = replace(own.train, verdict=self.settings["cv"], **told)
        prepare_config = PrepareConfig(size=self.settings["size"])
        return fit(
            ready,
            target,
            replace(own, prepare=prepare_config, train=train_config),
            template=frame,
            checkpoint=checkpoint,
            progress=self.progress,
        )


def _save_map(path: Path, made: tuple[EffectMap, Power]) -> None:
    save_map(path, *made)
