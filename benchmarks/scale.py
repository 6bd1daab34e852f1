"""How the time of each stage grows with the vertices of a scan, from the file to the image.

    python benchmarks/scale.py                      # 9,000 to 418,000 vertices, 2 to 3 minutes
    python benchmarks/scale.py --vertices 9000 27000 --one-run

Generated faces, each meshed, posed and measured on its own (noise of a twentieth of an edge). CPU
seconds on one thread, each size in a process of its own, so that the peak of its memory is its own.
The exponent of a stage is the slope of log(time) over log(vertices). The evidence of two groups is
measured over the number of images, which lie in a file. Writes results/scale.json and
results/scale.png (log-log, one line for each stage).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, environment, one_thread, print_table, write

one_thread()

import numpy as np
from scipy.spatial.transform import Rotation

import meshconv as mc
from meshconv import Surface
from meshconv.mesh.shapes import face
from meshconv.resample.image_stack import in_files
from meshconv.stats.evidence import group_evidence

SIZES = (9_000, 27_000, 128_000, 418_000)
IMAGES = (100, 300, 1000, 3000)  # of two groups, 6 x 65 x 65
STAGES = ("load", "check", "repair", "conformal map", "fit", "place", "resampler", "channels")
STEP = "density step 1000"
STEEPEST = 128_000  # vertices up to which the step of density is measured too
BAR = 1.2


def scan(n_vertices: int) -> Surface:
    """A generated face in any pose, with noise."""
    clean = face(n_vertices, identity=1, triangulation=1)
    rng = np.random.default_rng(0)
    noise = 0.05 * float(np.sqrt(clean.area / n_vertices))
    turned = clean.vertices @ Rotation.random(random_state=3).as_matrix().T
    return Surface(turned + noise * rng.normal(size=turned.shape), clean.faces)


def clocked(times: dict[str, float], name: str, run: Callable[[], Any]) -> Any:
    """Run and note the CPU seconds."""
    start = time.process_time()
    result = run()
    times[name] = time.process_time() - start
    return result


def to_image(path: Path, frame: mc.Template) -> tuple[dict[str, float], Surface]:
    """CPU seconds of each stage from the file to the image, and the surface that was mapped."""
    times: dict[str, float] = {}
    surface = clocked(times, "load", lambda: mc.load(path))
    clocked(times, "check", lambda: mc.check(Surface(surface.vertices, surface.faces)))
    mended = clocked(times, "repair", lambda: mc.repair(surface).surface)
    fit = clocked(times, "fit", lambda: mc.fit_template(mended, frame))
    flat = clocked(times, "place", fit.parameterization)
    grid = clocked(times, "resampler", lambda: mc.Resampler(flat, 129))
    image = clocked(times, "channels", lambda: grid.to_image(mc.channels(mended, flat)))
    if len(flat.flipped_faces()) or not np.isfinite(image.channels).any():
        raise SystemExit("the map folds, or the image is empty: no time counts")
    times["file to image"] = sum(t for name, t in times.items() if name != "check")
    times["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return times, Surface(mended.vertices, mended.faces)


def way(path: Path, frame: mc.Template, steep: bool) -> dict[str, float]:
    """CPU seconds of each stage from the file to the image, the maps beside it."""
    times, again = to_image(path, frame)
    disk = clocked(times, "conformal map", lambda: mc.conformal_map(again, domain="disk"))
    if steep:
        right = disk.coordinates[disk.surface.faces, 0].mean(axis=1) > 0
        density = np.where(right, 1000.0, 1.0)
        clocked(times, STEP, lambda: mc.density_equalizing_map(disk, density))
    return times


def measured(n_vertices: int, repeats: int) -> dict[str, float]:
    """Medians of a size; what is compiled, and all that the frame computes once, is done before."""
    warnings.simplefilter("ignore")
    frame = mc.Template.from_surface(face(8000))
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.ply", Path(folder) / "large.ply"
        mc.save(small, scan(2000))
        mc.save(large, scan(n_vertices))
        way(small, frame, steep=True)
        runs = [way(large, frame, n_vertices <= STEEPEST) for _ in range(repeats)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def evidence(counts: Sequence[int]) -> list[dict[str, float]]:
    """CPU seconds of the evidence of two groups of images in a file, alike but for noise."""
    rng, rows = np.random.default_rng(0), []
    basis = rng.normal(size=(20, 6, 65, 65)).cumsum(2).cumsum(3).astype(np.float32)
    basis /= basis.std()
    with tempfile.TemporaryDirectory() as folder:
        for n in counts:
            shape, path = (n, *basis.shape[1:]), f"{folder}/{n}.npy"
            images = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            for k in range(n):
                own = np.tensordot(rng.normal(size=20), basis, 1)
                images[k] = own + 0.1 * rng.normal(size=own.shape)
            images.flush()
            find = partial(group_evidence, in_files(np.load(path, mmap_mode="r")), np.arange(n) % 2)
            times: dict[str, float] = {}
            clocked(times, "group evidence", find)
            rows.append({"images": n, **times})
    return rows


def exponent(rows: list[dict[str, Any]], over: str, name: str) -> float:
    """Exponent of a time, least squares."""
    x, y = np.log([(row[over], row[name]) for row in rows if name in row]).T
    return float(np.polyfit(x, y, 1)[0])


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Slope of log(time) over log(vertices), least squares, of every stage."""
    out = {}
    for name in (*STAGES, "file to image", STEP):
        if sum(name in row for row in rows) > 1:
            out[name] = exponent(rows, "vertices", name)
    return out


