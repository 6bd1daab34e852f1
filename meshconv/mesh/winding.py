"""Winding: which faces disagree with their neighbours, and whether any choice can agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._types import BoolArray, FloatArray, IntArray
from meshconv.mesh import connectivity


@dataclass(frozen=True, eq=False)
class Winding:
    """What it takes to wind every face like its neighbours across edges of two faces."""

    flip: BoolArray
    """(F,) the faces to turn over: the minority of each connected part."""
    one_sided: BoolArray
    """(F,) the faces of parts that cannot be oriented, such as a Moebius strip."""
    part: IntArray
    """(F,) label of the connected part."""


def winding(faces: IntArray, pairs: IntArray) -> Winding:
    """Return which faces to turn over, given the half-edge `pairs` (J, 2) that join them.

    The connected components of the orientation double cover (each face twice, once per side) are
    two for an orientable part and one for a one-sided part.
    """
    n = len(faces)
    corner = faces.ravel()
    f, g = pairs.T // 3
    turned = n * (
        corner[pairs[:, 0]] == corner[pairs[:, 1]]
    )  # same direction: the neighbours disagree
    rows, columns = (
        np.concatenate([f, f + n]),
        np.concatenate([g + turned, (g + n + turned) % (2 * n)]),
    )
    sheet = connectivity.components(rows, columns, 2 * n)
    front, back = sheet[:n], sheet[n:]
    _, part = np.unique(np.minimum(front, back), return_inverse=True)
    flip = front > back
    count, turned_over = np.bincount(part), np.bincount(part, flip)
    flip ^= (2 * turned_over > count)[part]
    return Winding(flip & (front != back), front == back, part)


def turn_over(faces: IntArray, flip: BoolArray) -> IntArray:
    """Return faces with the flagged ones reversed; the first corner stays."""
    return np.where(flip[:, None], faces[:, [0, 2, 1]], faces)


def inside_out(vertices: FloatArray, faces: IntArray, part: IntArray, rounding: float) -> BoolArray:
    """Return a mask of the parts whose signed volume is negative beyond doubt, vertices in the unit
    frame.
    """
    return np.asarray(signed_volumes(vertices, faces, part) < -max(1e-12, rounding))


def signed_volumes(vertices: FloatArray, faces: IntArray, part: IntArray) -> FloatArray:
    """Return the signed volume of each part: positive where a closed part faces outward."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    each: FloatArray = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
    return np.bincount(part, each).astype(np.float64)
