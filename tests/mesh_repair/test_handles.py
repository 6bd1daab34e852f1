"""Handles: loops of one basis, cut together, and what is said where none can be cut."""

from __future__ import annotations

import numpy as np
import pytest

from meshconv import Surface, repair
from meshconv.errors import RepairWarning, TopologyError
from meshconv.mesh import shapes
from meshconv.mesh.skull import ct_skull
from meshconv.mesh.topology import Topology
from meshconv.mesh_repair.handles import cut_along, handle_loops


def wall(handles: int, level: int = 3) -> Surface:
    """A shell with tubes through it, the first body of a generated skull."""
    skull = ct_skull(level, islands=0, handles=handles)
    faces = skull.faces[skull.topology.sheet == 0]
    used = np.unique(faces)
    return Surface(skull.vertices[used], np.searchsorted(used, faces))


@pytest.mark.parametrize("genus", [1, 4, 20])
def test_loops_share_no_vertex_and_do_not_separate(genus: int) -> None:
    surface = wall(genus)
    loops = handle_loops(surface.vertices, surface.faces)
    used = np.concatenate(loops)
    assert 1 <= len(loops) <= genus and len(np.unique(used)) == len(used)
    faces, old = cut_along(surface.faces, loops, surface.n_vertices)
    opened = Topology(surface.vertices[old], faces)
    assert opened.is_sheet and len(opened.boundary_loops) == 2 * len(loops)
    assert opened.euler_characteristic == surface.euler_characteristic


@pytest.mark.parametrize("genus", [1, 7, 30])
def test_all_handles_go_and_little_else(genus: int) -> None:
    surface = wall(genus)
    with pytest.warns(RepairWarning, match=f"{genus} handles? cut and capped"):
        found = repair(surface, remove_handles=True, target="sphere")
    old = found.vertex_origin >= 0
    assert np.array_equal(found.surface.vertices[old], surface.vertices[found.vertex_origin[old]])
    assert found.surface.area == pytest.approx(surface.area, rel=0.1)


def test_no_handles_no_loops() -> None:
    ball = shapes.icosphere(2)
    assert handle_loops(ball.vertices, ball.faces) == []


def test_the_advice_is_not_what_was_just_done() -> None:
    """A ring of which the border meets every loop: two strips of squares that cross in one."""
    x, y = np.meshgrid(np.arange(4), np.arange(4), indexing="ij")
    flat = x * 4 + y  # a torus of 4 x 4, of which only two crossing strips of squares are kept
    a, b = flat, np.roll(flat, -1, axis=0)
    c, d = np.roll(b, -1, axis=1), np.roll(flat, -1, axis=1)
    keep = (x == 0) | (y == 0)
    faces = np.concatenate(
        [np.column_stack([a[keep], b[keep], c[keep]]), np.column_stack([a[keep], c[keep], d[keep]])]
    )
    u, v = (2 * np.pi * k.ravel() / 4 for k in (x, y))
    points = np.column_stack([(2 + np.cos(v)) * np.cos(u), (2 + np.cos(v)) * np.sin(u), np.sin(v)])
    strips = Surface(points, faces)
    with pytest.raises(TopologyError, match=r"genus 1; .*target='sphere' closes it first") as error:
        repair(strips, remove_handles=True, target="disk", fill_holes=False)
    assert "remove_handles" not in str(error.value)
    with pytest.warns(RepairWarning, match="1 handle left, at a border that every loop meets"):
        found = repair(strips, remove_handles=True, fill_holes=False)
    assert found.changes[-1].startswith("1 handle left")
    with pytest.warns(RepairWarning, match="1 handle cut and capped"):
        assert repair(strips, remove_handles=True, target="sphere").report_after.is_sphere
