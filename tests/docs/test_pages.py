"""The sources of the site, without building it: links lead somewhere, code is code, every name and
every error has its place.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import meshconv

DOCS = Path(__file__).resolve().parents[2] / "docs"
pytest.importorskip("sphinx", reason="pip install '.[docs]'")
sys.path.insert(0, str(DOCS / "_ext"))

import fault_examples  # noqa: E402
import run_code  # noqa: E402
import site_pages  # noqa: E402

PAGES = run_code.pages()
GALLERY = sorted((DOCS / "gallery").glob("plot_*.py"))
_LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)#\s]*)(?:#([\w-]*))?\)")


def headings(path: Path) -> set[str]:
    """The anchors of a page."""
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in found}


def made(path: Path) -> bool:
    """Whether a file is one that building the site makes, and will make."""
    if path == DOCS / "faults.md":
        return True
    if path.parent == DOCS / "api":
        rooms = {*site_pages.TITLES, *site_pages.public_names(), "index", "command_line"}
        return path.stem in rooms
    if DOCS / "auto_gallery" in path.parents:
        script = re.sub(r"^sphx_glr_|_\d{3}$", "", path.stem)
        return DOCS / "gallery" / f"{script}.py" in GALLERY
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for _, target, place in _LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists() or made(there), f"{page}: {target}"
        if place and there.suffix == ".md" and there.exists():
            assert place in headings(there), f"{page}: {target}#{place}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_code_is_code(page: Path) -> None:
    """Running it is for `make docs`."""
    for block in run_code.blocks(page):
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")


def test_every_page_of_the_guide_has_a_picture_an_example_and_says_when_it_fails() -> None:
    for page in (DOCS / "guide").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        if page.stem == "index":
            continue
        assert "\n## When it fails\n" in text, page
        assert "![" in text or page.stem == "scaling", page
        assert any(b.language in {"python", "pycon", "console"} for b in run_code.blocks(page)), (
            page
        )


def test_every_page_is_in_a_table_of_contents() -> None:
    trees = re.compile(r"```\{toctree\}(.*?)```", re.DOTALL)
    listed = {DOCS / "index.md"}
    for page in DOCS.rglob("*.md"):
        for tree in trees.findall(page.read_text(encoding="utf-8")):
            names = [
                line.strip() for line in tree.splitlines() if line.strip()[:1] not in {"", ":"}
            ]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    assert not {page for page in PAGES if page.is_relative_to(DOCS)} - listed


def test_there_are_twenty_pictures_and_more() -> None:
    assert len(GALLERY) >= 20
    for script in GALLERY:
        text = script.read_text(encoding="utf-8")
        compile(text, str(script), "exec")
        assert re.match(r'"""\n[^\n]+\n=+\n', text), script


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(
        site_pages.room_page(room, names) for room, names in site_pages.public_names().items()
    )
    for name in meshconv.__all__:
        if name != "__version__":
            assert re.search(rf"^\.\. auto\w+:: {name}$", text, re.MULTILINE), name


def test_every_error_has_an_example() -> None:
    """That each example raises that very error is for `make docs`; here, a few that are quick."""
    names = {cls.__name__ for cls in site_pages.error_classes()}
    assert names == {*fault_examples.EXAMPLES, *fault_examples.BASES}
    for name in ("ArrayTypeError", "BadNumberError", "LoadWarning", "NonManifoldError"):
        assert fault_examples.message_of(name).startswith(f"{name}: ")


def test_every_command_is_in_the_reference() -> None:
    text = site_pages.command_page()
    for command in ("check", "train", "explain", "doctor"):
        assert f"\nmeshconv {command}\n---" in text
