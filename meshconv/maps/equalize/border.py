"""The border of a flat domain: no flow crosses it, and its vertices keep their order along it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from meshconv._check import BoolArray, ComplexArray, FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh import borders

_NEAR = 1e-6  # rounding allowed between a border vertex and the border of the domain
_LEAST = 0.01  # of its former length: what a border edge keeps where a flow would close it


class Border:
    """Where the border vertices of a triangulated disk or rectangle may go; empty on the sphere.

    Parameters
    ----------
    points : (n, 3)
        Lifted coordinates (third entry unused in the plane).
    faces : (F, 3)
    domain : {'disk', 'rectangle', 'sphere'}

    Attributes
    ----------
    loop : (B,) int64
        Border vertices in face orientation.
    held : (B, 2) bool or None
        On a rectangle, which coordinates of each are fixed by its side; both at a corner.

    Raises
    ------
    ArgumentError
        If a border vertex lies off the circle or the rectangle's sides, or a corner has no vertex.
    """

    def __init__(self, points: FloatArray, faces: IntArray, domain: str) -> None:
        self.loop: IntArray = np.empty(0, dtype=np.int64)
        self.held: BoolArray | None = None
        if domain == "sphere":
            return
        self.loop = borders.boundary_loops(faces)[0]
        x, y = points[self.loop, :2].T
        off = np.asarray(np.abs(np.hypot(x, y) - 1.0) > _NEAR)
        if domain == "rectangle":
            self.held = _held(x, y)
            off = np.asarray(~self.held.any(axis=1))
        if off.any():
            k = int(off.argmax())
            raise ArgumentError(
                f"border vertex at {[float(x[k]), float(y[k])]} does not lie on the border of "
                f"the {domain}"
                f" ({int(off.sum())} such vertices)"
            )

    def tangent(self, points: FloatArray, flux: FloatArray) -> FloatArray:
        """Return the flux (n, 3) without what would carry a vertex off the border, or off the
        sphere.
        """
        if not len(self.loop):
            return flux - (flux * points).sum(axis=1, keepdims=True) * points
        flux = flux.copy()
        if self.held is None:
            x, y, _ = points[self.loop].T
            along = np.column_stack([-y, x, np.zeros_like(x)]) / np.hypot(x, y)[:, None]
            flux[self.loop] = (flux[self.loop] * along).sum(axis=1, keepdims=True) * along
        else:
            flux[self.loop, :2] = np.where(self.held, 0.0, flux[self.loop, :2])
        return flux

    def in_turn(self, points: FloatArray) -> bool:
        """Return whether the vertices on a circle (n, 3) follow each other by less than half a turn
        each.
        """
        if self.held is not None or not len(self.loop):
            return True
        return bool((np.angle(_turns(points[self.loop, :2])) > 0.0).all())

    def in_order(self, before: FloatArray, after: FloatArray) -> FloatArray:
        """Return `after` (n, 3) with the border vertices in their order, none on top of another."""
        if not len(self.loop):
            return after
        after = after.copy()
        start, moved = before[self.loop, :2], after[self.loop, :2]
        if self.held is None:
            after[self.loop, :2] = _around_circle(start, moved)
        else:
            after[self.loop, :2] = _along_sides(start, moved, self.held)
        return after


def _held(x: FloatArray, y: FloatArray) -> BoolArray:
    height = y.max()
    near = _NEAR * max(1.0, height)
    held = np.column_stack(
        [np.minimum(np.abs(x), np.abs(1.0 - x)), np.minimum(np.abs(y), np.abs(height - y))]
    )
    held = held <= near
    corners = int(held.all(axis=1).sum())
    if corners != 4:
        raise ArgumentError(
            f"the rectangle needs one vertex at each corner, found {corners} at its 4 corners"
        )
    return np.asarray(held)


def _around_circle(start: FloatArray, moved: FloatArray) -> FloatArray:
    step = np.angle(_turns(start))
    wide = np.maximum(np.angle(_turns(moved)), _LEAST * step)
    angle = np.concatenate([[0.0], np.cumsum(wide * (2.0 * np.pi / wide.sum()))[:-1]])
    z = moved[:, 0] + 1j * moved[:, 1]
    z = np.exp(
        1j * (angle + np.angle((z * np.exp(-1j * angle)).sum()))
    )  # turned to lie best on `moved`
    return np.column_stack([z.real, z.imag])


def _turns(border: FloatArray) -> ComplexArray:
    """Return next / this border vertex as complex numbers; the angle is the step around the
    circle.
    """
    z = border[:, 0] + 1j * border[:, 1]
    return np.asarray(np.roll(z, -1) / z)


def _along_sides(start: FloatArray, moved: FloatArray, held: BoolArray) -> FloatArray:
    corner = np.flatnonzero(held.all(axis=1))
    out: FloatArray = np.where(held, start, moved)
    for first, last in pairwise([*corner, corner[0] + len(held)]):
        index = np.arange(first, last + 1) % len(held)
        axis = int(np.abs(start[index[-1]] - start[index[0]]).argmax())
        length = start[index[-1], axis] - start[index[0], axis]
        wide = np.maximum(
            np.diff(out[index, axis]) / length, _LEAST * np.diff(start[index, axis]) / length
        )
        out[index[1:-1], axis] = start[index[0], axis] + length * np.cumsum(wide / wide.sum())[:-1]
    return out
