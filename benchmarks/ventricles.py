"""Left ventricles, open bowls that are nearly round: the default frame, and what five groups are.

    MESHCONV_DATA=../shared/data python benchmarks/ventricles.py     # about 6 minutes on one core

The frame is the mean of 25 of the 100 surfaces (endo- and epicardium of 50 patients); every other
one is registered. Groups are learned from patients: five measures of each surface; mean thickness
of the wall over the radius of the cavity, from the two walls in the frame; principal components of
both walls in the frame. Logistic regressions, five folds by patient, `--seeds` splits; strength and
number of components are chosen on inner folds. Endo and epi of the file lie in boxes of their own,
so their distance is not known but from shapes laid on each other. Writes results/ventricles.json.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, write

one_thread()

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import meshconv as mc
from meshconv.datasets.ventricles import Ventricles
from meshconv.errors import MeshConvError
from meshconv.train.frames import population_template

FRAME, SIZE, BAR = 25, 33, 0.75
STRENGTHS = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]


def five(surface: mc.Surface) -> Any:
    """Logarithms of area, volume under a flat lid, length, width and a shape factor."""
    lid = surface.vertices[surface.boundary_loops[0]].mean(axis=0)
    a, b, c = (surface.vertices - lid)[surface.faces].swapaxes(0, 1)
    volume = abs(np.einsum("ij,ij->", a, np.cross(b, c))) / 6
    axis = surface.face_area_vectors.sum(axis=0)
    along = surface.vertices @ (axis / np.linalg.norm(axis))
    middles = surface.vertices[surface.faces].mean(axis=1)
    centred = middles - np.average(middles, axis=0, weights=surface.face_areas)
    across = centred - np.outer(centred @ axis, axis) / (axis @ axis)
    width = np.sqrt(np.average((across**2).sum(axis=1), weights=surface.face_areas))
    shape = volume / surface.area**1.5
    return np.log([surface.area, volume, np.ptp(along), width, shape])


def registered(scans: Ventricles, frame: mc.Template, rows: list[dict[str, Any]]) -> Any:
    """Positions of each surface in the frame (n, 3, SIZE, SIZE); NaN where it is refused."""
    images = np.full((len(scans), 3, SIZE, SIZE), np.nan)
    of_frame = set(np.linspace(0, len(scans) - 1, FRAME).round().astype(int).tolist())
    for k in range(len(scans)):
        row = {"name": scans.name(k), "in frame": k in of_frame}
        start = time.process_time()
        try:
            placed = mc.place(scans[k].surface, frame, size=SIZE, mend=False)
        except MeshConvError as error:
            rows.append({**row, "refused": str(error)})
            continue
        score, image = placed.fit.score, placed.image(["x", "y", "z"])
        images[k] = np.where(image.mask, image.channels, np.nan)
        rows.append(
            {
                **row,
                "coverage": score.measures.coverage,
                "folds": len(placed.parameterization.flipped_faces()),
                "empty": not image.mask.any(),
                "flagged": bool(placed.fit.doubts),
                "score": score.value,
                "CPU s": time.process_time() - start,
            }
        )
    return images


def wall(images: Any) -> Any:
    """Log of mean wall over mean radius, and of mean wall, (patients, 2), from the images."""
    inner, outer = images[::2], images[1::2]
    there = np.isfinite(inner).all(axis=1) & np.isfinite(outer).all(axis=1)
    radius = [np.linalg.norm(part, axis=1) for part in (inner, outer)]
    means = [np.array([r[m].mean() for r, m in zip(one, there, strict=True)]) for one in radius]
    thick = np.maximum(means[1] - means[0], 0.05 * means[0])
    return np.log(np.column_stack([thick / means[0], thick]))


def pixels(images: Any) -> Any:
    """Both walls of each patient as a row; a missing pixel is the mean of the others'."""
    flat = images.reshape(len(images) // 2, -1)
    seen = np.isfinite(flat).mean(axis=0) > 0.9
    flat = flat[:, seen]
    return np.where(np.isfinite(flat), flat, np.nanmean(flat, axis=0))


def accuracy(table: Any, picture: Any, y: Any, seeds: int) -> tuple[float, float]:
    """Mean and spread over splits of the accuracy of a table, with components or without."""
    hits = []
    for seed in range(seeds):
        right = 0
        for rows, held in StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y):
            right += (_answer(table, picture, y, rows, held, seed) == y[held]).sum()
        hits.append(right / len(y))
    return float(np.mean(hits)), float(np.std(hits))


def _answer(table: Any, picture: Any, y: Any, rows: Any, held: Any, seed: int) -> Any:
    inner = StratifiedKFold(4, shuffle=True, random_state=100 + seed)
    best, answer = -np.inf, None
    for count in (0,) if picture is None else (2, 4, 8):
        learn, new = table[rows], table[held]
        if count:
            front = PCA(count, svd_solver="full").fit(picture[rows])
            learn = np.column_stack([learn, front.transform(picture[rows])])
            new = np.column_stack([new, front.transform(picture[held])])
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        grid = {"logisticregression__C": STRENGTHS}
        found = GridSearchCV(model, grid, cv=inner, scoring="neg_log_loss").fit(learn, y[rows])
        if found.best_score_ > best:
            best, answer = found.best_score_, found.predict(new)
    return answer


def main() -> None:
    """Make the frame, register, learn, print, write."""
    parser = argparse.ArgumentParser(description="Left ventricles.")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--frame", type=Path, default=Path("out/ventricles/frame.npz"))
    args = parser.parse_args()
    scans, rows = Ventricles(wall="both"), list[dict[str, Any]]()
    if not args.frame.exists():
        args.frame.parent.mkdir(parents=True, exist_ok=True)
        population_template(scans, count=FRAME).save(args.frame)
    frame = mc.Template.load(args.frame)
    warnings.simplefilter("ignore")
    images = registered(scans, frame, rows)
    others = [row for row in rows if not row["in frame"]]
    known = [row for row in others if "refused" not in row]
    about = {
        "registered": len(others),
        "refused": len(others) - len(known),
        "empty": sum(row["empty"] for row in known),
        "folds": sum(row["folds"] for row in known),
        "least coverage": min(row["coverage"] for row in known),
        f"coverage below {BAR}": sum(row["coverage"] < BAR for row in known),
        "flagged": sum(row["flagged"] for row in known),
    }
    print_table([about])
    print(frame.open_turn or "the turn is told by the shape")
    y = np.array([scans[k].label for k in range(0, len(scans), 2)])
    plain = np.array([five(scans[k].surface) for k in range(len(scans))]).reshape(len(y), -1)
    both, measures = pixels(images), np.column_stack([plain, wall(images)])
    kinds = {
        "five measures of each wall": (plain, None),
        "the same, wall in the frame": (measures, None),
        "the same, components of the images": (measures, both),
        "wall and components, no measures": (wall(images), both),
    }
    found = []
    for name, (table, picture) in kinds.items():
        mean, spread = accuracy(table, picture, y, args.seeds)
        found.append({"from": name, "accuracy": mean, "over splits": spread})
        print(found[-1], flush=True)
    record = {"environment": environment("numpy", "scikit-learn"), "frame": frame.open_turn}
    write("ventricles", {**record, "about": about, "accuracy": found, "rows": rows})


if __name__ == "__main__":
    main()
