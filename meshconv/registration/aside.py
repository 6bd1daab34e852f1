"""Where else a surface might lie: a part slid a little along the target or turned about its normal,
a bowl turned about its axis.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray
from meshconv.mesh.rigid import Pose
from meshconv.registration.cloud import Cloud

_STEP = 0.1  # of the size
_WAYS = 4
_ROUND = 8  # turns about the axis of a bowl
_TURNS = np.radians([-40.0, -20.0, 20.0, 40.0])
_LEAST_FACING = 0.25  # length of the mean normal of what has a front


def poses_aside(pose: Pose, scan: Cloud, target: Cloud) -> list[Pose]:
    """Return poses of `scan` a step aside of `pose` on `target` in four directions, its mean normal
    on that of the target there, and turned about its normal; none of what faces nowhere.
    """
    here = scan.moved(pose)
    middle, normal = here.points.mean(axis=0), here.normals.mean(axis=0)
    if np.linalg.norm(normal) < _LEAST_FACING:
        return []
    normal = normal / np.linalg.norm(normal)
    across = np.linalg.svd(normal[None])[2][1:]
    radius = float(np.median(np.linalg.norm(here.points - middle, axis=1)))
    moves = [_about(angle * normal, middle, middle) for angle in _TURNS]
    for angle in 2 * np.pi * np.arange(_WAYS) / _WAYS:
        goal = middle + _STEP * target.size * (
            np.cos(angle) * across[0] + np.sin(angle) * across[1]
        )
        centre, there = _patch(target, goal, radius)
        moves.append(_about(_between(normal, there), middle, centre))
    return [pose.then(move) for move in moves]


def poses_about(pose: Pose, scan: Cloud) -> list[Pose]:
    """Return `pose` turned about the axis of a bowl, in even steps."""
    here = scan.moved(pose)
    axis, middle = here.normals.mean(axis=0), here.points.mean(axis=0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-12)
    angles = 2 * np.pi * np.arange(1, _ROUND) / _ROUND
    return [pose.then(_about(angle * axis, middle, middle)) for angle in angles]


def _patch(target: Cloud, goal: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
    """Return centre and unit mean normal of the target's points around that nearest to a goal."""
    nearest = target.points[np.linalg.norm(target.points - goal, axis=1).argmin()]
    gap = np.linalg.norm(target.points - nearest, axis=1)
    near = gap <= max(radius, float(np.partition(gap, 2)[2]))
    normal = target.normals[near].mean(axis=0)
    return target.points[near].mean(axis=0), normal / max(float(np.linalg.norm(normal)), 1e-12)


def _between(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the rotation vector that turns unit vector a into b the short way."""
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    return np.asarray(axis / max(sine, 1e-12) * np.arctan2(sine, a @ b))


def _about(turn: FloatArray, middle: FloatArray, goal: FloatArray) -> Pose:
    """Return the motion that turns about `middle` and brings it to `goal`."""
    rotation = Rotation.from_rotvec(turn).as_matrix()
    return Pose(rotation, goal - rotation @ middle, 1.0)
