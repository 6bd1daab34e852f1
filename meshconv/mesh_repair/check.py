"""`check`: find out what a surface is before anything is computed on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.io.convert import as_surface
from meshconv.mesh import topology
from meshconv.mesh.winding import Winding, inside_out, winding
from meshconv.mesh_repair.report import NEEDLE_ANGLE, SurfaceReport
from meshconv.mesh_repair.unit_frame import Frame, degenerate_limit, face_shape, smallest_angles
from meshconv.mesh_repair.weld import coincident, copies, weld_map


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
    surface = as_surface(surface)
    faces, n = surface.faces, surface.n_vertices
    frame = Frame.of(surface.vertices, faces)
    unit = frame.to_unit(surface.vertices)
    wind = winding(faces, topology.joints(faces))
    return SurfaceReport(
        n_vertices=n,
        n_faces=len(faces),
        faces_to_flip=int(wind.flip.sum()),
        orientable=not wind.one_sided.any(),
        unreferenced_vertices=np.flatnonzero(np.bincount(faces.ravel(), minlength=n) == 0),
        **_connections(faces, unit, frame, wind),
        **_geometry(faces, unit, frame),
        **_duplicates(surface.vertices, faces),
        **_place(surface.vertices, faces, frame),
    )


def _connections(faces: IntArray, unit: FloatArray, frame: Frame, wind: Winding) -> dict[str, Any]:
    """Components, borders, Euler characteristic and genus."""
    edges, uses = topology.edge_uses(faces)
    loops = topology.boundary_loops(faces, unit)
    bad_edges, bad_vertices = edges[uses > 2], topology.nonmanifold_vertices(faces)
    part = topology.touching_components(faces)
    euler, n_loops = _component_counts(faces, edges, loops, part)
    reason = np.zeros(len(euler), dtype=np.int64)  # 0: fine, 1: not manifold, 2: one-sided
    reason[part[wind.one_sided]] = 2
    reason[part[_touches(faces, np.concatenate([bad_edges.ravel(), bad_vertices]))]] = 1
    genus = tuple(
        None if r else int(2 - e - b) // 2 for r, e, b in zip(reason, euler, n_loops, strict=True)
    )
    known = [g for g in genus if g is not None]
    return {
        "n_edges": len(edges),
        "component_sizes": tuple(np.bincount(part).tolist()),
        "boundary_lengths": tuple(topology.loop_length(unit[loop]) * frame.scale for loop in loops),
        "boundary_sizes": tuple(len(loop) for loop in loops),
        "euler_characteristic": len(topology.used_vertices(faces)) - len(edges) + len(faces),
        "component_euler": tuple(euler.tolist()),
        "genus": sum(known) if len(known) == len(genus) else None,
        "component_genus": genus,
        "genus_reason": ("", "not manifold", "not orientable")[reason.max()],
        "nonmanifold_edges": bad_edges,
        "nonmanifold_vertices": bad_vertices,
        "inside_out": _inside_out(faces, unit, wind, frame.rounding),
    }


def _component_counts(
    faces: IntArray, edges: IntArray, loops: list[IntArray], part: IntArray
) -> tuple[IntArray, IntArray]:
    """Euler characteristic and number of borders of each component."""
    n, count = int(faces.max()) + 1, int(part.max()) + 1
    of_vertex = np.unique(np.repeat(part, 3) * n + faces.ravel()) // n
    half = topology.half_edges(faces)
    key, first = np.unique(topology.edge_keys(half, n), return_index=True)
    of_edge = part[first // 3]
    euler = (
        np.bincount(of_vertex, minlength=count)
        - np.bincount(of_edge, minlength=count)
        + np.bincount(part)
    )
    starts = np.array([topology.edge_keys(loop[None, :2], n)[0] for loop in loops], dtype=np.int64)
    return euler, np.bincount(of_edge[np.searchsorted(key, starts)], minlength=count)


def _touches(faces: IntArray, vertices: IntArray) -> BoolArray:
    mask = np.zeros(int(faces.max()) + 1, dtype=bool)
    mask[vertices] = True
    return np.asarray(mask[faces].any(axis=1))


def _inside_out(faces: IntArray, unit: FloatArray, wind: Winding, rounding: float) -> int:
    """Closed parts that are wound consistently and enclose a negative volume."""
    order, _, size = topology.edge_groups(faces)
    doubtful = wind.flip | wind.one_sided
    doubtful[order[np.repeat(size != 2, size)] // 3] = True
    open_part = np.bincount(wind.part, doubtful) > 0
    return int((~open_part & inside_out(unit, faces, wind.part, rounding)).sum())


def _geometry(faces: IntArray, unit: FloatArray, frame: Frame) -> dict[str, Any]:
    """Areas, angles and faces without area."""
    area, sides = face_shape(unit, faces)
    degenerate = area <= degenerate_limit(area, sides.max(axis=1), frame.rounding)
    angle = smallest_angles(area, sides)
    with np.errstate(over="ignore"):
        total = float(np.float64(area.sum()) * frame.scale * frame.scale)
    return {
        "degenerate_faces": np.flatnonzero(degenerate),
        "needle_faces": np.flatnonzero(~degenerate & (angle < NEEDLE_ANGLE)),
        "smallest_angle": float(angle.min()),
        "area": total,
    }


def _duplicates(vertices: FloatArray, faces: IntArray) -> dict[str, Any]:
    group = coincident(vertices)
    used = topology.used_vertices(faces)
    first = topology.first_equal_row(np.sort(faces, axis=1))
    later = first != np.arange(len(faces))
    turn = np.take_along_axis(faces, (faces.argmin(axis=1)[:, None] + np.arange(3)) % 3, axis=1)
    against = (turn != turn[first]).any(axis=1)
    joined = weld_map(faces[~copies(faces, group)], group)
    return {
        "duplicate_vertices": len(used) - len(np.unique(group[used])),
        "weldable_vertices": int((joined != np.arange(len(vertices))).sum()),
        "duplicate_faces": int(later.sum()),
        "reversed_duplicate_faces": int((later & against).sum()),
    }


def _place(vertices: FloatArray, faces: IntArray, frame: Frame) -> dict[str, Any]:
    """Bounding box, and what size and place say about the unit."""
    used = vertices[topology.used_vertices(faces)]
    low, high, diagonal = used.min(axis=0), used.max(axis=0), frame.scale
    notes = []
    if not 1e-100 < diagonal < 1e100:
        notes.append(
            f"scale: diagonal {diagonal:.3g}, squares leave the range of float64; rescale first"
        )
    elif diagonal > 1e4:
        notes.append(
            f"scale: diagonal {diagonal:.5g} > 1e4; micrometres or an outlier? check the unit"
        )
    if frame.rounding > 1e-11:  # 4 eps / extent: the offset is 1e4 times the size
        far = f"coordinates to {frame.magnitude:.3g} for a size of {diagonal:.3g}"
        notes.append(f"far offset: {far}; centre them before float32")
    units = (
        "metres?" if diagonal < 1 else "millimetres?" if diagonal <= 1e4 else "unit unclear, > 1e4"
    )
    return {"bounding_box": np.stack([low, high]), "units": units, "scale_notes": tuple(notes)}
