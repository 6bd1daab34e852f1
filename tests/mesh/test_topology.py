"""`Topology`, read off one pass, against the slow ways and against counts in plain Python."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracles import count_topology

from meshconv.mesh import borders, connectivity, shapes
from meshconv.mesh.surface import Surface
from meshconv.mesh.topology import Topology
from meshconv.mesh.winding import winding

SHEETS = {
    "disk": shapes.bumpy_heightfield(9),
    "sphere": shapes.icosphere(2),
    "torus": shapes.torus(9, 7),
    "annulus": shapes.annulus(12),
    "triangle": Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]),
}


def shuffled(surface: Surface, seed: int = 0) -> Surface:
    order = np.random.default_rng(seed).permutation(surface.n_vertices)
    return Surface(surface.vertices[order], np.argsort(order)[surface.faces])


def soups(n_vertices: int = 9, n_faces: int = 16) -> st.SearchStrategy:
    rows = hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, n_faces), st.just(3)),
        elements=st.integers(0, n_vertices - 1),
    )
    return rows.map(lambda f: f[(f != np.roll(f, 1, axis=1)).all(axis=1)]).filter(len)


def agrees_with_the_slow_ways(found: Topology) -> None:
    faces, n = found.faces, len(found.vertices)
    assert found.n_edges == len(connectivity.edges(faces))
    assert np.array_equal(found.edges, connectivity.edges(faces))
    slow = borders.boundary_loops(faces, found.vertices)
    assert [loop.tolist() for loop in found.boundary_loops] == [loop.tolist() for loop in slow]
    assert np.array_equal(found.sheet, connectivity.face_components(faces))
    wind = winding(faces, connectivity.joints(faces))
    assert np.array_equal(found.winding.flip, wind.flip)
    assert np.array_equal(found.winding.one_sided, wind.one_sided)
    assert np.array_equal(found.nonmanifold_vertices, connectivity.nonmanifold_vertices(faces))
    assert np.array_equal(found.used, np.isin(np.arange(n), faces))
    size = np.bincount(found.winding.part)
    joined = found.winding.part[connectivity.joints(faces).ravel() // 3]
    sides = np.bincount(joined, minlength=len(size))
    assert np.array_equal(found.closed, sides == 3 * size)


@pytest.mark.parametrize("name", SHEETS)
def test_a_good_sheet_is_one_and_has_what_the_slow_ways_find(name: str) -> None:
    surface = shuffled(SHEETS[name])
    assert surface.topology.is_sheet and surface.topology.is_manifold
    agrees_with_the_slow_ways(surface.topology)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_holes_are_loops_and_what_holes_leave_hanging_is_no_sheet(seed: int, removed: int) -> None:
    whole = SHEETS["disk"]
    gone = np.random.default_rng(seed).choice(whole.n_faces, removed, replace=False)
    found = Surface(whole.vertices, np.delete(whole.faces, gone, axis=0)).topology
    manifold = len(connectivity.nonmanifold_vertices(found.faces)) == 0
    one_piece = not connectivity.face_components(found.faces).any()
    assert found.is_sheet == (found.used.all() and manifold and one_piece)
    agrees_with_the_slow_ways(found)


@given(soups())
def test_soups_are_counted_right(faces: np.ndarray) -> None:
    points = np.random.default_rng(0).normal(size=(9, 3))
    found, expected = Topology(points, faces), count_topology(faces)
    assert found.euler_characteristic == expected.euler == found.component_euler.sum()
    assert found.component.max() + 1 == expected.components
    assert found.sheet.max() + 1 == expected.sheets
    assert len(found.nonmanifold_edges) == expected.nonmanifold_edges
    assert len(found.nonmanifold_vertices) == expected.nonmanifold_vertices
    manifold = not (expected.nonmanifold_edges or expected.nonmanifold_vertices)
    assert found.is_manifold == manifold
    assert found.coherent == (manifold and expected.agreeing)
    assert (np.diff(np.bincount(found.face_component)) <= 0).all()
    agrees_with_the_slow_ways(found)


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 1, 2], [1, 0, 3], [0, 1, 4]],  # an edge of three faces
        [[0, 1, 2], [0, 1, 3]],  # two faces that disagree on the outside
        [[0, 1, 2], [0, 3, 4]],  # two faces that touch in a vertex
        [[0, 1, 2], [3, 4, 5]],  # two pieces
        [[0, 1, 2], [0, 1, 2]],  # the same face twice
        [[0, 1, 3], [1, 4, 3]],  # vertex 2 is in no face
    ],
)
def test_what_is_no_sheet_is_none(faces: list[list[int]]) -> None:
    points = np.random.default_rng(0).normal(size=(np.max(faces) + 1, 3))
    assert not Topology(points, np.array(faces)).is_sheet


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_the_longest_border_is_first_in_any_unit(scale: float) -> None:
    surface = shapes.annulus(12)
    faces = Topology(surface.vertices * scale, surface.faces)
    first, second = (loop.tolist() for loop in faces.boundary_loops)
    assert [first, second] == [loop.tolist() for loop in surface.boundary_loops]


def test_edges_are_grouped_once_and_not_at_all_on_a_good_surface(monkeypatch) -> None:
    from meshconv import check

    calls = []
    group = connectivity.edge_groups
    monkeypatch.setattr(connectivity, "edge_groups", lambda f: calls.append(1) or group(f))
    check(shapes.icosphere(2))
    assert not calls
    ball = shapes.icosphere(2)
    check(Surface(ball.vertices, np.vstack([ball.faces, [[0, 1, 5]]])))
    assert len(calls) == 1


def test_a_pickled_surface_carries_no_more_than_its_arrays() -> None:
    surface = shapes.icosphere(3)
    before = len(pickle.dumps(surface))
    _ = surface.topology.edges, surface.face_areas
    assert len(pickle.dumps(surface)) == before
    assert not pickle.loads(pickle.dumps(surface)).vertices.flags.writeable


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("sphere", "(surface, target='sphere')"),
        ("disk", "(surface, target='disk')"),
        ("torus", "(surface)"),
        ("annulus", "(surface)"),
    ],
)
def test_the_call_of_repair_keeps_the_kind(kind, call):
    assert SHEETS[kind].topology.repair_call == f"meshconv.repair{call}"
    two = Surface(
        np.concatenate([SHEETS[kind].vertices, SHEETS[kind].vertices + 9]),
        np.concatenate([SHEETS[kind].faces, SHEETS[kind].faces + SHEETS[kind].n_vertices]),
    )
    assert two.topology.repair_call == "meshconv.repair(surface)"


def test_what_is_moved_hangs_together_as_before() -> None:
    surface = SHEETS["annulus"]
    moved = surface._moved(surface.vertices * 3.0 + 1.0)
    fresh = Surface(moved.vertices, moved.faces)
    assert moved.topology._stars is surface.topology._stars
    assert moved.topology.is_sheet and moved.n_vertices == fresh.n_vertices
    for found, expected in zip(moved.boundary_loops, fresh.boundary_loops, strict=True):
        np.testing.assert_array_equal(found, expected)
