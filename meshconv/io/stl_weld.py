"""Corners of separate triangles as shared vertices: exactly equal ones become one, and a soup whose
corners nearly agree is told from a surface.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray, IntArray
from meshconv._compiled import compiled

_NEAR = 0.05  # of the median edge: closer than that, two corners are meant to be one
_MOST = 200_000  # corners looked at; a soup shows in any part of a file


def weld(points: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct points in order of first appearance, (V, 3), and which each became."""
    points = np.ascontiguousarray(points) + 0.0  # -0 becomes 0
    table = np.full(1 << max(4, (2 * len(points)).bit_length()), -1, np.int64)
    label, origin = np.empty(len(points), np.int64), np.empty(len(points), np.int64)
    n = weld_rows(points.view(np.uint64), table, label, origin)
    return points[origin[:n]], label


def note_soup(vertices: FloatArray, faces: IntArray, warnings: list[str]) -> None:
    """Say so if most corners are nearly, but not exactly, those of other facets, and which
    tolerance welds them.
    """
    if len(faces) < 2 or len(vertices) < 1.5 * len(faces):  # a surface has F/2 vertices, a soup 3F
        return
    from scipy.spatial import cKDTree

    some = faces[: _MOST // 3]
    used = np.unique(some)
    edge = vertices[some] - vertices[np.roll(some, 1, axis=1)]
    with np.errstate(over="ignore", under="ignore"):
        length = float(np.median(np.sqrt((edge * edge).sum(axis=2))))
    if not 0 < length < np.inf:
        return
    tree, places = cKDTree(vertices[used]), vertices[used]
    near = np.asarray(tree.query(places, k=2, distance_upper_bound=_NEAR * length)[0])[:, 1]
    gaps = np.sort(near[np.isfinite(near)])
    if len(gaps) <= len(used) / 2:
        return
    half = len(gaps) // 2  # above, a leap parts what was meant to be one from small features
    leap = gaps[half + 1 :] > 5 * gaps[half:-1]
    most = float(gaps[half + int(leap.argmax())] if leap.any() else gaps[-1])
    warnings.append(
        f"a soup: {len(gaps)} of {len(used)} corners differ from another facet's by up to"
        f" {most:.2g}, so that facets do not share them;"
        f" repair(surface, weld={2 * most:.2g}) welds them"
    )


def _plain_weld_rows(
    rows: NDArray[Any], table: NDArray[Any], label: NDArray[Any], origin: NDArray[Any]
) -> int:
    order = np.lexsort(rows.T)  # stable: the first of equal rows comes first
    ordered = rows[order]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[new]
    appear = np.argsort(first)
    origin[: len(first)] = first[appear]
    rank = np.empty(len(first), np.int64)
    rank[appear] = np.arange(len(first))
    label[order] = rank[np.cumsum(new) - 1]
    return len(first)


@compiled(plain=_plain_weld_rows, small=1_000_000)
def weld_rows(
    rows: NDArray[Any], table: NDArray[Any], label: NDArray[Any], origin: NDArray[Any]
) -> int:
    """Number equal rows (n, 3) uint64 in order of first appearance; return how many differ.

    `table` is the hash table: a power of two entries, all -1. `origin` gets the first row of each
    number.
    """
    mask, found = np.uint64(len(table) - 1), 0
    for i in range(len(rows)):
        h = rows[i, 0] * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(29)) ^ rows[i, 1]) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(32)) ^ rows[i, 2]) * np.uint64(0x94D049BB133111EB)
        slot = (h ^ (h >> np.uint64(31))) & mask
        while True:
            k = table[slot]
            if k < 0:
                table[slot] = found
                origin[found] = i
                label[i] = found
                found += 1
                break
            j = origin[k]
            if rows[j, 0] == rows[i, 0] and rows[j, 1] == rows[i, 1] and rows[j, 2] == rows[i, 2]:
                label[i] = k
                break
            slot = (slot + np.uint64(1)) & mask
    return found
