"""Factor and refactor beside the CHOLMOD that cvxopt brings: time, and what the factor answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from _common import interleaved, ratio, summary
from meshes import rough_points
from scipy import sparse

from meshconv import Surface
from meshconv.operators.solve import SPDSolver

SCANS = {"brain48k": "choi_human_brain.npz", "hand53k": "choi_hand.npz"}


def uneven() -> dict[str, Surface]:
    """Meshes that are harder to cut than heightfields: scattered points, and scans where the data
    are at hand.
    """
    meshes = {"points200k": rough_points(200_000)}
    folder = Path(os.environ.get("MESHCONV_DATA", ""))
    for name, file in SCANS.items():
        if (folder / file).is_file():
            with np.load(folder / file) as arrays:
                meshes[name] = Surface(arrays["vertices"], arrays["faces"])
    return meshes


def beside_cholmod(
    name: str, matrix: sparse.csr_array, where: np.ndarray, rhs: np.ndarray
) -> list[dict[str, Any]]:
    """Rows of the two tasks, CHOLMOD with its own ordering (AMD) and its default, supernodes; none
    without cvxopt.
    """
    try:
        from cvxopt import cholmod, spmatrix
        from cvxopt import matrix as dense
    except ImportError:
        return []
    half = sparse.coo_array(sparse.tril(matrix))
    given = spmatrix(half.data, half.row.tolist(), half.col.tolist(), matrix.shape)
    solver, factor = SPDSolver(matrix, coordinates=where), cholmod.symbolic(given)
    times = interleaved(
        {
            "factor": lambda: SPDSolver(matrix, coordinates=where),
            "CHOLMOD factor": lambda: cholmod.numeric(given, cholmod.symbolic(given)),
            "refactor": lambda: solver.refactor(matrix),
            "CHOLMOD refactor": lambda: cholmod.numeric(given, factor),
        }
    )
    other = dense(rhs)
    cholmod.solve(factor, other)
    answers = {"meshconv": solver.solve(rhs), "CHOLMOD (cvxopt)": np.array(other)}
    size = np.linalg.norm(rhs)
    return [
        {
            "task": task,
            "mesh": name,
            "who": who,
            **summary(times[key]),
            "ratio": ratio(times[key], times[f"CHOLMOD {task}"]),
            "quality": f"residual {np.linalg.norm(matrix @ answers[who] - rhs) / size:.0e}",
        }
        for task in ("factor", "refactor")
        for who, key in (("CHOLMOD (cvxopt)", f"CHOLMOD {task}"), ("meshconv", task))
    ]
