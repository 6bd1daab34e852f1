"""Ears: faces that hang on a border by one side. A round hole has no room for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import ComplexArray, IntArray
from meshconv.maps.face_maps import laid_flat
from meshconv.mesh.borders import boundary_loops
from meshconv.mesh.surface import Surface


@dataclass(frozen=True)
class Peeled:
    """A surface without the ears of its holes, and the rounds in which they went.

    `core` has the vertices of the whole; tips of ears belong to none of its faces. Each round is
    (K, 3): tip, next and last corner of K faces.
    """

    core_faces: IntArray
    loops: tuple[IntArray, ...]
    rounds: tuple[IntArray, ...]

    @classmethod
    def of(cls, surface: Surface) -> Peeled:
        """Peel the ears of all loops but the longest until there are none."""
        faces, loops = surface.faces, surface.boundary_loops
        rounds: list[IntArray] = []
        outer = loops[0]
        while True:
            ears, where = _ears(faces, loops[1:], surface.n_vertices)
            if len(ears) == 0:
                return cls(faces, loops, tuple(rounds))
            rounds.append(ears)
            faces = np.delete(faces, where, axis=0)
            found = boundary_loops(faces, surface.vertices)
            first = next(k for k, loop in enumerate(found) if np.isin(outer, loop).all())
            loops = (found[first], *found[:first], *found[first + 1 :])

    def restored(self, z: ComplexArray, surface: Surface) -> ComplexArray:
        """Return the map (V,) with each tip where a similar triangle on its base has it."""
        z = z.copy()
        for tip, a, b in (ears.T for ears in reversed(self.rounds)):
            x = surface.vertices
            flat = laid_flat(np.stack([x[b] - x[a], x[tip] - x[a]], axis=1))
            z[tip] = z[a] + (z[b] - z[a]) * flat[:, 1] / flat[:, 0]
        return z


def _ears(faces: IntArray, loops: tuple[IntArray, ...], n: int) -> tuple[IntArray, IntArray]:
    """Faces with two sides on one of the loops, as (tip, next, last), and their numbers."""
    following = np.full(n, -1)
    for loop in loops:
        if len(loop) > 3:  # a hole of three sides has room for no ear
            following[loop] = np.roll(loop, -1)
    on_border = following[faces] == faces[:, [1, 2, 0]]
    tip = on_border & np.roll(on_border, 1, axis=1)
    where = np.flatnonzero(tip.sum(axis=1) == 1)
    corner = tip[where].argmax(axis=1)
    turn = (corner[:, None] + np.arange(3)) % 3
    return np.take_along_axis(faces[where], turn, axis=1), where
