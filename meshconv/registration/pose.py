"""Where a surface lies in the frame of another: rotation, translation and scale, from any starting
pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray, IntArray

# (poses kept, scan points, template points, iterations): many rough trials, then fewer and finer
# ones. Any rotation is within about 30 degrees of one of 120.
_STAGES = ((120, 60, 400, 2), (24, 120, 800, 4), (4, 300, 2500, 15), (1, 300, 2500, 100))
_STILL = 1e-9  # change of the rotations at which they have converged
_SLIDES = 20
_NORMAL_WEIGHT = 0.25  # one radian between normals counts as this many template sizes


@dataclass(frozen=True, eq=False)
class Pose:
    """The similarity x -> scale * rotation x + translation."""

    rotation: FloatArray  # (3, 3), proper
    translation: FloatArray  # (3,)
    scale: float = 1.0

    def points(self, x: FloatArray) -> FloatArray:
        """Return the moved points (K, 3)."""
        return np.asarray(self.scale * (x @ self.rotation.T) + self.translation)

    def directions(self, n: FloatArray) -> FloatArray:
        """Return the turned directions (K, 3)."""
        return np.asarray(n @ self.rotation.T)

    def then(self, other: Pose) -> Pose:
        """Return this pose followed by `other`."""
        return Pose(
            other.rotation @ self.rotation,
            other.points(self.translation[None])[0],
            self.scale * other.scale,
        )


def fit_similarity(
    source: FloatArray, target: FloatArray, weight: FloatArray, *, with_scale: bool
) -> Pose:
    """Return the pose that minimises sum of weight |scale R source + t - target|^2.

    Umeyama, 1991, Least-squares estimation of transformation parameters. doi:10.1109/34.88573
    """
    share = weight / weight.sum()
    cs, ct = share @ source, share @ target
    s, t = source - cs, target - ct
    u, d, vt = np.linalg.svd((share[:, None] * t).T @ s)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((d * sign).sum() / (share @ (s * s).sum(axis=1))) if with_scale else 1.0
    return Pose(rotation, ct - scale * (rotation @ cs), scale)


def find_pose(
    points: FloatArray,
    normals: FloatArray,
    target: FloatArray,
    target_normals: FloatArray,
    size: float,
    scale: float,
) -> Pose:
    """Return the pose of `points` (K, 3) on `target` (T, 3), by closest points from many rotations
    at once.

    Positions and normals are matched together. `size` is the target's size (square root of its
    area), `scale` the ratio of units, kept fixed here. Points without a counterpart weigh little
    (Cauchy weights), so that the surfaces may be cropped differently.
    """
    middle = points.mean(axis=0)
    centred = scale * (points - middle)
    turn = _starts(centred, _STAGES[0][0])
    shift = np.tile(target.mean(axis=0), (len(turn), 1))
    cost = np.zeros(len(turn))
    for kept, n_points, n_target, iterations in _STAGES:
        best = np.argsort(cost, kind="stable")[:kept]
        turn, shift = turn[best], shift[best]
        few, some = _spread(len(points), n_points), _spread(len(target), n_target)
        cloud = _Cloud(target[some], target_normals[some], _NORMAL_WEIGHT * size)
        for _ in range(iterations):
            before = turn
            turn, shift = cloud.improve(centred[few], normals[few], turn, shift)
            if np.abs(turn - before).max() < _STILL:
                break
        cost = cloud.cost(centred[few], normals[few], turn, shift)
    turn, shift = _slide(cloud, centred, normals, turn[0], shift[0])
    return Pose(turn, shift - scale * (turn @ middle), scale)


def _slide(
    cloud: _Cloud, points: FloatArray, normals: FloatArray, turn: FloatArray, shift: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Refine one pose by distances to tangent planes, along which points may slide; keep it only if
    it is closer.

    Chen, Medioni, 1992, Object modelling by registration of multiple range images.
    doi:10.1016/0262-8856(92)90066-C
    """
    before = cloud.cost(points, normals, turn[None], shift[None])
    start = turn, shift
    for _ in range(_SLIDES):
        moved, turned = points @ turn.T + shift, normals @ turn.T
        distance, k = cloud.tree.query(np.hstack([moved, cloud.beta * turned]))
        root = np.sqrt(1.0 / (1.0 + (distance / np.median(distance)) ** 2))
        rows = root[:, None] * np.hstack([np.cross(moved - shift, turned), turned])
        gap = root * ((cloud.points[k] - moved) * turned).sum(axis=1)
        step = np.linalg.lstsq(rows, gap, rcond=1e-6)[0]
        turn, shift = Rotation.from_rotvec(step[:3]).as_matrix() @ turn, shift + step[3:]
    after = cloud.cost(points, normals, turn[None], shift[None])
    return (turn, shift) if after < before else start


def _starts(centred: FloatArray, count: int) -> FloatArray:
    """`count` rotations (count, 3, 3), spread evenly, and fixed to the points: a turned surface has
    turned starts.
    """
    axes = np.linalg.eigh(centred.T @ centred)[1]
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    signs = np.array(
        [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    )  # principal axes have no sign
    turns = Rotation.random(count // 4, random_state=0).as_matrix()
    return np.einsum("rij,sj,kj->rsik", turns, signs, axes).reshape(-1, 3, 3)


def _spread(n: int, count: int) -> IntArray:
    """`count` indices evenly spaced in 0..n-1, all of them if there are fewer."""
    return np.linspace(0, n - 1, min(n, count)).astype(np.int64)


class _Cloud:
    """Target points with normals, to which stacks of poses (rotations (S, 3, 3), shifts (S, 3)) are
    improved.
    """

    def __init__(self, points: FloatArray, normals: FloatArray, normal_weight: float) -> None:
        self.points, self.beta = points, normal_weight
        self.tree = cKDTree(np.hstack([points, normal_weight * normals]))

    def _match(
        self, points: FloatArray, normals: FloatArray, turn: FloatArray, shift: FloatArray
    ) -> Any:
        back = turn.transpose(0, 2, 1)
        return self.tree.query(
            np.concatenate([points @ back + shift[:, None], self.beta * (normals @ back)], axis=2)
        )

    def cost(
        self, points: FloatArray, normals: FloatArray, turn: FloatArray, shift: FloatArray
    ) -> FloatArray:
        """Return the median distance (S,) in position and normal."""
        return np.asarray(np.median(self._match(points, normals, turn, shift)[0], axis=1))

    def improve(
        self, points: FloatArray, normals: FloatArray, turn: FloatArray, shift: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the rotations and shifts that best fit the present closest points."""
        distance, k = self._match(points, normals, turn, shift)
        share = 1.0 / (1.0 + (distance / np.median(distance, axis=1, keepdims=True)) ** 2)
        share /= share.sum(axis=1, keepdims=True)
        goal = self.points[k]
        cs, ct = share @ points, np.einsum("sk,skj->sj", share, goal)
        cross = ((goal - ct[:, None]) * share[..., None]).transpose(0, 2, 1) @ (
            points - cs[:, None]
        )
        u, _, vt = np.linalg.svd(cross)
        u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
        turn = u @ vt
        return turn, ct - np.einsum("sij,sj->si", turn, cs)
