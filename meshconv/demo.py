"""The main job on generated data, in pictures: broken scan -> surface -> curvature -> map -> population's frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

import meshconv as mc
from meshconv.maps.density import density_equalizing_map
from meshconv.mesh.shapes import face, face_landmarks
from meshconv.viz.map_picture import map_figure
from meshconv.viz.picture import FieldStyle, figure, save_figure

_N = 4000


def run(out: Path) -> dict[str, Any]:
    """Write the demonstration's files and pictures to a folder and return its figures.

    Parameters
    ----------
    out : Path
        Made if it is not there; files in it are replaced.
    """
    out.mkdir(parents=True, exist_ok=True)
    scan = _broken_scan(out / "scan.ply")
    report = mc.check(mc.load(scan))
    repaired = mc.repair(mc.load(scan))
    mc.save(out / "repaired.ply", repaired.surface)

    template = mc.Template.from_surface(face(_N), landmarks=np.array(list(face_landmarks(_N).values())))
    fit = mc.fit_template(repaired.surface, template)
    upright = fit.aligned()
    curvature = mc.mean_curvature(upright)
    save_figure(
        figure(upright, curvature, title="mean curvature (1/mm)", field_style=FieldStyle("1/mm", signed=True)),
        out / "curvature.png",
    )
    flat = mc.conformal_map(upright)
    even = density_equalizing_map(flat)
    framed = mc.register(upright, template)
    for name, one in (("conformal", flat), ("area_preserving", even), ("registered", framed)):
        save_figure(map_figure(one, title=name.replace("_", " ")), out / f"{name}.png")
    return {
        "problems found": "; ".join(report.problems),
        "repaired by": "; ".join(repaired.changes),
        "conformal map": str(mc.distortion(flat)),
        "area-preserving map": f"{even.misplaced_mass:.4f} of the area misplaced, {len(even.flipped_faces())} folds",
        "registered": f"{fit.residual:.2f} mm from the template, {len(framed.flipped_faces())} folds",
        "pictures": ", ".join(sorted(str(path) for path in out.glob("*.png"))),
    }


def _broken_scan(path: Path) -> Path:
    """A face of somebody else, in another pose, with a hole, a stray triangle and doubled vertices."""
    whole = face(_N, identity=5, triangulation=5)
    cheek = whole.vertices[face_landmarks(_N, triangulation=5)["chin"]] + np.array([22.0, 18.0, 0.0])
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
