"""Density-equalizing maps: misplaced mass, folds and time, beside the published codes.

    MESHCONV_DATA=../shared/data python benchmarks/density.py      # about a minute; writes
    results/density.json

Time: CPU seconds on one thread, median and spread of 5 calls (fewer if long) after a warm-up, and
as a ratio to one `conformal_map` of the same surface in the same run. Published column: figures of
the authors' MATLAB codes under Octave on another machine; their quality can be compared, their
seconds only roughly.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy

import meshconv
from meshconv.errors import AccuracyWarning
from meshconv.io import load
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.maps.equalize.density_map import density_equalizing_map, misplaced_mass
from meshconv.maps.parameterization import Parameterization

REPEATS = 5
LONG = 8.0  # seconds after which a case is not repeated further
SEED = 0
# (surface, domain, density): misplaced mass, folds, seconds as published
PUBLISHED = {
    ("choi_human_face", "disk", "synth1"): (0.052, 197, 2.9),
    ("choi_human_face", "disk", "synth2"): (0.108, 1303, 3.5),
    ("choi_human_face", "disk", "area"): (None, 10868, 392),
    ("choi_chinese_lion", "disk", "synth1"): None,
    ("choi_chinese_lion", "disk", "synth2"): None,
    ("choi_chinese_lion", "disk", "area"): (0.137, 905, 4.3),
    ("choi_human_face", "rectangle", "area"): None,
    ("choi_chinese_lion", "rectangle", "area"): None,
    ("choi_human_face", "disk", "step 1000:1"): None,
    ("choi_human_face", "disk", "noise 1000:1"): None,
    ("choi_maxplanck_head", "sphere", "area"): (0.0124, 0, 28.7),
    ("choi_david_head", "sphere", "area"): None,
    ("choi_hippocampus", "sphere", "area"): None,
}


def bump(centre: np.ndarray, x: float, y: float, width: float) -> np.ndarray:
    return np.exp(-((centre[:, 0] - x) ** 2 + (centre[:, 1] - y) ** 2) / 2 / width**2)


def density_of(kind: str, p: Parameterization) -> np.ndarray | None:
    """Density per face of the named case; None for area-preserving."""
    c = p.coordinates[p.surface.faces].mean(axis=1)
    if kind == "synth1":
        return 1 + 4 * bump(c, 0.2, -0.1, 0.2)
    if kind == "synth2":
        return 1 + 9 * bump(c, 0.4, -0.3, 0.12) + 5 * bump(c, -0.4, 0.2, 0.15)
    if kind == "step 1000:1":
        return np.where(c[:, 0] > 0, 1e3, 1.0)
    if kind == "noise 1000:1":
        return 10 ** np.random.default_rng(SEED).uniform(0, 3, p.surface.n_faces)
    return None


def seconds(run: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, median and spread (max - min) of the CPU seconds of a call."""
    result, times = run(), []
    while len(times) < REPEATS and (not times or sum(times) < LONG):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return result, statistics.median(times), max(times) - min(times)


def measure(folder: Path, name: str, domain: str, kind: str) -> dict[str, Any]:
    surface = load(folder / f"{name}.ply")
    start, flatten, _ = seconds(lambda: conformal_map(surface, domain=domain))
    rho = density_of(kind, start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        result, median, spread = seconds(lambda: density_equalizing_map(start, rho))
    return {
        "surface": name,
        "domain": domain,
        "density": kind,
        "vertices": surface.n_vertices,
        "misplaced_before": misplaced_mass(start, result.population),
        "misplaced": result.misplaced_mass,
        "folds": len(result.flipped_faces()),
        "cpu_s": median,
        "spread_s": spread,
        "ratio_to_conformal_map": median / flatten,
        "published": PUBLISHED[name, domain, kind],
    }


def line(row: dict[str, Any]) -> str:
    beside = (
        "-"
        if row["published"] is None
        else ", ".join("-" if x is None else str(x) for x in row["published"])
    )
    cells = (
        f"{row['surface']}, {row['domain']}, {row['density']}",
        f"{row['misplaced_before']:.3f}",
        f"{row['misplaced']:.4f}",
        row["folds"],
        f"{row['cpu_s']:.2f} ({row['spread_s']:.2f})",
        f"{row['ratio_to_conformal_map']:.1f}",
        beside,
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    folder = Path(
        os.environ.get("MESHCONV_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    )
    print(
        "| case | misplaced | after | folds | CPU s (spread) | / conformal_map "
        "| published: same, folds, s |"
    )
    print("|---|---|---|---|---|---|---|")
    rows = []
    for case in PUBLISHED:
        rows.append(measure(folder, *case))
        print(line(rows[-1]), flush=True)
    versions = {m.__name__: m.__version__ for m in (meshconv, np, scipy, numba)}
    about = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": versions,
    }
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    out = Path(__file__).parent / "results" / "density.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps(
            {**about, "threads": threads, "seed": SEED, "repeats": REPEATS, "rows": rows}, indent=1
        )
    )


if __name__ == "__main__":
    main()
