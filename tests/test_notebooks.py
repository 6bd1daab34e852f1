"""The notebooks run from top to bottom, and are kept with what they show."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_shows_is_kept_and_small(path: Path) -> None:
    """What cells print and draw is in the file, without errors; pictures of at most 150 kB."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in one.get("data", {}) or "html" in str(one) for one in outputs)
    for cell in cells:
        if re.search(r"^print\(", "".join(cell["source"]), re.MULTILINE):
            assert any(one["output_type"] == "stream" for one in cell["outputs"]), cell["source"]
    for one in outputs:
        assert one["output_type"] != "error"
        assert len(b64decode(one.get("data", {}).get("image/png", ""))) <= 150_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    """Every code cell, in order, in one namespace; a cell that fails is named."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    namespace: dict[str, object] = {"__name__": "__main__"}
    assert cells
    for k, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{path.name}, code cell {k + 1}", "exec"), namespace)
