"""From a folder of scans and a table to a classifier, figures, saliency files and a report, by
commands alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import meshconv as mc
from meshconv.cli import main
from meshconv.errors import RenderingUnavailableError
from meshconv.viz.rendering import rendering_backend


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty generated scans with a broad nose in half of them, three broken files, and a table."""
    folder = tmp_path_factory.mktemp("study")
    rows = []
    for k, scan in enumerate(mc.ProceduralFaces(20, "nose_tip", 14.0, n_vertices=500, seed=1)):
        name = f"{scan.name}.{('ply', 'obj', 'stl')[k % 3]}"
        mc.save(folder / name, scan.surface)
        rows.append([name, ("control", "broad <nose>")[scan.label], scan.subject])
    (folder / "empty.ply").write_bytes(b"")
    (folder / "points.obj").write_text("v 0 0 0\nv 1 0 0\n")
    (folder / "torn.stl").write_bytes(b"\0" * 80 + (1000).to_bytes(4, "little") + b"\0" * 50)
    bad = [[name, "control", name] for name in ("empty.ply", "points.obj", "torn.stl")]
    rows = [bad[0], *rows[:9], bad[1], *rows[9:], bad[2]]  # the very first one is bad too
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "subject"], *rows])
    return folder


def write_study(folder: Path, scans: mc.ProceduralFaces, classes: Sequence[str]) -> Path:
    """Write scans and their table into a new folder."""
    folder.mkdir()
    lines = ["file,label"]
    for scan in scans:
        mc.save(folder / f"{scan.name}.ply", scan.surface)
        lines.append(f"{scan.name}.ply,{classes[scan.label]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    """A classifier trained by the command, the broken scans skipped."""
    path = folder.parent / "model.mc"
    options = ["--on-error", "skip", "--epochs", "40", "--size", "65", "--network-size", "17"]
    options += ["--cache", str(folder.parent / "cache"), "--verdict", "0"]
    assert main(["train", str(folder), str(path), *options]) == 0
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main([str(a) for a in argv])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_bad_scan_is_named_and_stops_the_run_unless_skipping_is_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "prepare", folder, "--cache", tmp_path / "a", "--size", 33)
    assert code == 1 and "3 of 23 scans cannot be used" in err and "--on-error skip" in err
    assert all(name in err for name in ("empty.ply", "points.obj", "torn.stl"))
    code, out, _ = run(
        capsys,
        "prepare",
        folder,
        "--cache",
        tmp_path / "b",
        "--size",
        33,
        "--on-error",
        "skip",
        "--json",
    )
    data = json.loads(out)
    assert code == 0 and data["prepared"] == 20
    assert [
        name
        for name in ("empty.ply", "points.obj", "torn.stl")
        if name in " ".join(data["skipped"])
    ] == [
        "empty.ply",
        "points.obj",
        "torn.stl",
    ]


def test_evaluate_and_predict(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = mc.ProceduralFaces(10, "nose_tip", 14.0, n_vertices=600, seed=2)
    fresh = write_study(tmp_path / "fresh", faces, ("control", "broad <nose>"))
    code, out, _ = run(capsys, "evaluate", model, fresh, "--json")
    data = json.loads(out)
    assert code == 0 and data["n"] == 10 and data["accuracy"] >= 0.8
    low, high = data["intervals"]["accuracy"]
    assert low <= data["accuracy"] <= high
    first = sorted(fresh.glob("*.ply"))[:2]
    code, out, _ = run(capsys, "predict", model, *first)
    assert code == 0 and len(out.strip().splitlines()) == 2 and str(first[0]) in out


def test_evaluate_and_report_name_bad_scans_and_go_on_if_asked_to(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = folder.parent / "cache"  # of training
    options = ["--on-error", "skip", "--cache", cache]
    code, _, err = run(capsys, "evaluate", model, folder)
    assert code == 1 and "empty.ply" in err
    code, out, err = run(capsys, "evaluate", model, folder, *options, "--json")
    data = json.loads(out)
    assert code == 0 and data["n"] == 20 and len(list(cache.iterdir())) == 20  # no new image
    assert [name.split(":")[0] for name in data["skipped"]] == [
        "empty.ply",
        "points.obj",
        "torn.stl",
    ]
    assert "subjects are in train and test" in err  # these are the scans it learned from
    code, out, _ = run(capsys, "evaluate", model, folder, *options)
    assert code == 0 and "accuracy" in out and "skipped torn.stl" in out
    assert "left out of training: torn.stl (" in out and len(data["left_out_of_training"]) == 3
    try:
        rendering_backend()
    except RenderingUnavailableError as error:
        pytest.skip(str(error))
    code, _, _ = run(
        capsys, "report", model, folder, tmp_path / "report.html", *options, "--scans", 1
    )
    page = (tmp_path / "report.html").read_text()
    assert code == 0 and all(
        name in page for name in ("3 scans could not be used", "empty.ply", "torn.stl")
    )
    assert "left out of training: empty.ply (" in page


def test_predict_and_explain_name_bad_scans_and_go_on_if_asked_to(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan, bad = sorted(folder.glob("procedural*.ply"))[0], folder / "torn.stl"
    assert run(capsys, "predict", model, bad, scan)[0] == 1
    code, out, _ = run(
        capsys,
        "predict",
        model,
        bad,
        scan,
        "--on-error",
        "skip",
        "--cache",
        folder.parent / "cache",
    )
    lines = out.strip().splitlines()
    assert (
        code == 0
        and lines[0].startswith(str(scan))
        and lines[1].startswith(f"skipped {bad}:")
        and len(lines) == 2
    )
    code, out, _ = run(
        capsys,
        "explain",
        model,
        bad,
        scan,
        "--out",
        tmp_path,
        "--no-picture",
        "--on-error",
        "skip",
        "--json",
    )
    data = json.loads(out)
    assert code == 0 and [row["file"] for row in data["explanations"]] == [str(scan)]
    assert (
        len(data["skipped"]) == 1
        and "torn.stl" in data["skipped"][0]
        and (tmp_path / f"{scan.stem}.vtp").exists()
    )
    other = folder / "none.ply"
    words = ["explain", model, bad, scan, other, "--out", tmp_path, "--no-picture"]
    code, _, err = run(capsys, *words)
    assert code == 1 and "2 of 3 scans cannot be used" in err and "--on-error skip" in err
    assert "torn.stl" in err and "none.ply" in err


def test_explain_writes_the_saliency_on_the_scan(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = sorted(folder.glob("procedural*.ply"))[0]
    code, _, _ = run(capsys, "explain", model, scan, "--out", tmp_path, "--no-picture")
    file = mc.read(tmp_path / f"{scan.stem}.vtp")
    saliency = file.vertex_fields["saliency"]
    assert code == 0 and file.surface == mc.load(scan)
    assert (
        saliency.shape == (file.surface.n_vertices,) and 0 <= saliency.min() < saliency.max() <= 1
    )
    assert json.loads((tmp_path / "explanations.json").read_text())[0]["file"] == str(scan)


def test_report_is_one_file_with_every_name_escaped(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        rendering_backend()
    except RenderingUnavailableError as error:
        pytest.skip(str(error))
    good = tmp_path / "good"
    good.mkdir()
    names = sorted(folder.glob("procedural*.ply"))[:3]
    table = ["file,label", *(f"{name.name},control" for name in names)]
    for name in names:
        (good / name.name).write_bytes(name.read_bytes())
    (good / "labels.csv").write_text("\n".join(table) + "\n")
    target = tmp_path / "report.html"
    code, _, _ = run(capsys, "report", model, good, target, "--scans", 2)
    page = target.read_text()
    assert code == 0 and "broad &lt;nose&gt;" in page and "broad <nose>" not in page
    assert names[0].name in page and "data:image/png;base64," in page


def test_unknown_labels_and_damaged_models_are_refused(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mc.save(tmp_path / "a.ply", mc.ProceduralFaces(1, n_vertices=300)[0].surface)
    (tmp_path / "labels.csv").write_text("file,label\na.ply,martian\n")
    code, _, err = run(capsys, "evaluate", model, tmp_path)
    assert code == 1 and "martian" in err
    raw = bytearray(model.read_bytes())
    raw[len(raw) // 2] ^= 1
    bad = tmp_path / "bad.mc"
    bad.write_bytes(bytes(raw))
    code, _, err = run(capsys, "predict", bad, tmp_path / "a.ply")
    assert code == 1 and "bad.mc" in err


def test_a_frame_can_be_turned_and_a_head_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(
        tmp_path / "study", mc.ProceduralFaces(4, "nose_tip", 14.0, n_vertices=200, seed=3), "ab"
    )
    made = []
    for turn in (0, 180):
        code, _, err = run(
            capsys, "prepare", study, "--cache", tmp_path / str(turn), "--size", 17, "--turn", turn
        )
        assert code == 0, err
        made.append(mc.Template.load(tmp_path / str(turn) / "template.npz"))
    flat, turned = (one.parameterization for one in made)
    assert abs(turned.coordinates + flat.coordinates).max() < 1e-9
    assert (
        abs(turned.surface.vertices[:, :2] + flat.surface.vertices[:, :2]).max()
        < 0.1 * made[0].size
    )
    options = [
        "--cache",
        tmp_path / "0",
        "--template",
        tmp_path / "180/template.npz",
        "--turn",
        180,
        "--size",
        17,
    ]
    code, out, err = run(
        capsys,
        "train",
        study,
        tmp_path / "model",
        *options,
        "--network-size",
        9,
        "--epochs",
        1,
        "--head",
        "mean",
        "--json",
    )
    assert code == 0, err
    assert json.loads(out)["head"] == "mean"
    back = mc.SurfaceClassifier.load(tmp_path / "model")
    assert abs(back.template_.parameterization.coordinates - flat.coordinates).max() < 1e-9
    assert back.head_ == "mean"
