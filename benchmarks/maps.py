"""Maps against libigl and LaPy: quality beside CPU time, as ratios within one run.

    python benchmarks/maps.py [--sections disk sphere ...] [--repeats 5] [--large]   #
    OMP_NUM_THREADS=1

Each section is a function that returns rows; add one to SECTIONS to add rows. Times are process CPU
seconds, medians after a warm-up, the sides taking turns, both from the same vertex and face arrays
to the finished coordinates. Results go to benchmarks/results/maps.json; losses are printed like
wins.
"""

from __future__ import annotations

from _common import one_thread

one_thread()

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import igl
import lapy
import numpy as np
import scipy
import trimesh
from lapy import conformal as lapy_conformal
from meshes import rough_points, shuffled

import meshconv
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.distortion import distortion
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh import shapes
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import cotangent_laplacian
from meshconv.operators.solve import FixedValueSolver

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("MESHCONV_DATA", HERE.parents[1] / "shared" / "data"))
PUBLISHED_DISK = {
    "choi_human_face": 1.210,
    "choi_chinese_lion": 1.419,
    "choi_human_brain": 1.458,
    "choi_hand": 1.212,
}
PUBLISHED_RECTANGLE = {
    "choi_human_face": 1.217,
    "choi_chinese_lion": 1.481,
    "choi_human_brain": 1.515,
}
CLOSED = ("choi_david_head", "choi_maxplanck_head", "choi_hippocampus")
BARS = {
    "igl lscm": (0.5, 0.1),
    "igl harmonic": (None, 0.5),
    "lapy": (0.5, 0.5),
}  # below and above 150,000 vertices
_SLOW = 5.0
Row = dict[str, Any]


