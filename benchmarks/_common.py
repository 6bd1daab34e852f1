"""What the benchmarks share: interleaved CPU timing, the environment, a table, a JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread() -> None:
    """Ask every BLAS for one thread; call it before numpy is imported."""
    for name in THREADS:
        os.environ.setdefault(name, "1")


def interleaved(
    runs: Mapping[str, Callable[[], object]], repeats: int = 7
) -> dict[str, list[float]]:
    """CPU seconds of each run, taking turns, after one warm-up each."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return times


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median and spread (half the range between the quartiles, or the range of few)."""
    ordered = sorted(times)
    quarter = len(ordered) // 4
    return {
        "median_s": statistics.median(ordered),
        "spread_s": (ordered[-1 - quarter] - ordered[quarter]) / 2,
        "repeats": len(ordered),
    }


def ratio(times: Sequence[float], peer: Sequence[float]) -> float:
    """Median of the ratios of runs that were made one after the other."""
    return statistics.median(a / b for a, b in zip(times, peer, strict=True))


def environment(*packages: str) -> dict[str, Any]:
    """Versions, machine and threads, for the record."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: metadata.version(name) for name in packages},
        "threads": {name: os.environ.get(name, "unset") for name in THREADS},
    }


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys in columns."""
    cells = [[*map(str, rows[0])], *([_text(value) for value in row.values()] for row in rows)]
    width = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(text.ljust(w) for text, w in zip(line, width, strict=True)).rstrip())


def rows_in(name: str) -> list[dict[str, Any]]:
    """Return the rows of results/`name`.json; none where it is not there yet."""
    path = RESULTS / f"{name}.json"
    return list(json.loads(path.read_text())["rows"]) if path.exists() else []


def write(name: str, record: Mapping[str, Any]) -> Path:
    """Write results/`name`.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
