"""A lattice of nodes that tetrahedra fill: shapes cut out of it are manifold and keep their
topology while nodes are taken away.

Each cube of nodes is cut into six tetrahedra around one of its diagonals, so a node has 14
neighbours and its link is a sphere of 14 nodes. A node can be taken out of a shape without change
of topology exactly if its neighbours inside and those outside both hang together.

References
----------
Freudenthal, 1942, Simplizialzerlegungen von beschraenkter Flachheit. Doi, Koide, 1991, An efficient
method of triangulating equi-valued surfaces by using tetrahedral cells. Bertrand, Couprie, 2014,
Powerful parallel and symmetric 3D thinning schemes based on critical kernels (simple points).
"""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh.areas import area_vectors

_UP = np.array([[i >> 2, i >> 1 & 1, i & 1] for i in range(1, 8)])
_NEIGHBOURS = np.concatenate([_UP, -_UP])
JOINED = np.zeros((3, 3, 3), dtype=bool)
"""Which of the 26 nodes around are neighbours, as `scipy.ndimage.label` takes them."""
JOINED[tuple((_NEIGHBOURS + 1).T)] = True
_AROUND_A_TETRAHEDRON = np.array(
    [np.cumsum(np.eye(4, 3, k=0, dtype=int)[[3, *turn]], axis=0) for turn in permutations(range(3))]
)  # the corners of each of the six, from the lowest to the highest


def tunnels(solid: BoolArray) -> int:
    """Return how many tunnels go through a connected shape without cavities (its border nodes are
    empty): one minus the Euler characteristic.
    """
    euler = int(solid.sum())
    for chain in _chains():
        together = solid[:-1, :-1, :-1]
        for step in chain:
            together = together & _shifted(solid, step)
        euler += (-1) ** len(chain) * int(together.sum())
    return 1 - euler


def filled_tunnels(solid: BoolArray) -> BoolArray:
    """Return a ball that holds the connected shape: a full box from which nodes are taken, the
    farthest first, as long as the topology stays; a membrane is left across each tunnel.
    """
    ball = np.ones_like(solid)
    for axis in range(3):
        np.moveaxis(ball, axis, 0)[[0, -1]] = False
    distance = ndimage.distance_transform_edt(~solid)
    free = np.flatnonzero((ball & ~solid).ravel())
    free = free[np.argsort(-distance.ravel()[free], kind="stable")]
    steps = _NEIGHBOURS @ np.array([solid.shape[1] * solid.shape[2], solid.shape[2], 1])
    flat = ball.ravel()
    _carve(flat, solid.ravel(), free, steps, _simple_links(_adjacent()))
    return flat.reshape(ball.shape)


