"""Twelve questions of new users, written down before the site: each is answered within three clicks
of the front page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
QUESTIONS = json.loads((DOCS / "questions.json").read_text(encoding="utf-8"))
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]*))?\)")
_TOCTREE = re.compile(r"```\{toctree\}(.*?)```", re.DOTALL)


def anchor(heading: str) -> str:
    """The anchor of a heading, as MyST makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def links(page: Path) -> dict[tuple[Path, str], None]:
    """What one click on a page reaches: (page, anchor), '' for its beginning."""
    text = page.read_text(encoding="utf-8")
    found: dict[tuple[Path, str], None] = {}
    for target, place in _LINK.findall(text):
        there = (page.parent / target).resolve() if target else page
        found[there, place] = None
    for tree in _TOCTREE.findall(text):
        names = [line.strip() for line in tree.splitlines() if line.strip()[:1] not in {"", ":"}]
        found |= {((page.parent / f"{name}.md").resolve(), ""): None for name in names}
    return {key: None for key in found if key[0].suffix == ".md" and key[0].exists()}


def clicks(goal: tuple[Path, str]) -> int:
    """The fewest clicks from the front page; a heading of the page that is open is one more."""
    front = {(DOCS / "index.md", "")}
    seen: set[tuple[Path, str]] = set()
    for count in range(6):
        if goal in front:
            return count
        seen |= front
        reached = {key for page, _ in front for key in links(page)}
        if any(page == goal[0] for page, _ in front):
            reached.add(goal)  # in the contents beside the page
        front = reached - seen
    return 99


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one["question"])
def test_the_answer_is_three_clicks_away(question: dict[str, object]) -> None:
    page = DOCS / f"{question['page']}.md"
    text = page.read_text(encoding="utf-8")
    heading = re.escape(str(question["heading"]))
    section = re.search(rf"^(#+) {heading}$(.*?)(?=^#{{1,6}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, question["heading"]
    for word in question["answer"]:  # type: ignore[attr-defined]
        assert word.lower() in section[2].lower(), word
    place = "" if section[1] == "#" else anchor(str(question["heading"]))
    assert clicks((page, place)) <= 3


def test_there_are_twelve() -> None:
    assert len(QUESTIONS) == 12
