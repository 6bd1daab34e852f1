"""`StudyResult`: what a study found, in words, in numbers and on the surface."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from meshconv._check import FloatArray
from meshconv.io.atomic import write_bytes_atomic
from meshconv.io.write import save
from meshconv.registration.frame import Frame
from meshconv.resample.resampler import Resampler
from meshconv.stats.effect_map import EffectMap
from meshconv.stats.power import Power
from meshconv.train.checkpoint import read_checkpoint, write_checkpoint
from meshconv.train.fitted import Fitted
from meshconv.train.prepared import Prepared

Registration = tuple[str, str, str]  # name, score, doubts


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of the groups, or of the score.

    Attributes
    ----------
    what : {'group', 'score'}
    column : str
        Of the table.
    map : EffectMap
    power : Power
    fitted : Fitted
        The classifier or the regressor; its quality is out of fold, by subject.
    values : sequence of n
        Label or score of each scan.
    """

    what: str
    column: str
    map: EffectMap
    power: Power
    fitted: Fitted
    values: Sequence[Any]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes
    ----------
    frame : Template
    ready : Prepared
        The scans in the frame, and those left out.
    registration : tuple of (name, score, doubts)
    found : tuple of Found
        Of the groups, of the score.
    area : (N, N) float64
        Of the surface that each pixel stands for.
    covariates_alone : float or None
        AUC with which the covariates alone tell two groups apart, out of fold.
    out : Path
        The folder of its files.
    """

    frame: Frame
    ready: Prepared
    registration: tuple[Registration, ...]
    found: tuple[Found, ...]
    area: FloatArray
    covariates_alone: float | None
    out: Path

    @property
    def answer(self) -> list[str]:
        """What was found, a sentence each: how sure, where, how many."""
        lines = [line for one in self.found for line in self._said(one)]
        n, whom = len(self.ready), {*self.ready.subjects}
        lines.append(
            f"{n} scans of {len(whom)} subjects; {len(self.ready.skipped)} left out,"
            f" {sum(bool(doubts) for *_, doubts in self.registration)} to be looked at."
        )
        if self.covariates_alone is not None:
            lines.append(
                f"The covariates alone tell the groups apart with AUC {self.covariates_alone:.2f};"
                " the map is adjusted for them, the classifier is not."
            )
        return lines

    def _said(self, one: Found) -> list[str]:
        quality = one.fitted.quality
        network = "The classifier" if one.what == "group" else "The regressor"
        sure = "was not measured: too few subjects" if quality is None else f"is {quality}"
        where = f"{one.column}: {one.map.described(self.area)}."
        return [f"{network} of {one.column} {sure}.", where, f"Power: {one.power}."]

    def __str__(self) -> str:
        return "\n".join(self.answer)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        found = {}
        for one in self.found:
            quality = one.fitted.quality
            found[one.what] = {
                "column": one.column,
                "quality": None if quality is None else quality.as_dict(),
                "verdict": None if quality is None else quality.verdict,
                "map": {
                    "said": str(one.map),
                    "smallest_p": float(np.nanmin(one.map.p)),
                    "significant_share_of_area": one.map.share(area=self.area),
                    "smoothness": one.map.smoothness,
                    "components": one.map.components,
                },
                "power": one.power.as_dict(),
            }
        return {
            "answer": self.answer,
            "n": len(self.ready),
            "subjects": len({*self.ready.subjects}),
            "skipped": [[one.name, one.reason] for one in self.ready.skipped],
            "covariates_alone": self.covariates_alone,
            **found,
        }

    def write(self) -> None:
        """Write ``results.json``, ``predictions.csv``, ``registration.csv`` and a map on the mean
        surface, ``group_map.vtp``, to its folder.
        """
        text = json.dumps(self.as_dict(), indent=2) + "\n"
        write_bytes_atomic(self.out / "results.json", text.encode(), overwrite=True)
        write_csv(self.out / "predictions.csv", self._predictions())
        for one in self.found:
            fields_of = map_fields(one.map, self.frame)
            save(self.out / f"{one.what}_map.vtp", self.frame.surface, vertex_fields=fields_of)

    def _predictions(self) -> list[list[str]]:
        columns: dict[str, Sequence[Any]] = {
            "scan": self.ready.names,
            "subject": self.ready.subjects,
        }
        for one in self.found:
            quality, classes = one.fitted.quality, one.fitted.classes
            columns[one.column] = one.values
            if quality is None:
                continue
            if hasattr(quality, "probabilities"):
                shares = quality.probabilities
                columns[f"predicted {one.column}"] = classes[shares.argmax(axis=1)].tolist()
                for name, share in zip(classes.tolist(), shares.T, strict=True):
                    columns[f"p({name})"] = [f"{p:.4f}" for p in share]
            else:
                columns[f"predicted {one.column}"] = [f"{v:.6g}" for v in quality.predicted[:, 0]]
        rows = zip(*columns.values(), strict=True)
        return [list(columns), *([str(cell) for cell in row] for row in rows)]


def map_fields(found: EffectMap, frame: Frame) -> dict[str, FloatArray]:
    """Return a map on the vertices of the frame: effect, p, where it is significant; 0 and p 1
    where too few scans reach.
    """
    to_vertices = Resampler(frame.parameterization, len(found.p)).to_vertices
    return {
        "millimetres": to_vertices(np.nan_to_num(found.millimetres)),
        "local_millimetres": to_vertices(np.nan_to_num(found.local)),
        "p": to_vertices(np.nan_to_num(found.p, nan=1.0)),
        "significant": to_vertices(1.0 * found.significant()),
        "statistic": to_vertices(np.nan_to_num(found.statistic)),
    }


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write rows as CSV, UTF-8."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    data = buffer.getvalue().encode("utf-8", "backslashreplace")
    write_bytes_atomic(path, data, overwrite=True)


def read_csv(path: Path) -> list[list[str]]:
    """Return the rows that `write_csv` wrote."""
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def save_map(path: Path, found: EffectMap, power: Power) -> None:
    """Write a map and its power to one file."""
    values = {one.name: getattr(found, one.name) for one in fields(found)}
    arrays = {f"image.{k}": v for k, v in values.items() if isinstance(v, np.ndarray)}
    head = {k: v for k, v in values.items() if not isinstance(v, np.ndarray)}
    write_checkpoint(path, arrays, {"map": head, "power": power.as_dict()})


def load_map(path: Path) -> tuple[EffectMap, Power]:
    """Return what `save_map` wrote."""
    arrays, head = read_checkpoint(path)
    images: dict[str, Any] = {k.removeprefix("image."): array for k, array in arrays.items()}
    return EffectMap(**images, **head["map"]), Power.of(head["power"])
