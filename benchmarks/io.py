"""Reading mesh files, beside trimesh.

    python benchmarks/io.py        # about a minute on one core; writes results/io.json

200,704 vertices in every format, float32 and float64. Two peers: trimesh as it comes, and trimesh
with ``process=False``, which keeps the file's vertices as meshconv does but checks nothing. CPU
seconds on one thread, medians of interleaved repeats.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from _common import environment, interleaved, one_thread, print_table, ratio, summary, write

one_thread()

import numpy as np
import trimesh

from meshconv.io import load, save
from meshconv.mesh.shapes import grid
from meshconv.mesh.surface import Surface

SIDE = 448
REPEATS = 15


def sheet() -> Surface:
    """A curved sheet of SIDE x SIDE vertices."""
    flat = grid(SIDE, SIDE)
    x, y, _ = flat.vertices.T
    return Surface(np.column_stack([x, y, np.sin(5 * x * y)]), flat.faces)


def files(folder: Path) -> dict[str, Path]:
    """Write the sheet in every format; return what each file is."""
    surface = sheet()
    rough = Surface(surface.vertices.astype(np.float32), surface.faces)
    made = {
        "PLY, binary float32": folder / "sheet32.ply",
        "PLY, binary float64": folder / "sheet.ply",
        "PLY, ascii": folder / "ascii.ply",
        "OBJ": folder / "sheet.obj",
        "STL, binary": folder / "sheet.stl",
        "OFF": folder / "sheet.off",
        "GLB": folder / "sheet.glb",
    }
    rough.to_trimesh().export(made["PLY, binary float32"])
    for name, path in made.items():
        if not path.exists():
            save(path, surface, binary="ascii" not in name)
    return made


def main() -> None:
    """Time all formats, print the table, write the JSON."""
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files(Path(folder)).items():
            times = interleaved(
                {
                    "meshconv": lambda path=path: load(path),
                    "trimesh": lambda path=path: trimesh.load(path, force="mesh"),
                    "unprocessed": lambda path=path: trimesh.load(
                        path, force="mesh", process=False
                    ),
                },
                REPEATS if path.suffix == ".ply" else 5,
            )
            kept = load(path).n_vertices
            rows.append(
                {
                    "file": name,
                    "MB": path.stat().st_size / 1e6,
                    "meshconv s": summary(times["meshconv"])["median_s"],
                    "ratio to trimesh": ratio(times["meshconv"], times["trimesh"]),
                    "ratio to process=False": ratio(times["meshconv"], times["unprocessed"]),
                    "vertices": kept,
                    "trimesh's": len(trimesh.load(path, force="mesh").vertices),
                }
            )
    print_table(rows)
    write("io", {"environment": environment("numpy", "trimesh"), "rows": rows})


if __name__ == "__main__":
    main()
