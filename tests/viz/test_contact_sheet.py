"""The contact sheet: every scan is there, doubtful ones first, and no text of a scan is code."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from meshconv import Scan, Surface, Template
from meshconv.cli import main
from meshconv.errors import ArgumentError, MeshIOError, RegistrationWarning
from meshconv.io import save
from meshconv.mesh.shapes import bumpy_heightfield, face, icosphere
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare
from meshconv.viz.contact_sheet import contact_sheet


@pytest.fixture(scope="module")
def frame() -> Template:
    return Template.from_population([face(400, identity=k, triangulation=k) for k in range(5)])


def test_doubtful_scans_come_first_and_nothing_is_code(
    frame: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = [
        Scan(face(400, identity=9), 0, "right <b>", "a"),
        Scan(bumpy_heightfield(16), 0, "strange <script>", "b"),
        Scan(icosphere(1), 0, "closed &", "c"),
    ]
    page = tmp_path / "sheet.html"
    with pytest.warns(RegistrationWarning, match="looked at"):
        ready = prepare(scans, frame, config=PrepareConfig(size=17), on_error="skip")
    monkeypatch.setattr("meshconv.registration.template_fit.bend", None)  # nothing is fitted again
    contact_sheet(page, scans, ready, frame, size=64)
    text = page.read_text("utf-8")
    doubtful, left, right = (text.index(f"<h2>{x}") for x in ("To be", "Left out", "Without"))
    assert doubtful < text.index("strange &lt;script&gt;</b>") < left
    assert left < text.index("closed &amp;</th>") < right < text.index("right &lt;b&gt;</b>")
    assert "<script" not in text and not re.search(r'src="(?!data:image/png)', text)
    assert text.count("data:image/png") == 3  # the frame and two scans
    assert ready.standings is not None
    strange = ready.standings[1]
    assert f"{strange.score:.2f}</span>" in text and strange.doubts[0] in unescape(text)
    with pytest.raises(MeshIOError, match="exists"):
        contact_sheet(page, scans, ready, frame, size=64)
    with pytest.raises(ArgumentError, match="not known how"):
        contact_sheet(tmp_path / "b.html", scans, replace(ready, standings=None), frame)
    with pytest.raises(ArgumentError, match="an image is of scan 1"):
        contact_sheet(tmp_path / "b.html", scans[:1], ready, frame)
    with pytest.raises(ArgumentError, match="scan 0 is 'strange <script>'"):
        contact_sheet(tmp_path / "b.html", scans[1::-1], ready.take([0]), frame)


def test_of_thousands_the_least_certain_are_drawn(frame: Template, tmp_path: Path) -> None:
    scans = [face(400, identity=k, triangulation=k) for k in range(3)]
    ready = prepare(scans, frame, config=PrepareConfig(size=17))
    contact_sheet(tmp_path / "sheet.html", scans, ready, frame, size=32, pictures=1)
    text = (tmp_path / "sheet.html").read_text("utf-8")
    assert ready.standings is not None
    worst = int(np.argmin([one.score for one in ready.standings]))
    drawn, listed = text.split("<h2>Without a picture (2)</h2>")
    assert f"scan {worst}</b>" in drawn and "</b>" not in listed
    assert all(f"scan {k}</th>" in listed for k in range(3) if k != worst)


def test_the_command_makes_frame_and_sheet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(4):
        one = face(300, identity=k, triangulation=k)
        save(tmp_path / f"{k}.ply", Surface(one.vertices + rng.normal(size=3), one.faces))
    table = "file,label\n" + "".join(f"{k}.ply,{k % 2}\n" for k in range(4))
    (tmp_path / "labels.csv").write_text(table)
    frame, sheet = tmp_path / "frame.npz", tmp_path / "sheet.html"
    command = ["frame", str(tmp_path), "-o", str(frame), "--sheet", str(sheet), "--count", "3"]
    assert main(command) == 0
    assert Template.load(frame).parameterization.domain == "disk"
    assert all(f"{k}.ply" in sheet.read_text("utf-8") for k in range(4))
    assert main(command) != 0  # the frame is there already
