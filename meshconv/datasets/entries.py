"""What the rows of a study's table say; every line that says nothing is named."""

from __future__ import annotations

import math
import os
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshconv.datasets.table import Row, Table
from meshconv.errors import BadFormatError, MeshConvWarning, MissingFileError

_TRUE, _FALSE = {"1", "true", "yes", "y"}, {"", "0", "false", "no", "n"}
_UNKNOWN = {"na", "n/a", "<na>", "null", "#n/a", "#value!", "#ref!", "#name?", "#div/0!"}
_UNKNOWN |= {"n.a.", "#na", "#num!", "#null!", "#spill!", "#calc!"}
_LISTED = 10  # lines or names in a message; the rest is counted
_NAME_ONE = "say what the scan is, or leave its row out"


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    path: Path
    label: str
    subject: str
    mirrored: bool
    name: str
    line: int


@dataclass(frozen=True)
class Columns:
    """Which columns are heard; None for those that are not there."""

    file: int | None
    label: int | None
    subject: int | None
    mirrored: int | None

    def cell(self, row: Row, name: str) -> str:
        """Return what a row has in a column; '' where there is none."""
        place = getattr(self, name)
        return "" if place is None else row.cells[place]


def hear_columns(table: Table, file: str, label: str, subject: str) -> Columns:
    """Return the columns of these names; warn of one that seems to be the subject and is not.

    Raises
    ------
    BadFormatError
        If one that is needed is not there, or is there twice.
    """
    places = {name: table.column(name) for name in (file, label, subject, "mirrored")}
    needed = [file, label, *([] if subject == "subject" else [subject])]
    lacking = [name for name in needed if places[name] is None]
    if lacking:
        raise BadFormatError(
            f"the table lacks the column {' and '.join(lacking)}; it has"
            f" {', '.join(table.columns)}",
            path=table.path,
            line=table.line,
            hint="file_column, label_column and subject_column (--file-column, ...) name others",
        )
    if places[subject] is None:
        _warn_of_subjects(table)
    return Columns(places[file], places[label], places[subject], places["mirrored"])


def _warn_of_subjects(table: Table) -> None:
    """A column that says whom a scan is of, and is not heard, makes test figures flatter."""
    words = ("subject", "patient", "participant", "person")
    alike = [name for name in table.columns if any(word in name.casefold() for word in words)]
    if alike:
        warnings.warn(
            f"{table.path}: the column {alike[0]!r} is not heard, every file is taken for another"
            f" subject; subject_column={alike[0]!r} (--subject-column) hears it",
            MeshConvWarning,
            stacklevel=4,
        )


def entries_of(
    table: Table, columns: Columns, folder: Path, *, missing: bool = False
) -> list[Entry]:
    """Return the rows as entries; those of files that are not there too if `missing`, as long as
    one file is there.

    Raises
    ------
    BadFormatError, MissingFileError
        If rows lack a file or a label, or name one that is not there or was named before; names
        every such line.
    """
    file, label, subject, flag = (
        {row.line: columns.cell(row, name) for row in table.rows}
        for name in ("file", "label", "subject", "mirrored")
    )
    _refuse(table, (line for line in file if not file[line]), "without a file", _NAME_ONE)
    _refuse(table, (line for line in file if not label[line]), "without a label", _NAME_ONE)
    unknown = [line for line in file if _is_unknown(label[line])]
    found = label[unknown[0]] if unknown else ""
    _refuse(table, unknown, f"with the label {found!r} (Input y contains NaN)", _NAME_ONE)
    unknown = [line for line in file if _is_unknown(subject[line])]
    _refuse(table, unknown, "whose subject is not known", "leave the cell empty")
    wrong = [line for line in file if flag[line].lower() not in _TRUE | _FALSE]
    found = flag[wrong[0]] if wrong else ""
    _refuse(table, wrong, f"where mirrored must be yes or no, found {found!r}", "yes or no")
    paths = {line: _located(folder / name) for line, name in file.items()}
    _refuse_missing(table, folder, paths, missing)
    _refuse_again(table, folder, paths)
    names = {line: _name(path, folder) for line, path in paths.items()}
    return [
        Entry(path, label[k], subject[k] or names[k], flag[k].lower() in _TRUE, names[k], k)
        for k, path in paths.items()
    ]


