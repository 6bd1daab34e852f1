"""The report: one file, everything escaped, pictures right, and driven in a real browser."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from weakref import WeakSet

import numpy as np
import pytest
from drawn import coloured, explained_face
from matplotlib.image import imread

from meshconv import Parameterization
from meshconv.errors import ArgumentError, MeshConvError, MeshIOError, NonFiniteError
from meshconv.mesh.shapes import cap, face, face_coordinates, face_effect, icosphere
from meshconv.stats.metrics import evaluate
from meshconv.train.quality import measured
from meshconv.viz.explained import as_explained
from meshconv.viz.mesh_data import mesh_data
from meshconv.viz.report import report

EVIL = '</script><script>window.evil=1</script> "O\'Brien" & Zoë Łódź 顔'
CHROMIUM = next(
    filter(
        None,
        map(shutil.which, ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")),
    ),
    None,
)
BALL = icosphere(3, radius=80.0)
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
]


class Page(HTMLParser):
    """Every tag with its attributes, text by tag, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input", "br", "stop", "line", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def path(gl: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    odds = np.clip(0.5 + 0.3 * (labels - 0.5) + rng.normal(0, 0.2, 60), 0.01, 0.99)
    shares = np.column_stack([1 - odds, odds])
    nothing = explained_face(seed=2, label=0)
    nothing.saliency = np.zeros_like(nothing.saliency)
    template = Parameterization(face(900), face_coordinates(900), "disk")
    path = tmp_path_factory.mktemp("report") / "r.html"
    scans = {EVIL: explained_face("cheek_left"), "right": explained_face("cheek_right", seed=3)}
    scans |= {"none": nothing, "ball": as_explained(BALL)}
    report(
        scans,
        path,
        title=f"Title {EVIL}",
        note=EVIL,
        class_names=("control", "<u>case</u>"),
        true_labels=[1, 0, 0, None],
        metrics={EVIL: evaluate(labels, shares, n_bootstrap=20)},
        predictions=(labels, shares),
        group_map=(template, face_effect("cheek_left", 900)),
        size=160,
        skipped=[
            (EVIL, "no <faces>"),
            SimpleNamespace(name="b.ply", error=ValueError("empty & gone")),
            "c.ply",
        ],
    )
    return path


