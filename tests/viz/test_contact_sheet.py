"""The contact sheet: every scan is there, doubtful ones first, and no text of a scan is code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from meshconv import Scan, Surface, Template
from meshconv.cli import main
from meshconv.errors import ArgumentError, MeshIOError
from meshconv.io import save
from meshconv.mesh.shapes import bumpy_heightfield, face, icosphere
from meshconv.registration.template_fit import TemplateFit
from meshconv.train.skipped import Skipped
from meshconv.viz.contact_sheet import contact_sheet


@pytest.fixture(scope="module")
def frame() -> Template:
    return Template.from_population([face(400, identity=k, triangulation=k) for k in range(5)])


def test_doubtful_scans_come_first_and_nothing_is_code(frame: Template, tmp_path: Path) -> None:
    scans = [
        Scan(face(400, identity=9), 0, "right <b>", "a"),
        Scan(bumpy_heightfield(16), 0, "strange <script>", "b"),
        Scan(icosphere(1), 0, "closed &", "c"),
    ]
    page = tmp_path / "sheet.html"
    found = contact_sheet(page, scans, frame, size=64)
    assert [type(one) for one in found] == [TemplateFit, TemplateFit, Skipped]
    text = page.read_text("utf-8")
    doubtful, left, right = (text.index(f"<h2>{x}") for x in ("To be", "Left out", "Without"))
    assert doubtful < text.index("strange &lt;script&gt;</b>") < left
    assert left < text.index("closed &amp;</th>") < right < text.index("right &lt;b&gt;</b>")
    assert "<script" not in text and not re.search(r'src="(?!data:image/png)', text)
    assert text.count("data:image/png") == 3  # the frame and two scans
    assert f"{found[1].score.value:.2f}</span>" in text and found[1].doubts[0] in text
    with pytest.raises(MeshIOError, match="exists"):
        contact_sheet(page, scans[:1], frame, size=64)
    with pytest.raises(ArgumentError, match="no scans"):
        contact_sheet(page, [], frame)


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
