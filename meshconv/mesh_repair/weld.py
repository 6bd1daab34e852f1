"""Joining vertices at one place, and dropping faces that are there twice."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh import connectivity


def coincident(vertices: FloatArray, tolerance: float = 0.0) -> IntArray:
    """Return for each vertex (V,) the lowest index of those at its place.

    With a `tolerance`, places closer than that are one; chains of close vertices are followed.
    """
    group = connectivity.first_equal_row(vertices)
    while tolerance > 0:
        head, index = np.unique(group, return_inverse=True)
        if len(head) == 1:
            break
        near, other = cKDTree(
            vertices[head]
        ).query(  # a few neighbours at a time keep the memory linear
            vertices[head],
            k=min(8, len(head)),
            distance_upper_bound=np.nextafter(tolerance, np.inf),
        )
        row, column = np.nonzero(np.isfinite(near))
        label = connectivity.components(row, np.asarray(other)[row, column], len(head))
        _, first = np.unique(label, return_index=True)
        if len(first) == len(head):
            break
        group = head[first[label]][index]
    return group


def apart(group: IntArray) -> bool:
    """Whether no two vertices lie at one place."""
    return np.array_equal(group, np.arange(len(group)))


def copies(faces: IntArray, group: IntArray) -> BoolArray:
    """Return a mask (F,) of faces to drop because they are there twice.

    These are faces with the vertices of an earlier face, in any winding, and whole components each
    of whose faces lies on one of a larger component. Single coincident faces of two bodies that
    touch are kept.
    """
    drop = connectivity.first_equal_row(np.sort(faces, axis=1)) != np.arange(len(faces))
    if apart(group):
        return drop
    part = connectivity.face_components(faces)
    order = np.argsort(part, kind="stable")
    place = np.sort(group[faces[order]], axis=1)
    later = np.empty(len(faces), dtype=bool)
    later[order] = connectivity.first_equal_row(place) != np.arange(len(faces))
    return drop | (np.bincount(part, ~later) == 0)[part]


def weld_map(faces: IntArray, group: IntArray) -> IntArray:
    """Return the vertex (V,) that each vertex becomes when cracks are stitched.

    Two border edges whose ends lie at the same places are joined, where just two do. Vertices that
    only touch stay apart, as does whatever would give an edge a third face or a face a repeated
    vertex.
    """
    n = len(group)
    if apart(group):
        return group
    a, b = _matching_ends(faces, group)
    while len(a):
        label = connectivity.components(a, b, n)
        _, first = np.unique(label, return_index=True)
        target = first[label]
        bad = np.zeros(n, dtype=bool)
        bad[target[_crowded(target[faces])]] = True
        keep = ~(bad[target[a]])
        if keep.all():
            return target
        a, b = a[keep], b[keep]
    return np.arange(n)


def _matching_ends(faces: IntArray, group: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of distinct vertices at the ends of border edges that coincide two by two."""
    border = connectivity.boundary_half_edges(faces)
    place = group[border]
    border, place = border[place[:, 0] != place[:, 1]], place[place[:, 0] != place[:, 1]]
    key = connectivity.edge_keys(place, len(group))
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    two = first[np.diff(first, append=len(order)) == 2]
    g, h = order[two], order[two + 1]
    other = np.where((place[g, 0] == place[h, 0])[:, None], border[h], border[h][:, ::-1])
    a, b = border[g].ravel(), other.ravel()
    return a[a != b], b[a != b]


def _crowded(faces: IntArray) -> IntArray:
    """Vertices of faces with a repeated index, and of edges with more than two faces."""
    repeated = faces[(faces == np.roll(faces, 1, axis=1)).any(axis=1)]
    edges, uses = connectivity.edge_uses(faces)
    return np.concatenate([repeated.ravel(), edges[uses > 2].ravel()])
