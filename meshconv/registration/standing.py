"""How a surface that came in any pose is made to stand: facing the viewer, its plane of symmetry
upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.procedural_face import face
from meshconv.mesh.rigid import Pose
from meshconv.mesh.surface import Surface
from meshconv.operators.laplacian import mass_matrix
from meshconv.operators.threads import one_blas_thread
from meshconv.registration.cloud import Cloud, even_subset
from meshconv.registration.frame import facing
from meshconv.registration.pose import find_pose

_SAME_POSE = np.cos(np.radians(45))  # one random rotation in 40 is as small as that
_MOST = 0.75  # of few scans it could be chance otherwise
_POINTS, _TARGET_POINTS = 300, 2500


def share_a_pose(turns: Sequence[FloatArray]) -> bool:
    """Return whether most rotations (3, 3) to a common frame, three of four at least, are within 45
    degrees of none.

    >>> share_a_pose([np.eye(3), np.diag([1.0, -1.0, -1.0])])
    False
    """
    alike = [(np.trace(turn) - 1) / 2 >= _SAME_POSE for turn in turns]
    return bool(sum(alike) >= _MOST * len(alike))


def standing(surface: Surface) -> Surface:
    """Return a surface in standard pose, its centre of area at the origin; the pose it came in
    plays no part.

    One that faces somewhere, as a face does: its best plane of mirror symmetry is x = 0, its mean
    normal points to +z within that plane, and that way is up which is nearer to a human face
    standing upright. For surfaces that are no faces, up is therefore as good as arbitrary, though
    the same every time. One that faces nowhere (closed, or nearly so): the longest principal axis
    points up, the shortest at the viewer, on both the side that reaches further out to the positive
    end. Of a body with planes of symmetry, chance decides about these ends.
    """
    area: FloatArray = mass_matrix(surface).diagonal()
    centred = surface.vertices - area @ surface.vertices / area.sum()
    stood = Surface(centred @ _principal_axes(centred, area).T, surface.faces)
    forward = facing(stood)
    if forward is None:
        return stood
    with one_blas_thread():
        turn = _facing_axes(stood, forward)
    return Surface(stood.vertices @ turn.T, surface.faces)


def _facing_axes(surface: Surface, forward: FloatArray) -> FloatArray:
    """Rows: the normal of the mirror plane, up, and `forward` within that plane."""
    reflection = _mirror_image_pose(surface).rotation * np.array([-1.0, 1.0, 1.0])
    both = reflection + reflection.T
    across = np.linalg.eigh(both)[1][:, 0]
    if (
        abs(across @ forward) > 0.5
    ):  # a sheet is nearly its own mirror image: only planes through `forward` count
        plane = np.linalg.svd(forward[None])[2][1:]
        across = np.linalg.eigh(plane @ both @ plane.T)[1][:, 0] @ plane
    z = forward - (forward @ across) * across
    z /= np.linalg.norm(z)
    up = np.cross(z, across)
    sign = 1.0 if _pose_on_face(surface).rotation[1] @ up >= 0 else -1.0
    return np.stack([sign * across, sign * up, z])


def _mirror_image_pose(surface: Surface) -> Pose:
    """Return where the mirror image of a surface in x = 0 lies best on the surface itself."""
    size = float(np.sqrt(surface.area))
    scan = Cloud.of(surface.mirrored(), even_subset(surface, _POINTS), size)
    target = Cloud.of(surface, even_subset(surface, _TARGET_POINTS), size)
    return find_pose(scan, target, 1.0)


def _pose_on_face(surface: Surface) -> Pose:
    """Return where a surface lies best on a generated face of its size, which looks along +z with y
    up.
    """
    upright, own = _face(), float(np.sqrt(surface.area))
    size = float(np.sqrt(upright.area))
    scan = Cloud.of(surface, even_subset(surface, _POINTS), own)
    target = Cloud.of(upright, np.arange(upright.n_vertices), size)
    return find_pose(scan, target, size / own)


@cache
def _face() -> Surface:
    return face(900)


def _principal_axes(centred: FloatArray, area: FloatArray) -> FloatArray:
    """Rows: the middle axis, the longest, the shortest."""
    axes = np.linalg.eigh((area[:, None] * centred).T @ centred)[1].T
    z, _, y = (axis if area @ (centred @ axis) ** 3 >= 0 else -axis for axis in axes)
    return np.stack([np.cross(y, z), y, z])