@pytest.fixture(scope="module")
def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(path: Path, page: Page) -> None:
    """No address but data: in any tag or style, and a policy that forbids what was forgotten."""
    assert not page.open or page.open == []
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    assert not {"link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    styles = "".join(page.text["style"])
    assert "@import" not in styles and "url(" not in styles
    policy = page.all("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'") and "http" not in policy
    assert path.stat().st_size < 900_000


def test_all_words_from_outside_are_escaped(page: Page) -> None:
    """The name stands there as text, in title, headings, tables and options, and made no tag."""
    assert len(page.all("script")) == 2 and not page.all("u") and not page.all("faces")
    assert page.text["title"] == [f"Title {EVIL}"] and page.text["h1"] == [f"Title {EVIL}"]
    assert (
        EVIL in page.text["h3"]
        and EVIL in page.text["option"]
        and EVIL in page.text["th"]
        and EVIL in page.text["p"]
    )
    assert any(EVIL in (image["alt"] or "") for image in page.all("img"))
    assert (
        "no <faces>" in page.text["td"]
        and "empty & gone" in page.text["td"]
        and "c.ply" in page.text["th"]
    )
    meshes = json.loads("".join(page.text["script"][:1]))
    assert [mesh["name"] for mesh in meshes] == ["group map", EVIL, "right", "none", "ball"]


def test_pictures_show_the_side_where_the_saliency_is(page: Page) -> None:
    """Left cheek: to the viewer's right in front, seen from the left; the right cheek from the
    right.
    """
    pictures = {
        image["alt"]: imread(io.BytesIO(base64.b64decode((image["src"] or "").split(",")[1]))) * 255
        for image in page.all("img")
    }
    for name, view, to_the_right in ((EVIL, "profile", True), ("right", "profile right", False)):
        columns = np.nonzero(coloured(pictures[f"{name}, front view"]))[1]
        assert len(columns) > 50 and (columns.mean() > 80) == to_the_right
        columns = np.nonzero(coloured(pictures[f"{name}, {view} view"]))[1]
        assert len(columns) > 50
        columns = np.nonzero(coloured(pictures[f"{name}, flat image"]))[1]
        assert len(columns) > 50 and (columns.mean() > 80) == to_the_right
        assert f"{name}, sampling grid" in pictures
    assert coloured(pictures["none, front view"]).sum() == 0
    assert "ROC curve" in pictures and "calibration curve" in pictures


def test_verdicts_notes_and_figures(page: Page) -> None:
    text = " ".join(word for words in page.text.values() for word in words)
    assert "the saliency is constant (0): it points nowhere" in text
    assert page.text["b"][0] == "<u>case</u>" and "truth: <u>case</u>" in text
    assert [one["class"] for one in page.all("span") if one.get("class") in {"miss", "soft"}] == [
        "soft",
        "miss",
        "soft",
    ]
    assert "3 scans could not be used." in text and "test scans" in text


def test_the_mesh_on_the_page_is_the_mesh() -> None:
    """Decoded as the viewer does it: positions to 1/65535 of the size, values and faces exact."""
    one = as_explained(explained_face(pose=False))
    data = json.loads(json.dumps(mesh_data(one)))
    vertices = one.surface.vertices
    centre, size = (vertices.max(axis=0) + vertices.min(axis=0)) / 2, np.ptp(vertices, axis=0)
    words = np.frombuffer(base64.b64decode(data["positions"]), "<u2").reshape(-1, 3)
    decoded = (words / 65535 - 0.5) * data["size"] * size.max() + centre
    assert np.abs(decoded - vertices).max() < size.max() / 65535
    assert np.array_equal(
        np.frombuffer(base64.b64decode(data["faces"]), "<u2").reshape(-1, 3), one.surface.faces
    )
    assert np.allclose(
        np.frombuffer(base64.b64decode(data["values"]), "<u2") / 65535, one.field, atol=1e-5
    )


def test_a_large_mesh_is_thinned_and_its_values_keep_their_vertex() -> None:
    ball = icosphere(5)
    data = mesh_data(as_explained(ball, ball.vertices[:, 0]), most=2000)
    ids = np.frombuffer(base64.b64decode(data["ids"]), "<u4")
    low, high = data["limits"]
    values = low + (high - low) * np.frombuffer(base64.b64decode(data["values"]), "<u2") / 65535
    assert 1000 < len(ids) < 3000
    assert np.allclose(values, np.clip(ball.vertices[ids, 0], low, high), atol=1e-4)


def test_a_surface_without_map_field_or_class_is_reported_too(gl: str, tmp_path: Path) -> None:
    report([cap(6), explained_face(saliency=None)], tmp_path / "a.html", size=60, title="")
    text = (tmp_path / "a.html").read_text()
    assert text.count("there is no saliency") == 2 and "scan 1" in text
    report([], tmp_path / "none.html", skipped=["all.ply"])
    assert "There is no scan to show" in (tmp_path / "none.html").read_text()


def test_a_failure_leaves_the_old_report(gl: str, tmp_path: Path) -> None:
    old = tmp_path / "r.html"
    old.write_text("old")
    bad = explained_face()
    bad.saliency = np.full_like(bad.saliency, np.nan)
    with pytest.raises(NonFiniteError, match="saliency is not finite"):
        report([explained_face(), bad], old)
    with pytest.raises(ArgumentError, match="2 names for 1 results"):
        report([explained_face()], old, names=["a", "b"])
    with pytest.raises(ArgumentError, match="2 true labels for 1 results"):
        report([explained_face()], old, true_labels=[0, 1])
    with pytest.raises(MeshIOError, match="exists"):
        report([], old, overwrite=False)
    assert old.read_text() == "old" and list(tmp_path.iterdir()) == [old]


def test_a_name_that_is_not_utf_8_is_shown(gl: str, tmp_path: Path) -> None:
    """Names of files as Python decodes them may hold lone surrogates and control characters."""
    name = os.fsdecode(b"gr\xf6\xdfe \x1b[31m.ply")
    report([explained_face()], tmp_path / "r.html", size=60, names=[name], title=name)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert Page(text).text["h3"] == ["gr\\udcf6\\udcdfe \x1b[31m.ply"]
    assert json.loads("".join(Page(text).text["script"][:1]))[0]["name"] == name


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([[np.nan, 0.1], [0.2, 0.8]], "probabilities"),
        ([[0.9, 0.1], [np.inf, 0.8]], "probabilities"),
        ([[3.0, 0.1], [0.2, 0.8]], "row 0 of the probabilities"),
        ([[1.5, -0.5], [0.2, 0.8]], "row 0 of the probabilities"),
    ],
)
def test_what_are_no_probabilities_is_refused(
    gl: str, tmp_path: Path, shares: list, message: str
) -> None:
    with pytest.raises(MeshConvError, match=message):
        report([explained_face()], tmp_path / "r.html", size=60, predictions=([0, 1], shares))
    for odds in ({0: np.nan, 1: 0.5}, [0.2, 3.0], {"a": -0.5}):
        with pytest.raises(ArgumentError, match="not within 0 and 1"):
            report([explained_face(probabilities=odds)], tmp_path / "r.html", size=60)
    assert not list(tmp_path.iterdir())


