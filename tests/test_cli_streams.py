"""The command line in terminals and pipes as they are: any encoding, closed, broken; JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meshconv as mc
from meshconv.cli import main, scans
from meshconv.cli.options import FORMATS
from meshconv.cli.output import as_json, harmless
from meshconv.mesh.shapes import annulus, face

COMMAND = [sys.executable, "-m", "meshconv"]


def call(*words: object, shell: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *map(str, words)] if not shell else ["bash", "-o", "pipefail", "-c", shell]
    return subprocess.run(
        command, capture_output=True, check=False, timeout=120, env={**os.environ, **env}
    )


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "Größe ✓ 顔.ply"
    mc.save(path, face(200))
    return path


@pytest.mark.parametrize("coding", ["ascii", "latin-1", "cp437", "utf-8", "utf-16"])
def test_any_encoding_of_the_output(scan: Path, coding: str) -> None:
    done = call("info", scan, PYTHONIOENCODING=coding)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert "vertices" in done.stdout.decode(coding)
    missing = call("info", scan.with_name("weg ✓.ply"), PYTHONIOENCODING=coding)
    assert missing.returncode == 1 and b"Traceback" not in missing.stderr
    target = scan.with_name(f"ö{coding}.obj")
    assert call("convert", scan, target, PYTHONIOENCODING=coding).returncode == 0
    assert mc.load(target).n_faces == mc.load(scan).n_faces


def test_help_in_ascii_and_into_a_closed_pipe() -> None:
    assert call("--help", PYTHONIOENCODING="ascii").returncode == 0
    words = " ".join(COMMAND)
    done = call(shell=f"{words} --help | true; {words} flatten --help | head -1 >/dev/null")
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(scan: Path, closed: str) -> None:
    """Nothing of what is printed ends in a file that got the number of a closed stream."""
    words = " ".join(COMMAND)
    target = scan.with_name(f"closed{abs(hash(closed))}.ply")
    done = call(shell=f"{words} convert '{scan}' '{target}' {closed}")
    assert done.returncode == 0 and done.stderr == b""
    assert mc.load(target) == mc.load(scan)
    assert call(shell=f"{words} info '{scan}' {closed}").returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_changes_nothing_but_the_output(
    scan: Path, tmp_path: Path, unbuffered: str
) -> None:
    words = " ".join(COMMAND)
    for words_of in (f"check '{scan}' --json", f"convert '{scan}' {tmp_path}/a.obj --force"):
        for reader in ("head -1 >/dev/null", "true", "exec 0<&-; true"):
            done = call(shell=f"{words} {words_of} | ({reader})", PYTHONUNBUFFERED=unbuffered)
            assert done.returncode == 0 and done.stderr == b"", done
    assert mc.load(tmp_path / "a.obj").n_faces == mc.load(scan).n_faces


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["info", "info --json", "convert --force"])
def test_a_full_disk_behind_the_output(scan: Path, words: str) -> None:
    command, *options = words.split()
    target = f"'{scan.with_name('full.obj')}'" if command == "convert" else ""
    line = f"{' '.join(COMMAND)} {command} '{scan}' {target} {' '.join(options)}"
    done = call(shell=f"{line} > /dev/full")
    assert done.returncode == 1 and b"cannot print" in done.stderr
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    assert call(shell=f"{line} > /dev/full 2> /dev/full").returncode == 1


def test_json_on_failure(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error object with what, where and remedy; wrong usage too; stderr says it in words."""
    mc.save(tmp_path / "ring.ply", annulus())
    (tmp_path / "cut.obj").write_text("v 0 0 0\nv 1 0 0\nf 1 2 9\n")
    for words, kind in (
        (["info", tmp_path / "none.ply"], "MissingFileError"),
        (["check", tmp_path / "cut.obj"], "IndexOutOfRangeError"),
        (["flatten", tmp_path / "ring.ply", tmp_path / "a.npz"], "TopologyError"),
        (["prepare", tmp_path / "nowhere", "--cache", tmp_path], "MissingFileError"),
    ):
        assert main([*map(str, words), "--json"]) == 1
        out = capsys.readouterr()
        error = json.loads(out.out)["error"]
        assert error["type"] == kind and error["message"] and out.err.startswith("meshconv: ")
    with pytest.raises(SystemExit) as stop:
        main(["info", "--json", "a.ply", "--size", "3"])
    assert stop.value.code == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"


