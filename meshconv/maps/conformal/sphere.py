"""The conformal sphere: a dipole opens it onto the plane, then two overlapping caps correct each
other.

The meromorphic function with one simple pole (Haker et al., 2000) takes one sparse solve and is
good but for the neighbourhood of the pole. That cap, and then the opposite one, is made harmonic in
its own stereographic chart, with the border that the rest gives it: Schwarz's alternating method.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from meshconv._check import ComplexArray, FloatArray, IntArray
from meshconv.errors import AccuracyWarning, FoldError, SolverError
from meshconv.maps.conformal.edge_weights import relaxed, tame
from meshconv.maps.conformal.without_folds import as_complex, unfolded
from meshconv.maps.folds import covers_once, folded, signed_areas
from meshconv.maps.moebius import centred_on_sphere, moebius_sphere, upright_on_sphere
from meshconv.maps.star_energy import Stars
from meshconv.maps.stay import SPHERE
from meshconv.maps.untangle import untangle
from meshconv.mesh.areas import thirds_of_area
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import robust_laplacian
from meshconv.operators.solve import FixedValueSolver

_CAPS = (-0.3, -0.3)  # cosine of the rim of the cap around the pole, and of the opposite one
_POLES = 5
_RELAXATIONS = 30
_PARTIAL, _CENTRINGS = 30, 12
_OFF_CENTRE = 1e-11


def sphere_coordinates(surface: Surface) -> FloatArray:
    """Return unit vectors (V, 3): conformal, area-weighted mean 0, upright, no face turned over."""
    laplacian, areas = robust_laplacian(surface), thirds_of_area(surface.vertices, surface.faces)
    points, face = _start(surface, laplacian, areas)
    points = _centred(surface, points, areas)
    pole = _unit(points[surface.faces[face]].sum(axis=0))
    for axis, rim in zip((pole, -pole), _CAPS, strict=True):
        moved = _harmonic_cap(surface, laplacian, points, axis, rim)
        points = moved if _sound(moved, surface.faces) else points
    points = _centred(surface, points, areas)
    turned = _opened(surface, upright_on_sphere(points, surface.vertices, areas))
    points = turned if _sound(turned, surface.faces) else points
    bad = folded(points, surface.faces)
    if not _sound(points, surface.faces):
        turned_over = f"{len(bad)} faces stay turned over on the sphere, first {bad[:1].tolist()}"
        what = turned_over if len(bad) else "the map stays wound around the sphere more than once"
        raise FoldError(
            f"{what}: a part behind a neck is smaller there than floating point resolves",
            indices=bad[:10].tolist(),
            count=len(bad),
            hint="cut the surface open and use domain='disk'",
        )
    offset = float(np.linalg.norm(areas @ points) / areas.sum())
    if offset > _OFF_CENTRE:
        warnings.warn(
            f"the spherical map is off centre by {offset:.1e}: centring it further would fold "
            "faces",
            AccuracyWarning,
            stacklevel=4,
        )
    return points


def _start(
    surface: Surface, laplacian: sparse.csr_array, areas: FloatArray
) -> tuple[FloatArray, int]:
    """Return a map, without folds where one is found, and the face that lies around its pole."""
    face = _roundest(surface)
    points = _from_plane(_dipole(surface, laplacian, face))
    if _sound(points, surface.faces):
        return points, face
    points = _from_star(surface, laplacian, int(surface.faces[face, 0]))
    if _sound(points, surface.faces):  # obtuse faces; the caps need an honest start
        return points, face
    tried = [(float(signed_areas(points, surface.faces).min()), face, points)]
    for pole in _apart(surface, face):
        points = _from_star(surface, laplacian, int(surface.faces[pole, 0]))
        tried.append((float(signed_areas(points, surface.faces).min()), pole, points))
    _, pole, points = max(tried, key=lambda one: one[:2])
    return _opened(surface, points), pole


def _sound(points: FloatArray, faces: IntArray) -> bool:
    return len(folded(points, faces)) == 0 and covers_once(points, faces)


def _apart(surface: Surface, face: int) -> Iterator[int]:
    """Give the face nearest the middle, then others far from `face` and each other: seen from
    one side of a neck, the other may lie below the resolution of floating point.
    """
    middles = surface.vertices[surface.faces].mean(axis=1)
    inmost = int(np.linalg.norm(middles - surface.vertices.mean(axis=0), axis=1).argmin())
    distance = np.full(len(middles), np.inf)
    yield inmost
    for _ in range(_POLES):
        distance = np.minimum(distance, np.linalg.norm(middles - middles[face], axis=1))
        face = int(distance.argmax())
        yield face


def _opened(surface: Surface, points: FloatArray) -> FloatArray:
    """Return the points with the folds among them, if any, opened by hand, if that succeeds."""
    if len(folded(points, surface.faces)) == 0:
        return points
    share = np.maximum(surface.face_areas / surface.area, 1e-3 / surface.n_faces)
    kinds, free = np.full(len(points), SPHERE), np.ones(len(points), dtype=bool)
    stars = Stars(surface.faces, len(points))
    opened, done = untangle(points, stars, 4 * np.pi * share, kinds, free)
    return opened if done else points


def _centred(surface: Surface, points: FloatArray, areas: FloatArray) -> FloatArray:
    """Return the points with their weighted mean at 0, or as near as no face turns over.

    What rounding turns over where the map was smallest is opened there, which shifts the mean a
    little: so this is done a few times.
    """
    for _ in range(_CENTRINGS):
        try:
            moved = centred_on_sphere(points, areas)
        except SolverError:  # half of the area in one point
            break
        opened = _opened(surface, moved)
        if len(folded(opened, surface.faces)):
            break
        points = opened
        if opened is moved:
            return points
    else:
        return points
    for _ in range(_PARTIAL):
        moved = moebius_sphere(points, areas @ points / areas.sum() / 4)
        if len(folded(moved, surface.faces)):
            break
        points = moved
    return points


def _from_star(surface: Surface, laplacian: sparse.csr_array, pole: int) -> FloatArray:
    """Return a map: `pole` to the north, its neighbours to a circle, the rest by Tutte's method.

    Below the equator great circles are straight lines of the central projection, so a planar map
    without folds is a spherical one. What folds is below the resolution of floating point.
    """
    faces = surface.faces
    row, column = np.nonzero(faces == pole)
    following = dict(
        zip(
            faces[row, (column + 1) % 3].tolist(),
            faces[row, (column + 2) % 3].tolist(),
            strict=True,
        )
    )
    circle = [next(iter(following))]
    while (after := following[circle[-1]]) != circle[0]:
        circle.append(after)
    angle = 2 * np.pi * np.arange(len(circle)) / len(circle)
    values = np.concatenate([2 * np.column_stack([np.cos(angle), np.sin(angle)]), [[0.0, 0.0]]])
    fixed = np.array([*circle, pole])
    weights = tame(laplacian)
    for _ in range(_RELAXATIONS):
        plane = FixedValueSolver(weights, fixed, coordinates=surface.vertices).solve(values)
        points = np.column_stack([plane, -np.ones(len(plane))])
        points[pole] = [0.0, 0.0, 1.0]
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        if len(folded(points, faces)) == 0:
            break
        weights = relaxed(weights, plane, surface.vertices)
    return points


def _roundest(surface: Surface) -> int:
    """The face whose area comes nearest to that of an equilateral one with its sides."""
    a, b, c = surface.vertices[surface.faces.T]
    squared = sum(np.einsum("ij,ij->i", side, side) for side in (b - a, c - b, a - c))
    roundness = surface.face_areas / np.maximum(squared, np.finfo(float).tiny)
    return int(
        np.flatnonzero(roundness >= (1 - 1e-9) * roundness.max())[0]
    )  # a symmetric surface has several


def _dipole(surface: Surface, laplacian: sparse.csr_array, face: int) -> ComplexArray:
    """Return the conformal map (V,) to the plane that sends `face` to infinity; median 0, median
    radius 1.

    Haker et al., 2000, IEEE Trans. Vis. Comput. Graph. 6(2), eqs. (7) to (9).
    """
    corner = surface.faces[face]
    a, b, c = surface.vertices[corner]
    base = b - a
    share = float((c - a) @ base / (base @ base))
    side, height = np.linalg.norm(base), np.linalg.norm(c - a - share * base)
    source = np.zeros((surface.n_vertices, 2))
    source[corner, 0] = np.array([-1.0, 1.0, 0.0]) / side
    source[corner, 1] = np.array([share - 1.0, -share, 1.0]) / height
    solver = FixedValueSolver(laplacian, corner[:1], coordinates=surface.vertices)
    z = as_complex(solver.solve(np.zeros((1, 2)), source))
    z = z - complex(np.median(z.real), np.median(z.imag))
    return np.asarray(z / np.median(np.abs(z)))


def _from_plane(z: ComplexArray) -> FloatArray:
    """Inverse stereographic projection, infinity to (0, 0, 1), seen so that orientation is kept."""
    squared = np.abs(z) ** 2
    return np.column_stack([2 * z.real, 2 * z.imag, squared - 1]) / (squared + 1)[:, None]


def _harmonic_cap(
    surface: Surface, laplacian: sparse.csr_array, points: FloatArray, axis: FloatArray, rim: float
) -> FloatArray:
    """Return the points with those above `rim` (cosine to `axis`) made harmonic in the chart around
    `axis`.
    """
    frame = _frame(axis)
    local = points @ frame.T
    free = local[:, 2] > max(rim, np.partition(local[:, 2], 2)[2])
    chart = local[:, :2] / np.maximum(1 + local[:, 2], 1e-12)[:, None]
    fixed = np.flatnonzero(~free)

    def solve(weights: sparse.csr_array) -> FloatArray:
        return FixedValueSolver(weights, fixed, coordinates=surface.vertices).solve(chart[fixed])

    inside = surface.faces[free[surface.faces.T].any(axis=0)]
    try:
        z = unfolded(solve(laplacian), inside, laplacian, solve, surface.vertices)
    except FoldError:
        return points
    squared = (z**2).sum(axis=1)
    moved = np.column_stack([2 * z, 1 - squared]) / (1 + squared)[:, None]
    return np.where(free[:, None], moved @ frame, points)


def _frame(axis: FloatArray) -> FloatArray:
    """A rotation (3, 3) that takes `axis` to the third axis."""
    frame = np.linalg.svd(axis[None])[2][[1, 2, 0]]
    frame[2] = axis
    if np.linalg.det(frame) < 0:
        frame[0] *= -1
    return frame


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector))
