"""Tables made to fill memory are refused, or read in little."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from meshconv.datasets.table import read_table
from meshconv.errors import BadFormatError, SecurityError

_NAMES = ("file", "label")


def _workbook(rows: list[list[object]], *, filler: bytes = b"") -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(out) as before,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for member in before.infolist():
            text = before.read(member)
            if member.filename.endswith("sheet1.xml"):
                text = text.replace(b"</sheetData>", filler + b"</sheetData>")
            after.writestr(member.filename, text)
    return packed.getvalue()


@pytest.mark.parametrize("filler", [b" ", b"<row/>", b"<row><c><v>1</v></c></row>"])
def test_a_workbook_that_unfolds_to_far_more_than_its_size(tmp_path: Path, filler: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(_workbook([["file", "label"], ["a.ply", "a"]], filler=filler * 20))
    assert read_table(path, _NAMES).rows[0].cells == ("a.ply", "a")
    path.write_bytes(_workbook([["file", "label"]], filler=filler * (10_000_000 // len(filler))))
    with pytest.raises(SecurityError, match="decompress to") as caught:
        read_table(path, _NAMES)
    assert caught.value.path == str(path)


def test_a_workbook_whose_cells_are_far_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    far = [["file", "label"], ["a.ply", "a"], [*[None] * 16_000, 1]]
    path.write_bytes(_workbook(far))
    with pytest.raises(BadFormatError, match="row 3 reaches to column 16001") as caught:
        read_table(path, _NAMES)
    assert caught.value.path == str(path)


def test_many_rows_are_read_in_little_memory(tmp_path: Path) -> None:
    """Once, not for every separator that they might have; empty ones are not kept."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"file,label\n" + b"\n" * 50_000 + b"a,b\n" * 20_000)
    tracemalloc.start()
    try:
        table = read_table(path, _NAMES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table.rows) == 20_000 and table.rows[0].line == 50_002
    assert peak < 10e6
