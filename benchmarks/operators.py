"""Laplacian assembly beside libigl and potpourri3d, sparse solves beside SuperLU, Eigen and others;
first calls.

    python benchmarks/operators.py                  # about 2 minutes on one core
    python benchmarks/operators.py --large          # also 1,000,000 vertices
    MESHCONV_DATA=../shared/data python benchmarks/operators.py    # also scans of a brain, a hand

CHOLMOD is measured where cvxopt is installed.

CPU seconds on one thread, medians of interleaved repeats, each as a ratio to the peer of the same
run; the quality stands beside the time. Writes results/operators.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from _cholmod import beside_cholmod, uneven
from _common import environment, interleaved, one_thread, print_table, ratio, summary, write

one_thread()

import igl
import numpy as np
import potpourri3d as pp3d
from meshes import bump, sampled_disk
from scipy import sparse
from scipy.sparse import linalg as sla

from meshconv import Surface
from meshconv.operators.laplacian import cotangent_laplacian
from meshconv.operators.solve import SPDSolver

FIRST_CALL = """
import time; start = time.process_time()
import numpy as np
from meshconv import Surface
from meshconv.operators.laplacian import cotangent_laplacian
from meshconv.operators.solve import FixedValueSolver
i = np.arange(2500).reshape(50, 50)
a, b, c, d = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
xy = np.argwhere(i >= 0)
surface = Surface(np.c_[xy, 0 * xy[:, 0]], np.concatenate([np.c_[a, b, c], np.c_[a, c, d]]))
solver = FixedValueSolver(cotangent_laplacian(surface), [0], coordinates=surface.vertices)
solver.solve(np.zeros(1), np.ones(2500))
print(time.process_time() - start)
"""


def assembly(name: str, surface: Surface) -> list[dict[str, Any]]:
    """Cotangent Laplacian; the error is relative to potpourri3d's matrix."""
    v, f = np.array(surface.vertices), np.array(surface.faces)
    runs = {
        "libigl": lambda: igl.cotmatrix(v, f),
        "potpourri3d": lambda: pp3d.cotan_laplacian(v, f),
        "meshconv": lambda: cotangent_laplacian(surface),
    }
    times = interleaved(runs)
    reference = pp3d.cotan_laplacian(v, f)
    signs = {"libigl": -1.0, "potpourri3d": 1.0, "meshconv": 1.0}
    error = {
        k: float(abs(signs[k] * run() - reference).max() / abs(reference).max())
        for k, run in runs.items()
    }
    return [
        {
            "task": "laplacian",
            "mesh": name,
            "who": k,
            **summary(times[k]),
            "ratio": ratio(times[k], times["libigl"]),
            "quality": f"relative error {error[k]:.0e}",
        }
        for k in runs
    ]


def dirichlet(surface: Surface) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """The Laplacian with the border fixed, two right-hand sides, and where the free vertices
    lie.
    """
    free = np.setdiff1d(np.arange(surface.n_vertices), np.concatenate(surface.boundary_loops))
    matrix = sparse.csr_array(cotangent_laplacian(surface)[free][:, free])
    rhs = np.random.default_rng(0).normal(size=(len(free), 2))
    return matrix, rhs, np.array(surface.vertices[free])


def solves(name: str, surface: Surface, *, with_default: bool) -> list[dict[str, Any]]:
    """Factor and answer two right-hand sides; scipy's default (COLAMD) is so slow that it runs
    once.
    """
    matrix, rhs, where = dirichlet(surface)
    csc = sparse.csc_array(matrix)
    symmetric = {
        "permc_spec": "MMD_AT_PLUS_A",
        "diag_pivot_thresh": 0.0,
        "options": {"SymmetricMode": True},
    }
    solver = SPDSolver(matrix, coordinates=where)
    runs = {
        "meshconv": lambda: SPDSolver(matrix, coordinates=where).solve(rhs),
        "meshconv, no coordinates": lambda: SPDSolver(matrix).solve(rhs),
        "meshconv, refactor": lambda: (solver.refactor(matrix), solver.solve(rhs))[1],
        "meshconv, solve only": lambda: solver.solve(rhs),
        **_cholespy(matrix, rhs),
    }
    times = interleaved(runs, repeats=5)
    if with_default:
        runs["SuperLU COLAMD (scipy's default)"] = lambda: sla.splu(csc).solve(rhs)
        runs["SuperLU MMD, symmetric"] = lambda: sla.splu(csc, **symmetric).solve(rhs)
    answers = {k: run() for k, run in runs.items() if k in times}
    for k in runs.keys() - times.keys():
        start = time.process_time()
        answers[k] = runs[k]()
        times[k] = [time.process_time() - start]
    peer = statistics.median(times["SuperLU COLAMD (scipy's default)"]) if with_default else None
    return [
        {
            "task": "factor + 2 solves",
            "mesh": name,
            "who": k,
            **summary(times[k]),
            "ratio": statistics.median(times[k]) / peer if peer else None,
            "quality": f"residual {_residual(matrix, answers[k], rhs):.0e}",
        }
        for k in runs
    ]


