import sys
import unicodedata
from itertools import permutations

import pytest

from meshconv.datasets.folder import FolderDataset, _sorted
from meshconv.errors import (
    BadFormatError,
    EmptyFileError,
    FolderError,
    MeshConvWarning,
    MissingDependencyError,
    MissingFileError,
)
from meshconv.io import save
from meshconv.mesh.shapes import disk


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "left").mkdir()
    for name in ("a.ply", "b.obj", "left/c.stl"):
        save(tmp_path / name, disk(3))
    return tmp_path


def _table(folder, text, name="labels.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_table_becomes_scans(folder):
    _table(
        folder,
        "\ufefffile, label,subject,mirrored\na.ply,10,ann,\nb.obj,9,ann,yes\nleft/c.stl,10,bob,0\n",
    )
    data = FolderDataset(folder)
    assert data.classes == ("9", "10")  # as numbers
    assert data.labels == ["10", "9", "10"] and data.subjects == ["ann", "ann", "bob"]
    scans = list(data)
    assert [scan.label for scan in scans] == [1, 0, 1] and [scan.mirrored for scan in scans] == [
        False,
        True,
        False,
    ]
    assert scans[2].name == "left/c.stl" and scans[2].surface.n_faces == disk(3).n_faces


def test_subjects_default_to_files_and_any_single_table_will_do(folder):
    _table(folder, "label,file\nsick,a.ply\nhealthy,b.obj\n", "diagnoses.csv")
    data = FolderDataset(folder)
    assert data.subjects == ["a.ply", "b.obj"] and data.classes == ("healthy", "sick")
    assert data[0].label == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", EmptyFileError, r"labels\.csv.*no rows"),
        ("file,label\n", EmptyFileError, "no rows"),
        ("name,label\na.ply,1\n", BadFormatError, "lacks the column file; it has name, label"),
        ("file,label\na.ply,\n", BadFormatError, "line 2.*without a label"),
        ("file,label,mirrored\na.ply,1,maybe\n", BadFormatError, "line 2.*found 'maybe'"),
        ("file,label\na.ply,1\nz.ply,2\n", MissingFileError, "1 of 2 files.*: z.ply"),
        (b"file,label\na.ply,\0\n", BadFormatError, "zero bytes"),
        # a quote that is not closed would swallow the rows below it
        ('file,label\na.ply,"1\nb.obj,2\n', BadFormatError, "not a CSV table"),
        ("file,label\nb.obj\n", BadFormatError, "line 2.*without a label"),
        (
            "file,label\n\n,1\n a.ply,2\n,3\n",
            BadFormatError,
            "2 of 3 rows without a file: lines 3, 5",
        ),
        (
            "file,label\na.ply,0\nb.obj,nan\nleft/c.stl,nan\n",
            BadFormatError,
            r"line 3: 2 of 3 rows with the label 'nan' \(Input y contains NaN\): lines 3, 4",
        ),
        ("file,label\na.ply,N/A\n", BadFormatError, "line 2.*with the label 'N/A'"),
        ("file,label\na.ply,#N/A\n", BadFormatError, "line 2.*with the label '#N/A'"),
        ("file,label\na.ply,#NUM!\n", BadFormatError, "line 2.*with the label '#NUM!'"),
        (f"file,label\n{'a' * 5000}.ply,1\n", MissingFileError, "1 of 1 files in the table"),
        ("file,label,subject\na.ply,1,NA\n", BadFormatError, "line 2.*subject is not known"),
        ("file,label,Label \na.ply,1,2\n", BadFormatError, "line 1: 2 columns are called 'label'"),
        ("SUBJECT,file,label,subject\nx,a.ply,1,y\n", BadFormatError, "2 columns are called 'subj"),
        ("file,label\na.ply,left, upper\n", BadFormatError, "line 2: 3 cells under 2 columns"),
        ("a.ply,1\nb.obj,2\n", BadFormatError, "lacks the column file and label; it has a.ply, 1"),
        ("file,label\n/nowhere/a.ply,1\n", MissingFileError, "1 of 1 files.*: /nowhere/a.ply"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(folder, text, error, message):
    with pytest.raises(error, match=message):
        FolderDataset(_table(folder, text))


@pytest.mark.parametrize("again", ["a.ply", "./a.ply", "left/../a.ply", "link.ply", ".\\\\a.ply"])
def test_one_file_has_one_row_however_it_is_spelled(folder, again):
    (folder / "link.ply").symlink_to(folder / "a.ply")
    text = f"file,label,subject\nleft/c.stl,1,ann\na.ply,1,ann\nb.obj,2,ann\n{again},2,bob\n"
    with pytest.raises(BadFormatError, match=r"a.ply is listed 2 times: lines 3, 5"):
        FolderDataset(_table(folder, text))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_in_any_usual_form_is_the_same(folder, separator, coding, end):
    """Columns in another order and spelling, an empty line first, empty rows last."""
    rows = [
        ["", "", "", ""],
        [" Label", "FILE ", "Subject ", "age, years"],
        ["größer", "a.ply", "Zoë", "7,5" if separator != "," else '"7,5"'],
        ["klein", '"left/c.stl"', "Bob", ""],
        ["", "", "", ""],
        [" ", "", "", ""],
    ]
    quoted = [
        [f'"{one}"' if separator in one and '"' not in one else one for one in row] for row in rows
    ]
    text = end.join(separator.join(row) for row in quoted)
    data = FolderDataset(_table(folder, text.encode(coding)))
    assert data.labels == ["größer", "klein"] and data.subjects == ["Zoë", "Bob"]
    assert [entry.name for entry in data.entries] == ["a.ply", "left/c.stl"]


def test_columns_may_have_other_names(folder):
    text = "Scan;Diagnosis;Patient;label\na.ply;x;p1;9\nb.obj;y;p1;9\n"
    names = {"file_column": "scan", "label_column": "diagnosis"}
    with pytest.warns(MeshConvWarning, match=r"'Patient' is not heard.*--subject-column"):
        data = FolderDataset(_table(folder, text), **names)
    assert data.classes == ("x", "y") and data.subjects == ["a.ply", "b.obj"]
    assert FolderDataset(folder, **names, subject_column="patient ").subjects == ["p1", "p1"]
    with pytest.raises(BadFormatError, match=r"lacks the column person.*--file-column"):
        FolderDataset(folder, **names, subject_column="person")


def test_classes_that_differ_in_case_are_told(folder):
    _table(folder, "file,label\na.ply,Control\nb.obj,control\nleft/c.stl,case\n")
    with pytest.warns(MeshConvWarning, match=r"'Control' and 'control' are taken for 2 classes"):
        FolderDataset(folder)


def test_accents_are_one_however_a_system_spells_them(folder):
    """A Mac's file system gives decomposed names; a table written elsewhere composed ones."""
    for disk_form, table_form in (("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")):
        name = unicodedata.normalize(disk_form, "Zoë/Łódź.ply")
        (folder / name).parent.mkdir(exist_ok=True)
        save(folder / name, disk(3))
        listed = unicodedata.normalize(table_form, "Zoë/Łódź.ply")
        subjects = [unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD")]
        labels = [unicodedata.normalize(form, "fé") for form in ("NFD", "NFC")]
        text = f"file,label,subject\n{listed},{labels[0]},{subjects[0]}\n"
        data = FolderDataset(_table(folder, text + f"a.ply,{labels[1]},{subjects[1]}\n"))
        assert data[0].surface.n_faces == disk(3).n_faces
        assert len(set(data.subjects)) == 1 and data.classes == (
            unicodedata.normalize("NFC", "fé"),
        )
        (folder / name).unlink()


def test_a_measure_is_no_class(folder):
    for k in range(9):
        save(folder / f"{k}.ply", disk(3))
    measured = "".join(f"{k}.ply,{20 + 1.37 * k}\n" for k in range(9))
    with pytest.raises(BadFormatError, match=r"line 3: Unknown label type: continuous.*1.ply"):
        FolderDataset(_table(folder, f"file,label\n{measured}")).check_classes()
    german = measured.replace(",", ";").replace(".", ",").replace(",ply", ".ply")
    with pytest.raises(BadFormatError, match=r"line 3: Unknown label type: continuous.*'21,37'"):
        FolderDataset(_table(folder, f"file;label\n{german}")).check_classes()
    for labels in (
        ["0", "0.5", "1"] * 3,
        ["1", "2", "1"] * 3,
        ["1a", "2.5"] * 5,
        list("01234567") * 2,
    ):
        rows = "".join(f"{k}.ply,{labels[k]}\n" for k in range(9))
        FolderDataset(_table(folder, f"file,label\n{rows}")).check_classes()


def test_one_number_spelled_in_two_ways_is_told(folder):
    with pytest.warns(MeshConvWarning, match=r"'1' and '1.0' are taken for 2 classes"):
        FolderDataset(_table(folder, "file,label\na.ply,1\nb.obj,1.0\n"))


def test_all_files_that_are_not_there_are_named(folder):
    rows = "".join(f"{name},1\n" for name in ("x.ply", "a.ply", "y.ply"))
    with pytest.raises(MissingFileError, match=r"2 of 3.*: x.ply \(line 2\), y.ply \(line 4\)"):
        FolderDataset(_table(folder, "file,label\n" + rows))


def test_an_excel_workbook_is_read(folder, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["see the other sheet"])
    sheet = book.create_sheet("scans")
    for row in (["File", "Label", "subject", "mirrored"], ["a.ply", 1.0, 7, True], [None] * 4):
        sheet.append(row)
    sheet.append(["b.obj", 2, "ann", False])
    book.save(folder / "Labels.xlsx")
    (folder / "~$Labels.xlsx").write_bytes(b"locked")
    data = FolderDataset(folder)
    assert data.labels == ["1", "2"] and data.subjects == ["7", "ann"]
    assert [entry.mirrored for entry in data.entries] == [True, False]
    whole = (folder / "Labels.xlsx").read_bytes()
    for bad in (whole[: len(whole) // 2], b"PK\x03\x04 no book"):
        (folder / "Labels.xlsx").write_bytes(bad)
        with pytest.raises(BadFormatError, match=r"not an Excel workbook.*CSV UTF-8"):
            FolderDataset(folder)
    (folder / "Labels.xlsx").write_bytes(b"\xd0\xcf\x11\xe0 old")
    with pytest.raises(BadFormatError, match="before 2007; save it as CSV UTF-8"):
        FolderDataset(folder)
    (folder / "Labels.xlsx").write_bytes(whole)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDependencyError, match=r"meshconv\[excel\].*CSV UTF-8"):
        FolderDataset(folder)


def test_files_may_lie_elsewhere(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "d.ply"
    save(other, disk(3))
    data = FolderDataset(_table(folder, f"file,label\n{other},1\na.ply,2\n"))
    assert (data.name(0), data.subjects) == (str(other), [str(other), "a.ply"])
    assert data[0].surface.n_faces == disk(3).n_faces


def test_the_order_of_classes_is_that_of_no_set():
    for order in permutations(["1", "1.0", "01", "0"]):  # a set gives any of them, by the hash seed
        assert _sorted(order) == ["0", "01", "1", "1.0"]
    assert _sorted({"b", "2", "10"}) == ["10", "2", "b"]


def test_folders_without_scans_or_tables_say_what_was_looked_for(tmp_path, folder):
    with pytest.raises(
        MissingFileError, match=r"needs labels\.csv or exactly one \*\.csv, .*found none"
    ):
        FolderDataset(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FolderError, match=r"looked for \*\.obj, \*\.ply"):
        FolderDataset(empty)
    with pytest.raises(MissingFileError, match="no such folder"):
        FolderDataset(tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match="no such table"):
        FolderDataset(folder, tmp_path / "x.csv")


def test_a_broken_file_is_named_when_it_is_read(folder):
    (folder / "bad.ply").write_bytes(b"ply\n")
    data = FolderDataset(_table(folder, "file,label\nbad.ply,1\n"))
    with pytest.raises(Exception, match=r"bad\.ply"):
        data[0]
    assert data.name(0) == "bad.ply"


def test_a_file_that_is_not_there_may_be_skipped_later(folder):
    _table(folder, "file,label\na.ply,1\ngone.ply,2\nb.obj,2\n")
    with pytest.raises(MissingFileError, match=r"1 of 3 files .*gone\.ply"):
        FolderDataset(folder)
    data = FolderDataset(folder, on_error="skip")
    assert len(data) == 3 and data.classes == ("1", "2") and data[2].name == "b.obj"
    with pytest.raises(MissingFileError, match=r"gone\.ply"):
        data[1]
    _table(folder, "file,label\nx.ply,1\ny.ply,2\n")
    with pytest.raises(MissingFileError, match="2 of 2 files"):  # the wrong folder, more likely
        FolderDataset(folder, on_error="skip")


def test_a_table_is_looked_for_here_and_then_in_the_folder(folder, tmp_path, monkeypatch):
    _table(folder, "file,label\na.ply,1\n", "people.csv")
    _table(folder, "file,label\nb.obj,2\n", "left/people.csv")
    assert FolderDataset(folder, "people.csv").labels == ["1"]
    monkeypatch.chdir(folder / "left")
    assert FolderDataset(folder, "people.csv").labels == ["2"]
