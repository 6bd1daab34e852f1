"""`SurfaceReport`: what `check` found, as numbers, as sentences and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import degrees, isfinite
from typing import Any

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.sketch import card

NEEDLE_ANGLE = 1e-3
"""Radians (0.06 degrees): a face with a smaller angle is a needle."""


@dataclass(frozen=True, eq=False)
class SurfaceReport:
    """Topology and quality of a surface. Lengths and areas in the surface's unit, angles in
    radians.

    Components are sets of faces joined through shared vertices, largest first; everything per
    component is in that order. The genus is None where it has no meaning, and `genus_reason` says
    why.
    """

    n_vertices: int
    n_faces: int
    n_edges: int
    component_sizes: tuple[int, ...]
    """Faces in each component."""
    boundary_lengths: tuple[float, ...]
    """Length of each border, longest first."""
    boundary_sizes: tuple[int, ...]
    """Vertices on each border, in the same order."""
    euler_characteristic: int
    component_euler: tuple[int, ...]
    genus: int | None
    component_genus: tuple[int | None, ...]
    genus_reason: str
    nonmanifold_edges: IntArray
    """(K, 2) edges of three or more faces."""
    nonmanifold_vertices: IntArray
    """(K,) vertices where more than one fan of faces meets, away from or at such edges."""
    orientable: bool
    faces_to_flip: int
    """Faces wound against the majority of their component."""
    inside_out: int
    """Closed, consistently wound components with negative volume."""
    degenerate_faces: IntArray
    """(K,) faces without area: 1e-12 of the mean, or flatter than the rounding of the
    coordinates.
    """
    needle_faces: IntArray
    """(K,) other faces with an angle below `NEEDLE_ANGLE`."""
    smallest_angle: float
    duplicate_vertices: int
    """Vertices at the exact place of an earlier one."""
    weldable_vertices: int
    """Those of them that a weld would join without making the surface non-manifold."""
    duplicate_faces: int
    """Faces with the same three vertices as an earlier one, whatever the winding."""
    reversed_duplicate_faces: int
    """Those of them wound the other way."""
    unreferenced_vertices: IntArray
    bounding_box: FloatArray
    """(2, 3) lowest and highest corner, of the vertices that faces use."""
    area: float
    units: str
    """A guess from the size, such as 'looks like millimetres'."""
    scale_notes: tuple[str, ...]
    """What the size or place of the coordinates puts at risk."""

    @property
    def n_components(self) -> int:
        """Number of components."""
        return len(self.component_sizes)

    @property
    def n_boundary_loops(self) -> int:
        """Number of borders."""
        return len(self.boundary_lengths)

    @property
    def is_closed(self) -> bool:
        """No edge has one face only."""
        return self.n_boundary_loops == 0

    @property
    def is_manifold(self) -> bool:
        """Every edge has one or two faces and every vertex one fan."""
        return len(self.nonmanifold_edges) == 0 and len(self.nonmanifold_vertices) == 0

    @property
    def is_oriented(self) -> bool:
        """Neighbouring faces agree on the outside."""
        return self.orientable and self.faces_to_flip == 0

    @property
    def is_disk(self) -> bool:
        """One manifold, orientable component of genus 0 with one border."""
        return self.genus == 0 and self.n_components == 1 and self.n_boundary_loops == 1

    @property
    def is_sphere(self) -> bool:
        """One manifold, orientable component of genus 0 without border."""
        return self.genus == 0 and self.n_components == 1 and self.is_closed

    @property
    def problems(self) -> tuple[str, ...]:
        """One plain sentence for each fault, with count and next step; empty for a clean disk or
        sphere.
        """
        return tuple(
            _connection_problems(self) + _winding_problems(self) + _geometry_problems(self)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and strings, ready for `json.dumps`; infinities become
        None.
        """
        names = [f.name for f in fields(self)]
        names += ["n_components", "n_boundary_loops", "is_closed", "is_manifold", "is_oriented"]
        names += ["is_disk", "is_sphere", "problems"]
        return {name: _plain(getattr(self, name)) for name in names}

    def _repr_html_(self) -> str:
        """The rows, and a line for each fault: for notebooks."""
        faults = [("fault", sentence) for sentence in self.problems] or [("faults", "none")]
        return card("SurfaceReport", [*_rows(self), *faults])

    def __str__(self) -> str:
        rows = _rows(self)
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *(f"! {sentence}" for sentence in self.problems)])


def _manifold_row(r: SurfaceReport) -> str:
    edges, vertices = len(r.nonmanifold_edges), len(r.nonmanifold_vertices)
    return (
        "yes"
        if r.is_manifold
        else f"no ({counted(edges, 'edge')}, {counted(vertices, 'vertex')} not)"
    )


def _oriented_row(r: SurfaceReport) -> str:
    if not r.orientable:
        return "not orientable"
    return "yes" if r.is_oriented else f"no ({counted(r.faces_to_flip, 'face')} to flip)"


def listed(values: Any, limit: int = 5) -> str:
    """Return the first few of `values` as text, with an ellipsis where there are more."""
    shown = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in list(values)[:limit]]
    return ", ".join(shown) + (", ..." if len(values) > limit else "")


