"""What this machine offers: versions, solver, GPU, OpenGL."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import numpy as np
from scipy import sparse

import meshconv
from meshconv.compiled_cache import cache_folder
from meshconv.errors import MeshConvError
from meshconv.operators.solve import SPDSolver
from meshconv.viz.rendering import rendering_backend

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "trimesh",
    "potpourri3d",
    "pyvista",
    "matplotlib",
    "torch",
    "torch-geometric",
)


def diagnose(*, rendering: bool = True) -> dict[str, Any]:
    """Return versions, processor, solver, GPU and OpenGL as a JSON-able dictionary.

    Parameters
    ----------
    rendering : bool
        Also try a first render, in a subprocess (a second or two).
    """
    report: dict[str, Any] = {
        "meshconv": meshconv.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": _cores(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "solver": _solver(),
        "gpu": _gpu(),
        "compiled code": cache_folder()
        or "compiled anew: NUMBA_CACHE_DIR says where it may be kept",
        "data": os.environ.get("MESHCONV_DATA", "not set"),
    }
    if rendering:
        try:
            report["rendering"] = rendering_backend()
        except MeshConvError as error:
            report["rendering"] = f"unavailable: {error}"
    return report


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _solver() -> str:
    """The back end the solver takes for a small grid Laplacian, and the residual it reaches
    there.
    """
    line = sparse.csr_array(2 * np.eye(32) - np.eye(32, k=1) - np.eye(32, k=-1))
    solver = SPDSolver(
        sparse.csr_array(
            sparse.kron(line, sparse.eye_array(32)) + sparse.kron(sparse.eye_array(32), line)
        )
    )
    solver.solve(np.ones(32 * 32))
    return f"{solver.backend} (residual {solver.residual:.1e})"


def _gpu() -> str:
    if _version("torch") == "not installed":
        return "torch not installed"
    import torch

    if not torch.cuda.is_available():
        return "none: networks run on the CPU"
    return ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))


def readable(report: dict[str, Any]) -> str:
    """Return the report as aligned lines."""
    flat = {**{k: v for k, v in report.items() if k != "packages"}, **report["packages"]}
    width = max(map(len, flat))
    return "\n".join(f"{key:<{width}}  {value}" for key, value in flat.items())
