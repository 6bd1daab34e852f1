from itertools import permutations

import pytest

from meshconv.datasets.folder import FolderDataset, _sorted
from meshconv.errors import BadFormatError, EmptyFileError, FolderError, MissingFileError
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
        ("file,label\na.ply,1\nz.ply,2\n", MissingFileError, "1 of 2 files.*first z.ply"),
        (b"file,label\na.ply,\xff\xfe\n", BadFormatError, "not a CSV table in UTF-8"),
        ("file,label\nb.obj\n", BadFormatError, "line 2.*without a label"),
        (
            "file,label\na.ply,0\nb.obj,nan\n",
            BadFormatError,
            r"line 3: Input y contains NaN: the label of b.obj is 'nan'",
        ),
        (
            "file,label,subject\na.ply,1,ann\n./a.ply,1,bob\n",
            BadFormatError,
            "line 3: a.ply is of subject 'bob', in",
        ),
        ("file,label\n/nowhere/a.ply,1\n", MissingFileError, "1 of 1 files.*first /nowhere/a.ply"),
    ],
)
def test_a_bad_table_is_refused_with_its_place(folder, text, error, message):
    with pytest.raises(error, match=message):
        FolderDataset(_table(folder, text))


def test_one_file_is_one_subject_however_it_is_spelled(folder):
    (folder / "link.ply").symlink_to(folder / "a.ply")
    rows = ["a.ply", "./a.ply", "left/../a.ply", str(folder / "a.ply"), "link.ply", "left/c.stl"]
    data = FolderDataset(_table(folder, "file,label\n" + "".join(f"{row},1\n" for row in rows)))
    assert data.subjects == ["a.ply"] * 5 + ["left/c.stl"]
    assert [data.name(k) for k in range(6)] == ["a.ply"] * 4 + ["link.ply", "left/c.stl"]


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
        MissingFileError, match=r"needs labels\.csv or exactly one \*\.csv, found none"
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