def counted(count: int, noun: str) -> str:
    """Return '1 face', '3 faces', '2 non-manifold vertices'."""
    if count == 1:
        return f"1 {noun}"
    return (
        f"{count} {noun.removesuffix('vertex')}vertices"
        if noun.endswith("vertex")
        else f"{count} {noun}s"
    )


def _connection_problems(r: SurfaceReport) -> list[str]:
    out = []
    if r.n_components > 1:
        sizes = listed(r.component_sizes)
        out.append(
            f"{r.n_components} components ({sizes} faces): repair(keep='largest') keeps the first"
        )
    if r.n_boundary_loops > 1:
        lengths, sizes = listed(r.boundary_lengths), listed(r.boundary_sizes)
        out.append(
            f"{r.n_boundary_loops} boundary loops (lengths {lengths}; {sizes} vertices):"
            " repair(fill_holes=True) closes all but the longest"
        )
    if r.genus:
        out.append(
            f"genus {r.genus}: {counted(r.genus, 'handle')};"
            " repair(remove_handles=True) cuts and caps them"
        )
    if len(r.nonmanifold_edges):
        first = tuple(r.nonmanifold_edges[0].tolist())
        count = counted(len(r.nonmanifold_edges), "non-manifold edge")
        out.append(f"{count} with three or more faces (first {first}): repair splits them")
    if len(r.nonmanifold_vertices):
        count = counted(len(r.nonmanifold_vertices), "non-manifold vertex")
        out.append(
            f"{count} where sheets touch (first {r.nonmanifold_vertices[0]}): repair splits them"
        )
    return out


def _winding_problems(r: SurfaceReport) -> list[str]:
    out = []
    if not r.orientable:
        out.append(
            "not orientable (a Moebius strip or Klein bottle): cut it,"
            " no winding of the faces can agree"
        )
    if r.faces_to_flip:
        count = counted(r.faces_to_flip, "face")
        out.append(f"mixed orientation: {count} against the rest; repair(orient=True) turns them")
    if r.inside_out:
        out.append(
            f"{counted(r.inside_out, 'closed component')} inside out (negative volume):"
            " repair turns outward"
        )
    if r.duplicate_faces:
        count = counted(r.duplicate_faces, "duplicate face")
        out.append(f"{count} ({r.reversed_duplicate_faces} reversed): repair drops them")
    return out


def _geometry_problems(r: SurfaceReport) -> list[str]:
    out = []
    if r.weldable_vertices:
        count = counted(r.weldable_vertices, "duplicate vertex")
        out.append(f"{count} along cracks: repair(weld=True) welds {r.weldable_vertices}")
    if len(r.degenerate_faces) == r.n_faces:
        out.append(
            "surface area is 0: all vertices lie in one point or on one line;"
            " nothing can be computed"
        )
    elif len(r.degenerate_faces):
        count = counted(len(r.degenerate_faces), "zero-area face")
        out.append(f"{count} (first {r.degenerate_faces[0]}): repair collapses or flips them")
    if len(r.needle_faces):
        count = counted(len(r.needle_faces), "needle face")
        out.append(
            f"{count}, smallest angle {degrees(r.smallest_angle):.2g} degrees"
            f" (face {r.needle_faces[0]}):"
            " expect inaccurate operators there; the intrinsic Laplacian helps"
        )
    if len(r.unreferenced_vertices):
        out.append(
            f"{counted(len(r.unreferenced_vertices), 'unreferenced vertex')}: repair drops them"
        )
    return out + list(r.scale_notes)


def _rows(r: SurfaceReport) -> list[tuple[str, str]]:
    low, high = r.bounding_box
    borders = zip(r.boundary_sizes, r.boundary_lengths, strict=True)
    loops = [f"{size} vertices, length {length:.5g}" for size, length in borders]
    kind = (
        "disk"
        if r.is_disk
        else "sphere"
        if r.is_sphere
        else "closed surface"
        if r.is_closed
        else "surface"
    )
    x, y, z = high - low
    return [
        ("surface", f"{kind}, {r.n_vertices} vertices, {r.n_faces} faces, {r.n_edges} edges"),
        ("components", f"{r.n_components} ({listed(r.component_sizes)} faces)"),
        (
            "boundary loops",
            f"{r.n_boundary_loops}" + (f" ({'; '.join(loops[:5])})" if loops else ""),
        ),
        ("Euler characteristic", str(r.euler_characteristic)),
        ("genus", str(r.genus) if r.genus is not None else f"undefined: {r.genus_reason}"),
        ("manifold", _manifold_row(r)),
        ("oriented", _oriented_row(r)),
        ("zero-area faces", str(len(r.degenerate_faces))),
        (
            "needle faces",
            f"{len(r.needle_faces)} (smallest angle {degrees(r.smallest_angle):.3g} degrees)",
        ),
        ("duplicate vertices", f"{r.duplicate_vertices} ({r.weldable_vertices} to weld)"),
        ("duplicate faces", f"{r.duplicate_faces} ({r.reversed_duplicate_faces} reversed)"),
        ("unreferenced vertices", str(len(r.unreferenced_vertices))),
        ("size", f"{x:.5g} x {y:.5g} x {z:.5g}, area {r.area:.5g} ({r.units})"),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
