"""Separators that are refined still separate, and are no larger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import Delaunay

from meshconv.operators.cholesky.ordering import _crossings, _separate, nested_dissection
from meshconv.operators.cholesky.refine import refine


def triangulated(points: np.ndarray) -> sparse.csr_array:
    faces = Delaunay(points).simplices
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    n = len(points)
    graph = sparse.csr_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(n, n))
    graph.sum_duplicates()
    return graph


def cut(
    graph: sparse.csr_array, left: np.ndarray, *, better: bool, near: Any = None
) -> tuple[np.ndarray, ...]:
    """Zones (0 left, 1 right, 2 separator), the sizes kept while refining, and the members."""
    n = graph.shape[0]
    zone = np.where(left, 0, 1).astype(np.int32)
    sizes = np.array([left.sum(), n - left.sum(), 0])
    lists = (
        *np.empty((4, n), dtype=np.int32),
        np.empty(2 * n, dtype=np.int32),
        np.empty(6, dtype=np.int32),
    )
    pattern = (graph.indptr, graph.indices)
    space, axis, place = ((np.zeros((n, 3)),) * 2, 0, -1.0) if near is None else near
    _separate(pattern, space, axis, place, np.arange(n, dtype=np.int32), zone, 0, sizes, lists[0])
    if better:
        refine(pattern, zone, 0, sizes, lists)
    return zone, sizes, lists[0][: sizes[2]]


@pytest.mark.parametrize("seed", range(8))
def test_a_refined_separator_separates_and_is_smaller(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((rng.integers(60, 1500), 2))
    graph = triangulated(points)
    wavy = points[:, 0] + 0.1 * np.sin(25 * points[:, 1]) < 0.5
    before = (cut(graph, wavy, better=False)[0] == 2).sum()
    zone, sizes, members = cut(graph, wavy, better=True)
    a, b = graph.nonzero()
    assert not np.any((zone[a] == 0) & (zone[b] == 1))
    np.testing.assert_array_equal(sizes, np.bincount(zone, minlength=3))
    np.testing.assert_array_equal(np.sort(members), np.flatnonzero(zone == 2))
    assert sizes[2] <= before
    if len(points) > 300:
        assert sizes[2] < 0.8 * before  # a straight cut crosses far fewer than the wavy one
        assert sizes.max() < 0.7 * len(points)


def test_the_shortest_separator_of_a_grid_is_found() -> None:
    """Of a square grid with diagonals (12 x 40) no separator of balanced sides has under 12."""
    i = np.arange(480).reshape(12, 40)
    pairs = [(i[:-1], i[1:]), (i[:, :-1], i[:, 1:]), (i[:-1, :-1], i[1:, 1:])]
    a = np.concatenate([p.ravel() for p, _ in pairs])
    b = np.concatenate([q.ravel() for _, q in pairs])
    graph = sparse.csr_array(
        (np.ones(2 * len(a)), (np.append(a, b), np.append(b, a))), shape=(480, 480)
    )
    row, column = np.indices((12, 40))
    jagged = (column < 20 + 3 * (row % 3 - 1)).ravel()
    assert cut(graph, jagged, better=False)[1][2] > 18
    assert cut(graph, jagged, better=True)[1][2] == 12


def test_parts_that_hang_together_nowhere_need_no_separator() -> None:
    graph = sparse.block_diag(
        [triangulated(np.random.default_rng(k).random((200, 2))) for k in (0, 1)]
    )
    zone, sizes, _ = cut(sparse.csr_array(graph), np.arange(400) < 200, better=True)
    assert sizes.tolist() == [200, 200, 0] and not (zone == 2).any()


@pytest.mark.parametrize("kind", ["grid", "one point", "two points", "line"])
def test_ties_of_positions_are_cut_in_halves(kind: str) -> None:
    """Fronts stay small where many unknowns lie at the same place along every axis."""
    x, y = np.indices((40, 40))
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
    graph = triangulated(points + 1e-3 * np.random.default_rng(0).random(points.shape))
    where = {
        "grid": points,
        "one point": np.zeros((1600, 2)),
        "two points": np.c_[points[:, 0] > 29, np.zeros(1600)].astype(float),
        "line": points[:, :1],
    }[kind]
    order, start, parent = nested_dissection(graph.indptr, graph.indices, where)
    np.testing.assert_array_equal(np.sort(order), np.arange(1600))
    assert np.all((parent > np.arange(len(parent))) | (parent == -1))
    if kind in ("grid", "line"):
        assert np.diff(start).max() <= 80  # two rows of the grid


@pytest.mark.parametrize("seed", range(3))
def test_what_reaches_less_far_than_the_cut_has_nothing_across(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((800, 3)).round(2)  # equal places too
    graph, reach = triangulated(points[:, :2]), np.zeros_like(points)
    _crossings(graph.indptr, graph.indices, points, reach)
    left = points[:, 0] < 0.5
    near = ((points, reach), 0, 0.5 - 1e-12)
    for found, wanted in zip(
        cut(graph, left, better=False, near=near), cut(graph, left, better=False), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
