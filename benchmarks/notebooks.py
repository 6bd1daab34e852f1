"""Run notebooks and keep what they show: text, cards of objects, pictures of at most 150 kB.

python benchmarks/notebooks.py                  # all
python benchmarks/notebooks.py notebooks/01*    # some
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 150_000  # bytes of a picture


def picture(figure: Any) -> str:
    """Return a figure as PNG in base64, as fine as fits."""
    for dpi in (80, 60, 45, 30):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
        if buffer.tell() <= LARGEST:
            break
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def last_value(source: str, names: dict[str, Any], where: str) -> Any:
    """Run a cell and return the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), where, "eval"), names)


def shown(source: str, names: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the outputs of a cell, as a notebook keeps them."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        value = last_value(source, names, where)
    found: list[dict[str, Any]] = []
    if said.getvalue():
        lines = said.getvalue().splitlines(keepends=True)
        found.append({"output_type": "stream", "name": "stdout", "text": lines})
    if hasattr(value, "_repr_html_"):
        data = {"text/html": value._repr_html_(), "text/plain": repr(value)}
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    for number in plt.get_fignums():
        data = {"image/png": picture(plt.figure(number)), "text/plain": "<Figure>"}
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    plt.close("all")
    return found


def run(path: Path) -> None:
    """Run a notebook from top to bottom and write it with its outputs."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            where = f"{path.name}, code cell {count}"
            cell["outputs"] = shown("".join(cell["source"]), names, where)
            cell["execution_count"] = count
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(map(str, (ROOT / "notebooks").glob("*.ipynb"))):
        run(Path(name))
        print(name)
