"""What a surface is: topology and quality, each measured once."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh import borders, connectivity
from meshconv.mesh.areas import face_shapes, smallest_angles
from meshconv.mesh.surface import Surface
from meshconv.mesh.topology import Topology
from meshconv.mesh.winding import inside_out
from meshconv.mesh_repair.degenerate import degenerate_limit
from meshconv.mesh_repair.report import NEEDLE_ANGLE, SurfaceReport
from meshconv.mesh_repair.unit_frame import Frame, used_vertices
from meshconv.mesh_repair.weld import apart, coincident, copies, weld_map

_UNITS = (  # a diagonal up to so much; small organs in millimetres are as large as heads in cm
    (1.0, "metres?"),
    (60.0, "millimetres, or centimetres?"),
    (1e4, "millimetres?"),
    (np.inf, "unit unclear, > 1e4"),
)


def examine(surface: Surface) -> SurfaceReport:
    """Return what `meshconv.check` reports of a surface."""
    faces, topology = surface.faces, surface.topology
    frame = Frame.of(surface)
    unit = frame.to_unit(surface.vertices)
    return SurfaceReport(
        n_vertices=surface.n_vertices,
        n_faces=len(faces),
        faces_to_flip=int(topology.winding.flip.sum()),
        orientable=not topology.winding.one_sided.any(),
        unreferenced_vertices=np.flatnonzero(~topology.used),
        **_connections(topology, unit, frame),
        **_geometry(faces, unit, frame),
        **_duplicates(surface),
        **_place(surface, frame),
    )


def _connections(topology: Topology, unit: FloatArray, frame: Frame) -> dict[str, Any]:
    """Components, borders, Euler characteristic and genus."""
    loops, part = topology.boundary_loops, topology.component
    bad_edges, bad_vertices = topology.nonmanifold_edges, topology.nonmanifold_vertices
    euler = topology.component_euler
    starts = np.array([loop[0] for loop in loops], dtype=np.int64)
    n_loops = np.bincount(part[starts], minlength=len(euler))
    reason = np.zeros(len(euler), dtype=np.int64)  # 0: fine, 1: not manifold, 2: one-sided
    reason[topology.face_component[topology.winding.one_sided]] = 2
    reason[part[np.concatenate([bad_edges.ravel(), bad_vertices])]] = 1
    genus = tuple(
        None if r else int(2 - e - b) // 2 for r, e, b in zip(reason, euler, n_loops, strict=True)
    )
    known = [g for g in genus if g is not None]
    return {
        "n_edges": topology.n_edges,
        "component_sizes": tuple(np.bincount(topology.face_component).tolist()),
        "boundary_lengths": tuple(borders.loop_length(unit[loop]) * frame.scale for loop in loops),
        "boundary_sizes": tuple(len(loop) for loop in loops),
        "euler_characteristic": topology.euler_characteristic,
        "component_euler": tuple(euler.tolist()),
        "genus": sum(known) if len(known) == len(genus) else None,
        "component_genus": genus,
        "genus_reason": ("", "not manifold", "not orientable")[reason.max()],
        "nonmanifold_edges": bad_edges,
        "nonmanifold_vertices": bad_vertices,
        "inside_out": _inside_out(topology, unit, frame.rounding),
    }


def _inside_out(topology: Topology, unit: FloatArray, rounding: float) -> int:
    """Closed parts that are wound consistently and enclose a negative volume."""
    wind, closed = topology.winding, topology.closed
    if not closed.any():
        return 0
    doubtful = np.bincount(wind.part, wind.flip | wind.one_sided) > 0
    inward = inside_out(unit, topology.faces, wind.part, rounding)
    return int((closed & ~doubtful & inward).sum())


def _geometry(faces: IntArray, unit: FloatArray, frame: Frame) -> dict[str, Any]:
    """Areas, angles and faces without area."""
    area, sides = face_shapes(unit, faces)
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


def _duplicates(surface: Surface) -> dict[str, Any]:
    faces = surface.faces
    group = coincident(surface.vertices)
    used = surface.topology.used
    first = connectivity.first_equal_row(np.sort(faces, axis=1))
    later = np.flatnonzero(first != np.arange(len(faces)))
    against = (_from_smallest(faces[later]) != _from_smallest(faces[first[later]])).any(axis=1)
    joined = group if apart(group) else weld_map(faces[~copies(faces, group)], group)
    return {
        "duplicate_vertices": 0 if apart(group) else int(used.sum()) - len(np.unique(group[used])),
        "weldable_vertices": int((joined != np.arange(len(group))).sum()),
        "duplicate_faces": len(later),
        "reversed_duplicate_faces": int(against.sum()),
    }


def _from_smallest(faces: IntArray) -> IntArray:
    """The faces turned to start at their smallest vertex."""
    turn = (faces.argmin(axis=1)[:, None] + np.arange(3)) % 3
    return np.take_along_axis(faces, turn, axis=1)


def _place(surface: Surface, frame: Frame) -> dict[str, Any]:
    """Bounding box, and what size and place say about the unit."""
    used = used_vertices(surface)
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
    units = next(name for end, name in _UNITS if not diagonal > end)
    return {"bounding_box": np.stack([low, high]), "units": units, "scale_notes": tuple(notes)}