def contour(field: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return where a field on the nodes, linear in each tetrahedron and nowhere 0, changes sign.

    Returns
    -------
    points : (V, 3) float64
        In units of the lattice.
    faces : (F, 3) int64
        Manifold; counter-clockwise seen from where the field is negative.
    """
    nodes = _mixed_tetrahedra(field)
    values = field.ravel()[nodes]
    order = np.argsort(-values, axis=1, kind="stable")  # the corners inside first
    nodes, inside = np.take_along_axis(nodes, order, axis=1), (values > 0).sum(axis=1)
    corners = [_fan(nodes[inside == count], count) for count in (1, 2, 3)]
    ends = np.concatenate(corners)  # (F, 3, 2): the lattice edge of each corner
    n = field.size
    key, index = np.unique(ends[..., 0] * n + ends[..., 1], return_inverse=True)
    a, b = np.divmod(key, n)
    u, v = field.ravel()[a], field.ravel()[b]
    p, q = (np.column_stack(np.unravel_index(k, field.shape)).astype(float) for k in (a, b))
    points: FloatArray = p + (u / (u - v))[:, None] * (q - p)
    return points, _outward(points, index.reshape(-1, 3), ends, field.shape)


def _fan(nodes: IntArray, inside: int) -> IntArray:
    """The triangles of tetrahedra with so many corners inside; their corners are edges."""
    a, b, c, d = nodes.T
    if inside == 1:
        triangles = [((a, b), (a, c), (a, d))]
    elif inside == 3:
        triangles = [((a, d), (b, d), (c, d))]
    else:
        triangles = [((a, c), (a, d), (b, d)), ((a, c), (b, d), (b, c))]
    each = [np.stack([np.stack(edge, axis=1) for edge in t], axis=1) for t in triangles]
    return np.concatenate(each)


def _outward(
    points: FloatArray, faces: IntArray, ends: IntArray, shape: tuple[int, ...]
) -> IntArray:
    """Wind the faces so that their normals point from the nodes inside to those outside."""
    inner, outer = (
        np.stack(np.unravel_index(ends[..., k], shape), axis=-1).mean(axis=1) for k in (0, 1)
    )
    inward = (area_vectors(points, faces) * (outer - inner)).sum(axis=1) < 0
    return np.where(inward[:, None], faces[:, ::-1], faces)


def _mixed_tetrahedra(field: FloatArray) -> IntArray:
    """The nodes (T, 4) of the tetrahedra in which the field has both signs."""
    positive = field > 0
    low = high = positive[:-1, :-1, :-1]
    for step in _UP:
        there = _shifted(positive, step)
        low, high = low & there, high | there
    base = np.column_stack(np.nonzero(high & ~low))
    each = base[:, None, None] + _AROUND_A_TETRAHEDRON
    nodes = np.ravel_multi_index(tuple(np.moveaxis(each, -1, 0)), field.shape).reshape(-1, 4)
    inside = positive.ravel()[nodes].sum(axis=1)
    return nodes[(inside > 0) & (inside < 4)]


def _chains() -> list[tuple[IntArray, ...]]:
    """The edges, triangles and tetrahedra above a node: steps up, each above the one before."""
    out = []
    for count in (1, 2, 3):
        for chain in combinations(_UP, count):
            ordered = sorted(chain, key=lambda step: int(step.sum()))
            if all((b >= a).all() and (b > a).any() for a, b in pairwise(ordered)):
                out.append(tuple(ordered))
    return out


def _shifted(array: NDArray[np.bool_], step: IntArray) -> NDArray[np.bool_]:
    i, j, k = step
    a, b, c = array.shape
    return array[i : a - 1 + i, j : b - 1 + j, k : c - 1 + k]


def _adjacent() -> BoolArray:
    """Which of the 14 neighbours of a node are neighbours of one another, (14, 14)."""
    between = _NEIGHBOURS[:, None] - _NEIGHBOURS
    return np.asarray((between[..., None, :] == _NEIGHBOURS).all(axis=-1).any(axis=-1))


@njit(cache=True)
def _simple_links(adjacent: BoolArray) -> BoolArray:
    """For each set of neighbours inside, (2^14,): whether it and its rest both hang together."""
    out = np.zeros(1 << 14, dtype=np.bool_)
    for inside in range(1 << 14):
        rest = (1 << 14) - 1 - inside
        out[inside] = _hangs_together(inside, adjacent) and _hangs_together(rest, adjacent)
    return out


@njit(cache=True)
def _hangs_together(members: int, adjacent: BoolArray) -> bool:
    reached = members & -members
    grown = reached > 0
    while grown:
        grown = False
        for a in range(14):
            for b in range(14):
                if (reached >> a) & 1 and (members & ~reached) >> b & 1 and adjacent[a, b]:
                    reached |= 1 << b
                    grown = True
    return members > 0 and reached == members


@njit(cache=True)
def _carve(
    ball: BoolArray, solid: BoolArray, order: IntArray, steps: IntArray, simple: BoolArray
) -> None:
    """Take nodes out in order; one that had to stay is tried again when a neighbour has gone."""
    passed = np.zeros(len(ball), dtype=np.bool_)
    waiting = np.empty(14 * 64, dtype=np.int64)
    for node in order:
        passed[node] = True
        top, waiting[0] = 1, node
        while top:
            top -= 1
            v = waiting[top]
            if not ball[v]:
                continue
            inside = 0
            for k in range(14):
                inside |= int(ball[v + steps[k]]) << k
            if not simple[inside]:
                continue
            ball[v] = False
            for k in range(14):
                w = v + steps[k]
                if ball[w] and passed[w] and not solid[w]:
                    if top == len(waiting):
                        waiting = np.concatenate((waiting, np.empty_like(waiting)))
                    waiting[top] = w
                    top += 1
