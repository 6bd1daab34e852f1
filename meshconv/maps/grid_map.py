"""`GridMap`: a map of the unit square to itself, known at the nodes of a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import BoolArray, FloatArray, IntArray, as_array, read_only, require_kind
from meshconv.errors import ArgumentError, ArrayTypeError, FoldError, NonFiniteError
from meshconv.maps.locate import locate

_NEAR = (
    1e-5  # a border node may be this far off the border (float32 networks), and is put back on it
)


@dataclass(frozen=True, eq=False)
class GridMap:
    """A bilinear map of the unit square to itself that keeps each side and each corner where it is.

    Parameters
    ----------
    nodes : (N, N, 2) array_like
        ``nodes[i, j]`` = (u, v) is where the node u = j / (N - 1), v = i / (N - 1) goes. N >= 2.
        Kept read-only float64; border nodes within 1e-5 of their side are put exactly on it.

    Raises
    ------
    ArrayTypeError, NonFiniteError, ArgumentError
        If the shape is another, a value is not finite, or a border node leaves its side.

    Examples
    --------
    >>> identity = GridMap.identity(5)
    >>> identity.folds(), float(identity.area_ratio().max())
    (0, 1.0)
    """

    nodes: FloatArray

    def __post_init__(self) -> None:
        array = as_array(self.nodes, "nodes")
        if (
            array.ndim != 3
            or array.shape[0] != array.shape[1]
            or array.shape[0] < 2
            or array.shape[2] != 2
        ):
            raise ArrayTypeError(f"nodes must be (N, N, 2) with N >= 2, found {array.shape}")
        nodes = np.array(array, dtype=np.float64)
        bad = np.argwhere(~np.isfinite(nodes).all(axis=2))
        if len(bad):
            raise NonFiniteError(
                f"node {bad[0].tolist()} is not finite ({len(bad)} such nodes)", count=len(bad)
            )
        _to_border(nodes)
        object.__setattr__(self, "nodes", read_only(nodes, np.float64))

    @classmethod
    def identity(cls, size: int) -> GridMap:
        """Return the map that leaves the nodes of an N x N grid where they are."""
        return cls(_uniform(size))

    @property
    def size(self) -> int:
        """Nodes per side, N."""
        return len(self.nodes)

    def __call__(self, points: ArrayLike) -> FloatArray:
        """Return where points (..., 2) = (u, v) of the unit square go, bilinear between nodes."""
        array = np.asarray(as_array(points, "points"), dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != 2:
            raise ArrayTypeError(f"points must be (..., 2), found {array.shape}")
        if np.isnan(array).any():
            raise NonFiniteError(f"{int(np.isnan(array).any(axis=-1).sum())} points are NaN")
        place = np.clip(array, 0.0, 1.0) * (self.size - 1)
        cell = np.minimum(place.astype(np.int64), self.size - 2)
        return _bilinear(*self._corners(cell[..., 1], cell[..., 0]), place - cell)

    def compose(self, inner: GridMap) -> GridMap:
        """Return the map "`inner` first, then this one" at the nodes of `inner`."""
        require_kind(inner, "inner", GridMap)
        return GridMap(self(inner.nodes))

    def inverse(self) -> GridMap:
        """Return the inverse at the nodes of the same grid: this map takes each of its nodes back
        exactly.

        Raises
        ------
        FoldError
            If a cell is folded.
        """
        if self.folds():
            raise FoldError(
                f"a map with {self.folds()} folded cells of {(self.size - 1) ** 2} has no inverse"
            )
        goal = _uniform(self.size).reshape(-1, 2)
        face, weight = locate(goal, self.nodes.reshape(-1, 2), _triangles(self.size))
        row, column = np.divmod(face // 2, self.size - 1)
        # corners of both triangles of a cell, in its own coordinates
        square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], dtype=np.float64)
        inside = (weight[:, :, None] * square[face % 2]).sum(axis=1)
        inside = _solve_bilinear(self._corners(row, column), goal, inside)
        place = (np.column_stack([column, row]) + inside) / (self.size - 1)
        return GridMap(place.reshape(self.size, self.size, 2))

    def area_ratio(self) -> FloatArray:
        """Return the area of the image of each cell / its own area, (N-1, N-1); mean 1."""
        a, b, c, d = self._all_corners()
        return np.asarray(0.5 * _cross(c - a, d - b) * (self.size - 1) ** 2)

    def folds(self) -> int:
        """Return the number of cells with a corner triangle that is turned over or has no area."""
        a, b, c, d = self._all_corners()
        corner = [_cross(q - p, r - p) for p, q, r in ((a, b, d), (b, c, a), (c, d, b), (d, a, c))]
        return int((~(np.minimum.reduce(corner) > 0.0)).sum())

    def _corners(
        self, row: IntArray, column: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Images of the corners (0, 0), (1, 0), (1, 1), (0, 1) in (u, v) of some cells."""
        n = self.nodes
        return n[row, column], n[row, column + 1], n[row + 1, column + 1], n[row + 1, column]

    def _all_corners(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        row, column = np.indices((self.size - 1, self.size - 1))
        return self._corners(row, column)


def _to_border(nodes: FloatArray) -> None:
    """Put border nodes exactly on their side, or refuse."""
    for side, axis, value in (
        (nodes[:, 0], 0, 0.0),
        (nodes[:, -1], 0, 1.0),
        (nodes[0], 1, 0.0),
        (nodes[-1], 1, 1.0),
    ):
        off = np.abs(side[:, axis] - value)
        if off.max() > _NEAR:
            raise ArgumentError(
                f"border node at {side[off.argmax()].tolist()} must have {'uv'[axis]} = {value:g}:"
                " a GridMap takes each side of the square to itself"
            )
        side[:, axis] = value
    outside: BoolArray = (nodes < -_NEAR) | (nodes > 1.0 + _NEAR)
    if outside.any():
        k = np.argwhere(outside)[0]
        raise ArgumentError(
            f"node {k[:2].tolist()} goes to {nodes[k[0], k[1]].tolist()}, outside the unit square"
        )
    np.clip(nodes, 0.0, 1.0, out=nodes)


def _uniform(size: int) -> FloatArray:
    along = np.arange(size) / (size - 1)
    return np.stack(np.meshgrid(along, along), axis=-1)


def _triangles(size: int) -> IntArray:
    """Two triangles a cell, counter-clockwise in (u, v), (2 (N-1)^2, 3)."""
    row, column = np.divmod(np.arange((size - 1) ** 2), size - 1)
    a = row * size + column
    return np.stack([a, a + 1, a + size + 1, a, a + size + 1, a + size], axis=1).reshape(-1, 3)


def _cross(p: FloatArray, q: FloatArray) -> FloatArray:
    return np.asarray(p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0])


def _bilinear(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, place: FloatArray
) -> FloatArray:
    s, t = place[..., :1], place[..., 1:]
    return np.asarray((1 - s) * (1 - t) * a + s * (1 - t) * b + s * t * c + (1 - s) * t * d)


def _solve_bilinear(
    corners: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    goal: FloatArray,
    place: FloatArray,
) -> FloatArray:
    """Return the point of each cell that its bilinear map takes to `goal`, by Newton from a near
    one.
    """
    a, b, c, d = corners
    for _ in range(8):
        s, t = place[:, :1], place[:, 1:]
        miss = goal - _bilinear(a, b, c, d, place)
        along_s, along_t = (1 - t) * (b - a) + t * (c - d), (1 - s) * (d - a) + s * (c - b)
        det = _cross(along_s, along_t)
        step = np.column_stack([_cross(miss, along_t), _cross(along_s, miss)]) / det[:, None]
        place = np.clip(place + step, 0.0, 1.0)
    return place
