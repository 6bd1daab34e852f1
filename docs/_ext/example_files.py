"""The files that the examples of the site speak of: a broken scan, a mean face, a small study.

python docs/_ext/example_files.py FOLDER
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

import meshconv as mc
from meshconv.demo import _broken_scan
from meshconv.mesh.shapes import face

NAMES = ("anna", "bela", "carl", "dora")


def write(folder: Path, *, model: bool = True) -> None:
    """Write scan.ply, mean_face.ply, study/ with its table, people.csv, and a trained model.mc."""
    (folder / "study").mkdir(parents=True)
    _broken_scan(folder / "scan.ply")
    mc.save(folder / "mean_face.ply", face(2000))
    people = mc.ProceduralFaces(24, "nose_tip", 7.0, n_vertices=400, seed=1)
    age = np.random.default_rng(0).integers(20, 70, len(people))
    table, persons = ["file,label,subject"], ["subject,age,sex"]
    for k, scan in enumerate(people):
        name = NAMES[k] if k < len(NAMES) else f"p{k:02d}"
        mc.save(folder / "study" / f"{name}.ply", scan.surface)
        table.append(f"{name}.ply,{('control', 'case')[scan.label]},{name}")
        persons.append(f"{name},{age[k]},{k // 2 % 2}")
    (folder / "study" / "labels.csv").write_text("\n".join(table) + "\n")
    (folder / "people.csv").write_text("\n".join(persons) + "\n")
    if model:
        scans = mc.FolderDataset(folder / "study")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = mc.SurfaceClassifier(
                template=mc.Template.from_surface(face(1200)), size=65, network_size=17, epochs=20
            ).fit(scans)
        fitted.save(folder / "model.mc")


if __name__ == "__main__":
    print("scan.ply, mean_face.ply, study/ at once; model.mc is trained then, two CPU minutes")
    write(Path(sys.argv[1]))
