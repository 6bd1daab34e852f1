"""The page of the tour: every picture and every figure of the demonstration is on it, explained."""

from __future__ import annotations

import re
from base64 import b64decode
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from meshconv.demo import _PICTURES, write_tour

FIGURES = {
    "problems found": "1 boundary loop <script>",
    "repaired by": "12 vertices welded",
    "conformal map": "angle error mean 0.5",
    "area-preserving map": "0.0031 of the area misplaced",
    "registered": "0.80 mm from the template",
    "test faces": "accuracy 0.925",
    "saliency on the true site": "ROC-AUC 1.000",
}


@pytest.fixture
def page(tmp_path: Path) -> str:
    for name in _PICTURES:
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG" + name.encode())
    write_tour(tmp_path, FIGURES)
    return (tmp_path / "tour.html").read_text(encoding="utf-8")


def test_every_picture_and_figure_is_on_the_page(page: str) -> None:
    sources = re.findall('src="data:image/png;base64,([^"]*)"', page)
    assert [b64decode(one)[4:].decode() for one in sources] == list(_PICTURES)
    said = [unescape(one) for one in re.findall('<p class="said">(.*?)</p>', page)]
    assert said == list(FIGURES.values())
    assert "<script" not in page and not re.search(r"(src|href)=[\"']https?:", page)


def test_every_picture_is_explained(page: str) -> None:
    """Words for who cannot see it, a paragraph after it; the field's words are told."""
    assert all(len(alt) > 20 for alt in re.findall('<img alt="([^"]*)"', page))
    for part in page.split("<figure>")[1:]:
        assert re.match(r".*?</figure>\s*<p", part, re.DOTALL)
    for word in ("conformal", "Folds", "frame", "Accuracy", "AUC"):
        assert f"<i>{word}</i>" in page, word


def test_the_page_is_whole(page: str) -> None:
    stack: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in {"meta", "img", "br"}:
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Balance().feed(page)
    assert not stack
