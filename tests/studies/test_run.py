"""A whole study: what it finds, what it leaves, that it goes on, and its page in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import meshconv as mc
from meshconv.cli import main
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.errors import ArgumentError, BadFormatError, CheckpointError, MeshConvError
from meshconv.studies.inputs import Inputs
from meshconv.viz.rendering import rendering_backend

CHROMIUM = next(filter(None, map(shutil.which, ("/usr/bin/chromium", "chromium"))), None)
N = 20
HOW = {"size": 17, "epochs": 4, "permutations": 60, "cv": 2, "shown": 2}
COLUMNS = {"group": "diagnosis", "covariates": ["age", "sex"], "score": "severity"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans with a cheek that swells, one file that is none, and a table."""
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    rows = [["file", "diagnosis", "subject", "age", "sex", "severity"]]
    for k, scan in enumerate(ProceduralFaces(N, "cheek_left", 9.0, n_vertices=300, seed=5)):
        mc.save(folder / f"{k:02d}.ply", scan.surface)
        age, sex = round(rng.normal(40, 9), 1), "fm"[rng.integers(2)]
        severity = round(scan.label + rng.normal(0, 0.3), 2)
        named = ["healthy", "affected"][scan.label]
        rows.append([f"{k:02d}.ply", named, f"s{k}", age, sex, severity])
    (folder / "bad.ply").write_text("ply\nnonsense\n")
    rows.append(["bad.ply", "affected", "x", 30, "f", 0.5])
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    try:
        rendering_backend()
    except MeshConvError as error:
        pytest.skip(f"cannot draw here: {error}")
    out = tmp_path_factory.mktemp("study")
    return mc.study(folder, out=out, **COLUMNS, **HOW)


def test_it_finds_the_planted_effect_and_says_so(found):
    group, score = found.found
    assert group.map.significant().any() and group.map.contrast == "affected - healthy"
    peak = np.nanargmax(np.abs(np.nan_to_num(group.map.millimetres)))
    assert group.map.millimetres.flat[peak] > 2  # the cheek swells, outwards
    assert group.fitted.quality.folds == 2 and score.fitted.reading.kind == "regressor"
    assert 8 <= group.power.needed <= 20
    assert len(found.ready) == N and [one.name for one in found.ready.skipped] == ["bad.ply"]
    answer = "\n".join(found.answer)
    assert "20 scans of 20 subjects; 1 left out" in answer and "diagnosis: affected" in answer
    assert 0 <= found.covariates_alone <= 1


def test_everything_is_in_files_that_programs_read(found):
    out = found.out
    told = json.loads((out / "results.json").read_text())
    assert told["n"] == N and told["skipped"][0][0] == "bad.ply"
    assert told["group"]["power"]["needed"] == found.found[0].power.needed
    rows = list(csv.DictReader((out / "predictions.csv").open()))
    assert len(rows) == N and float(rows[0]["p(affected)"]) + float(
        rows[0]["p(healthy)"]
    ) == pytest.approx(1, abs=1e-3)
    assert {row["diagnosis"] for row in rows} == {"affected", "healthy"}
    registered = list(csv.reader((out / "registration.csv").open()))
    assert len(registered) == N + 1 and registered[-1][:2] == ["bad.ply", "left out"]
    drawn = mc.read(out / "group_map.vtp")
    assert {"millimetres", "p", "significant"} <= set(drawn.vertex_fields)
    assert drawn.vertex_fields["p"].min() <= 0.05
    loaded = mc.SurfaceRegressor.load(out / "regressor.mc")
    assert loaded.predict(found.ready).shape == (N,)
    assert (out / "frame.html").exists() and not list(out.glob("*.ckpt"))


def test_it_goes_on_where_it_was_broken_off_and_is_the_same(found, folder, monkeypatch):
    """Without the last steps' files it makes these alone; nothing else is done again."""
    old = {path.name: path.read_bytes() for path in found.out.glob("*.mc")}
    (found.out / "regressor.mc").unlink()
    for name in ("population_template", "contact_sheet", "group_map", "score_map"):
        monkeypatch.setattr(
            f"meshconv.studies.run.{name}", lambda *_args, **_how: pytest.fail("done again")
        )
    again = mc.study(folder, out=found.out, **COLUMNS, **HOW)
    assert str(again) == str(found)
    assert (found.out / "regressor.mc").read_bytes() == old["regressor.mc"]
    with pytest.raises(CheckpointError, match="permutations is 60, not 70"):
        mc.study(folder, out=found.out, **COLUMNS, **{**HOW, "permutations": 70})