def test_a_package_that_is_not_installed_is_named() -> None:
    code = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from meshconv.cli import main
sys.exit(main(["predict", "model.mc", "a.ply", "--json"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    assert "pip install 'meshconv[learn]'" in json.loads(done.stdout)["error"]["hint"]


def test_json_is_what_every_parser_reads() -> None:
    """No NaN, no Infinity, at any depth; arrays, paths and odd keys as they can be."""

    def strict(text: str) -> object:
        return json.loads(text, parse_constant=pytest.fail)

    data = {
        "nan": np.nan,
        "deep": [{"x": (np.float32(np.inf), -np.inf)}],
        "array": np.array([[1.0, np.nan]]),
        1: np.int64(3),
        "path": Path("a/b"),
        "name": os.fsdecode(b"\xff"),
        "bool": np.bool_(True),
    }
    assert strict(as_json(data)) == {
        "nan": None,
        "deep": [{"x": [None, None]}],
        "array": [[1.0, None]],
        "1": 3,
        "path": "a/b",
        "name": "\udcff",
        "bool": True,
    }


@pytest.mark.parametrize("form", ["ply", "obj", "stl", "off"])
def test_standard_input(scan: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    mc.save(path, mc.load(scan))
    with path.open("rb") as file:
        command = [*COMMAND, "convert", "-", str(tmp_path / "b.ply"), "--format", form]
        done = subprocess.run(command, stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert mc.load(tmp_path / "b.ply").n_faces == mc.load(scan).n_faces
    piped = call(shell=f"cat {path} | {' '.join(COMMAND)} info - --format {form} --json")
    assert json.loads(piped.stdout)["faces"] == mc.load(scan).n_faces


def test_standard_input_is_refused_in_the_words_of_the_command_line(scan: Path) -> None:
    words = " ".join(COMMAND)
    unnamed = call(shell=f"{words} info - < '{scan}'")
    assert unnamed.returncode == 1 and b"--format ply" in unnamed.stderr
    device = call(shell=f"{words} info /dev/stdin < '{scan}'")
    assert device.returncode == 1 and b"--format ply" in device.stderr
    assert b"format='" not in device.stderr
    empty = call(shell=f"{words} info - --format ply < /dev/null")
    assert empty.returncode == 1 and b"standard input" in empty.stderr


def test_the_formats_are_those_of_the_readers() -> None:
    from meshconv import io

    assert tuple(io.FORMATS) == FORMATS


def test_names_cannot_move_the_cursor(tmp_path: Path) -> None:
    name = "a\x1b[2J\x07\u202egnp\x9b31m\r.ply"
    mc.save(tmp_path / name, face(100))
    for words in (["info", tmp_path / name], ["info", tmp_path / f"none{name}"]):
        done = call(*words)
        printed = (done.stdout + done.stderr).decode()
        assert not [c for c in printed if c != "\n" and not c.isprintable()]
        assert "\\x1b[2J" in printed
    assert harmless("Zoë\t顔 ✓\n") == "Zoë\t顔 ✓\n"


def test_no_two_results_have_one_name(tmp_path: Path) -> None:
    """Same name in two folders, two formats, two cases, two spellings; the same file twice."""
    files = ["a/x.ply", "b/x.ply", "a/X.obj", "x.v1.ply", "x.v2.ply.gz", "a/é.ply", "a/e\u0301.ply"]
    files += ["x.v1.ply", "a_x.ply", "c.d/x.obj", ".ply", "x"]
    names = scans.result_names([tmp_path / file for file in files])
    assert len({scans._on_disk(name) for name in names}) == len(files)
    assert names[3] != "x" and all("/" not in name for name in names)
    assert scans.result_names([Path("x.ply")]) == ["x"]
    assert scans.result_names([Path("u/x.ply"), Path("u/y.z.stl")]) == ["x", "y.z"]


def test_the_parsers_load_nothing_heavy() -> None:
    code = "import sys, meshconv.cli as c; c._parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not {"numpy", "numba", "scipy", "torch", "pyvista", "matplotlib", "sklearn"} & loaded
