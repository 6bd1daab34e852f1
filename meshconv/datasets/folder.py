"""A user's own scans: a folder of surface files and a table that says what each one is."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from meshconv._check import one_of
from meshconv.datasets.entries import entries_of, hear_columns, number
from meshconv.datasets.scan import Population, Scan
from meshconv.datasets.table import read_table
from meshconv.errors import BadFormatError, FolderError, MeshConvWarning, MissingFileError
from meshconv.io.read import FORMATS, load

_TABLES = ("csv", "tsv", "xlsx")


class FolderDataset(Population):
    """The scans that a table names: columns ``file, label`` and, if there, ``subject, mirrored``.

    Files are relative to the folder, or absolute; they are read when asked for. Labels may be any
    text but ``NA`` and its like; `classes` are those found, sorted (as numbers if all are, and then
    as text), and ``Scan.label`` is the index into them. A subject that is not said is the file.
    Names of columns are heard whatever their case and the blanks around them; accents are one,
    however a system spells them.

    Parameters
    ----------
    folder : str or PathLike
        Where the scans lie.
    table : str or PathLike, optional
        A table as `meshconv.datasets.table.read_table` reads it: CSV (commas, semicolons or tabs),
        or an Excel workbook; a relative path is looked for here, then in the folder. Without one,
        ``labels.csv`` (.tsv, .xlsx) in the folder, or its only table.
    file_column, label_column, subject_column : str
        What these columns are called.
    on_error : {'raise', 'skip'}
        What a file that the table names and that is not there leads to: with ``skip`` it stays a
        scan that cannot be read, which `prepare` and `fit` leave out, and name, if they are told
        to skip such.

    Attributes
    ----------
    entries : tuple of Entry
    classes : tuple of str

    Raises
    ------
    MissingFileError, FolderError
        If the folder, the table or files in it are not there, or the folder holds no scan at all;
        names the pattern looked for, and every file.
    EmptyFileError, BadFormatError
        If the table has no rows, lacks a column or has it twice, rows lack a file or a label, or
        name a file again; names the lines.

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
        self,
        folder: str | PathLike[str],
        table: str | PathLike[str] | None = None,
        *,
        file_column: str = "file",
        label_column: str = "label",
        subject_column: str = "subject",
        on_error: str = "raise",
    ) -> None:
        one_of(on_error, ("raise", "skip"), "on_error")
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
        self.table = _find_table(self.folder) if table is None else _named(self.folder, table)
        found = read_table(self.table, (file_column, label_column, subject_column, "mirrored"))
        columns = hear_columns(found, file_column, label_column, subject_column)
        missing = on_error == "skip"
        self.entries = tuple(entries_of(found, columns, self.folder, missing=missing))
        self.classes = tuple(_sorted({entry.label for entry in self.entries}))
        _warn_of_case(self.table, self.classes)

    def check_classes(self) -> None:
        """Refuse labels that are a measure, not classes.

        Raises
        ------
        BadFormatError
            If they are numbers, not all of them whole, and hardly any comes twice.
        """
        values = [number(entry.label) for entry in self.entries]
        broken = [k for k, value in enumerate(values) if value is None or value % 1 != 0]
        if None in values or not broken or len(set(values)) < 0.8 * len(values):
            return
        first = self.entries[broken[0]]
        raise BadFormatError(
            f"Unknown label type: continuous. The label of {first.name} is {first.label!r}, and"
            f" {len(set(values))} of {len(values)} labels differ: a measure, not classes",
            path=self.table,
            line=first.line,
            indices=[entry.line for entry in self.entries],
            count=len(values),
            hint="name the classes, such as 'low' and 'high'",
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


def _named(folder: Path, table: str | PathLike[str]) -> Path:
    """Return the table of this path; if it is not there, the one of this name in the folder."""
    path = Path(table)
    return path if path.exists() or not (folder / path).exists() else folder / path


def _find_table(folder: Path) -> Path:
    tables = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower().lstrip(".") in _TABLES and not path.name.startswith(("~$", "."))
    )
    named = [path for path in tables if path.stem.lower() == "labels"]
    chosen = named if len(named) == 1 else tables
    if len(chosen) != 1:
        found = "none" if not tables else ", ".join(path.name for path in tables)
        raise MissingFileError(
            "needs labels.csv or exactly one "
            + ", ".join(f"*.{kind}" for kind in _TABLES)
            + f", found {found}",
            path=folder,
            hint="columns: file, label[, subject][, mirrored]",
        )
    return chosen[0]


def _warn_of_case(table: Path, classes: Sequence[str]) -> None:
    alike: dict[str | float, list[str]] = defaultdict(list)
    for name in classes:
        value = number(name)
        alike[" ".join(name.split()).casefold() if value is None else value].append(name)
    for names in alike.values():
        if len(names) > 1:
            warnings.warn(
                f"{table}: {' and '.join(map(repr, names))} are taken for {len(names)} classes",
                MeshConvWarning,
                stacklevel=3,
            )


def _sorted(labels: Iterable[str]) -> list[str]:
    """Return labels as numbers if all are, else as text; equal numbers (1, 1.0) as text, so that
    the order is one.
    """
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
