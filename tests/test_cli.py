"""The command line: exit codes, JSON, refusals on stderr, and every command used as a person
would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import meshconv as mc
from meshconv.cli import main
from meshconv.maps.files import load_parameterization
from meshconv.mesh.shapes import annulus, disk, face, face_landmarks
from meshconv.resample.files import load_image


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A face of 900 vertices in a PLY file, with a field on it."""
    path = tmp_path / "scan.ply"
    surface = face(900, identity=3, triangulation=3)
    height = surface.vertices[:, 2] - surface.vertices[:, 2].min() + 10.0
    mc.save(path, surface, vertex_fields={"depth": height})
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main([str(a) for a in argv])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_info_names_what_is_in_the_file(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "info", scan, "--json")
    data = json.loads(out)
    assert code == 0 and data["format"] == "ply" and data["vertices"] == mc.load(scan).n_vertices
    assert "depth" in data["vertex_fields"]


def test_check_exits_one_and_lists_the_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mc.save(tmp_path / "good.off", disk(4))
    mc.save(tmp_path / "two_loops.off", annulus())
    assert run(capsys, "check", tmp_path / "good.off")[0] == 0
    code, out, _ = run(capsys, "check", tmp_path / "two_loops.off", "--json")
    assert code == 1 and "2 boundary" in " ".join(json.loads(out)["problems"])


def test_repair_closes_a_hole_and_will_not_overwrite_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "ring.obj", tmp_path / "whole.obj"
    mc.save(source, annulus())
    code, out, _ = run(capsys, "repair", source, target)
    assert code == 0 and "hole closed" in out
    assert len(mc.load(target).boundary_loops) == 1
    code, _, err = run(capsys, "repair", source, target)
    assert code == 1 and "exists already" in err and "--force" in err
    assert run(capsys, "repair", source, target, "--force")[0] == 0


def test_convert_keeps_vertices_faces_and_fields(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = scan.with_suffix(".vtp.gz")
    assert run(capsys, "convert", scan, target)[0] == 0
    before, after = mc.read(scan), mc.read(target)
    assert after.surface == before.surface
    assert np.allclose(after.vertex_fields["depth"], before.vertex_fields["depth"])


def test_flatten_equalize_register_deliver_maps_and_reports(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scan.parent
    flat, even, framed = folder / "flat.npz", folder / "even.obj", folder / "framed.npz"
    code, out, _ = run(capsys, "flatten", scan, flat, "--json", "--report", folder / "flat.json")
    assert code == 0 and json.loads(out)["folds"] == 0
    assert json.loads((folder / "flat.json").read_text()) == json.loads(out)
    assert load_parameterization(flat).domain == "disk"
    code, out, _ = run(capsys, "equalize", flat, even, "--json")
    assert code == 0 and json.loads(out)["misplaced_mass"] < 0.02
    assert mc.load(even).n_vertices == mc.load(scan).n_vertices and np.all(
        mc.load(even).vertices[:, 2] == 0
    )
    code, out, _ = run(
        capsys, "equalize", scan, folder / "weighted.npz", "--density", "depth", "--json"
    )
    assert code == 0 and json.loads(out)["folds"] == 0
    template = folder / "template.npz"
    marks = np.array(list(face_landmarks(1200).values()))
    mc.Template.from_surface(face(1200), landmarks=marks).save(template)
    np.savetxt(folder / "marks.txt", list(face_landmarks(900, triangulation=3).values()), fmt="%d")
    code, out, _ = run(
        capsys, "register", scan, template, framed, "--landmarks", folder / "marks.txt", "--json"
    )
    assert code == 0 and json.loads(out)["folds"] == 0
    assert load_parameterization(framed).surface.n_vertices == mc.load(scan).n_vertices


def test_image_of_a_map_and_of_a_surface(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scan.parent
    assert run(capsys, "flatten", scan, folder / "flat.npz")[0] == 0
    assert run(capsys, "image", folder / "flat.npz", folder / "a.npz", "--size", 33)[0] == 0
    code, out, _ = run(
        capsys,
        "image",
        scan,
        folder / "b.npz",
        "--size",
        33,
        "--picture",
        folder / "b.png",
        "--json",
    )
    first, second = load_image(folder / "a.npz"), load_image(folder / "b.npz")
    assert code == 0 and json.loads(out)["channels"] == list(first.names)
    assert (
        first.channels.shape[1:] == (33, 33) and 0.7 < first.mask.mean() < 0.85
    )  # a disk in its square
    assert np.array_equal(first.channels, second.channels, equal_nan=True)
    assert (folder / "b.png").stat().st_size > 10_000
    code, _, err = run(capsys, "equalize", folder / "a.npz", folder / "c.npz")
    assert code == 1 and "expected a parameterization of format 1, found geometry image" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["check", "nothing.obj"], "nothing.obj"),
        (["info", "scan.xyz"], "scan.xyz"),
        (
            ["equalize", "scan.ply", "out.npz", "--density", "weight"],
            "no vertex field 'weight', found: depth",
        ),
        (["flatten", "scan.ply", "out.npz", "--domain", "sphere"], "boundary"),
    ],
)
def test_refusals_are_one_line_on_stderr(
    scan: Path, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (scan.parent / "scan.xyz").write_text("1 2 3\n")
    code, out, err = run(
        capsys, argv[0], *(str(scan.parent / a) if "." in a else a for a in argv[1:])
    )
    assert code == 1 and out == "" and words in err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err


def test_wrong_usage_exits_two() -> None:
    for argv in (["flatten"], ["nonsense"], ["flatten", "a.obj", "b.npz", "--domain", "cube"]):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2


def test_closed_pipe_ends_quietly(scan: Path) -> None:
    program = f"{sys.executable} -m meshconv check {scan} --json | true"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_doctor_names_versions_and_solver(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--no-rendering", "--json")
    data = json.loads(out)
    assert (
        code == 0
        and data["packages"]["numpy"] == np.__version__
        and "multifrontal" in data["solver"]
        and data["compiled code"]
    )


@pytest.mark.parametrize("text", ["0/12", "13/12", "1", "a/b", "1/0"])
def test_a_job_that_is_none_of_an_array_is_refused_with_the_first(text, capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "study", "--template", "t.npz", "--cache", "c", "--shard", text])
    assert "is no job of an array: 1/" in capsys.readouterr().err


def test_convert_says_that_pictures_stay_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "skin.obj", tmp_path / "again.obj"
    (tmp_path / "skin.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    source.write_text(
        "mtllib skin.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "usemtl skin\nf 1/1 2/2 3/3\n"
    )
    code, _, err = run(capsys, "convert", source, target)
    assert code == 0 and "materials and pictures are not" in err
    assert target.read_text().count("vt ") == 3
    mc.save(source, annulus(), overwrite=True)
    assert "pictures" not in run(capsys, "convert", source, target, "--force")[2]