def _cholespy(matrix: sparse.csr_array, rhs: np.ndarray) -> dict[str, Any]:
    try:
        from cholespy import CholeskySolverD, MatrixType
    except ImportError:
        return {}

    def run() -> np.ndarray:
        n = matrix.shape[0]
        out = np.zeros_like(rhs)
        CholeskySolverD(n, matrix.indptr, matrix.indices, matrix.data, MatrixType.CSR).solve(
            rhs, out
        )
        return out

    return {"cholespy": run}


def _residual(matrix: sparse.csr_array, x: np.ndarray, rhs: np.ndarray) -> float:
    return float((np.linalg.norm(matrix @ x - rhs, axis=0) / np.linalg.norm(rhs, axis=0)).max())


def first_calls() -> list[dict[str, Any]]:
    """A new process with an empty compilation cache, another with a full one, and the bare
    import.
    """
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "NUMBA_CACHE_DIR": cache}
        runs = [float(_python(FIRST_CALL, env)) for _ in range(3)]
    clock = "import time; s = time.process_time(); import {}; print(time.process_time() - s)"
    imports = {
        m: [float(_python(clock.format(m), dict(os.environ))) for _ in range(7)]
        for m in ("numpy", "meshconv")
    }
    numpy = statistics.median(imports["numpy"])
    rows = [
        ("first call: compile, factor, solve", "empty cache", runs[:1], None),
        ("first call: compile, factor, solve", "second process", runs[1:], None),
        *(("import", m, t, statistics.median(t) / numpy) for m, t in imports.items()),
    ]
    return [
        {"task": task, "mesh": "-", "who": who, **summary(t), "ratio": r, "quality": "-"}
        for task, who, t, r in rows
    ]


def _python(code: str, env: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="also a million vertices")
    large = parser.parse_args().large
    bump200k = bump(200_000)
    rows = first_calls()
    rows += assembly("bump200k", bump200k)
    rows += solves("bump200k", bump200k, with_default=True)
    rows += solves("bump50k", bump(50_000), with_default=True)
    face26k = sampled_disk(26_000)
    rows += solves("face26k", face26k, with_default=True)
    meshes = {"bump50k": bump(50_000), "bump200k": bump200k, "face26k": face26k, **uneven()}
    for name, surface in meshes.items():
        matrix, rhs, where = dirichlet(surface)
        rows += beside_cholmod(name, matrix, where, rhs)
    if large:
        rows += solves("bump1M", bump(1_000_000), with_default=False)
    print_table(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    bars = {
        "laplacian assembly, ratio to libigl <= 0.6": _of(
            rows, "laplacian", "bump200k", "meshconv"
        )["ratio"],
        "factor + 2 solves, ratio to SuperLU <= 0.35": _of(
            rows, "factor + 2 solves", "bump200k", "meshconv"
        )["ratio"],
        "first call in a fresh install < 10 s": _of(rows, rows[0]["task"], "-", "empty cache")[
            "median_s"
        ],
    }
    for task in ("factor", "refactor"):
        ratios = [r["ratio"] for r in rows if (r["task"], r["who"]) == (task, "meshconv")]
        if ratios:
            bars[f"{task}, highest ratio to CHOLMOD <= 0.9"] = max(ratios)
    for bar, value in bars.items():
        print(f"{bar}: {value:.3f}")
    print(f"peak memory {peak:.2f} GB")
    packages = environment("numpy", "scipy", "numba", "libigl", "potpourri3d")
    path = write(
        "operators",
        {"environment": packages, "seed": 0, "bars": bars, "peak_GB": peak, "rows": rows},
    )
    print(f"wrote {path}")


def _of(rows: list[dict[str, Any]], task: str, mesh: str, who: str) -> dict[str, Any]:
    return next(r for r in rows if (r["task"], r["mesh"], r["who"]) == (task, mesh, who))


if __name__ == "__main__":
    main()