# --- in a browser
# ----------------------------------------------------------------------------------

_DRIVE = """
<script>
const canvas = document.querySelector("canvas"), log = {};
const slider = document.querySelector("#viewer input");
const send = (kind, x, y) => {
  const box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new PointerEvent(kind, {
    pointerId: 1, buttons: 1, bubbles: true,
    clientX: box.left + box.width / 2 + x * box.height,
    clientY: box.top + box.height / 2 - y * box.height}));
};
const count = () => {  // in the task that drew: the buffer still holds it
  slider.dispatchEvent(new Event("input"));
  const size = {width: canvas.width, height: canvas.height};
  const copy = Object.assign(document.createElement("canvas"), size);
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
  let drawn = 0, red = 0;
  for (let k = 0; k < pixels.length; k += 4) {
    if (pixels[k] < 250 || pixels[k + 2] < 250) drawn++;
    if (pixels[k] - pixels[k + 2] > 60) red++;
  }
  return [drawn / (pixels.length / 4), red / (pixels.length / 4)];
};
const choose = k => {
  const chooser = document.querySelector("#viewer select");
  chooser.value = k;
  chooser.dispatchEvent(new Event("change"));
};
log.evil = window.evil === undefined ? "no" : "yes";
log.atStart = count();
choose(1);
send("pointerdown", X, Y); send("pointerup", X, Y);
log.vertex = canvas.dataset.vertex; log.value = canvas.dataset.value;
log.words = document.querySelector("output").textContent;
log.marker = document.querySelector(".marker").getBoundingClientRect().toJSON();
log.box = canvas.getBoundingClientRect().toJSON();
send("pointerdown", -0.49, 0.49); send("pointerup", -0.49, 0.49);
log.beside = canvas.dataset.vertex || "none";
slider.value = 0.9; log.high = count(); log.threshold = canvas.dataset.threshold;
slider.value = 0; log.low = count();
send("pointerdown", 0, 0); send("pointermove", 0.2, 0); send("pointerup", 0.2, 0);
log.dragged = canvas.dataset.vertex || "none"; log.turned = count();
choose(4); send("pointerdown", 0, 0); send("pointerup", 0, 0);
log.ball = canvas.dataset.vertex;
const loaded = performance.getEntriesByType("resource");
log.loaded = loaded.filter(one => !one.name.startsWith("data:")).length;
document.body.insertAdjacentHTML("beforeend", "<pre id=log></pre>");
document.getElementById("log").textContent = JSON.stringify(log);
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_the_viewer_is_drawn_turned_and_clicked_in_a_browser(path: Path, tmp_path: Path) -> None:
    """From file://, with real events: a click reads the value of the right vertex, the slider
    hides, a drag turns.
    """
    text = path.read_text(encoding="utf-8")
    mesh = json.loads("".join(Page(text).text["script"][:1]))[1]
    values = np.frombuffer(base64.b64decode(mesh["values"]), "<u2") / 65535
    points = np.frombuffer(base64.b64decode(mesh["positions"]), "<u2").reshape(-1, 3) / 65535 - 0.5
    vertex = int(values.argmax())
    x, y = (
        points[vertex, :2] * np.array(mesh["size"])[:2] * 1.9 / 2
    )  # from the middle, in heights of the canvas
    drive = _DRIVE.replace("X, Y", f"{x:.5f}, {y:.5f}")
    copy = tmp_path / "driven.html"
    copy.write_text(text.replace("</body>", drive), encoding="utf-8")
    place = [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900"]
    command = [CHROMIUM, *FLAGS, *place, "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="log">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    log = json.loads(found.group(1).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    assert log["evil"] == "no" and log["loaded"] == 0
    assert log["atStart"][0] > 0.2 and log["atStart"][1] > 0.005  # a face, and colour on it
    assert int(log["vertex"]) == vertex and float(log["value"]) == pytest.approx(
        values[vertex], abs=1e-3
    )
    assert f"vertex {vertex}" in log["words"] and "saliency" in log["words"]
    centre = log["marker"]["x"] + log["marker"]["width"] / 2 - log["box"]["x"]
    assert centre == pytest.approx(log["box"]["width"] / 2 + x * log["box"]["height"], abs=2)
    assert BALL.vertices[int(log["ball"]), 2] > 70  # the front of the ball, not its back
    assert log["beside"] == "none" and log["dragged"] == "none"
    assert log["threshold"] == "0.9" and 0 < log["high"][1] < 0.4 * log["low"][1]
    assert abs(log["turned"][0] - log["low"][0]) > 0.01 * log["low"][0]


def test_what_was_measured_while_fitting_is_on_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    index = np.arange(20) % 2
    found = measured({"shared": rng.normal(size=(20, 2))}, index, np.arange(20) // 2 % 5)
    assert not found.better_than_chance
    surface = face(200)
    target = tmp_path / "chance.html"
    field = np.linspace(0, 1, surface.n_vertices)
    report([], target, quality=found, group_map=(surface, field), size=60)
    page = target.read_text()
    assert str(found) in page and "Measured while it was fitted" in page and "in 5 folds" in page
    assert f"the classifier is {found.verdict}: it has no map to show" in page
    assert page.count('alt="calibration curve"') == 1 and "small sample" in page


def test_of_many_scans_a_few_are_shown_in_full_more_are_small_and_the_rest_is_listed(tmp_path):
    alive, most = WeakSet(), 0

    def many(count):
        nonlocal most
        for k in range(count):
            one = SimpleNamespace(surface=icosphere(1, radius=9.0 + k), label=k % 2)
            one.saliency, one.name = np.linspace(0, 1, 42), f"s{k} {EVIL}"
            one.probabilities = {0: 0.75 - k % 2 / 2, 1: 0.25 + k % 2 / 2}
            alive.add(one.surface)
            most = max(most, len(alive))
            yield one

    options = {"in_full": 2, "thumbnails": 3, "in_viewer": 1, "size": 64}
    report(many(9), tmp_path / "page.html", true_labels=[0] * 9, **options)
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert not page.open and most <= 5  # each is let go when it is drawn
    assert text.count("<article") == 2 and EVIL not in text
    figures = text.split('class="thumbnails"')[1].split("</div>")[0]
    assert figures.count("<img") == 3 and figures.count('class="wrong"') == 1
    assert "truth: 0" in figures and "0.75" in figures
    listed = text.split('class="others"')[1].split("</table>")[0]
    assert listed.count("<tr") == 4 and listed.count("<img") == 0 and "4 more scans" in text
    pictures = [base64.b64decode(code) for code in re.findall(r"base64,([\w+/=]+)", figures)]
    assert all(imread(io.BytesIO(one)).shape[:2] == (112, 112) for one in pictures)
    assert max(map(len, pictures)) < 8000  # a thousand take 11 MB at most
    for labels in ([0] * 8, [0] * 10):
        with pytest.raises(ArgumentError, match=f"{len(labels)} true labels for 9 results"):
            report(many(9), tmp_path / "page.html", true_labels=labels, **options)
    with pytest.raises(ArgumentError, match="1 names for more results"):
        report(many(2), tmp_path / "page.html", names=["a"], **options)
