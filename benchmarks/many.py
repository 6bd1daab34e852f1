"""Thousands of scans through a Dask cluster of two workers, and as two shards of which one is
killed, beside one process.

    python benchmarks/many.py                        # 2,000 scans, 15 CPU minutes
    python benchmarks/many.py --unprofiled           # as docs/guide/scaling.md advises
    python benchmarks/many.py --shards --scans 400   # the shards, 3 minutes: needs two idle cores

Generated faces of 600 vertices, one file each. Blocks of scans go through one process and through
the cluster in turn, so that both see the same machine. CPU seconds are those of all processes of
the cluster: driver with its scheduler, nannies and workers. Their start with four scans, imports
included, is stated beside it. The shards are two commands at once; one is ended with signal 9 in
the middle and run again: wall time from the first start to the last end, beside that of one
command. Every cache must be that of the one process, byte for byte. Each comparison writes its row
of results/many.json.
"""

from __future__ import annotations

import argparse
import csv
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _common import environment, one_thread, print_table, rows_in, write

one_thread()

import meshconv as mc
from meshconv.datasets.procedural import ProceduralFaces
from meshconv.mesh.shapes import face
from meshconv.train.config import PrepareConfig
from meshconv.train.prepare import prepare

VERTICES, SIZE, BLOCK = 600, 33, 250


def write_study(folder: Path, n: int) -> None:
    """Write n faces, a table and the frame."""
    rows = [["file", "label"]]
    for k, scan in enumerate(ProceduralFaces(n, n_vertices=VERTICES, seed=5)):
        mc.save(folder / f"{k:05d}.ply", scan.surface)
        rows.append([f"{k:05d}.ply", "ab"[k % 2]])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    mc.Template.from_surface(face(800)).save(folder / "frame.npz")


def made(folder: Path, cache: Path, which: slice, client: Any = None) -> None:
    """Prepare some of the scans."""
    files: Sequence[Path] = sorted(folder.glob("*.ply"))[which]
    frame = mc.Template.load(folder / "frame.npz")
    how: dict[str, Any] = {"config": PrepareConfig(size=SIZE), "progress": False}
    prepare(files, frame, cache=cache, client=client, **how)


def serve(folder: Path, cache: Path) -> None:
    """Be the one process: prepare the blocks that standard input asks for, say what each took."""
    warnings.simplefilter("ignore")
    made(folder, cache.parent / "first", slice(4))
    print(time.process_time(), flush=True)
    for line in sys.stdin:
        first, last = map(int, line.split())
        start = time.process_time()
        made(folder, cache, slice(first, last))
        print(time.process_time() - start, flush=True)


def spent() -> dict[int, float]:
    """CPU seconds of this process and of all that it started, by number."""
    import psutil

    here = psutil.Process()
    times = {one.pid: one.cpu_times() for one in (here, *here.children(recursive=True))}
    return {pid: time.user + time.system for pid, time in times.items()}


def between(before: dict[int, float], after: dict[int, float]) -> float:
    """CPU seconds that the processes of `after` spent since `before`."""
    return sum(time - before.get(pid, 0.0) for pid, time in after.items())


def through_dask(folder: Path, scratch: Path, n: int, profiled: bool = True) -> dict[str, Any]:
    """One process and two workers in turn, block by block."""
    import dask
    from distributed import Client, LocalCluster

    command = [sys.executable, __file__, "--serve", str(folder), str(scratch / "serial")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    blocks: list[tuple[float, float]] = []
    # before the cluster, whose nannies change the environment of all that is started later
    alone = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
    alone_started = float(alone.stdout.readline())
    begin = spent()
    dask.config.set({"distributed.worker.profile.enabled": profiled})
    local = LocalCluster(2, threads_per_worker=1, dashboard_address=None)
    with local as cluster, Client(cluster) as client:
        made(folder, scratch / "first too", slice(4), client)
        started = between(begin, spent())
        for first in range(0, n, BLOCK):
            print(first, min(first + BLOCK, n), file=alone.stdin, flush=True)
            serial = float(alone.stdout.readline())
            others = {alone.pid: 0.0}
            before = spent()
            made(folder, scratch / "dask", slice(first, min(first + BLOCK, n)), client)
            after = {pid: time for pid, time in spent().items() if pid not in others}
            blocks.append((serial, between(before, after)))
            print(f"{first + BLOCK} scans: {blocks[-1][1] / serial:.3f}", flush=True)
        alone.stdin.close()
        alone.wait()
    one, two = map(sum, zip(*blocks, strict=True))
    return {
        "through": "Dask, two workers" + ("" if profiled else ", their profiler off"),
        "scans": n,
        "one process": one,
        "two": two,
        "ratio": two / one,
        "start-up, not counted": {"one process": alone_started, "cluster": started},
        "ratios of blocks": [b / a for a, b in blocks],
        "equal": same(scratch / "serial", scratch / "dask"),
    }


def same(a: Path, b: Path) -> bool:
    """Whether two caches hold the same files, byte for byte."""
    names = sorted(one.name for one in a.iterdir())
    if names != sorted(one.name for one in b.iterdir()):
        return False
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


def command(folder: Path, cache: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start the command that a batch system would."""
    words = ["prepare", str(folder), "--template", str(folder / "frame.npz"), "--cache", str(cache)]
    argv = [sys.executable, "-W", "ignore", "-m", "meshconv", *words, "--size", str(SIZE), *more]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def as_shards(folder: Path, scratch: Path, n: int) -> dict[str, Any]:
    """One command, then two at once of which one is killed in the middle and run again."""
    start = time.perf_counter()
    command(folder, scratch / "one").wait()
    one = time.perf_counter() - start
    start = time.perf_counter()
    first, second = (command(folder, scratch / "shards", "--shard", k) for k in ("1/2", "2/2"))
    time.sleep(one / 4)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = sum(1 for _ in (scratch / "shards").glob("*.npz"))
    command(folder, scratch / "shards", "--shard", "1/2").wait()
    second.wait()
    two = time.perf_counter() - start
    return {
        "through": "two shards, one killed",
        "scans": n,
        "one process": one,
        "two": two,
        "ratio": two / one,
        "finished when it was killed": kept,
        "equal": same(scratch / "one", scratch / "shards"),
    }


def main() -> None:
    """Write the scans, run both comparisons, record them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--shards", action="store_true", help="two shards instead")
    parser.add_argument(
        "--unprofiled", action="store_true", help="without the profiler of Dask's workers"
    )
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(*args.serve)
        return
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        folder, scratch = Path(place) / "study", Path(place)
        folder.mkdir()
        write_study(folder, args.scans)
        if args.shards:
            row = as_shards(folder, scratch, args.scans)
        else:
            row = through_dask(folder, scratch, args.scans, profiled=not args.unprofiled)
    print_table([{name: str(value) for name, value in row.items() if name != "ratios of blocks"}])
    rows = [one for one in rows_in("many") if one["through"] != row["through"]] + [row]
    path = write("many", {"environment": environment("numpy", "distributed"), "rows": rows})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
