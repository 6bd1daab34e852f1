"""Removing faces without area by edge collapses and flips that keep the topology and fold
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.mesh.areas import face_shapes

Triangle = tuple[int, int, int]
Step = dict[int, Triangle | None]

FLAT = 1e-8
"""A face whose height is below this part of its longest side is removed like one without area."""


def degenerate_limit(area: FloatArray, longest: FloatArray, rounding: float) -> FloatArray:
    """Return the area (F,) at and below which a face counts as having none.

    That is 1e-12 of the mean area, or a height within the rounding of the coordinates themselves.
    """
    return np.maximum(1e-12 * area.mean(), 0.5 * longest * rounding)


def flat_faces(unit: FloatArray, faces: IntArray, rounding: float) -> BoolArray:
    """Return a mask (F,) of the faces that `mend_flat` removes."""
    area, sides = face_shapes(unit, faces)
    longest = sides.max(axis=1)
    return np.asarray(
        area <= np.maximum(degenerate_limit(area, longest, rounding), 0.5 * FLAT * longest**2)
    )


def mend_flat(
    unit: FloatArray, faces: IntArray, rounding: float
) -> tuple[IntArray, BoolArray, BoolArray]:
    """Collapse or flip away flat faces of a manifold surface.

    Returns
    -------
    faces : (F, 3) int64
        Row k is face k after the changes.
    alive : (F,) bool
        False for the faces that are gone.
    left : (F,) bool
        True for flat faces that no allowed step removes.
    """
    flat = flat_faces(unit, faces, rounding)
    near = _within(faces, _within(faces, flat))
    area = face_shapes(unit, faces)[0]
    local = _Neighbourhood(unit, faces, np.flatnonzero(near), 1e-12 * float(area.mean()), rounding)
    progress = True
    while progress:
        progress = False
        for f in np.flatnonzero(flat).tolist():
            if f in local.faces and local.is_flat(local.faces[f]):
                progress |= local.mend(f)
    faces, alive = faces.copy(), np.ones(len(faces), dtype=bool)
    alive[near] = False
    for f, triangle in local.faces.items():
        faces[f], alive[f] = triangle, True
    left = np.zeros(len(faces), dtype=bool)
    left[
        [
            f
            for f in np.flatnonzero(near).tolist()
            if f in local.faces and local.is_flat(local.faces[f])
        ]
    ] = True
    return faces, alive, left


def _within(faces: IntArray, mask: BoolArray) -> BoolArray:
    """The faces that touch a vertex of the faces of `mask`."""
    touched = np.zeros(int(faces.max()) + 1, dtype=bool)
    touched[faces[mask]] = True
    return np.asarray(touched[faces].any(axis=1))


class _Neighbourhood:
    """The faces around the flat ones, as sets that local steps can change; few, so plain Python."""

    def __init__(
        self, unit: FloatArray, faces: IntArray, ids: IntArray, limit: float, rounding: float
    ) -> None:
        self.unit, self.limit, self.rounding = unit, limit, rounding
        self.faces: dict[int, Triangle] = dict(
            zip(ids.tolist(), map(tuple, faces[ids].tolist()), strict=True)
        )
        self.star: dict[int, set[int]] = {}
        for f, triangle in self.faces.items():
            for v in triangle:
                self.star.setdefault(v, set()).add(f)

    def mend(self, f: int) -> bool:
        """Take the first allowed step that removes flat face f; return whether there was one."""
        return any(self._take(*step) for step in self._steps(f))

    def _steps(self, f: int) -> Iterator[tuple[Step, FloatArray | None]]:
        """Candidate steps, best first: face -> new corners (None: gone), with a normal to agree
        with.
        """
        triangle = self.faces[f]
        sides = sorted(
            (float(np.linalg.norm(self.unit[p] - self.unit[q])), p, q, r)
            for p, q, r in _rotations(triangle)
        )
        collapses = [(p, q) for _, p, q, _ in sides for p, q in ((p, q), (q, p))]
        short = sides[0][0] < 0.01 * sides[2][0]
        if short:
            yield from self._collapses(collapses[:2])
        yield from self._flip(f, *sides[2][1:])
        yield from self._trim(f)
        yield from self._collapses(collapses[2 * short :])

    def _collapses(self, pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[Step, None]]:
        """Move vertex p onto q, if the link condition holds."""
        for p, q in pairs:
            shared = self.star[p] & self.star[q]
            apexes = {v for f in shared for v in self.faces[f]} - {p, q}
            if self._neighbours(p) & self._neighbours(q) != apexes:
                continue
            if len(shared) == 2 and self._on_border(p) and self._on_border(q):
                continue
            step: Step = dict.fromkeys(shared)
            for f in self.star[p] - shared:
                a, b, c = (q if v == p else v for v in self.faces[f])
                step[f] = (a, b, c)
            yield step, None

    def _flip(self, f: int, a: int, b: int, c: int) -> Iterator[tuple[Step, FloatArray]]:
        """Replace edge ab, opposite c in face f, by cd, with d opposite it in the neighbour."""
        for g in (self.star[a] & self.star[b]) - {f}:
            (d,) = set(self.faces[g]) - {a, b}
            if d != c and d not in self._neighbours(c):
                yield {f: (a, d, c), g: (d, b, c)}, self._normal(self.faces[g])

    def _trim(self, f: int) -> Iterator[tuple[Step, None]]:
        """Take a flat face off the border, if that leaves the border simple."""
        border = [
            (p, q, r)
            for p, q, r in _rotations(self.faces[f])
            if len(self.star[p] & self.star[q]) == 1
        ]
        if len(border) == 1:
            allowed = not self._on_border(border[0][2])
        elif len(border) == 2:
            tip = ({*border[0][:2]} & {*border[1][:2]}).pop()
            allowed = len(self.star[tip]) == 1
        else:
            allowed = len(border) == 3
        if allowed:
            yield {f: None}, None

    def _take(self, step: Step, normal: FloatArray | None) -> bool:
        """Apply a step if it leaves fewer flat faces, repeats no face and folds nothing."""
        after = {f: t for f, t in step.items() if t is not None}
        if sum(map(self.is_flat, after.values())) >= sum(self.is_flat(self.faces[f]) for f in step):
            return False
        if any(self._folds(f, t, normal) or self._exists(t, step) for f, t in after.items()):
            return False
        for f in step:
            for v in self.faces.pop(f):
                self.star[v].discard(f)
        for f, t in after.items():
            self.faces[f] = t
            for v in t:
                self.star[v].add(f)
        return True

    def _folds(self, f: int, t: Triangle, normal: FloatArray | None) -> bool:
        before = self._normal(self.faces[f]) if normal is None else normal
        if self.is_flat(t) or (normal is None and self.is_flat(self.faces[f])):
            return False
        return bool(before @ self._normal(t) < 0)

    def _exists(self, t: Triangle, step: Step) -> bool:
        return bool((self.star[t[0]] & self.star[t[1]] & self.star[t[2]]) - step.keys())

    def _neighbours(self, v: int) -> set[int]:
        return {w for f in self.star[v] for w in self.faces[f]} - {v}

    def _on_border(self, v: int) -> bool:
        return any(len(self.star[v] & self.star[w]) == 1 for w in self._neighbours(v))

    def _normal(self, t: Triangle) -> FloatArray:
        a, b, c = self.unit[list(t)]
        return np.asarray(np.cross(c - b, a - c))  # as `face_shapes` does, to the last bit

    def is_flat(self, t: Triangle) -> bool:
        """The test of `flat_faces` for one triangle."""
        area = 0.5 * float(np.linalg.norm(self._normal(t)))
        longest = max(
            float(np.linalg.norm(self.unit[p] - self.unit[q])) for p, q, _ in _rotations(t)
        )
        return area <= max(self.limit, 0.5 * longest * self.rounding, 0.5 * FLAT * longest**2)


def _rotations(t: Triangle) -> tuple[Triangle, Triangle, Triangle]:
    a, b, c = t
    return (a, b, c), (b, c, a), (c, a, b)
