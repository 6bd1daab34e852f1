"""The built site in a browser: `make docs` builds it and runs this."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
CHROMIUM = next(
    filter(None, map(shutil.which, ("/usr/bin/chromium", "chromium", "google-chrome"))), None
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAGES = (
    "index.html",
    "start/first_study.html",
    "guide/maps.html",
    "theory/maps.html",
    "results/geometry.html",
    "api/maps.html",
    "faults.html",
    "auto_gallery/index.html",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SITE.is_dir(), reason="no site here: make docs"),
]

_PROBE = """<!doctype html><meta charset="utf-8"><pre id="log"></pre><script>
const pages = PAGES, log = {pages: {}};
const frame = (address, width) => new Promise((done) => {
  const one = document.createElement("iframe");
  Object.assign(one, {width, height: 844, src: address});
  one.onload = () => setTimeout(() => done(one), 300);
  document.body.append(one);
});
const colours = (root) => {
  const light = (element, key) => {
    const [r, g, b] = getComputedStyle(element)[key].match(/[\\d.]+/g).map(Number);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
  };
  return [light(root.body, "backgroundColor"), light(root.querySelector("article p"), "color")];
};
const run = async () => {
  for (const page of pages) {
    const one = await frame("/" + page, 390), root = one.contentDocument;
    const text = getComputedStyle(root.querySelector("article") ?? root.body);
    const found = {wide: root.documentElement.scrollWidth, font: parseFloat(text.fontSize)};
    for (const theme of ["light", "dark"]) {
      root.documentElement.dataset.theme = theme;
      found[theme] = colours(root);
    }
    found.formulas = root.querySelectorAll("math").length;
    found.loaded = one.contentWindow.performance.getEntriesByType("resource").map((x) => x.name);
    log.pages[page] = found;
    one.remove();
  }
  const search = await frame("/search.html?q=laplacian", 1200);
  const results = () => [...search.contentDocument.querySelectorAll("#search-results li a")];
  for (let k = 0; k < 40 && !results().length; k++)
    await new Promise((done) => setTimeout(done, 250));
  log.search = results().map((a) => a.href);
  const sorted = await frame("/results/geometry.html", 1200);
  const table = sorted.contentDocument.querySelector("table");
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[1].textContent);
  log.before = column();
  table.tHead.rows[0].cells[1].click();
  log.after = column();
  document.getElementById("log").textContent = JSON.stringify(log);
};
const fail = (error) => JSON.stringify({error: String(error)});
run().catch((error) => (document.getElementById("log").textContent = fail(error)));
</script>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/probe.html":
            super().do_GET()
            return
        page = _PROBE.replace("PAGES", json.dumps(PAGES)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *words: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site on a port of this machine."""
    handler = functools.partial(_Handler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def browse(url: str, profile: Path) -> tuple[str, list[str]]:
    """The page after its scripts have run, and what they complained of."""
    assert CHROMIUM
    more = [f"--user-data-dir={profile}", "--window-size=1280,900", "--enable-logging=stderr"]
    command = [CHROMIUM, *FLAGS, *more, "--virtual-time-budget=60000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, [
        line for line in console if re.search("error|Uncaught|refused", line, re.I)
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_the_site_in_a_browser(address: str, tmp_path: Path) -> None:
    """Search finds, tables sort, a telephone can read it by day and by night; no complaint."""
    page, complaints = browse(f"{address}/probe.html", tmp_path / "profile")
    found = re.search(r'<pre id="log">(.*?)</pre>', page, re.DOTALL)
    assert found and found[1], page[-2000:]
    log = json.loads(found[1].replace("&amp;", "&"))
    assert "error" not in log, log
    assert not complaints
    assert any("cotangent_laplacian" in one or "/theory/maps" in one for one in log["search"])
    assert sorted(log["before"]) == sorted(log["after"]) and log["before"] != log["after"]
    for name, seen in log["pages"].items():
        assert seen["wide"] <= 390 and seen["font"] >= 14, (name, seen["wide"])
        (day, ink), (night, chalk) = seen["light"], seen["dark"]
        assert day > 0.9 and ink < 0.35 and night < 0.2 and chalk > 0.6, (name, seen)
        assert all(one.startswith((address, "data:")) for one in seen["loaded"]), name
    assert log["pages"]["theory/maps.html"]["formulas"] > 20


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_search_works_from_the_disk(tmp_path: Path) -> None:
    page, complaints = browse(f"{(SITE / 'search.html').as_uri()}?q=beltrami", tmp_path / "profile")
    assert "beltrami_coefficient" in page and not complaints


_ASSET = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["'](?:https?:)?//"""
    r"""|<link\b[^>]*rel=["'](?:stylesheet|preload|icon|modulepreload|shortcut icon)["'][^>]*"""
    r"""href=["'](?:https?:)?//""",
    re.IGNORECASE,
)


def test_nothing_is_loaded_from_elsewhere() -> None:
    for page in SITE.rglob("*.html"):
        assert not _ASSET.search(page.read_text(encoding="utf-8")), page
    for sheet in SITE.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), sheet
