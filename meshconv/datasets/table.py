"""Tables as people write them: by hand or with a spreadsheet, in any usual encoding."""

from __future__ import annotations

import contextlib
import csv
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from meshconv.errors import (
    AccessError,
    BadFormatError,
    EmptyFileError,
    FolderError,
    MeshConvError,
    MissingDependencyError,
    MissingFileError,
    SecurityError,
)
from meshconv.io.decompress import FREE_SIZE

_EXCEL, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MARKS = (  # the longest first: UTF-32's begins with UTF-16's
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SEPARATORS = (",", ";", "\t")
_MOST_UNPACKED, _MOST_COLUMNS = 20, 1000  # times the size of a workbook; of a sheet
_Lines = list[tuple[int, tuple[str, ...]]]  # line in the file, cells
_EXPORT = "save it as CSV UTF-8 (in Excel: File, Save As)"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its line in the file, and its cells, as many as the table has columns."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts, blanks around them left out, accents in one spelling (NFC).

    Attributes
    ----------
    path : Path
    columns : tuple of str
        As the first row that is not empty has them.
    line : int
        Where that row is.
    rows : tuple of Row
        Without empty ones.
    """

    path: Path
    columns: tuple[str, ...]
    line: int
    rows: tuple[Row, ...]

    def column(self, name: str) -> int | None:
        """Return which column has this name, case and blanks apart; None if there is none.

        Raises
        ------
        BadFormatError
            If there are two.
        """
        found = [k for k, one in enumerate(self.columns) if _spelled(one) == _spelled(name)]
        if len(found) > 1:
            raise BadFormatError(
                f"{len(found)} columns are called {name!r}", path=self.path, line=self.line
            )
        return found[0] if found else None


def read_table(path: Path, names: Sequence[str]) -> Table:
    """Return the table in a CSV or .xlsx file.

    Parameters
    ----------
    path : Path
        Separated by commas, semicolons or tabs; UTF-8, UTF-16, UTF-32 or, where it is none of
        these, Windows' Latin-1. Of an Excel workbook the first sheet that has the columns.
    names : sequence of str
        Of columns that tell which separator, and which sheet, is meant.

    Raises
    ------
    MissingFileError, FolderError, AccessError
        If there is no such file, or it may not be read.
    SecurityError
        If it is a workbook that unfolds to far more than its size.
    EmptyFileError, BadFormatError
        If it has no rows, is another kind of file, or a row has cells beyond the last column.
    MissingDependencyError
        If it is an Excel workbook, and openpyxl is not installed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError("no such table", path=path) from error
    except IsADirectoryError as error:
        raise FolderError("a folder, not a table", path=path) from error
    except OSError as error:
        raise AccessError(f"cannot read the table: {error.strerror}", path=path) from error
    if data.startswith(_OLD_EXCEL):
        raise BadFormatError("an Excel workbook of before 2007", path=path, hint=_EXPORT)
    versions = _sheets(path, data) if data.startswith(_EXCEL) else _separated(path, data, names)
    best = max(versions, key=lambda lines: _heard(lines, names))
    if len(best) < 2:
        raise EmptyFileError("the table has no rows", path=path)
    (line, columns), *rest = best
    width = max(k + 1 for k, name in enumerate(columns) if name)
    return Table(path, columns[:width], line, tuple(_row(path, width, *one) for one in rest))


def _heard(lines: _Lines, names: Sequence[str]) -> tuple[int, int]:
    """How many of the columns are found if the table is read this way, and how many there are."""
    columns = {_spelled(one) for one in lines[0][1]} if lines else set()
    return sum(_spelled(name) in columns for name in names), len(columns)


def _spelled(name: str) -> str:
    return " ".join(name.split()).casefold()


def _decoded(path: Path, data: bytes) -> str:
    coding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if coding is None and len(data) > 1 and data[1::2].count(0) > len(data) / 4:
        coding = "utf-16-le"
    elif coding is None and data[::2].count(0) > len(data) / 4:
        coding = "utf-16-be"
    try:
        text = data.decode(coding or "utf-8")
    except UnicodeDecodeError as error:
        if coding is not None:
            raise BadFormatError(f"not text in {coding} ({error})", path=path) from error
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if "\0" in text:
        raise BadFormatError("not a table of text: it holds zero bytes", path=path, hint=_EXPORT)
    return text


def _separated(path: Path, data: bytes, names: Sequence[str]) -> list[_Lines]:
    """Return the rows by the separator whose first row has most of the columns `names`.

    A separator that makes no table, as of a quote that is not closed, may be the one that was
    meant, unless another makes the columns `names` of it.
    """
    text, failure = _decoded(path, data), None

    def heard_first(separator: str) -> tuple[int, int]:
        with contextlib.suppress(csv.Error):
            return _heard(list(islice(_tidy(_csv_lines(text, separator)), 1)), names)
        return -1, -1

    for separator in sorted(_SEPARATORS, key=heard_first, reverse=True):
        try:
            lines = list(_tidy(_csv_lines(text, separator)))
        except csv.Error as error:
            failure = failure or error
            continue
        if failure is None or _heard(lines, names)[0]:
            return [lines]
    raise BadFormatError(f"not a CSV table ({failure})", path=path) from failure


def _csv_lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells); Excel's own first line ``sep=;`` is no row."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    line = 1
    for cells in reader:
        if not (line == 1 and cells and cells[0].lower().startswith("sep=")):
            yield line, cells
        line = reader.line_num + 1


def _sheets(path: Path, data: bytes) -> list[_Lines]:
    """Return the rows of each sheet of an Excel workbook."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: an Excel workbook needs openpyxl",
            hint=f"pip install 'meshconv[excel]', or {_EXPORT}",
        ) from error
    try:
        _check_unpacked(path, data)
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        return [list(_tidy(_sheet_lines(path, sheet))) for sheet in book.worksheets]
    except MeshConvError:
        raise
    except (
        AttributeError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise BadFormatError(
            f"not an Excel workbook that openpyxl reads ({error})", path=path, hint=_EXPORT
        ) from error


def _check_unpacked(path: Path, data: bytes) -> None:
    """Refuse a workbook that unfolds to far more than its size: no part is read beyond what the
    archive's directory says.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > max(FREE_SIZE, _MOST_UNPACKED * len(data)):
        raise SecurityError(
            f"{len(data)} bytes of a workbook decompress to {total}", path=path, hint=_EXPORT
        )


def _sheet_lines(path: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    for k, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        width = next((n for n in range(len(row), 0, -1) if row[n - 1] is not None), 0)
        if width > _MOST_COLUMNS:
            raise BadFormatError(
                f"row {k} reaches to column {width}, a table has at most {_MOST_COLUMNS}",
                path=path,
                hint="delete what stands beside the table, or " + _EXPORT,
            )
        yield k, [_cell(one) for one in row[:width]]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _tidy(lines: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the rows that are not empty, no blanks around their cells, accents as one letter."""
    for line, cells in lines:
        tidy = tuple(unicodedata.normalize("NFC", cell.strip()) for cell in cells)
        if any(tidy):
            yield line, tidy


def _row(path: Path, width: int, line: int, cells: tuple[str, ...]) -> Row:
    if any(cells[width:]):
        raise BadFormatError(
            f"{len(cells)} cells under {width} columns: {', '.join(map(repr, cells[:6]))}",
            path=path,
            line=line,
            hint="put a cell that holds the separator in quotes",
        )
    return Row(line, (cells + ("",) * width)[:width])
