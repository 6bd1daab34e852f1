"""What a study is made of: scans, and what its table says of each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from meshconv._check import FloatArray, one_of
from meshconv.datasets.entries import number, refuse_rows
from meshconv.datasets.folder import FolderDataset
from meshconv.datasets.table import read_table
from meshconv.errors import ArgumentError, BadFormatError
from meshconv.stats.folds import grouped_folds, rarest
from meshconv.stats.linear_model import LinearModel
from meshconv.stats.metrics import roc_auc
from meshconv.stats.targets import targets
from meshconv.train.prepared import Prepared

_REFERENCES = {"control", "controls", "healthy", "normal", "well", "hc", "ctrl", "no", "none"}


@dataclass(frozen=True, eq=False)
class Inputs:
    """Scans and their table.

    Attributes
    ----------
    scans : FolderDataset
    scores : (n,) float64 or None
        Numbers of the column that was named as the score.
    covariates : (n, Z) float64
        A column of numbers each, of a column of texts one for each text but the first: 1 or 0.
    covariate_names : tuple of Z str
    digest : str
        SHA-256 of the table and of every scan's file.
    """

    scans: FolderDataset
    scores: FloatArray | None
    covariates: FloatArray
    covariate_names: tuple[str, ...]
    digest: str

    def reference(self, named: str | None = None) -> str:
        """Return the group that others are compared with: as named, as its name says, or the first.

        Raises
        ------
        ArgumentError
            If there is no such group.
        """
        groups = self.scans.classes
        if named is not None:
            return one_of(named, groups, "reference")
        return next((name for name in groups if name.casefold() in _REFERENCES), groups[0])

    @classmethod
    def read(
        cls,
        folder: str | PathLike[str],
        table: str | PathLike[str] | None,
        *,
        group: str | None,
        score: str | None,
        covariates: Sequence[str] = (),
        file_column: str = "file",
        subject_column: str = "subject",
        on_error: str = "raise",
    ) -> Inputs:
        """Return the inputs of a study.

        Raises
        ------
        ArgumentError
            If neither a group nor a score is named, or covariates say all that one of them says.
        BadFormatError
            If a column is not there, or rows lack a value in it; names the lines.
        MeshConvError
            As `FolderDataset`.
        """
        label = group or score
        if label is None:
            raise ArgumentError("a study needs a group or a score", hint="group= (--group), score=")
        columns = {"file_column": file_column, "subject_column": subject_column}
        scans = FolderDataset(folder, table, label_column=label, **columns, on_error=on_error)
        if group is not None:
            scans.check_classes()
        texts = _columns(scans, [*([] if score is None else [score]), *covariates])
        scores = None if score is None else _numbers(scans, score, texts[score])
        parts = [_covariate(scans, name, texts[name]) for name in covariates]
        by_name = {name: part for name, (_, part) in zip(covariates, parts, strict=True)}
        if group is not None:
            kinds = np.unique(scans.labels, return_inverse=True)[1]
            _refuse_confounded(group, kinds, by_name)
        if scores is not None:
            _refuse_confounded(str(score), scores, by_name)
        table_of = np.hstack([np.zeros((len(scans), 0)), *(part for _, part in parts)])
        names = tuple(name for own, _ in parts for name in own)
        return cls(scans, scores, table_of, names, _digest(scans))


def _columns(scans: FolderDataset, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of columns, in the order of the scans."""
    table = read_table(scans.table, names)
    rows = {row.line: row.cells for row in table.rows}
    found = {}
    for name in names:
        place = table.column(name)
        if place is None:
            raise BadFormatError(
                f"the table lacks the column {name}; it has {', '.join(table.columns)}",
                path=table.path,
                line=table.line,
            )
        found[name] = [rows[entry.line][place] for entry in scans.entries]
        lacking = [
            entry.line for entry, cell in zip(scans.entries, found[name], strict=True) if not cell
        ]
        _refuse(scans, lacking, f"without a value of {name}")
    return found


def _refuse(scans: FolderDataset, lines: list[int], what: str) -> None:
    refuse_rows(scans.table, len(scans), lines, what, "fill it in, or leave these rows out")


def _numbers(scans: FolderDataset, name: str, cells: list[str]) -> FloatArray:
    values = np.array([_finite(cell) for cell in cells])
    bad = np.flatnonzero(np.isnan(values))
    lines = [scans.entries[int(k)].line for k in bad]
    _refuse(scans, lines, f"whose {name} is no number ({cells[bad[0]]!r})" if len(bad) else "")
    return values


def _finite(cell: str) -> float:
    value = number(cell)
    return value if value is not None and np.isfinite(value) else float("nan")


def _covariate(
    scans: FolderDataset, name: str, cells: list[str]
) -> tuple[tuple[str, ...], FloatArray]:
    """Return names and columns: one of numbers, or indicators of texts."""
    kinds = sorted({cell for cell in cells if number(cell) is None})
    if not kinds or len(kinds) < len({*cells}):
        return (name,), _numbers(scans, name, cells)[:, None]
    columns = [[float(cell == kind) for cell in cells] for kind in kinds[1:]]
    return tuple(f"{name}={kind}" for kind in kinds[1:]), np.array(columns).reshape(
        -1, len(cells)
    ).T


def _refuse_confounded(name: str, values: Any, covariates: dict[str, FloatArray]) -> None:
    """Refuse covariates beside which nothing is left of the groups or the score."""
    if not covariates or len({*values.tolist()}) < 2:
        return
    columns = targets(values)[0].columns

    def says_all(parts: Sequence[FloatArray]) -> bool:
        try:
            LinearModel.of(columns, np.hstack(parts))
        except ArgumentError:
            return True
        return False

    guilty = [one for one, part in covariates.items() if says_all([part])]
    if guilty or says_all([*covariates.values()]):
        who = guilty or list(covariates)
        raise ArgumentError(
            f"{' and '.join(who)} say{'s' * (len(who) == 1)} all that {name} says: whatever differs"
            f" between the groups may come from either",
            hint=f"leave {who[0]} out of the covariates, or compare groups alike in it",
        )


def _digest(scans: FolderDataset) -> str:
    total: Any = hashlib.sha256(scans.table.read_bytes())
    for entry in scans.entries:
        if entry.path.is_file():  # else it is left out, and named
            with entry.path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return str(total.hexdigest())


def covariates_alone(inputs: Inputs, ready: Prepared, folds: int) -> float | None:
    """Return the AUC with which the covariates alone tell two groups apart, out of fold; None if
    there are none, or not two groups.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = inputs.covariates[ready.kept]
    labels = np.array([inputs.scans.labels[int(k)] for k in ready.kept])
    classes, index = np.unique(labels, return_inverse=True)
    count = min(folds, rarest(index, ready.subjects)[0])
    if len(classes) != 2 or table.shape[1] == 0 or count < 2:
        return None
    odds = np.zeros(len(index))
    for rows, held in grouped_folds(index, ready.subjects, folds=count):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        odds[held] = model.fit(table[rows], index[rows]).predict_proba(table[held])[:, 1]
    return roc_auc(index == 1, odds)
