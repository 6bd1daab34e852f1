"""Where a surface lies in the frame of another: rotation, translation and scale, from any starting
pose.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.rigid import Pose, nearest_rotation
from meshconv.registration.cloud import Cloud, features


class Stage(NamedTuple):
    """How many motions are tried, at how many points of scan and target, for how many rounds."""

    kept: int
    points: int
    target: int
    iterations: int


# Many rough trials, then fewer and finer ones. The last few are unlike each other.
_STAGES = (Stage(400, 60, 400, 2), Stage(16, 120, 800, 4), Stage(4, 300, 2500, 15))
_LAST = Stage(1, 300, 2500, 100)  # of the best
_TURNS = 120  # any rotation is within about 30 degrees of one of so many
_ANGLES, _PLACES = 12, 24  # about a normal; on the target, at most
_LEAST_FACING = 0.25  # length of the mean normal of what has a front
_CAP = 0.2  # of the size: beyond, all distances are alike
_POSES = 3  # returned, at most
_UNLIKE = np.cos(np.radians(30))  # two poses nearer than this are one
_STILL = 1e-9  # change of the rotations at which they have converged
_SLIDES = 20


class Motions(NamedTuple):
    """A stack of rigid motions: rotations (S, 3, 3) and shifts (S, 3)."""

    turns: FloatArray
    shifts: FloatArray

    def take(self, rows: IntArray | slice) -> Motions:
        """Return some of them."""
        return Motions(self.turns[rows], self.shifts[rows])


def find_pose(scan: Cloud, target: Cloud, scale: float) -> Pose:
    """Return the pose of `scan` on `target` that brings them nearest, see `find_poses`."""
    return find_poses(scan, target, scale)[0]


def find_poses(scan: Cloud, target: Cloud, scale: float) -> list[Pose]:
    """Return the few poses, unlike each other, that bring `scan` nearest to `target`, best first.

    By closest points from many motions at once; positions, normals and curvature, where it is
    known of both, are matched together. `scale` is the ratio of units, kept fixed here. Points
    without a counterpart weigh little (Cauchy weights), so that the surfaces may be cropped
    differently.
    """
    middle = scan.points.mean(axis=0)
    centred = Cloud(scale * (scan.points - middle), scan.normals, target.size, scan.curvature)
    motions = _starts(centred, target)
    cost = np.zeros(len(motions.turns))
    for stage in _STAGES:
        best = np.argsort(cost, kind="stable")
        best = _unlike(motions, best) if stage is _STAGES[-1] else best
        motions, cost = _converged(centred, target, motions.take(best[: stage.kept]), stage)
    best = _unlike(motions, np.argsort(cost, kind="stable"))[:_POSES]
    first = _converged(centred, target, motions.take(best[:1]), _LAST)[0]
    first = _slid(centred, target.few(_LAST.target), first)
    ends = [first, *(motions.take(best[k : k + 1]) for k in range(1, len(best)))]
    return [Pose(t[0], s[0] - scale * (t[0] @ middle), scale) for t, s in ends]


def pose_near(scan: Cloud, target: Cloud, scale: float, turn: FloatArray) -> Pose:
    """Return the pose that is reached from a rotation (3, 3), the middles laid on each other."""
    middle = scan.points.mean(axis=0)
    centred = Cloud(scale * (scan.points - middle), scan.normals, target.size, scan.curvature)
    start = Motions(turn[None], target.points.mean(axis=0)[None])
    turns, shifts = _converged(centred, target, start, _STAGES[-1])[0]
    return Pose(turns[0], shifts[0] - scale * (turns[0] @ middle), scale)


def _converged(
    scan: Cloud, target: Cloud, motions: Motions, stage: Stage
) -> tuple[Motions, FloatArray]:
    """Return the motions after a stage's rounds of closest points, and what each costs."""
    few, some = scan.few(stage.points), target.few(stage.target)
    for _ in range(stage.iterations):
        before, motions = motions, _improved(few, some, motions)
        if np.abs(motions.turns - before.turns).max() < _STILL:
            break
    return motions, _cost(few, some, motions)


def _unlike(motions: Motions, order: IntArray) -> IntArray:
    """Return the rows of `order` whose rotation is not near that of an earlier one."""
    kept: list[int] = []
    for k in order:
        turned = np.einsum("ij,sij->s", motions.turns[k], motions.turns[kept])
        if not kept or turned.max() < 1 + 2 * _UNLIKE:
            kept.append(int(k))
    return np.array(kept)


