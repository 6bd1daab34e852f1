"""Two groups of faces without correspondence: DECNN beside PCA + logistic regression and a plain network.

    MESHCONV_DATA=../shared/data python benchmarks/faces.py                    # 400 / 400 faces, two effects
    MESHCONV_DATA=../shared/data python benchmarks/faces.py --scans 120 --effects cleft_like_L     # a taste

Morphable faces, each meshed, cropped, posed and measured on its own; the effect has the given peak. All methods
see the same images in the frame found by registration (no landmarks). ``uniform`` is the same network on the
same 33 x 33 grid without a density. Saliency: how well the map ranks the vertices of the true site, on the mean
face; ``t-map`` is the per-pixel statistic of the training images. Prepared images are kept in --cache.
Writes results/faces.json and results/faces_EFFECT.png.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.linear_model import LogisticRegressionCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402

import meshconv as mc  # noqa: E402
from meshconv.datasets.morphable import MorphableFaces, face_model  # noqa: E402
from meshconv.datasets.population import group_statistic  # noqa: E402
from meshconv.saliency.evaluate import agreement  # noqa: E402
from meshconv.saliency.project import to_vertices  # noqa: E402
from meshconv.train.config import PrepareConfig  # noqa: E402
from meshconv.train.metrics import evaluate  # noqa: E402
from meshconv.train.prepare import prepare  # noqa: E402
from meshconv.viz.picture import FieldStyle, figure, save_figure  # noqa: E402


def images(effect: str, n: int, seed: int, amplitude: float, template: Any, cache: Path, workers: int) -> Any:
    """Prepared images and labels of one population."""
    scans = MorphableFaces(n, effect, amplitude, seed=seed)
    return prepare(scans, template, config=PrepareConfig(), cache=cache, workers=workers, on_error="skip")


def judged(field: Any, truth: Any) -> float:
    """ROC-AUC of a field on the mean face for the true site."""
    return float(agreement(field, truth).auc)


def compare(effect: str, args: argparse.Namespace, template: Any) -> list[dict[str, Any]]:
    """All methods on one effect, all seeds."""
    train = images(effect, args.scans, 100, args.amplitude, template, args.cache, args.workers)
    test = images(effect, args.scans, 200, args.amplitude, template, args.cache, args.workers)
    y, z = np.asarray(train.labels, dtype=int), np.asarray(test.labels, dtype=int)
    size = np.linalg.norm(face_model().effects[effect], axis=1)
    truth = size / size.max()
    frame = mc.Resampler(template.parameterization, train.images.shape[-1])
    rows = []

    def row(method: str, seed: Any, shares: Any, field: Any, start: float, parameters: Any) -> None:
        found = evaluate(z, shares)
        rows.append(
            {
                "effect": effect, "method": method, "seed": seed, "accuracy": found.accuracy,
                "interval": found.intervals["accuracy"], "auc": found.auc,
                "saliency auc": None if field is None else judged(field, truth), "parameters": parameters,
                "CPU s": time.process_time() - start,
            }
        )  # fmt: skip
        print(rows[-1], flush=True)

    start = time.process_time()
    linear = make_pipeline(  # outside the scan: the mean
        StandardScaler(),
        FunctionTransformer(np.nan_to_num),
        PCA(0.999, svd_solver="full"),
        StandardScaler(),
        LogisticRegressionCV(Cs=np.logspace(-5, 1, 7), max_iter=3000, cv=5),
    ).fit(train.images.reshape(len(y), -1), y)
    shares = linear.predict_proba(test.images.reshape(len(z), -1))
    row("PCA 99.9 % + logistic", "-", shares, None, start, "-")
    tmap = to_vertices(np.nan_to_num(np.asarray(group_statistic(train.images, y), dtype=float)), frame)
    rows.append({"effect": effect, "method": "t-map", "seed": "-", "saliency auc": judged(tmap, truth)})
    for seed in range(args.seeds):
        for density in ("uniform", "shared"):
            start = time.process_time()
            model = mc.SurfaceClassifier(density=density, template=template, seed=seed, epochs=args.epochs)
            model.fit(train, y)
            field = model.template_saliency() if density == "shared" else None
            parameters = sum(p.numel() for p in model.model_.parameters())
            row(f"DECNN, {density}", seed, model.predict_proba(test), field, start, parameters)
    if field is not None:
        look = FieldStyle("saliency", limits=(0.0, 1.0))
        title = f"{effect}, {args.amplitude:g} mm: learned density (last seed)"
        save_figure(
            figure(template.surface, field, title=title, field_style=look), RESULTS / f"faces_{effect}.png", dpi=90
        )
    return rows


def kept(about: dict[str, Any], effects: list[str]) -> list[dict[str, Any]]:
    """Rows of an earlier run with the same settings, on other effects."""
    path = RESULTS / "faces.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    same = all(before.get(key) == value for key, value in about.items())
    return [row for row in before.get("rows", []) if row["effect"] not in effects] if same else []


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description="Faces without correspondence.")
    parser.add_argument("--effects", nargs="+", default=["malar_flattening", "cleft_like_L"])
    parser.add_argument("--scans", type=int, default=400, help="of each of the two sets")
    parser.add_argument("--amplitude", type=float, default=4.0, help="peak of the effect, mm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("out/faces"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    template = mc.Template.from_surface(face_model().mean, landmarks=face_model().landmarks)
    rows = [row for effect in args.effects for row in compare(effect, args, template)]
    keys = ("effect", "method", "seed", "accuracy", "auc", "saliency auc", "parameters", "CPU s")
    print_table([{key: one.get(key) for key in keys} for one in rows])
    about = {"scans": args.scans, "amplitude mm": args.amplitude, "epochs": args.epochs}
    rows = kept(about, args.effects) + rows
    write("faces", {"environment": environment("numpy", "torch", "scikit-learn"), **about, "rows": rows})


if __name__ == "__main__":
    main()