def cpu(
    tasks: dict[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Last result of each task (or its error), and CPU seconds of each repeat.

    The tasks take turns after one warm-up each, so that a slow spell of the machine meets all of
    them. A task of more than 5 seconds has nothing to warm up: it runs 3 times in all.
    """
    results: dict[str, Any] = {}
    times: dict[str, list[float]] = {}
    for name, task in tasks.items():
        start = time.process_time()
        try:
            results[name], times[name] = task(), []
        except (ValueError, RuntimeError, IndexError) as error:
            results[name] = error
            continue
        seconds = time.process_time() - start
        if seconds > _SLOW:
            times[name].append(seconds)
    for _ in range(repeats):
        for name, found in times.items():
            if len(found) == 3 and found[0] > _SLOW:
                continue
            start = time.process_time()
            results[name] = tasks[name]()
            found.append(time.process_time() - start)
    return results, {name: np.array(found) for name, found in times.items()}


def real(name: str) -> Surface:
    if (DATA / f"{name}.npz").exists():
        arrays = np.load(DATA / f"{name}.npz")
        return Surface(arrays["vertices"], arrays["faces"])
    return Surface.from_trimesh(trimesh.load(DATA / f"{name}.ply", process=False))


def fresh(surface: Surface) -> Surface:
    """The same arrays without anything cached."""
    return Surface(surface.vertices, surface.faces)


def lscm(surface: Surface) -> np.ndarray:
    loop = igl.boundary_loop(surface.faces)
    pins = np.array([loop[0], loop[len(loop) // 2]])
    found = igl.lscm(surface.vertices, surface.faces, pins, np.array([[0.0, 0.0], [1.0, 0.0]]))
    parts = found if isinstance(found, tuple) else (found,)
    return next(p for p in parts if getattr(p, "shape", None) == (surface.n_vertices, 2))


def harmonic(surface: Surface) -> np.ndarray:
    loop = igl.boundary_loop(surface.faces)
    circle = igl.map_vertices_to_circle(surface.vertices, loop)
    return np.asarray(igl.harmonic(surface.vertices, surface.faces, loop, circle, 1))


def lapy_sphere(surface: Surface) -> np.ndarray:
    return np.asarray(
        lapy_conformal.spherical_conformal_map(
            lapy.TriaMesh(surface.vertices.copy(), surface.faces.copy())
        )
    )


def quality(flat: Parameterization) -> Row:
    found = distortion(flat)
    figures = {
        "angle": found.angle_mean,
        "angle_std": found.angle_std,
        "angle_max": found.angle_max,
    }
    return {**{k: round(v, 4) for k, v in figures.items()}, "folds": len(found.folds)}


def compared(
    name: str,
    surface: Surface,
    peers: dict[str, Callable[[Surface], np.ndarray]],
    repeats: int,
    domain: str,
) -> list[Row]:
    """Rows for our map and each peer; `ratio` is the median over the repeats of our time over the
    peer's.
    """
    tasks: dict[str, Callable[[], Any]] = {
        "meshconv": lambda: conformal_map(fresh(surface), domain=domain)
    }
    tasks |= {peer: lambda task=task: task(surface) for peer, task in peers.items()}
    results, times = cpu(tasks, repeats)
    rows = []
    for method, found in results.items():
        if isinstance(found, Exception):
            rows.append({"mesh": name, "method": method, "failed": str(found)[:80]})
            continue
        flat = found if method == "meshconv" else Parameterization(surface, found, _image(found))
        seconds = times[method]
        row = _row(
            name, surface, method, float(np.median(seconds)), float(np.ptp(seconds)), quality(flat)
        )
        if method != "meshconv":
            row |= {
                "ratio": round(float(np.median(_beside(times["meshconv"], seconds))), 3),
                **_bar(method, surface.n_vertices),
            }
        rows.append(row)
    return rows


def _beside(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Our time over theirs, turn by turn; over the median of theirs where they ran less often."""
    return ours / (theirs if len(theirs) == len(ours) else np.median(theirs))


def _image(coordinates: np.ndarray) -> str:
    return "sphere" if coordinates.shape[1] == 3 else "plane"


def _bar(peer: str, size: int) -> Row:
    """The ratio that the project wants, where it has set one."""
    small, large = BARS.get(peer, (None, None))
    bar = large if size > 150_000 else small if size > 20_000 or peer == "lapy" else None
    return {} if bar is None else {"bar": bar}


def _row(
    name: str, surface: Surface, method: str, seconds: float, spread: float, figures: Row
) -> Row:
    times = {"cpu_s": round(seconds, 4), "spread_s": round(spread, 4)}
    return {"mesh": name, "vertices": surface.n_vertices, "method": method, **times, **figures}


# --- sections
# ------------------------------------------------------------------------------------------


def disk(repeats: int, large: bool) -> list[Row]:
    """Unit disk against libigl's LSCM (free border) and harmonic map (border by arc length).

    Three surfaces of 200,000 vertices: a grid numbered row by row, on which everything is fastest
    and libigl's ordering at its best; the same with its vertices in random order; and random
    points, whose map has folds.
    """
    meshes = {name: real(name) for name in PUBLISHED_DISK if DATA.is_dir()}
    for size in (26_000, 50_000, 200_000):
        meshes[f"bump{size // 1000}k"] = bump(size)
    meshes["bump200k shuffled"] = shuffled(meshes["bump200k"])
    meshes["points200k"] = rough_points(200_000)
    rows = []
    for name, surface in meshes.items():
        found = compared(
            name, surface, {"igl lscm": lscm, "igl harmonic": harmonic}, repeats, "disk"
        )
        if name in PUBLISHED_DISK:
            found[0]["published"] = PUBLISHED_DISK[name]
        rows += found
    return rows


def bump(size: int) -> Surface:
    """A noisy heightfield over a square with about `size` vertices."""
    return shapes.bumpy_heightfield(round(np.sqrt(size)), roughness=0.3)


def rectangle(repeats: int, large: bool) -> list[Row]:
    """Rectangle with corners found; the published figures are those of Meng, Choi and Lui
    (2016).
    """
    rows = []
    for name, published in PUBLISHED_RECTANGLE.items():
        rows += compared(name, real(name), {}, 1, "rectangle")
        rows[-1]["published"] = published
    return rows


def free(repeats: int, large: bool) -> list[Row]:
    """Free border (spectral) against libigl's LSCM."""
    return [
        row
        for name in PUBLISHED_DISK
        for row in compared(name, real(name), {"igl lscm": lscm}, repeats, "free")
    ]


def sphere(repeats: int, large: bool) -> list[Row]:
    """Sphere against LaPy."""
    return [
        row
        for name in CLOSED
        for row in compared(name, real(name), {"lapy": lapy_sphere}, repeats, "sphere")
    ]


def faces(repeats: int, large: bool) -> list[Row]:
    """200 random morphable faces at 1.3 standard deviations, full resolution: refusals and
    folds.
    """
    data, rng = np.load(DATA / "ict_face.npz"), np.random.default_rng(0)
    mean, modes = data["vertices"].astype(float), data["identity_modes"].astype(float)
    start, folds, refused, angles = time.process_time(), 0, 0, []
    for _ in range(200):
        surface = Surface(
            mean + np.tensordot(1.3 * rng.standard_normal(len(modes)), modes, 1), data["faces"]
        )
        try:
            found = conformal_map(surface).distortion()
        except meshconv.MeshConvError:
            refused += 1
            continue
        folds += len(found.folds)
        angles.append(found.angle_mean)
    seconds = (time.process_time() - start) / 200
    figures = {
        "angle": round(float(np.mean(angles)), 4),
        "angle_max": round(max(angles), 4),
        "folds": folds,
    }
    return [
        {
            "mesh": "ict_face x 200",
            "vertices": len(mean),
            "method": "meshconv",
            "cpu_s": round(seconds, 4),
            **figures,
            "refused": refused,
        }
    ]


def million(repeats: int, large: bool) -> list[Row]:
    """One million vertices: the map against the bare factorisation of its matrix. Only with
    --large.
    """
    if not large:
        return []
    surface = bump(1_000_000)
    laplacian, loop = cotangent_laplacian(surface), surface.boundary_loops[0]
    tasks: dict[str, Callable[[], Any]] = {
        "meshconv": lambda: conformal_map(fresh(surface)),
        "bare factorisation": lambda: FixedValueSolver(
            laplacian, loop, coordinates=surface.vertices
        ),
    }
    results, times = cpu(tasks, 3)
    whole, bare = (np.array(times[name]) for name in tasks)
    row = _row(
        "bump1M",
        surface,
        "meshconv",
        float(np.median(whole)),
        float(np.ptp(whole)),
        quality(results["meshconv"]),
    )
    ratio = {"ratio": round(float(np.median(_beside(whole, bare))), 3), "bar": 2.0}
    spread = {"cpu_s": round(float(np.median(bare)), 4), "spread_s": round(float(np.ptp(bare)), 4)}
    return [row, {"mesh": "bump1M", "method": "bare factorisation", **spread, **ratio}]


def memory(repeats: int, large: bool) -> list[Row]:
    """Peak memory of one map above that of the loaded program, each in its own process."""
    size = 200_000
    rows: list[Row] = []
    for method in ("meshconv", "igl lscm"):
        call = f"maps.report_peak({method!r}, {size})"
        code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import maps; {call}"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        rows.append(
            {
                "mesh": f"bump{size // 1000}k",
                "method": method,
                "peak_mb": float(done.stdout.split()[-1]),
            }
        )
    rows[1]["ratio"], rows[1]["bar"] = round(rows[0]["peak_mb"] / rows[1]["peak_mb"], 3), 1.0
    return rows


def report_peak(method: str, size: int) -> None:
    task = conformal_map if method == "meshconv" else lscm
    task(bump(2_000))  # compile and load before the count starts
    surface = bump(size)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the surface
    before = _peak_kb()
    task(surface)
    print((_peak_kb() - before) / 1024)


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


SECTIONS: dict[str, Callable[[int, bool], list[Row]]] = {
    "disk": disk,
    "rectangle": rectangle,
    "free": free,
    "sphere": sphere,
    "faces": faces,
    "million": million,
    "memory": memory,
}


def table(rows: list[Row]) -> str:
    """A Markdown table of the rows."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(key, "")) for key in columns) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also 1,000,000 vertices")
    options = parser.parse_args()
    target = HERE / "results" / "maps.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    for name in options.sections:
        rows = SECTIONS[name](options.repeats, options.large)
        if rows:
            results[name] = rows
            title = str(SECTIONS[name].__doc__).partition("\n")[0]
            print(f"\n### {name}: {title}\n\n{table(rows)}", flush=True)
    versions = {
        m.__name__: m.__version__
        for m in (meshconv, np, scipy, igl, lapy)
        if hasattr(m, "__version__")
    }
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    results["about"] = {
        "versions": versions,
        "python": platform.python_version(),
        "threads": threads,
    }
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
