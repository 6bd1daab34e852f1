"""Registration of faces without correspondence: how far a vertex is from its partner found through
the frame.

    MESHCONV_DATA=../shared/data python benchmarks/registration.py       # 40 faces, 2 to 3 minutes
    on one core

Morphable faces, each meshed, cropped, posed and measured on its own, a fifth of them mirrored and
said to be. Which point of the mean face a vertex is, is known from the model; the distance on the
mean face between that point and the one found through the frame is the error. ``--rivals 3``: the
same error, and the time, of non-rigid registrations of trimesh (needs rtree) and MeshMonk (if
installed) on the first scans, beside ours on the same ones. Writes
results/registration.json and a picture of the mean error on the face, results/registration.png.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import numpy as np
from _registration_rivals import RIVALS, rival_rows

from meshconv.datasets.morphable import Acquisition, MorphableFaces, face_model
from meshconv.maps.locate import locate
from meshconv.registration.fit import fit_template
from meshconv.registration.template import Template
from meshconv.viz.picture import FieldStyle, figure, save_figure

BARS = {"none": (2.0, 6.0), "68 landmarks": (1.5, 4.5)}


def positions(template: Template, coordinates: Any) -> Any:
    """Points of the template's surface at frame coordinates."""
    face, weights = locate(
        coordinates, template.parameterization.coordinates, template.surface.faces
    )
    return np.einsum("kc,kcd->kd", weights, template.surface.vertices[template.surface.faces[face]])


def measure(template: Template, population: MorphableFaces, landmarks: bool) -> dict[str, Any]:
    """Errors of all scans, and their mean at each vertex of the template."""
    faces = population.model.mean.faces
    errors, rigid, seconds, folds, where = [], [], [], 0, []
    for scan in population:
        start = time.process_time()
        marks = scan.landmarks if landmarks else None
        fit = fit_template(scan.surface, template, landmarks=marks, mirror=scan.mirrored)
        flat = fit.parameterization()
        seconds.append(time.process_time() - start)
        folds += len(flat.flipped_faces())
        at = scan.correspondence
        assert at is not None
        belongs = np.einsum(
            "kc,kcd->kd", at.weights, population.model.mean.vertices[faces[at.face]]
        )
        errors.append(np.linalg.norm(positions(template, flat.coordinates) - belongs, axis=1))
        rigid.append(np.linalg.norm(fit.aligned().vertices - belongs, axis=1))
        where.append(
            faces[at.face[:, None], np.arange(3)][
                np.arange(len(at.face)), at.weights.argmax(axis=1)
            ]
        )
    pooled, vertex = np.concatenate(errors), np.concatenate(where)
    count = np.bincount(vertex, minlength=template.surface.n_vertices)
    total = np.bincount(vertex, pooled, template.surface.n_vertices)
    return {
        "median mm": float(np.median(pooled)),
        "p95 mm": float(np.quantile(pooled, 0.95)),
        "worst scan median": max(float(np.median(e)) for e in errors),
        "shape difference mm": float(np.median(np.concatenate(rigid))),
        "folds": folds,
        "CPU s a scan": float(np.median(seconds)),
        "field": total / np.maximum(count, 1),
        "seen": count > 0,
    }


def beside(
    template: Template, population: MorphableFaces, count: int, names: list[str]
) -> list[dict[str, Any]]:
    """Rivals on the first scans, and ours on the same."""
    mean, cases, own, seconds = population.model.mean, [], [], []
    for k in range(count):
        scan = population[k]
        start = time.process_time()
        fit = fit_template(scan.surface, template, mirror=scan.mirrored)
        flat = fit.parameterization()
        seconds.append(time.process_time() - start)
        at = scan.correspondence
        assert at is not None
        corners = mean.vertices[mean.faces[at.face]]
        belongs = np.einsum("kc,kcd->kd", at.weights, corners)
        own.append(np.linalg.norm(positions(template, flat.coordinates) - belongs, axis=1))
        cases.append((template.surface, fit.aligned(), belongs))
    pooled = np.concatenate(own)
    ours = {
        "method": "meshconv",
        "scans": count,
        "median mm": float(np.median(pooled)),
        "p95 mm": float(np.quantile(pooled, 0.95)),
        "worst scan median": max(float(np.median(e)) for e in own),
        "CPU s a scan": float(np.median(seconds)),
    }
    return [ours, *rival_rows(cases, names)]


def main() -> None:
    """Measure with and without landmarks, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scans", type=int, default=40, help="0: rivals only, the rest is kept")
    parser.add_argument("--rivals", type=int, default=0, help="scans that others register too")
    parser.add_argument("--methods", nargs="+", default=list(RIVALS), choices=list(RIVALS))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    model = face_model()
    template = Template.from_surface(model.mean, landmarks=model.landmarks)
    fit_template(model.mean, template)  # compiles and computes what is computed once
    population = MorphableFaces(
        max(args.scans, args.rivals), seed=11, acquisition=Acquisition(mirrored=0.2)
    )
    rows = []
    for name, (median, p95) in BARS.items() if args.scans else ():
        found = measure(template, population, name != "none")
        field, seen = found.pop("field"), found.pop("seen")
        rows.append({"landmarks": name, **found, "bar median": median, "bar p95": p95})
        if name == "none":
            field[~seen] = np.median(field[seen])
            look = FieldStyle("mean error (mm)", limits=(0.0, 6.0))
            title = (
                f"registration without landmarks, {args.scans} faces: median"
                f" {found['median mm']:.2f} mm"
            )
            save_figure(
                figure(model.mean, field, title=title, field_style=look),
                RESULTS / "registration.png",
                dpi=90,
            )
    if rows:
        print_table(rows)
    record: dict[str, Any] = {"environment": environment("numpy", "scipy")}
    if args.scans:
        record |= {"scans": args.scans, "rows": rows}
    path = RESULTS / "registration.json"  # what was not asked for stays as it is
    before = json.loads(path.read_text()) if path.is_file() else {}
    if args.rivals:
        found = beside(template, population, args.rivals, args.methods)
        kept = {
            row["method"]: row for row in before.get("rivals", []) if row["scans"] == args.rivals
        }
        record["rivals"] = list((kept | {row["method"]: row for row in found}).values())
        print_table(record["rivals"])
    write("registration", before | record)


if __name__ == "__main__":
    main()
