"""Write the README's tables from the committed results.

    python benchmarks/readme.py            # rewrites what stands between the markers in README.md
    python benchmarks/readme.py --check    # exit 1 if the README says anything else than the results

Each table is made of one JSON file of benchmarks/results, which the command printed below the table wrote.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"


def read(name: str) -> Any:
    """Return one file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(head: list[str], rows: list[list[str]], command: str) -> str:
    """Return a Markdown table and the command that reproduces it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n`{command}`"


def conformal() -> str:
    """Angle error, folds and time of disks and spheres."""
    found, rows = read("maps"), []
    for row in found["disk"] + found["sphere"]:
        if row["method"] == "meshconv":
            ours = row
            error = f"{ours['angle']:.3f}, {ours['folds']}"
            rows.append([ours["mesh"].removeprefix("choi_"), f"{ours['vertices']:,}", error])
        elif row["method"] in {"igl lscm", "igl harmonic", "lapy"}:
            folds = row["folds"]
            rows[-1].append(f"{row['angle']:.3f}, {folds}; {row['ratio']:.2f}")
    rows = [row + ["-"] * (5 - len(row)) for row in rows]
    for row in rows[-len([r for r in found["sphere"] if r["method"] == "meshconv"]) :]:
        row[3:5] = ["-", row[3]] if row[4] == "-" and len(row) == 5 else row[3:5]
    head = ["surface", "vertices", "meshconv", "libigl LSCM; time ratio", "libigl harmonic, LaPy (sphere); time ratio"]
    return table(head, rows, "python benchmarks/maps.py")


def density() -> str:
    """Misplaced mass beside the published codes."""
    rows = []
    for row in read("density")["rows"]:
        published = row["published"]
        if published is None and row["density"] != "area":
            continue
        mass = "no convergence" if published and published[0] is None else f"{published[0]}" if published else "-"
        peer = f"{mass}, {published[1]} folds" if published else "-"
        name = f"{row['surface'].removeprefix('choi_')}, {row['domain']}, {row['density']}"
        rows.append([name, f"{row['misplaced']:.4f}, {row['folds']} folds", peer, f"{row['cpu_s']:.2f}"])
    return table(
        ["surface, domain, density", "meshconv: misplaced mass", "published", "CPU s"],
        rows,
        "python benchmarks/density.py",
    )


def registration() -> str:
    """Error of the correspondence found through the frame."""
    rows = [
        [
            row["landmarks"],
            f"{row['median mm']:.2f} mm",
            f"{row['p95 mm']:.2f} mm",
            str(row["folds"]),
            f"{row['CPU s a scan']:.2f}",
        ]
        for row in read("registration")["rows"]
    ]
    return table(["landmarks", "median", "95 %", "folds", "CPU s a scan"], rows, "python benchmarks/registration.py")


def core() -> str:
    """Assembly, solves and import."""
    found = read("operators")
    rows = []
    for row in found["rows"]:
        if row["who"].startswith("meshconv") and row["ratio"] is not None:
            rows.append(
                [row["task"], row["mesh"], row["who"], f"{row['median_s']:.3f}", f"{row['ratio']:.2f}", row["quality"]]
            )
    return table(["task", "mesh", "who", "CPU s", "ratio to peer", "quality"], rows, "python benchmarks/operators.py")


def files() -> str:
    """Reading files."""
    rows = [
        [
            row["file"],
            f"{row['meshconv s']:.3f}",
            f"{row['ratio to trimesh']:.2f}",
            f"{row['ratio to process=False']:.2f}",
        ]
        for row in read("io")["rows"]
    ]
    head = ["200,704 vertices", "CPU s", "ratio to trimesh", "to trimesh, `process=False`"]
    return table(head, rows, "python benchmarks/io.py")


def faces() -> str:
    """Two groups of faces."""
    rows = []
    for row in read("faces")["rows"]:
        accuracy = "-" if row.get("accuracy") is None else f"{row['accuracy']:.3f}"
        interval = "-" if row.get("interval") is None else f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
        site = "-" if row.get("saliency auc") is None else f"{row['saliency auc']:.3f}"
        number = str(row.get("parameters") or "-")
        rows.append([row["effect"], row["method"], str(row["seed"]), accuracy, interval, site, number])
    head = ["effect", "method", "seed", "accuracy", "95 % interval", "saliency", "parameters"]
    return table(head, rows, "python benchmarks/faces.py")


TABLES: dict[str, Callable[[], str]] = {
    "conformal": conformal,
    "density": density,
    "registration": registration,
    "faces": faces,
    "core": core,
    "files": files,
}


def rewritten(text: str) -> str:
    """Return the README with every table made anew."""
    for name, make in TABLES.items():
        pattern = re.compile(f"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no table {name!r}")
        text = pattern.sub(lambda m, make=make: m[1] + make() + "\n" + m[2], text)
    return text


def main() -> None:
    """Rewrite the README, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description="Write the README's tables from the committed results.")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    path = ROOT / "README.md"
    text = path.read_text()
    new = rewritten(text)
    if args.check:
        sys.exit(text != new)
    path.write_text(new)


if __name__ == "__main__":
    main()
