"""`check`: find out what a surface is before anything is computed on it."""

from __future__ import annotations

from typing import Any

from meshconv.io.convert import as_surface
from meshconv.mesh_repair.examine import examine
from meshconv.mesh_repair.report import SurfaceReport


def check(surface: Any) -> SurfaceReport:
    """Return a report on topology and quality; nothing is changed, nothing is refused.

    Parameters
    ----------
    surface : Surface, path, (vertices, faces) or a mesh of trimesh, PyVista or torch-geometric
        Any surface, clean or not.

    Returns
    -------
    report : SurfaceReport
        ``print(report)`` is a table; ``report.problems`` are sentences with counts and next steps;
        ``report.to_dict()`` is JSON-able.

    Raises
    ------
    MeshDataError
        Only where the arrays make no `Surface`: NaN, an index out of range, a repeated index in a
        face.

    Examples
    --------
    >>> report = check(([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]]))
    >>> report.is_disk, report.euler_characteristic, report.boundary_lengths, report.problems
    (True, 1, (4.0,), ())
    """
    return examine(as_surface(surface))