def picture(rows: list[dict[str, Any]], slopes: dict[str, float]) -> Path:
    """Draw time over vertices, log-log."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.5), layout="constrained")
    axes = figure.subplots()
    for k, (name, slope) in enumerate(slopes.items()):
        points = [(row["vertices"], row[name]) for row in rows if name in row]
        total = name == "file to image"
        axes.loglog(
            *zip(*points, strict=True),
            marker="os^vD<>*hX"[k],
            color="black" if total else f"C{k}",
            linewidth=2.5 if total else 1.2,
            label=f"{name}: n^{slope:.2f}",
        )
    axes.set(xlabel="vertices", ylabel="CPU seconds, one thread")
    axes.set_title("From file to image: how each stage grows")
    axes.grid(which="major", alpha=0.3)
    figure.legend(fontsize=8, loc="outside right upper")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "scale.png"
    figure.savefig(path, dpi=110)
    return path


def main() -> None:
    """Measure every size in a process of its own; print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--vertices", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one-run", action="store_true", help="no medians of three")
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    repeats = 1 if args.one_run else 3
    if args.alone:
        print(json.dumps(measured(args.alone, repeats)))
        return
    rows = []
    for n in args.vertices:
        command = [sys.executable, __file__, "--alone", str(n)]
        command += ["--one-run"] if args.one_run else []
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows.append({"vertices": n, **json.loads(found.splitlines()[-1])})
        rows[-1]["register / conformal map"] = (rows[-1]["fit"] + rows[-1]["place"]) / rows[-1][
            "conformal map"
        ]
    slopes = exponents(rows)
    print_table([{"vertices": row["vertices"], **{k: row.get(k) for k in rows[0]}} for row in rows])
    for name, slope in slopes.items():
        print(f"{name}: n^{slope:.2f}{'' if slope <= BAR else f', above n^{BAR}'}")
    print(f"picture {picture(rows, slopes)}")
    images = evidence(IMAGES)
    print_table(images)
    growth = exponent(images, "images", "group evidence")
    print(f"group evidence: n^{growth:.2f} in the number of images")
    about = {"environment": environment("numpy", "scipy", "numba"), "runs": repeats}
    over_images = {"exponent": growth, "rows": images}
    path = write(
        "scale", {**about, "exponents": slopes, "rows": rows, "group evidence": over_images}
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
