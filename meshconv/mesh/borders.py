"""Walking along the borders of a triangle list, whatever meets there."""

from __future__ import annotations

import numpy as np

from meshconv._types import FloatArray, IntArray
from meshconv.mesh.connectivity import (
    EdgeGroups,
    boundary_half_edge_ids,
    corner_after,
    corner_fans,
    edge_groups,
    half_edges,
    joints,
    vertex_count,
)


def boundary_loops(
    faces: IntArray, vertices: FloatArray | None = None, groups: EdgeGroups | None = None
) -> list[IntArray]:
    """Return the closed borders as vertex cycles in face orientation, longest first.

    Length is geometric when `vertices` (V, 3) is given, else the number of edges. Each loop starts
    at its smallest index. Where borders meet in a vertex, a walk stays inside one fan of faces and
    is split where it passes a vertex again, so touching holes and touching sheets come out as
    simple loops. With mixed winding a loop runs in the direction of the face it starts from; where
    a border ends in an edge of three faces, the chain is returned as it is. `groups` are the
    `edge_groups` of the faces, if they are at hand.
    """
    groups = groups or edge_groups(faces)
    border = boundary_half_edge_ids(groups)
    if len(border) == 0:
        return []
    loops = _walk(half_edges(faces)[border], _border_partners(faces, border))
    if vertices is None:
        size = [float(len(loop)) for loop in loops]
    else:
        size = [loop_length(vertices[loop]) for loop in loops]
    order = np.argsort(-np.asarray(size), kind="stable")
    return [loops[k] for k in order]


def loop_length(points: FloatArray) -> float:
    """Return the length of the closed polygon through points (K, 3)."""
    size = float(np.abs(points).max(initial=0.0)) or 1.0  # squares of it may overflow
    steps = (points - np.roll(points, 1, axis=0)) / size
    return float(np.linalg.norm(steps, axis=1).sum()) * size


def _border_partners(faces: IntArray, border: IntArray) -> IntArray:
    """For each end of each border edge (2k = start, 2k + 1 = end), the end it meets (2K,), or -1.

    Ends in one fan meet; ends left over at a vertex (its fan stops at an edge of three faces) meet
    in pairs.
    """
    ends = np.column_stack([border, corner_after(border)]).ravel()
    vertex = faces.ravel()[ends]
    partner = np.full(len(ends), -1)
    crossing = (
        np.bincount(vertex, minlength=vertex_count(faces)) > 2
    )  # elsewhere two ends have no choice
    if crossing.any():
        near = np.flatnonzero(crossing[faces].any(axis=1))
        fan = corner_fans(faces[near], joints(faces[near]))
        row = np.zeros(len(faces), dtype=np.int64)
        row[near] = np.arange(len(near))
        here = np.flatnonzero(crossing[vertex])
        _pair_equal(fan[3 * row[ends[here] // 3] + ends[here] % 3], here, partner)
    left = np.flatnonzero(partner < 0)
    _pair_equal(vertex[left], left, partner)
    return partner


def _pair_equal(key: IntArray, items: IntArray, partner: IntArray) -> None:
    """Pair the 1st with the 2nd, the 3rd with the 4th ... of the items with equal key."""
    order = np.argsort(key, kind="stable")
    key, items = key[order], items[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    rank = np.arange(len(key)) - np.repeat(first, np.diff(first, append=len(key)))
    k = np.flatnonzero((rank[:-1] % 2 == 0) & (key[:-1] == key[1:]))
    partner[items[k]], partner[items[k + 1]] = items[k + 1], items[k]


def _walk(border: IntArray, partner: IntArray) -> list[IntArray]:
    """Follow the partners around, open chains first; one pass over the border edges."""
    ends, meets = border.ravel().tolist(), partner.tolist()
    done = [False] * len(border)
    loops: list[IntArray] = []
    for start in [*np.flatnonzero(partner < 0).tolist(), *range(0, len(ends), 2)]:
        end, chain = start, []
        while end >= 0 and not done[end // 2]:
            done[end // 2] = True
            chain.append(ends[end])
            last = end ^ 1
            end = meets[last]
        if chain:
            loops += _simple_cycles(chain if end >= 0 else [*chain, ends[last]], closed=end >= 0)
    return loops


def _simple_cycles(chain: list[int], *, closed: bool) -> list[IntArray]:
    """Split a walk at each vertex that it passes again; a cycle starts at its smallest vertex."""
    cycles: list[list[int]] = []
    path: list[int] = []
    place: dict[int, int] = {}
    for v in chain:
        if v in place:
            cycles.append(path[place[v] :])
            for w in path[place[v] + 1 :]:
                del place[w]
            del path[place[v] + 1 :]
        else:
            place[v] = len(path)
            path.append(v)
    arrays = [np.asarray(cycle, dtype=np.int64) for cycle in cycles]
    if closed:
        arrays.append(np.asarray(path, dtype=np.int64))
    arrays = [np.roll(cycle, -int(cycle.argmin())) for cycle in arrays]
    if not closed and len(path) > 1:
        arrays.append(np.asarray(path, dtype=np.int64))
    return arrays
