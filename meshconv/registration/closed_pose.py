"""In which pose a closed surface lies on another: both are complete, the scale is known."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.registration.cloud import NORMAL, Cloud

# (poses kept, points of each surface, iterations): from many rough trials to few finer ones
_STAGES = ((20, 100, 5), (6, 200, 6), (3, 300, 8))
_TILT = 0.6  # radians, of the trials about each of the four principal positions


def closed_poses(scan: Cloud, target: Cloud, orientation: str) -> list[Pose]:
    """Return the few poses in which scan and target lie closest to each other, points and
    normals.
    """
    centre = target.points.mean(axis=0)
    turns = _tilts() if orientation == "kept" else _starts(scan.points, target.points - centre)
    poses = [Pose(turn, centre) for turn in turns]
    for kept, count, iterations in _STAGES:
        poses = poses[:kept]
        a, b = scan.few(count), target.few(count)
        for _ in range(iterations):
            poses = [_improved(a, b, pose) for pose in poses]
        poses.sort(key=lambda pose: _distance(a, b, pose))
    return poses


def _starts(points: FloatArray, target: FloatArray) -> FloatArray:
    """Rotations that bring principal axes onto principal axes: four, and each tilted four ways."""
    own, there = (np.linalg.eigh(x.T @ x)[1] for x in (points, target))
    for axes in (own, there):
        axes[:, 2] *= np.sign(np.linalg.det(axes))
    signs = np.array(
        [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    )  # principal axes have no sign
    return np.einsum("ik,tkl,sl,jl->tsij", there, _tilts(), signs, own).reshape(-1, 3, 3)


def _tilts() -> FloatArray:
    """None, and four small rotations spread evenly, (5, 3, 3)."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    return np.asarray(
        Rotation.from_rotvec(_TILT * np.vstack([np.zeros((1, 3)), corners])).as_matrix()
    )


def _improved(scan: Cloud, target: Cloud, pose: Pose) -> Pose:
    """One round of closest points, both ways."""
    moved = scan.moved(pose)
    there, back = target.tree.query(moved.features)[1], _back(scan, target, pose)[1]
    here = np.vstack([moved.points, moved.points[back]])
    goal = np.vstack([target.points[there], target.points])
    return pose.then(fit_similarity(here, goal, np.ones(len(here)), with_scale=False))


def _distance(scan: Cloud, target: Cloud, pose: Pose) -> float:
    """Mean distance between the nearest of both, in place and direction."""
    there = np.asarray(target.tree.query(scan.moved(pose).features)[0])
    return float(there.mean() + _back(scan, target, pose)[0].mean())


def _back(scan: Cloud, target: Cloud, pose: Pose) -> tuple[FloatArray, IntArray]:
    """Distance and index of the scan point nearest to each target point: the target moves, the tree
    stays.
    """
    there = (target.points - pose.translation) @ pose.rotation
    turned = NORMAL * target.size * (target.normals @ pose.rotation)
    distance, k = scan.tree.query(np.hstack([there, turned]))
    return np.asarray(distance), np.asarray(k)
