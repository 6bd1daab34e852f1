"""Connectivity against plain Python counts, on real shapes and on random triangle soups."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from oracles import count_topology

from meshconv.mesh import borders, connectivity
from meshconv.mesh.shapes import cap, cylinder, icosphere, torus

SHAPES = {"sphere": icosphere(2), "disk": cap(6), "cylinder": cylinder(), "torus": torus()}


def soups(n_vertices: int = 9, n_faces: int = 16) -> st.SearchStrategy:
    """Random faces without repeated indices, usually non-manifold in every way."""
    rows = hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, n_faces), st.just(3)),
        elements=st.integers(0, n_vertices - 1),
    )
    return rows.map(_without_repeats).filter(len)


def _without_repeats(faces: np.ndarray) -> np.ndarray:
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]


@pytest.mark.parametrize("name", SHAPES)
def test_counts_of_clean_shapes_match_the_oracle(name: str) -> None:
    faces = SHAPES[name].faces
    expected = count_topology(faces)
    edges, uses = connectivity.edge_uses(faces)
    assert len(np.unique(faces)) - len(edges) + len(faces) == expected.euler
    assert connectivity.face_components(faces).max() + 1 == expected.components
    assert len(borders.boundary_loops(faces)) == expected.loops
    assert uses.max() == 2 and len(connectivity.nonmanifold_vertices(faces)) == 0


@given(soups())
def test_edges_and_nonmanifold_vertices_of_soups_match_the_oracle(faces: np.ndarray) -> None:
    edges, uses = connectivity.edge_uses(faces)
    pairs = Counter(tuple(sorted(pair)) for pair in connectivity.half_edges(faces).tolist())
    assert dict(zip(map(tuple, edges.tolist()), uses.tolist(), strict=True)) == pairs
    assert connectivity.face_components(faces).max() + 1 == count_topology(faces).sheets
    sizes = np.bincount(connectivity.face_components(faces))
    assert (np.diff(sizes) <= 0).all()


@given(soups())
def test_each_border_edge_lies_on_exactly_one_loop(faces: np.ndarray) -> None:
    on_loops: Counter = Counter()
    uses = Counter(tuple(sorted(pair)) for pair in connectivity.half_edges(faces).tolist())
    border = Counter({edge: 1 for edge, n in uses.items() if n == 1})
    for loop in borders.boundary_loops(faces):
        ring = [*loop.tolist(), int(loop[0])]
        sides = [tuple(sorted(pair)) for pair in pairwise(ring)]
        if (
            sides[-1] not in border or on_loops[sides[-1]]
        ):  # an open chain, ended by an edge of three faces
            sides.pop()
        on_loops.update(sides)
    assert on_loops == border


@given(soups())
def test_splitting_by_fans_leaves_one_fan_at_each_vertex(faces: np.ndarray) -> None:
    new, old = connectivity.split_fans(faces, connectivity.joints(faces), 9)
    assert (old[new] == faces).all() and (old[:9] == np.arange(9)).all()
    fan = connectivity.corner_fans(faces, connectivity.joints(faces))
    assert len(np.unique(new)) == len(np.unique(fan))  # one vertex a fan ...
    assert len(np.unique(np.column_stack([new.ravel(), fan]), axis=0)) == len(
        np.unique(fan)
    )  # ... and back


def test_loops_run_with_their_faces_and_start_at_their_smallest_vertex() -> None:
    faces = cap(5).faces
    (loop,) = borders.boundary_loops(faces)
    directed = set(map(tuple, connectivity.half_edges(faces).tolist()))
    assert all(
        pair in directed for pair in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True)
    )
    assert loop[0] == loop.min()


def test_longest_loop_first_by_length_or_by_count() -> None:
    surface = cylinder(n_around=12)
    wide = surface.vertices * np.where(surface.vertices[:, 2:] > 0, [3.0, 3.0, 1.0], 1.0)
    first, second = borders.boundary_loops(surface.faces, wide)
    assert borders.loop_length(wide[first]) > 2.9 * borders.loop_length(wide[second])


def test_holes_that_touch_in_a_vertex_are_two_simple_loops() -> None:
    n = 7
    grid = np.arange(n * n).reshape(n, n)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    keep = np.ones((n - 1, n - 1), dtype=bool)
    keep[2, 2] = keep[3, 3] = False  # two missing squares that share a corner
    faces = np.concatenate([np.stack([a, b, c], -1)[keep], np.stack([a, c, d], -1)[keep]])
    loops = borders.boundary_loops(faces)
    assert [len(loop) for loop in loops] == [24, 4, 4]
    assert all(len(set(loop.tolist())) == len(loop) for loop in loops)
    assert connectivity.nonmanifold_vertices(faces).tolist() == [grid[3, 3]]


def test_first_equal_row_and_components() -> None:
    rows = np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0], [-0.0, 2.0]])
    assert connectivity.first_equal_row(rows).tolist() == [0, 1, 0, 1]
    label = connectivity.components(np.array([0, 3]), np.array([2, 1]), 5)
    assert label[0] == label[2] != label[3] == label[1] and len(set(label.tolist())) == 3
