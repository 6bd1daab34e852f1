"""A user's own scans: a folder of surface files and a table that says what each one is."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from meshconv.datasets.scan import Population, Scan
from meshconv.errors import BadFormatError, EmptyFileError, FolderError, MissingFileError
from meshconv.io import FORMATS, load

_TRUE, _FALSE = {"1", "true", "yes", "y"}, {"", "0", "false", "no", "n"}


@dataclass(frozen=True)
class Entry:
    """One row of the table."""

    path: Path
    label: str
    subject: str
    mirrored: bool
    name: str


class FolderDataset(Population):
    """The scans that a CSV table names: columns ``file, label`` and, if there, ``subject,
    mirrored``.

    Files are relative to the folder, or absolute; they are read when asked for. Labels may be any
    text but ``nan``; `classes` are those found, sorted (as numbers if all are, and then as text),
    and ``Scan.label`` is the index into them. A subject that is not said is the file: however a row
    spells it, one file is one subject.

    Parameters
    ----------
    folder : str or PathLike
        Where the scans lie.
    table : str or PathLike, optional
        The CSV file; ``labels.csv`` in the folder, or its only ``*.csv``.

    Attributes
    ----------
    entries : tuple of Entry
    classes : tuple of str

    Raises
    ------
    MissingFileError, FolderError
        If the folder, the table or a file in it is not there, or the folder holds no scan at all;
        names the pattern looked for.
    EmptyFileError, BadFormatError
        If the table has no rows, lacks a column, a row lacks its label, or a file is of two
        subjects; names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from meshconv.io import save
    >>> from meshconv.mesh.shapes import face
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> save(folder / "anna.ply", face(300))
    >>> _ = (folder / "labels.csv").write_text("file,label\\nanna.ply,control\\n")
    >>> FolderDataset(folder)[0].name, FolderDataset(folder).classes
    ('anna.ply', ('control',))
    """

    def __init__(
        self, folder: str | PathLike[str], table: str | PathLike[str] | None = None
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise MissingFileError("no such folder", path=self.folder)
        if not any(_is_scan(path) for path in self.folder.rglob("*")):
            raise FolderError(
                "no scans in this folder",
                path=self.folder,
                hint="looked for "
                + ", ".join(f"*.{name}" for name in FORMATS)
                + ", each also as .gz",
            )
        self.table = Path(table) if table is not None else _find_table(self.folder)
        self.entries = tuple(_read_table(self.table, self.folder))
        self.classes = tuple(_sorted({entry.label for entry in self.entries}))
        missing = [entry for entry in self.entries if not entry.path.is_file()]
        if missing:
            raise MissingFileError(
                f"{len(missing)} of {len(self.entries)} files in the table are not there,"
                f" first {missing[0].name}",
                path=self.table,
                indices=[str(entry.path) for entry in missing],
                count=len(missing),
            )

    @property
    def labels(self) -> list[str]:
        """The label of every scan, as it stands in the table."""
        return [entry.label for entry in self.entries]

    @property
    def subjects(self) -> list[str]:
        """The subject of every scan; the file's name where the table names none."""
        return [entry.subject for entry in self.entries]

    def name(self, k: int) -> str:
        """Return the name of scan k without reading it."""
        return self.entries[k].name

    def __len__(self) -> int:
        return len(self.entries)

    def scan(self, k: int) -> Scan:
        """Read scan k."""
        entry = self.entries[k]
        label = self.classes.index(entry.label)
        return Scan(load(entry.path), label, self.name(k), entry.subject, entry.mirrored)


def _is_scan(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return path.is_file() and name.rpartition(".")[2] in FORMATS


def _find_table(folder: Path) -> Path:
    if (folder / "labels.csv").is_file():
        return folder / "labels.csv"
    tables = sorted(folder.glob("*.csv"))
    if len(tables) != 1:
        found = "none" if not tables else ", ".join(path.name for path in tables)
        raise MissingFileError(
            f"needs labels.csv or exactly one *.csv, found {found}",
            path=folder,
            hint="columns: file, label[, subject][, mirrored]",
        )
    return tables[0]


def _read_table(table: Path, folder: Path) -> Iterator[Entry]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except FileNotFoundError as error:
        raise MissingFileError("no such table", path=table) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFormatError(f"not a CSV table in UTF-8 ({error})", path=table) from error
    if not rows:
        raise EmptyFileError(
            "the table has no rows", path=table, hint="columns: file, label[, subject][, mirrored]"
        )
    lacking = [name for name in ("file", "label") if name not in rows[0]]
    if lacking:
        found = ", ".join(str(name) for name in rows[0])
        raise BadFormatError(
            f"the table lacks the column {' and '.join(lacking)}; it has {found}",
            path=table,
            line=1,
        )
    whose: dict[Path, tuple[str, int]] = {}  # of each file, its subject and the line that says so
    for line, row in enumerate(rows, start=2):
        cells = {
            key: (value or "").strip()
            for key, value in row.items()
            if isinstance(value, str | None)
        }
        if not cells["file"] or not cells["label"]:
            raise BadFormatError("a row without a file or without a label", path=table, line=line)
        if _is_nan(cells["label"]):
            raise BadFormatError(
                f"Input y contains NaN: the label of {cells['file']} is {cells['label']!r}",
                path=table,
                line=line,
                hint="say what the scan is, or leave its row out",
            )
        path = folder / cells["file"]
        name = _name(path, folder)
        known, before = whose.setdefault(path.resolve(), (cells.get("subject") or name, line))
        subject = cells.get("subject") or known
        if subject != known:
            raise BadFormatError(
                f"{name} is of subject {subject!r}, in line {before} of {known!r}",
                path=table,
                line=line,
            )
        yield Entry(
            path, cells["label"], subject, _flag(cells.get("mirrored", ""), table, line), name
        )


def _name(path: Path, folder: Path) -> str:
    """Return the path within the folder without detours; of a scan that lies elsewhere, the whole
    path.
    """
    there, base = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return str(there.relative_to(base) if there.is_relative_to(base) else there)


def _flag(text: str, table: Path, line: int) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise BadFormatError(f"mirrored must be yes or no, found {text!r}", path=table, line=line)
    return text.lower() in _TRUE


def _is_nan(label: str) -> bool:
    try:
        return math.isnan(float(label))
    except ValueError:
        return False


def _sorted(labels: Iterable[str]) -> list[str]:
    """Return labels as numbers if all are, else as text; equal numbers (1, 1.0) as text, so that
    the order is one.
    """
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