def _refuse(table: Table, found: Iterable[int], what: str, hint: str) -> None:
    refuse_rows(table.path, len(table.rows), found, what, hint)


def refuse_rows(path: Path, rows: int, found: Iterable[int], what: str, hint: str) -> None:
    """Refuse a table for lines that were found.

    Raises
    ------
    BadFormatError
        If there are such lines; says how many of how many rows, what they are, and names them.
    """
    lines = list(found)
    if lines:
        raise BadFormatError(
            f"{len(lines)} of {rows} rows {what}: {_lines(lines)}",
            path=path,
            line=lines[0],
            indices=lines,
            count=len(lines),
            hint=hint,
        )


def _lines(lines: Sequence[int]) -> str:
    return f"line{'s' if len(lines) > 1 else ''} {_listed(lines)}"


def _listed(items: Sequence[object]) -> str:
    more = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(map(str, items[:_LISTED])) + more


def _refuse_missing(table: Table, folder: Path, paths: dict[int, Path], some: bool) -> None:
    missing = [line for line, path in paths.items() if not os.path.isfile(path)]
    if missing and not (some and len(missing) < len(paths)):
        names = [f"{_name(paths[line], folder)} (line {line})" for line in missing]
        raise MissingFileError(
            f"{len(missing)} of {len(paths)} files in the table are not there: {_listed(names)}",
            path=table.path,
            indices=[str(paths[line]) for line in missing],
            count=len(missing),
        )


def _refuse_again(table: Table, folder: Path, paths: dict[int, Path]) -> None:
    same: dict[str, list[int]] = defaultdict(list)
    for line, path in paths.items():
        same[unicodedata.normalize("NFC", str(path.resolve()))].append(line)
    for lines in same.values():
        if len(lines) > 1:
            name = _name(paths[lines[0]], folder)
            raise BadFormatError(
                f"{name} is listed {len(lines)} times: {_lines(lines)}",
                path=table.path,
                line=lines[1],
                indices=lines,
                count=len(lines),
                hint="a scan has one row",
            )


def _located(path: Path) -> Path:
    """Return the file of this name, however its accents and, from Windows, its folders are
    written; the path itself if there is none.
    """
    for one in (path, Path(str(path).replace("\\", "/"))):
        places = [Path(one.anchor)]
        for part in one.parts[len(places[0].parts) :]:
            places = [child for place in places for child in _children(place, part)]
        for place in places:
            if os.path.isfile(place):
                return place
    return path


def _children(folder: Path, name: str) -> list[Path]:
    """Return what is called so in a folder, in this spelling or another."""
    exact = [folder / name] if os.path.exists(folder / name) else []
    if name.isascii() or not os.path.isdir(folder):
        return exact
    plain = unicodedata.normalize("NFC", name)
    alike = [one for one in folder.iterdir() if unicodedata.normalize("NFC", one.name) == plain]
    return exact + [one for one in alike if one not in exact]


def _name(path: Path, folder: Path) -> str:
    """Return the path within the folder without detours; of a scan that lies elsewhere, the whole
    path.
    """
    there, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return str(there.relative_to(base) if there.is_relative_to(base) else there)


def _is_unknown(text: str) -> bool:
    value = number(text)
    return text.casefold() in _UNKNOWN or (value is not None and math.isnan(value))


def number(text: str) -> float | None:
    """Return what a text says as a number, also with a decimal comma; None if it is none."""
    try:
        return float(text.replace(",", ".", 1))
    except ValueError:
        return None
