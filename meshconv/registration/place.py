"""From touching points to a map: frame coordinates of every scan vertex, one-to-one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import FoldError, SolverError, TopologyError
from meshconv.maps.folds import signed_areas
from meshconv.maps.locate import lift
from meshconv.maps.parameterization import Parameterization
from meshconv.maps.stay import DISK, SPHERE
from meshconv.maps.untangle import advance, untangle
from meshconv.mesh import connectivity
from meshconv.mesh.closest import closest_points, plane_coordinates
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import cotangent_laplacian_intrinsic
from meshconv.operators.solve import FixedValueSolver
from meshconv.registration.frame import Bent, Frame
from meshconv.registration.landmarks import Landmarks

_FAR = 0.03  # a scan vertex farther than this from the template does not count as touching
_REACH = 4.0  # how far beyond a border face its plane is believed, in barycentric coordinates
_AVERAGING = 3  # rounds of averaging for the local area ratio
_LEAST_AREA = 0.2  # of what the surroundings suggest, for a face that is to be unfolded
_NO_WAY = "the scan cannot be laid into the frame without folds"
_KIND = "is it the same kind of surface?"
_SQUEEZE = 0.97  # from this radius on the plane is squeezed into the unit disk

OwnMap = Callable[[], Parameterization]


def place(
    surface: Surface,
    frame: Frame,
    bent: Bent,
    landmarks: Landmarks,
    own_map: OwnMap,
) -> FloatArray:
    """Return the coordinates of `surface` (the scan, mirrored if it was) in the frame that was bent
    onto it, without folds; `own_map` makes a map of the scan by itself, should it be needed.
    """
    pieces = int(connectivity.face_components(surface.faces).max()) + 1
    if pieces > 1:
        raise TopologyError(
            f"the scan has {pieces} components, the frame takes one",
            count=pieces,
            hint="meshconv.repair welds cracks and keeps the largest",
        )
    flat = frame.parameterization
    points = bent.pose.points(surface.vertices)
    face, weights, nearest = closest_points(points, bent.vertices, frame.surface.faces)
    corners = frame.surface.faces[face]
    if flat.domain == "sphere":
        target = np.einsum("vk,vkd->vd", weights, flat.coordinates[corners])
        wanted = target / np.linalg.norm(target, axis=1, keepdims=True)
    else:
        near = np.linalg.norm(nearest - points, axis=1) < _reach(frame, bent)
        weights, touching = _beyond_border(frame, bent, points, corners, weights, near)
        target = np.einsum("vk,vkd->vd", weights, flat.coordinates[corners])
        wanted = _squeezed(_extended(surface, points / frame.size, target, touching))
    return _one_to_one(surface, flat.domain, wanted, landmarks, own_map)


def _reach(frame: Frame, bent: Bent) -> float:
    """How far a scan vertex may be from the template and still touch it."""
    return max(_FAR * frame.size, 6 * bent.residual)


def _beyond_border(
    frame: Frame,
    bent: Bent,
    points: FloatArray,
    corners: IntArray,
    weights: FloatArray,
    near: BoolArray,
) -> tuple[FloatArray, BoolArray]:
    """Let the template's border faces reach a little outwards; say which scan vertices are then on
    the template.

    A vertex whose nearest point lies on the border takes the barycentric coordinates of that face's
    plane, which continue the frame affinely.
    """
    outside = (weights * ~frame.on_border[corners]).sum(axis=1) < 1e-9
    continued = plane_coordinates(points[outside], bent.vertices[corners[outside]])
    sound = np.isfinite(continued).all(axis=1) & (np.abs(continued).max(axis=1) < _REACH)
    weights, touching = weights.copy(), near.copy()
    weights[outside] = np.where(sound[:, None], continued, weights[outside])
    touching[np.flatnonzero(outside)[~sound]] = False
    return weights, touching


def _extended(
    surface: Surface, places: FloatArray, target: FloatArray, touching: BoolArray
) -> FloatArray:
    """Keep the frame coordinates where the scan touches the template, and extend them to where it
    does not.

    A cubic polynomial of the places (V, 3) in space, in template sizes, takes the trend; the rest
    is extended harmonically.
    """
    if touching.all():
        return target
    if not touching.any():
        raise FoldError(
            "no vertex of the scan touches the fitted template",
            hint=_KIND,
        )
    x = places - places[touching].mean(axis=0)
    powers = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]
    basis = np.stack([x[:, 0] ** i * x[:, 1] ** j * x[:, 2] ** k for i, j, k in powers], axis=1)
    trend = basis @ np.linalg.lstsq(basis[touching], target[touching], rcond=1e-6)[0]
    fixed = np.flatnonzero(touching)
    solver = FixedValueSolver(
        cotangent_laplacian_intrinsic(surface), fixed, coordinates=surface.vertices
    )
    extended = trend + solver.solve((target - trend)[fixed])
    extended[fixed] = target[fixed]
    return extended


def _squeezed(uv: FloatArray) -> FloatArray:
    """Squeeze the plane beyond radius _SQUEEZE into the rest of the unit disk, smoothly,
    one-to-one.
    """
    r = np.linalg.norm(uv, axis=1)
    room = 1.0 - _SQUEEZE
    beyond = np.maximum(r - _SQUEEZE, 0.0)
    new = np.where(r > _SQUEEZE, _SQUEEZE + room * beyond / (beyond + room), r)
    return uv * (new / np.maximum(r, _SQUEEZE * 1e-3))[:, None] if (r > _SQUEEZE).any() else uv


def _one_to_one(
    surface: Surface,
    domain: str,
    wanted: FloatArray,
    marks: Landmarks,
    own_map: OwnMap,
) -> FloatArray:
    """Return coordinates near `wanted` in which no face is folded; landmarks stay if that is
    possible.

    First only what is folded moves; where that is not enough, more of its surroundings is evened
    out; at last the scan's own conformal map is moved towards what is wanted, each vertex as far as
    its faces allow.
    """
    kinds = np.full(surface.n_vertices, SPHERE if domain == "sphere" else DISK)
    points = wanted if domain == "sphere" else lift(wanted)
    free = np.ones(surface.n_vertices, dtype=bool)
    corners = marks.corners[marks.weights > 1 - 1e-9]
    free[corners] = False  # landmarks that are vertices
    everything = np.ones_like(free)
    for least, movable in ((_LEAST_AREA, free), (_LEAST_AREA, everything), (1.0, everything)):
        target = _wanted_areas(points, surface, least)
        settled, clean = untangle(points, surface.faces, target, kinds, movable)
        if clean:
            break
    else:
        begin = _start(surface, domain, wanted, own_map)
        settled = advance(begin, points, surface.faces, target, kinds)
    return settled if domain == "sphere" else settled[:, :2]


def _start(surface: Surface, domain: str, wanted: FloatArray, own_map: OwnMap) -> FloatArray:
    """Return points without folds from which to reach what is wanted: the scan's own map, moved
    near it but not out of the disk.
    """
    try:
        begin = own_map().coordinates
    except (SolverError, FoldError) as error:
        raise FoldError(f"{_NO_WAY}, and it has no map of its own: {error}", hint=_KIND) from error
    if domain == "disk":
        near = _similar(begin, wanted)
        begin = lift(near / max(1.0, float(np.linalg.norm(near, axis=1).max())))
    folds = int((signed_areas(begin, surface.faces) <= 0).sum())
    if folds:
        raise FoldError(
            f"{_NO_WAY}, and {folds} faces of its own map are smaller than rounding",
            count=folds,
            hint=_KIND,
        )
    return begin


def _wanted_areas(points: FloatArray, surface: Surface, least: float) -> FloatArray:
    """Return the area (F,) each face should keep: its own, but at least a share of what its
    surroundings suggest.
    """
    area = signed_areas(points, surface.faces)
    local, weight = np.maximum(area, 0.0), surface.face_areas
    for _ in range(_AVERAGING):  # local area ratio, from face to vertex and back
        local, weight = (_spread_to_faces(x, surface) for x in (local, weight))
    expected = surface.face_areas * local / np.maximum(weight, np.finfo(np.float64).tiny)
    floor = 1e-9 * np.abs(area).mean()
    return np.asarray(np.maximum.reduce([area, least * expected, np.full(len(area), floor)]))


def _spread_to_faces(per_face: FloatArray, surface: Surface) -> FloatArray:
    per_vertex = np.bincount(surface.faces.ravel(), np.repeat(per_face, 3), surface.n_vertices)
    return np.asarray(per_vertex[surface.faces].sum(axis=1))


def _similar(source: FloatArray, target: FloatArray) -> FloatArray:
    """`source` (V, 2) turned, scaled and moved onto `target` by least squares; never mirrored."""
    s, t = source - source.mean(axis=0), target - target.mean(axis=0)
    z, w = s[:, 0] + 1j * s[:, 1], t[:, 0] + 1j * t[:, 1]
    moved = z * (np.vdot(z, w) / np.vdot(z, z).real)
    return np.column_stack([moved.real, moved.imag]) + target.mean(axis=0)
