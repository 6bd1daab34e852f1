"""Non-rigid registrations as users have them, for the table of registration.py.

Each bends the template to the scan. The scan is already in the pose that our own fit found, which
they are given for nothing: started from principal axes, two of three faces end upside down. A scan
vertex then belongs to the point of the template whose bent place is nearest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from meshconv.mesh.closest import closest_points
from meshconv.mesh.surface import Surface

Bend = Callable[[Surface, Surface], Any]  # template, scan -> vertices of the bent template


def _amberg(template: Surface, scan: Surface) -> Any:
    from trimesh.registration import icp, nricp_amberg

    start = template.to_trimesh()
    matrix, _, _ = icp(scan.vertices, start, max_iterations=50, reflection=False, scale=False)
    start.apply_transform(np.linalg.inv(matrix))
    return nricp_amberg(start, scan.to_trimesh())


def _sumner(template: Surface, scan: Surface) -> Any:
    from trimesh.registration import icp, nricp_sumner

    start = template.to_trimesh()
    matrix, _, _ = icp(scan.vertices, start, max_iterations=50, reflection=False, scale=False)
    start.apply_transform(np.linalg.inv(matrix))
    return nricp_sumner(start, scan.to_trimesh())


def _meshmonk(template: Surface, scan: Surface) -> Any:
    import meshmonk

    found = meshmonk.pyramid_register(
        floating=template.to_trimesh(), target=scan.to_trimesh(), rigid_params={}
    )
    return found.aligned_vertices


RIVALS: dict[str, Bend] = {
    "trimesh: ICP, then nricp_amberg": _amberg,
    "trimesh: ICP, then nricp_sumner": _sumner,
    "MeshMonk: rigid, then pyramid": _meshmonk,
}


def rival_rows(
    cases: list[tuple[Surface, Surface, Any]], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each of the rivals that is installed, from cases of template, scan in its
    pose, and where each scan vertex belongs on the template.
    """
    for name in names:
        bend = RIVALS[name]
        errors, seconds = [], []
        try:
            for template, scan, belongs in cases:
                start = time.process_time()
                bent = np.asarray(bend(template, scan), dtype=np.float64)
                errors.append(np.linalg.norm(_found(template, bent, scan) - belongs, axis=1))
                seconds.append(time.process_time() - start)
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        pooled = np.concatenate(errors)
        yield {
            "method": name,
            "scans": len(cases),
            "median mm": float(np.median(pooled)),
            "p95 mm": float(np.quantile(pooled, 0.95)),
            "worst scan median": max(float(np.median(e)) for e in errors),
            "CPU s a scan": float(np.median(seconds)),
        }


def _found(template: Surface, bent: Any, scan: Surface) -> Any:
    """Where on the template each scan vertex comes to lie."""
    face, weights, _ = closest_points(scan.vertices, bent, template.faces)
    return np.einsum("kc,kcd->kd", weights, template.vertices[template.faces[face]])