def test_the_command_is_the_same_study(found, folder, capsys):
    words = ["study", str(folder), "--group", "diagnosis", "--score", "severity"]
    words += ["--covariates", "age,sex", "--out", str(found.out), "--size", "17", "--cv", "2"]
    words += ["--epochs", "4", "--permutations", "60"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == found.answer


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_the_report_opens_in_a_browser(found, tmp_path):
    """Answer, viewer with colour on its canvas, all tables, and not a word on the console."""
    text = (found.out / "report.html").read_text(encoding="utf-8")
    watch = (
        "<script>window.said = []; addEventListener('error', e => said.push(e.message));"
        "for (const k of ['error', 'warn']) console[k] = (...a) => said.push(a.join(' '));</script>"
    )
    ask = """<script>{
      const box = document.querySelector("canvas").getBoundingClientRect();
      const log = {said, ready: document.querySelector("canvas").dataset.ready,
        answer: document.querySelector("#answer").textContent, top: box.top, width: box.width,
        above: box.top < document.querySelector("h2").getBoundingClientRect().top,
        ticks: [...document.querySelectorAll(".scale span")].map(e => e.textContent),
        tables: [".confusion", ".recognized", ".predictions", ".registration", ".settings"]
          .map(one => document.querySelectorAll(one + " tbody tr").length),
        wide: document.documentElement.scrollWidth - innerWidth};
      document.querySelectorAll("article .turn")[1].click();
      log.turned = document.querySelector("#viewer select").value;
      document.body.insertAdjacentHTML("beforeend", "<pre id=log></pre>");
      document.getElementById("log").textContent = JSON.stringify(log); }</script></body>"""
    page = tmp_path / "page.html"
    page.write_text(text.replace("<head>", f"<head>{watch}").replace("</body>", ask), "utf-8")
    for width in (1400, 500):  # a headless window is never narrower
        log = _dumped(page, tmp_path / f"profile{width}", width)
        assert log["said"] == [] and log["ready"] == "yes" and log["above"]
        assert "better than chance" in log["answer"] and "Power:" in log["answer"]
        assert log["tables"][:4] == [2, 2, N, N + 1] and log["tables"][4] > 10
        assert float(log["ticks"][0]) == -float(log["ticks"][2]) < 0
        assert log["turned"] == "2" and log["wide"] <= 0


def _dumped(page: Path, profile: Path, width: int) -> dict:
    flags = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--no-first-run"]
    flags += ["--enable-unsafe-swiftshader", "--disable-background-networking"]
    flags += ["--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    command = [CHROMIUM, *flags, f"--window-size={width},900", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="log">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(found.group(1).replace("&amp;", "&").replace("&lt;", "<"))


def test_tables_that_say_too_little_are_refused(folder, tmp_path):
    with pytest.raises(ArgumentError, match="a group or a score"):
        Inputs.read(folder, None, group=None, score=None)
    with pytest.raises(BadFormatError, match="lacks the column height"):
        Inputs.read(folder, None, group="diagnosis", score=None, covariates=["height"])
    with pytest.raises(BadFormatError, match="whose diagnosis is no number"):
        Inputs.read(folder, None, group=None, score="diagnosis")
    lines = (folder / "t.csv").read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:3], "", "f", "0.1"])
    (tmp_path / "gap.csv").write_text("\n".join(lines))
    with pytest.raises(BadFormatError, match=r"1 of 21 rows without a value of age: line 4"):
        Inputs.read(folder, tmp_path / "gap.csv", group="diagnosis", score=None, covariates=["age"])


def test_covariates_of_texts_become_indicators(folder):
    read = Inputs.read(folder, None, group="diagnosis", score="severity", covariates=["sex", "age"])
    assert read.covariate_names == ("sex=m", "age") and read.covariates.shape == (N + 1, 2)
    assert set(read.covariates[:, 0]) == {0.0, 1.0} and read.reference() == "healthy"
    assert read.scores is not None and read.reference("affected") == "affected"


@pytest.mark.parametrize(
    ("columns", "guilty"),
    [(["age", "site"], "site says all that label"), (["half", "rest"], "half and rest say all")],
)
def test_covariates_that_say_the_group_are_named_before_anything_is_prepared(
    tmp_path: Path, columns: list[str], guilty: str
):
    rows = [["file", "label", "age", "site", "half", "rest"]]
    for k in range(6):
        mc.save(tmp_path / f"{k}.ply", mc.Surface(np.eye(3), [[0, 1, 2]]))
        sick = k % 2
        rows.append([f"{k}.ply", "ab"[sick], 30 + k, ["Rome", "Oslo"][sick], k, 10 * sick - k])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ArgumentError, match=guilty):
        mc.study(tmp_path, out=tmp_path / "out", group="label", covariates=columns)
    assert not (tmp_path / "out").exists()


def test_a_file_that_the_table_names_and_that_is_not_there_is_left_out(folder: Path):
    table = (folder / "t.csv").read_text().replace("bad.ply", "gone.ply")
    (folder / "gone.csv").write_text(table)
    more = {"group": "diagnosis", "score": None}
    with pytest.raises(MeshConvError, match=r"gone\.ply"):
        Inputs.read(folder, folder / "gone.csv", **more)
    inputs = Inputs.read(folder, folder / "gone.csv", **more, on_error="skip")
    assert len(inputs.scans) == N + 1
    (folder / "gone.csv").unlink()
