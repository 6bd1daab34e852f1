"""The main job on generated data: a broken scan mended and mapped; a population learned, explained
and reported.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

import meshconv as mc
from meshconv.errors import RepairWarning
from meshconv.io.atomic import write_bytes_atomic
from meshconv.maps.equalize.density_map import density_equalizing_map
from meshconv.mesh.shapes import face, face_landmarks
from meshconv.viz.map_picture import map_figure
from meshconv.viz.picture import FieldStyle, figure, pyplot, save_figure
from meshconv.viz.template_engine import render

_N = 4000
_EFFECT, _AMPLITUDE = "nose_tip", 6.0
_PICTURES = ("curvature", "conformal", "area_preserving", "registered", "saliency")


def run(out: Path) -> dict[str, Any]:
    """Write the demonstration's files and pictures to a folder and return its figures.

    Parameters
    ----------
    out : Path
        Made if it is not there; files in it are replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {**_one_scan(out), **_population(out)}
    _overview(out, _PICTURES)
    return {**figures, "written": ", ".join(sorted(path.name for path in out.iterdir()))}


def tour(out: Path) -> dict[str, Any]:
    """Run the demonstration, and write ``tour.html``: each picture explained to somebody who has
    never seen a conformal map.

    Parameters
    ----------
    out : Path
        As in `run`.
    """
    figures = run(out)
    write_tour(out, figures)
    return {"tour": str(out / "tour.html"), **figures}


def write_tour(out: Path, figures: Mapping[str, Any]) -> None:
    """Write the page of a demonstration whose pictures are there."""
    pictures = {name: (out / f"{name}.png").read_bytes() for name in _PICTURES}
    page = render("tour.html", pictures=pictures, figures=figures)
    write_bytes_atomic(out / "tour.html", page.encode("utf-8", "backslashreplace"))


def _one_scan(out: Path) -> dict[str, Any]:
    """A broken scan of somebody, mended, measured, flattened, equalized and brought into a
    frame.
    """
    scan = _broken_scan(out / "scan.ply")
    report = mc.check(mc.load(scan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)  # what was dropped is printed below
        repaired = mc.repair(mc.load(scan))
    mc.save(out / "repaired.ply", repaired.surface)
    template = mc.Template.from_surface(
        face(_N), landmarks=np.array(list(face_landmarks(_N).values()))
    )
    fit = mc.fit_template(repaired.surface, template)
    upright = fit.aligned()
    look = FieldStyle("1/mm", signed=True)
    picture = figure(upright, mc.mean_curvature(upright), title="mean curvature", field_style=look)
    save_figure(picture, out / "curvature.png")
    flat = mc.conformal_map(upright)
    even = density_equalizing_map(flat)
    framed = mc.register(upright, template)
    for name, one in (("conformal", flat), ("area_preserving", even), ("registered", framed)):
        save_figure(map_figure(one, title=name.replace("_", " ")), out / f"{name}.png")
    return {
        "problems found": "; ".join(report.problems),
        "repaired by": "; ".join(repaired.changes),
        "conformal map": str(mc.distortion(flat)),
        "area-preserving map": (
            f"{even.misplaced_mass:.4f} of the area misplaced, {len(even.flipped_faces())} folds"
        ),
        "registered": (
            f"{fit.residual:.2f} mm from the template, {len(framed.flipped_faces())} folds"
        ),
    }


def _population(out: Path) -> dict[str, Any]:
    """Two groups of generated faces: learned from 60, tested on 40 never seen, explained,
    reported.
    """
    from meshconv.saliency.evaluate import agreement
    from meshconv.stats.metrics import evaluate

    train = mc.ProceduralFaces(60, _EFFECT, _AMPLITUDE, n_vertices=1500, seed=1)
    test = mc.ProceduralFaces(40, _EFFECT, _AMPLITUDE, n_vertices=1500, seed=2)
    template = mc.Template.from_surface(face(2000))
    model = mc.SurfaceClassifier(
        size=129, network_size=33, epochs=40, template=template, progress=True
    ).fit(train)
    model.save(out / "classifier.mc")
    labels = np.array([scan.label for scan in test])
    shares = model.predict_proba(test)
    metrics = evaluate(labels, shares)
    shown = [model.explain(test[k]) for k in range(6)]
    truths = [scan.truth for scan in test[: len(shown)] if scan.truth is not None]
    sites = [
        agreement(found.saliency, truth).auc for found, truth in zip(shown, truths, strict=True)
    ]
    field = model.template_saliency()
    look = FieldStyle("saliency", limits=(0.0, 1.0))
    picture = figure(template.surface, field, title="where the groups differ", field_style=look)
    save_figure(picture, out / "saliency.png")
    mc.report(
        shown,
        out / "report.html",
        title="Two groups of generated faces",
        class_names=("as they are", "larger nose tip"),
        true_labels=[int(k) for k in labels[: len(shown)]],
        metrics=metrics,
        predictions=(labels, shares),
        group_map=(template.surface, field),
        note=(
            "Every face has an identity, triangles, a pose and noise of its own; half have"
            " a larger tip of the nose."
        ),
    )
    return {
        "test faces": str(metrics),
        "saliency on the true site": f"ROC-AUC {np.mean(sites):.3f}, mean of {len(sites)} scans",
    }


def _overview(out: Path, names: tuple[str, ...]) -> None:
    """Stack the pictures into one, ``overview.png``."""
    plt = pyplot()
    images = [plt.imread(out / f"{name}.png") for name in names]
    heights = [image.shape[0] / image.shape[1] for image in images]
    fig, axes = plt.subplots(
        len(images), 1, figsize=(10, 10 * sum(heights)), gridspec_kw={"height_ratios": heights}
    )
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image)
        axis.set_axis_off()
    fig.subplots_adjust(0, 0, 1, 1, hspace=0.02)
    save_figure(fig, out / "overview.png", dpi=100)


def _broken_scan(path: Path) -> Path:
    """A face of somebody else, in another pose, with a hole, a stray triangle and doubled
    vertices.
    """
    whole = face(_N, identity=5, triangulation=5)
    cheek = whole.vertices[face_landmarks(_N, triangulation=5)["chin"]] + np.array(
        [22.0, 18.0, 0.0]
    )
    hole = np.linalg.norm(whole.vertices[whole.faces].mean(axis=1) - cheek, axis=1) < 7.0
    faces = whole.faces[~hole].copy()
    n = whole.n_vertices
    faces[-1, 0] = n  # one vertex doubled: a crack
    stray = whole.vertices[:3] + np.array([0.0, 90.0, 40.0])
    vertices = np.vstack([whole.vertices, whole.vertices[whole.faces[~hole][-1, :1]], stray])
    faces = np.vstack([faces, [[n + 1, n + 2, n + 3]]])
    turn = Rotation.from_euler("xyz", [40, -70, 115], degrees=True).as_matrix()
    mc.save(path, mc.Surface(vertices @ turn.T + [120.0, -40.0, 300.0], faces))
    return path