def _slid(scan: Cloud, target: Cloud, start: Motions) -> Motions:
    """Refine one motion by distances to tangent planes, along which points may slide; keep it only
    if it is closer.

    Chen, Medioni, 1992, Object modelling by registration of multiple range images.
    doi:10.1016/0262-8856(92)90066-C
    """
    turn, shift = start.turns[0], start.shifts[0]
    for _ in range(_SLIDES):
        moved, turned = scan.points @ turn.T + shift, scan.normals @ turn.T
        there = features(moved, turned, scan.curvature, target.size)
        distance, k = target.tree.query(there)
        root = np.sqrt(1.0 / (1.0 + (distance / np.median(distance)) ** 2))
        rows = root[:, None] * np.hstack([np.cross(moved - shift, turned), turned])
        gap = root * ((target.points[k] - moved) * turned).sum(axis=1)
        step = np.linalg.lstsq(rows, gap, rcond=1e-6)[0]
        turn, shift = Rotation.from_rotvec(step[:3]).as_matrix() @ turn, shift + step[3:]
    end = Motions(turn[None], shift[None])
    return end if _cost(scan, target, end) < _cost(scan, target, start) else start


def _starts(scan: Cloud, target: Cloud) -> Motions:
    """Return motions from which all others are near; they are fixed to the scan: a turned one has
    turned starts.

    Of surfaces that face somewhere, the middle of the scan is laid on places all over the target,
    normal on normal, turned in steps about it: a part of a surface need not lie in its middle.
    """
    if all(np.linalg.norm(c.normals.mean(axis=0)) > _LEAST_FACING for c in (scan, target)):
        return _laid_on(scan, target.few(_STAGES[0].target))
    turns = _rotations(scan.points, _TURNS)
    return Motions(turns, np.tile(target.points.mean(axis=0), (len(turns), 1)))


def _laid_on(scan: Cloud, target: Cloud) -> Motions:
    """Return motions that lay the middle half of `scan` on patches of its radius in `target`."""
    away = np.linalg.norm(scan.points, axis=1)
    radius = float(np.median(away))
    own, centre = _patch_axes(scan, np.flatnonzero(away <= radius))
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    about = Rotation.from_rotvec(angle[:, None] * [0.0, 0.0, 1.0]).as_matrix()
    turns, shifts = [], []
    for place in _spread_places(target.points, radius):
        gap = np.linalg.norm(target.points - target.points[place], axis=1)
        there, goal = _patch_axes(target, np.flatnonzero(gap <= max(radius, np.sort(gap)[2])))
        turns.append(there.T @ about @ own)
        shifts.append(goal - turns[-1] @ centre)
    return Motions(np.concatenate(turns), np.concatenate(shifts))


def _patch_axes(cloud: Cloud, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the axes of a patch as rows, its mean normal last, and its centre."""
    points = cloud.points[rows]
    centre = points.mean(axis=0)
    normal = cloud.normals[rows].mean(axis=0)
    plane = np.linalg.svd(normal[None])[2][1:]
    flat = (points - centre) @ plane.T
    first = np.linalg.eigh(flat.T @ flat)[1][:, 1] @ plane
    normal = np.cross(plane[0], plane[1]) * np.sign(np.cross(plane[0], plane[1]) @ normal)
    return np.stack([first, np.cross(normal, first), normal]), centre


def _spread_places(points: FloatArray, distance: float) -> list[int]:
    """Return points spread evenly, the first in the middle, until none is farther from all."""
    places = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    gap = np.linalg.norm(points - points[places[0]], axis=1)
    while gap.max() > distance and len(places) < _PLACES:
        places.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(points - points[places[-1]], axis=1))
    return places


def _rotations(centred: FloatArray, count: int) -> FloatArray:
    """`count` rotations (count, 3, 3), spread evenly, and fixed to the points."""
    axes = np.linalg.eigh(centred.T @ centred)[1]
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    signs = np.array(
        [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    )  # principal axes have no sign
    turns = Rotation.random(count // 4, random_state=0).as_matrix()
    return np.einsum("rij,sj,kj->rsik", turns, signs, axes).reshape(-1, 3, 3)


def _nearest(scan: Cloud, target: Cloud, motions: Motions) -> Any:
    """Distance and index (S, K) of the target point nearest to each scan point in each pose."""
    back = motions.turns.transpose(0, 2, 1)
    points = scan.points @ back + motions.shifts[:, None]
    return target.tree.query(features(points, scan.normals @ back, scan.curvature, target.size))


def _cost(scan: Cloud, target: Cloud, motions: Motions) -> FloatArray:
    """Return the mean distance (S,) in all that is matched, what is far counted as `_CAP`."""
    distance = _nearest(scan, target, motions)[0]
    return np.asarray(np.minimum(distance, _CAP * target.size).mean(axis=1))


def _improved(scan: Cloud, target: Cloud, motions: Motions) -> Motions:
    """Return the motions that best fit the present closest points."""
    distance, k = _nearest(scan, target, motions)
    share = 1.0 / (1.0 + (distance / np.median(distance, axis=1, keepdims=True)) ** 2)
    share /= share.sum(axis=1, keepdims=True)
    goal = target.points[k]
    cs, ct = share @ scan.points, np.einsum("sk,skj->sj", share, goal)
    moments = ((goal - ct[:, None]) * share[..., None]).transpose(0, 2, 1) @ (
        scan.points - cs[:, None]
    )
    turns = nearest_rotation(moments)
    return Motions(turns, ct - np.einsum("sij,sj->si", turns, cs))
