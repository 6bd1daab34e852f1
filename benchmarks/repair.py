"""Closest points beside libigl; check and repair beside a conformal map; wraps, handles, thickness.

    MESHCONV_DATA=... python benchmarks/repair.py     # about 5 minutes on one core

CPU seconds on one thread, each as a ratio to the peer of the same run; the quality stands beside
the time. Writes results/repair.json.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

from _common import environment, interleaved, one_thread, print_table, ratio, summary, write

one_thread()

import igl
import numpy as np
from scipy import ndimage

from meshconv import Surface, check, conformal_map, cut, local_thickness, repair
from meshconv.errors import RepairWarning
from meshconv.mesh import shapes
from meshconv.mesh.closest import closest_points
from meshconv.mesh.skull import ct_skull
from meshconv.mesh_repair import lattice

REPEATS = 3
COLUMNS = ("what", "median_s", "spread_s", "repeats", "to_peer", "quality")


def closest() -> list[dict[str, Any]]:
    """100,000 points and about as many faces; build and query."""
    rng = np.random.default_rng(0)
    ball = shapes.icosphere(6)
    way = rng.normal(size=(100_000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    uneven = ball.vertices * np.where(ball.vertices[:, 2:] > 0, [1.0, 1.0, 0.02], 1.0)
    huge = 30.0 * rng.normal(size=(6, 3))
    meshes = {
        "even": (ball.vertices, ball.faces),
        "thin": (uneven, ball.faces),
        "with huge ones": (
            np.concatenate([ball.vertices, huge]),
            np.concatenate([ball.faces, [[40962, 40963, 40964], [40965, 40966, 40967]]]),
        ),
    }
    out = []
    for name, (vertices, faces) in meshes.items():
        points = way * rng.uniform(0.9, 1.1, (len(way), 1))
        v, f = np.array(vertices), np.array(faces)
        runs = {
            "meshconv": lambda p=points, v=v, f=f: closest_points(p, v, f),
            "libigl": lambda p=points, v=v, f=f: igl.point_mesh_squared_distance(p, v, f),
        }
        times = interleaved(runs, REPEATS)
        ours = np.linalg.norm(closest_points(points, v, f)[2] - points, axis=1)
        theirs = np.sqrt(igl.point_mesh_squared_distance(points, v, f)[0])
        out.append(
            {
                "what": f"closest points, {name}",
                **summary(times["meshconv"]),
                "to_peer": ratio(times["meshconv"], times["libigl"]),
                "quality": f"largest difference {abs(ours - theirs).max():.1e}",
            }
        )
    return out


def scan() -> list[dict[str, Any]]:
    """A clean surface of 128,000 vertices, made anew for each run."""
    flat = shapes.cap(206)
    rough = flat.vertices + 3e-4 * np.random.default_rng(0).normal(size=flat.vertices.shape)

    def both() -> None:
        surface = Surface(rough, flat.faces)
        check(surface)
        repair(surface)

    runs = {
        "check": lambda: check(Surface(rough, flat.faces)),
        "check + repair": both,
        "map": lambda: conformal_map(Surface(rough, flat.faces), domain="disk"),
    }
    times = interleaved(runs, REPEATS)
    return [
        {
            "what": f"{name}, {flat.n_vertices} vertices, to its conformal map",
            **summary(times[name]),
            "to_peer": ratio(times[name], times["map"]),
            "quality": "",
        }
        for name in ("check", "check + repair")
    ]


def sponge() -> Surface:
    """A body of many handles of all sizes."""
    field = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(60, 60, 60)), 3.0)
    field = np.pad(field, 2, constant_values=field.min())
    field -= np.quantile(field, 0.6)
    label = ndimage.label(field > 0, lattice.JOINED)[0]
    outside = ndimage.label(label != np.bincount(label.ravel())[1:].argmax() + 1, lattice.JOINED)[0]
    solid, least = outside != outside[0, 0, 0], 0.02 * field.std()
    depth = np.where(solid, np.maximum(field, least), np.minimum(field, -least))
    return Surface(*lattice.contour(depth))


def timed(what: str, run: Any, quality: Any) -> dict[str, Any]:
    start = time.process_time()
    result = run()
    taken = time.process_time() - start
    return {"what": what, "median_s": taken, "repeats": 1, "quality": quality(result)}


def bodies() -> list[dict[str, Any]]:
    skull, holed, ball = ct_skull(), sponge(), shapes.icosphere(6)
    flattened = Surface(ball.vertices * [3.0, 1.0, 0.4], ball.faces)
    wraps = "wrap at a 128th of the diagonal"
    return [
        timed(
            f"{wraps}, generated CT skull, {skull.n_faces} faces",
            lambda: repair(skull, wrap=True),
            lambda r: f"sphere {r.report_after.is_sphere}; {r.changes[0]}",
        ),
        timed(
            f"genus {check(holed).genus} to 0, {holed.n_faces} faces",
            lambda: repair(holed, remove_handles=True),
            lambda r: f"sphere {r.report_after.is_sphere}, {len(r.report_after.problems)} problems",
        ),
        timed(
            "cut of the same to a disk",
            lambda: cut(holed),
            lambda c: f"disk {check(c.surface).is_disk}, {len(c.seams)} edges",
        ),
        timed(
            f"thickness, ellipsoid of {ball.n_vertices} vertices",
            lambda: local_thickness(flattened),
            lambda t: f"at most {t.max():.4f} (0.8)",
        ),
        timed(
            f"thickness, sphere of {ball.n_vertices} vertices",
            lambda: local_thickness(ball),
            lambda t: f"{t.min():.4f} to {t.max():.4f} (2)",
        ),
    ]


def finches(folder: Path) -> list[dict[str, Any]]:
    """All 98 bird skulls, wrapped."""
    data = np.load(folder / "finch_skulls.npz")
    spheres, most, largest, seconds = 0, [], [], []
    for k in range(98):
        vertices = data["vertices"][data["vptr"][k] : data["vptr"][k + 1]].astype(float)
        faces = data["faces"][data["fptr"][k] : data["fptr"][k + 1]]
        start = time.process_time()
        found = repair((vertices, faces), wrap=True)
        seconds.append(time.process_time() - start)
        spheres += found.report_after.is_sphere
        away = np.linalg.norm(found.moved(vertices) - found.surface.vertices, axis=1)
        away /= np.linalg.norm(np.ptp(vertices, axis=0)) / 128
        most.append(np.quantile(away, 0.99))
        largest.append(away.max())
    quality = (
        f"{spheres} of 98 closed genus 0; distance in units of the resolution: 99 % "
        f"{np.median(most):.2f} (worst {max(most):.2f}), largest {np.median(largest):.2f} "
        f"(worst {max(largest):.2f})"
    )
    what = "wrap at a 128th of the diagonal, each of 98 bird skulls"
    return [{"what": what, **summary(seconds), "quality": quality}]


def main() -> None:
    warnings.simplefilter("ignore", RepairWarning)
    rows = closest() + scan() + bodies()
    folder = os.environ.get("MESHCONV_DATA")
    if folder:
        rows += finches(Path(folder))
    print_table([{name: row.get(name) for name in COLUMNS} for row in rows])
    write("repair", {"rows": rows, **environment("numpy", "scipy", "numba", "libigl")})


if __name__ == "__main__":
    main()
