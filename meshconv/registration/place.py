"""From touching points to a map: frame coordinates of every scan vertex, one-to-one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meshconv._check import BoolArray, FloatArray, IntArray
from meshconv.errors import FoldError, TopologyError
from meshconv.mesh.closest import closest_points, plane_coordinates
from meshconv.mesh.surface import Surface
from meshconv.operators.intrinsic import cotangent_laplacian_intrinsic
from meshconv.operators.solve import FixedValueSolver
from meshconv.registration.frame import Bent, Frame
from meshconv.registration.landmarks import Landmarks
from meshconv.registration.one_to_one import KIND, OwnMap, one_to_one

_FAR = 0.03  # a scan vertex farther than this from the template does not count as touching
_REACH = 4.0  # how far beyond a border face its plane is believed, in barycentric coordinates
_SQUEEZE = 0.97  # from this radius on the plane is squeezed into the unit disk


class Nearest(NamedTuple):
    """What is nearest to each of V points on the bent template.

    Attributes
    ----------
    face : (V,) int64
    weights : (V, 3) float64
        Barycentric coordinates in it.
    distance : (V,) float64
        In the template's unit of length.
    """

    face: IntArray
    weights: FloatArray
    distance: FloatArray


def nearest(frame: Frame, bent: Bent, points: FloatArray) -> Nearest:
    """Find the nearest points of the bent template, of points in its space."""
    face, weights, there = closest_points(points, bent.vertices, frame.surface.faces)
    away = there - points
    return Nearest(face, weights, np.sqrt(np.einsum("vk,vk->v", away, away)))


def place(
    surface: Surface,
    frame: Frame,
    bent: Bent,
    found: Nearest,
    landmarks: Landmarks,
    own_map: OwnMap,
) -> FloatArray:
    """Return the coordinates of `surface` (the scan, mirrored if it was) in the frame that was bent
    onto it, without folds, from what was found `nearest` to its vertices; `own_map` makes a map of
    the scan by itself, should it be needed.
    """
    pieces = int(surface.topology.sheet.max()) + 1
    if pieces > 1:
        raise TopologyError(
            f"the scan has {pieces} components, the frame takes one",
            count=pieces,
            hint="meshconv.repair welds cracks and keeps the largest",
        )
    flat = frame.parameterization
    corners = frame.surface.faces[found.face]
    if flat.domain == "sphere":
        target = np.einsum("vk,vkd->vd", found.weights, flat.coordinates[corners])
        wanted = target / np.linalg.norm(target, axis=1, keepdims=True)
    else:
        points, near = bent.pose.points(surface.vertices), found.distance < reach(frame, bent)
        weights, touching = _beyond_border(frame, bent, points, corners, found.weights, near)
        target = np.einsum("vk,vkd->vd", weights, flat.coordinates[corners])
        wanted = _squeezed(_extended(surface, points / frame.size, target, touching))
    corners = landmarks.corners[landmarks.weights > 1 - 1e-9]  # those that are vertices
    return one_to_one(surface, flat.domain, wanted, corners, own_map)


def reach(frame: Frame, bent: Bent) -> float:
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
    outside = np.einsum("vk,vk->v", weights, ~frame.on_border[corners]) < 1e-9
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
            hint=KIND,
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
    r = np.hypot(uv[:, 0], uv[:, 1])
    far = np.flatnonzero(r > _SQUEEZE)
    room, beyond = 1.0 - _SQUEEZE, r[far] - _SQUEEZE
    squeezed = uv.copy()
    squeezed[far] *= ((_SQUEEZE + room * beyond / (beyond + room)) / r[far])[:, None]
    return squeezed
