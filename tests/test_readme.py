"""The README is short, says what the committed results say, and its PyTorch example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_tables_come_from_the_results() -> None:
    """Those of the README and those of the site."""
    command = [sys.executable, "benchmarks/readme.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, (
        "run python benchmarks/readme.py"
    )


def test_it_is_a_page() -> None:
    """At most 150 lines, with a picture, the commands, ten figures and what it does not do."""
    assert len(README.splitlines()) <= 150
    for part in ("make demo", "make test", "![", "## One minute", "## What it does not do"):
        assert part in README, part
    table = README.split("<!-- table: headline -->")[1].split("<!-- end -->")[0]
    rows = table.strip().splitlines()[2:]
    assert len(rows) == 10 and sum(row.startswith("| *") for row in rows) == 5
    assert all(re.search(r"`python benchmarks/\w+\.py`", row) for row in rows)


def test_the_network_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (example,) = (block for block in blocks if "import torch" in block)
    smaller = (
        example.replace("129", "33")
        .replace("64", "8")
        .replace("network_size=33", "network_size=17")
    )
    exec(compile(smaller, "README.md", "exec"), {})
