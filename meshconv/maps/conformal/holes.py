"""Disks with holes: closed by a fan that is left out of the result, or mapped onto a disk with
round holes.

Round holes by Koebe's iteration: in turn each border is made the outer one (by an inversion in the
plane), the others are filled with flat rings, and the whole is mapped onto the disk: that border
becomes a circle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from meshconv._check import ComplexArray, FloatArray, IntArray
from meshconv.maps.conformal.circle import centred, green_angles, length_shares, on_circle
from meshconv.maps.conformal.hole_ears import Peeled
from meshconv.maps.conformal.preparation import in_faces
from meshconv.maps.conformal.without_folds import as_complex, as_plane, unfolded
from meshconv.maps.moebius import upright
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.cotangent import laplacian_of_lengths
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver

ToDisk = Callable[[Surface, FloatArray], FloatArray]

_SWEEPS = 12
_ROUND = 1e-5  # deviation from a circle, in radii, at which the iteration rests
# ... or when a sweep leaves more than this share of the deviation: the grid's own error
_SETTLED = 0.7
_GROWTH = 1.6  # each ring of a filling is so much wider than the one around it


def filled(surface: Surface) -> Surface:
    """Return the surface with every hole but the longest loop closed by a fan; the new vertices
    come last.
    """
    holes = surface.boundary_loops[1:]
    centres = [surface.vertices[hole].mean(axis=0) for hole in holes]
    fans = [
        np.column_stack([np.roll(hole, -1), hole, np.full(len(hole), surface.n_vertices + k)])
        for k, hole in enumerate(holes)
    ]
    if not holes:
        return surface
    return Surface(
        np.concatenate([surface.vertices, centres]), np.concatenate([surface.faces, *fans])
    )


def circular_holes(surface: Surface, to_disk: ToDisk) -> FloatArray:
    """Return the conformal map (V, 2) onto the unit disk with round holes; centred, upright, no
    fold.

    `to_disk` maps a surface with weights of its vertices onto the disk: the start, holes filled.
    """
    peeled = Peeled.of(surface)
    core, kept = in_faces(Surface(surface.vertices, peeled.core_faces))
    number = np.full(surface.n_vertices, -1)
    number[kept] = np.arange(len(kept))
    loops = tuple(number[loop] for loop in peeled.loops)
    laplacian = robust_laplacian(core)
    z = _with_round_holes(core, laplacian, loops, to_disk)
    borders = np.concatenate(loops)
    values = _on_exact_circles(z, loops)[borders]

    def extend(values: FloatArray) -> FloatArray:
        def again(weights: sparse.csr_array) -> FloatArray:
            return FixedValueSolver(weights, borders, coordinates=core.vertices).solve(values)

        whole = np.zeros(surface.n_vertices, dtype=np.complex128)
        inner = unfolded(again(laplacian), core.faces, laplacian, again, core.vertices)
        whole[kept] = as_complex(inner)
        return as_plane(peeled.restored(whole, surface))

    areas = thirds_of_area(surface.vertices, surface.faces)
    z = centred(as_complex(extend(as_plane(values))), surface, kept[borders], areas, extend)
    return as_plane(z * upright(z, surface.vertices, areas))


def _with_round_holes(
    surface: Surface, laplacian: sparse.csr_array, loops: tuple[IntArray, ...], to_disk: ToDisk
) -> ComplexArray:
    """Koebe's iteration, from the map with filled holes."""
    outer, *holes = loops
    closed = filled(surface)
    areas = np.zeros(closed.n_vertices)
    areas[: surface.n_vertices] = thirds_of_area(surface.vertices, surface.faces)
    z = as_complex(to_disk(closed, areas)[: surface.n_vertices])
    deviation = _deviation(z, holes)
    for _ in range(_SWEEPS if holes else 0):
        for k, hole in enumerate(holes):
            z = _rounded_hole(laplacian, z, (hole, outer, *holes[:k], *holes[k + 1 :]))
        z, _ = _rounded(laplacian, z, (outer, *holes))
        before, deviation = deviation, _deviation(z, holes)
        if deviation < _ROUND or deviation > _SETTLED * before:
            break
    return z


