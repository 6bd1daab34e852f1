"""What a surface must be before it can be mapped, and the words for what it is not."""

from __future__ import annotations

import numpy as np

from meshconv._check import IntArray
from meshconv.errors import (
    DegenerateError,
    NonManifoldError,
    OrientationError,
    TopologyError,
)
from meshconv.mesh.areas import has_area
from meshconv.mesh.connectivity import (
    EdgeGroups,
    boundary_half_edge_ids,
    components,
    half_edges,
)
from meshconv.mesh.surface import Surface
from meshconv.mesh.winding import turn_over


def require_one_sheet(surface: Surface, numbers: IntArray) -> int:
    """Refuse what is no connected, oriented, manifold surface with area; return the genus.

    `numbers` (V,) are those by which the caller knows the vertices.
    """
    if not surface.topology.is_sheet:
        return _refused(surface, numbers)
    _require_area(surface)
    return _genus(surface.euler_characteristic, len(surface.boundary_loops))


def _refused(surface: Surface, numbers: IntArray) -> int:
    """Say what is wrong with the surface; return the genus if it is nothing.

    Linear in the number of faces: everything is read off the half-edges grouped by edge.
    """
    start, groups = surface.faces.ravel(), surface.topology.groups
    order, first, size = groups
    _require_manifold_edges(surface, groups, numbers)
    inner = first[size == 2]
    count = int((start[order[inner]] == start[order[inner + 1]]).sum())
    if count:
        raise OrientationError(
            f"neighbouring faces disagree on the outside across {count} edges",
            count=count,
            hint="meshconv.repair orients them",
        )
    ends = half_edges(surface.faces)[order[first]]
    label = components(ends[:, 0], ends[:, 1], surface.n_vertices)
    if label.any():
        raise _several(surface, label)
    _require_manifold_vertices(start[boundary_half_edge_ids(groups)], numbers)
    _require_area(surface)
    return _genus(surface.n_vertices - len(first) + surface.n_faces, len(surface.boundary_loops))


def _require_area(surface: Surface) -> None:
    if not has_area(surface.vertices, surface.faces):
        raise DegenerateError("surface area is 0: all vertices lie in one point or on one line")


def require_disk(surface: Surface, numbers: IntArray, *, holes_allowed: bool = False) -> None:
    """Refuse all but a topological disk (or one with holes, if allowed)."""
    genus = require_one_sheet(surface, numbers)
    loops = [len(loop) for loop in surface.boundary_loops]
    if genus:
        raise TopologyError(
            f"a flat domain needs a disk, found genus {genus} ({genus} handle{'s' * (genus > 1)}, "
            f"{len(loops)} boundary loop{'s' * (len(loops) != 1)})",
            count=genus,
            hint="repair(remove_handles=True) removes them, or cut the surface",
        )
    if not loops:
        raise TopologyError("closed surface", hint="use domain='sphere' or cut it")
    if len(loops) > 1 and not holes_allowed:
        sizes = ", ".join(map(str, loops))
        raise TopologyError(
            f"{len(loops)} boundary loops ({sizes} vertices)",
            count=len(loops),
            hint=f"repair(fill_holes=True) closes {len(loops) - 1}, "
            "or keep them with holes='fill' (masked) or holes='circles'",
        )


def require_sphere(surface: Surface, numbers: IntArray) -> None:
    """Refuse all but a closed surface of genus 0."""
    genus = require_one_sheet(surface, numbers)
    loops = [len(loop) for loop in surface.boundary_loops]
    if loops:
        raise TopologyError(
            f"domain='sphere' needs a closed surface, found {len(loops)} boundary "
            f"loop{'s' * (len(loops) > 1)} ({', '.join(map(str, loops))} vertices)",
            count=len(loops),
            hint="use domain='disk', or close them with repair(fill_holes=True)",
        )
    if genus:
        raise TopologyError(
            f"domain='sphere' needs genus 0, found genus {genus} ({genus} "
            f"handle{'s' * (genus > 1)})",
            count=genus,
            hint="repair(remove_handles=True) removes them",
        )


def _require_manifold_edges(surface: Surface, groups: EdgeGroups, numbers: IntArray) -> None:
    order, first, size = groups
    if (size > 2).any():
        pairs = np.sort(numbers[half_edges(surface.faces)[order[first[size > 2]]]], axis=1)
        raise NonManifoldError(
            f"{len(pairs)} edges with more than two faces, first {pairs[0].tolist()}",
            indices=pairs[:10].tolist(),
            count=len(pairs),
            hint="meshconv.repair splits or drops them",
        )


def _require_manifold_vertices(starts: IntArray, numbers: IntArray) -> None:
    """From a vertex of a surface at most one border edge sets out; `starts` are those of all."""
    bad = np.sort(numbers[np.flatnonzero(np.bincount(starts) > 1)])
    if len(bad):
        raise NonManifoldError(
            f"{len(bad)} vertices where sheets or borders touch, first vertex {bad[0]}",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="meshconv.repair splits them",
        )


def wound_alike(surface: Surface) -> tuple[Surface, int]:
    """Return the surface with all faces wound like the majority, and how many were turned over.

    Raises
    ------
    TopologyError
        If no choice of windings agrees.
    """
    found = surface.topology.winding
    if found.one_sided.any():
        raise TopologyError(
            "the surface is not orientable: a Moebius strip lies in it",
            count=int(found.one_sided.sum()),
            hint="cut it open",
        )
    return Surface(surface.vertices, turn_over(surface.faces, found.flip)), int(found.flip.sum())


def _several(surface: Surface, label: IntArray) -> TopologyError:
    sizes = np.sort(np.bincount(label[surface.faces[:, 0]]))[::-1]
    sizes = sizes[sizes > 0]
    text = ", ".join(map(str, sizes[:5])) + (", ..." if len(sizes) > 5 else "")
    return TopologyError(
        f"{len(sizes)} components ({text} faces)",
        count=len(sizes),
        hint="meshconv.repair welds cracks and keeps the largest",
    )


def _genus(euler: int, loops: int) -> int:
    twice = 2 - euler - loops
    if twice < 0 or twice % 2:
        raise NonManifoldError(
            f"sheets touch in single vertices (Euler characteristic {euler} with {loops} "
            "boundary loops)",
            hint="meshconv.repair splits them",
        )
    return twice // 2
