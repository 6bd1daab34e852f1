"""Sheets that touch are separated without loss, and not called one-sided if wound alike."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from meshconv import Surface, check, repair
from meshconv.errors import RepairWarning
from meshconv.mesh.topology import Topology
from meshconv.mesh_repair.manifold import split_nonmanifold


def skin(solid: np.ndarray) -> Surface:
    """The outside of cubes, each square two triangles, wound outward: cubes touch in edges and
    corners.
    """
    squares = []
    for axis in range(3):
        for sign in (1, -1):
            bare = solid & ~np.roll(solid, -sign, axis)
            corner = np.argwhere(bare)
            corner[:, axis] += sign > 0
            across = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]][::sign]
            steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ across
            squares.append(corner[:, None] + steps)
    points, index = np.unique(np.concatenate(squares).reshape(-1, 3), axis=0, return_inverse=True)
    a, b, c, d = index.reshape(-1, 4).T
    return Surface(points.astype(float), np.column_stack([a, b, c, a, c, d]).reshape(-1, 3))


def sponge(seed: int, smooth: float) -> Surface:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(9, 9, 9)), smooth)
    return skin(np.pad(field > np.median(field), 1))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("smooth", [0.4, 0.7])
def test_sheets_wound_alike_come_apart_without_losing_a_face(seed: int, smooth: float) -> None:
    surface = sponge(seed, smooth)
    assert len(surface.topology.nonmanifold_edges) > 5
    found = split_nonmanifold(surface.vertices, surface.faces)
    topology = Topology(found.unit, found.faces)
    assert topology.coherent and len(topology.boundary_loops) == 0
    apart = Surface(found.unit, found.faces)
    assert np.isclose(apart.area, surface.area, rtol=1e-12)
    normals = surface.face_normals[found.face]
    np.testing.assert_allclose(apart.face_normals, normals, atol=1e-12)
    copied = found.vertex >= 0
    assert (apart.vertices[copied] == surface.vertices[found.vertex[copied]]).all()


@pytest.mark.parametrize("seed", range(3))
def test_repair_of_touching_bodies_is_oriented(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepairWarning)
        found = repair(sponge(seed, 0.7), keep="all")
    assert found.report_after.is_manifold and found.report_after.is_oriented
    assert found.report_after.is_closed and found.report_after.inside_out == 0


def test_two_cubes_on_one_edge_are_two_cubes() -> None:
    solid = np.zeros((4, 4, 3), dtype=bool)
    solid[1, 1, 1] = solid[2, 2, 1] = True
    with pytest.warns(RepairWarning, match="2 vertices added to split"):
        found = repair(skin(solid), keep="all")
    assert found.report_after.component_sizes == (12, 12) and found.report_after.genus == 0
    assert (found.vertex_origin >= 0).all()


def test_a_ring_that_touches_itself_along_an_edge_stays_one_surface() -> None:
    ring = np.ones((3, 3, 1), dtype=bool)
    ring[1, 1] = ring[0, 0] = False
    surface = skin(np.pad(ring, 1))
    assert len(check(surface).nonmanifold_edges) == 1
    found = split_nonmanifold(surface.vertices, surface.faces)
    topology = Topology(found.unit, found.faces)
    assert topology.is_sheet and topology.euler_characteristic in (0, 2)