def _rounded_hole(
    laplacian: sparse.csr_array, z: ComplexArray, loops: tuple[IntArray, ...]
) -> ComplexArray:
    """Return the map with loops[0], a hole, turned into a circle; loops[1] stays the outer
    border.
    """
    hole = loops[0]
    w = 1 / (z - z[hole].mean())
    w, infinity = _rounded(laplacian, w / np.abs(w).max(), loops)
    z = 1 / (w - infinity)
    z = z - z[loops[1]].mean()
    return np.asarray(z / np.abs(z[loops[1]]).mean())


def _rounded(
    laplacian: sparse.csr_array, w: ComplexArray, loops: tuple[IntArray, ...]
) -> tuple[ComplexArray, complex]:
    """Return the map onto the unit disk bounded by loops[0], and the centre of the filling of
    loops[1].
    """
    outer, *others = loops
    rings = [_Rings.of(w, loop) for loop in others]
    points, faces = w, []
    for ring in rings:
        faces.append(ring.faces(len(points)))
        points = np.concatenate([points, ring.points])
    plane = as_plane(points)
    fill = np.concatenate(faces)
    corners = points[fill]
    lengths = np.abs(corners[:, [1, 2, 0]] - corners[:, [2, 0, 1]])
    whole = _grown(laplacian, len(points)) + laplacian_of_lengths(fill, lengths, len(points))
    solver = FixedValueSolver(whole.tocsr(), outer, coordinates=plane)
    share = length_shares(plane, outer)
    angles = green_angles(whole.tocsr()[outer], solver, outer, np.ones(len(points)), share)
    new = as_complex(solver.solve(on_circle(angles)))
    return new[: len(w)], complex(new[len(w) + len(rings[0].points) - 1])


@dataclass(frozen=True)
class _Rings:
    """A flat filling of a hole: copies of its border shrunk towards the centre, which is the last
    point.
    """

    border: IntArray  # counter-clockwise around the hole
    points: ComplexArray

    @classmethod
    def of(cls, w: ComplexArray, loop: IntArray) -> _Rings:
        border = loop[::-1]
        centre = w[border].mean()
        radius, width = 1.0, 2 * np.pi / len(border)
        radii = []
        while radius - width > width:
            radius -= width
            width *= _GROWTH
            radii.append(radius)
        spokes = np.multiply.outer(np.asarray(radii), w[border] - centre)
        return cls(border, np.append((centre + spokes).ravel(), centre))

    def faces(self, first: int) -> IntArray:
        """Faces of the filling if its points are numbered from `first`."""
        n = len(self.border)
        inner = first + np.arange(len(self.points) - 1).reshape(-1, n)
        rings = np.concatenate([self.border[None], inner])
        following = np.roll(rings, -1, axis=1)
        a, b, c, d = (x.ravel() for x in (rings[:-1], following[:-1], rings[1:], following[1:]))
        centre = np.full(n, first + len(self.points) - 1)
        fan = np.column_stack([rings[-1], following[-1], centre])
        return np.concatenate([np.column_stack([a, b, d]), np.column_stack([a, d, c]), fan])


def _on_exact_circles(z: ComplexArray, loops: tuple[IntArray, ...]) -> ComplexArray:
    """Return the map with every border vertex moved onto its circle."""
    outer, *holes = loops
    z = z.copy()
    z[outer] /= np.abs(z[outer])
    for hole in holes:
        centre, radius = _circle(z[hole])
        z[hole] = centre + radius * (z[hole] - centre) / np.abs(z[hole] - centre)
    return z


def _circle(z: ComplexArray) -> tuple[complex, float]:
    """Centre and radius of the circle |z|^2 = 2 Re(conj(centre) z) + const that fits best."""
    system = np.column_stack([2 * z.real, 2 * z.imag, np.ones(len(z))])
    x, y, rest = np.linalg.lstsq(system, np.abs(z) ** 2, rcond=None)[0]
    return complex(x, y), float(np.sqrt(rest + x * x + y * y))


def _deviation(z: ComplexArray, holes: list[IntArray]) -> float:
    """Largest distance of a hole's vertex from its circle, in radii."""
    fits = [(z[hole], *_circle(z[hole])) for hole in holes]
    return max((float(np.abs(np.abs(w - c) / r - 1).max()) for w, c, r in fits), default=0.0)


def _grown(matrix: sparse.csr_array, n: int) -> sparse.csr_array:
    entries = matrix.tocoo()
    return sparse.coo_array((entries.data, (entries.row, entries.col)), shape=(n, n)).tocsr()
