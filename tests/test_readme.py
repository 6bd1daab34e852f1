"""The README says what the committed results say, and its PyTorch example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_tables_come_from_the_results() -> None:
    command = [sys.executable, "benchmarks/readme.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, (
        "run python benchmarks/readme.py"
    )


def test_the_network_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (example,) = (block for block in blocks if "import torch" in block)
    smaller = (
        example.replace("129", "33")
        .replace("64", "8")
        .replace("network_size=33", "network_size=17")
    )
    exec(compile(smaller, "README.md", "exec"), {})
