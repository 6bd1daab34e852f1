"""Fit a closed template to a closed scan: both are complete, so each has to account for all of the
other.

`_deform` lets the scan pull at the template only, because scans of open surfaces are cropped. A
thin organ would shrink onto a part of the template that way. Here points of both surfaces look for
partners on the other one, and the scale is fixed by the areas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.surface import Surface
from meshconv.registration.bend import Bent
from meshconv.registration.bend import _normal_equations as normal_equations
from meshconv.registration.pose import Pose, fit_similarity
from meshconv.registration.template import Template

# (poses kept, points of each surface, iterations): from many rough trials to few finer ones
_STAGES = ((20, 100, 5), (6, 200, 6), (3, 300, 8))
_TILT = 0.6  # radians, of the trials about each of the four principal positions
_NORMAL = 0.25  # one radian between normals counts as this many template sizes
_TRIAL = (20, 250, 6)  # smooth modes, points and iterations with which the last poses are compared
_LAST = (100, 500, 14)  # the same of the last bending
_FIRST_MODES = 16
_RIGID = 0.7  # share of the iterations in which the pose is still improved
_STIFF = (10.0, 1e-3)  # weight of smoothness, first and last iteration
_SMOOTHNESS_POWER = 1.5


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (K, 3) with unit normals; one radian between normals counts as the length `turn`."""

    points: FloatArray
    normals: FloatArray
    turn: float

    @cached_property
    def features(self) -> FloatArray:
        return np.hstack([self.points, self.turn * self.normals])

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.features)

    def moved(self, pose: Pose) -> Cloud:
        return Cloud(pose.points(self.points), pose.directions(self.normals), self.turn)

    def few(self, count: int) -> Cloud:
        """Return about `count` of the points, evenly picked."""
        rows = _spread(np.arange(len(self.points)), count)
        return Cloud(self.points[rows], self.normals[rows], self.turn)


def fit_closed(surface: Surface, rows: IntArray, template: Template, chosen: IntArray) -> Bent:
    """Return `template` bent onto `surface`, in any pose, or turned little if the template says so.

    `rows` and `chosen` are vertices of the scan and of the template that stand for equal areas.
    """
    scale, turn = template.size / float(np.sqrt(surface.area)), _NORMAL * template.size
    middle = surface.vertices[rows].mean(axis=0)
    scan = Cloud(scale * (surface.vertices[rows] - middle), surface.vertex_normals[rows], turn)
    target = Cloud(template.surface.vertices[chosen], template.surface.vertex_normals[chosen], turn)
    tried = [
        _bend(template, chosen, scan, pose, *_TRIAL)
        for pose in _poses(scan, target, template.orientation)
    ]
    start = min(tried, key=lambda bent: bent.residual).pose
    bent = _bend(template, chosen, scan, start, *_LAST)
    turned = bent.pose.rotation
    return Bent(
        bent.vertices,
        Pose(turned, bent.pose.translation - scale * (turned @ middle), scale),
        bent.residual,
    )


def _poses(scan: Cloud, target: Cloud, orientation: str) -> list[Pose]:
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
    here, goal = (
        np.vstack([moved.points, moved.points[back]]),
        np.vstack([target.points[there], target.points]),
    )
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
    distance, k = scan.tree.query(
        np.hstack([there, target.turn * (target.normals @ pose.rotation)])
    )
    return np.asarray(distance), np.asarray(k)


def _bend(
    template: Template,
    chosen: IntArray,
    scan: Cloud,
    pose: Pose,
    n_modes: int,
    n_points: int,
    iterations: int,
) -> Bent:
    """Bend the template by its smooth modes as `_deform.bend` does, with partners sought both ways,
    coarse to fine.
    """
    values, modes = template.modes
    start, faces = template.surface.vertices, template.surface.faces
    stiffness = (values / (4 * np.pi**2)) ** _SMOOTHNESS_POWER
    chosen, scan = _spread(chosen, n_points), scan.few(n_points)
    vertices, distance = start, np.zeros(1)
    for k in range(iterations):
        done = k / (iterations - 1)
        m = round(_FIRST_MODES * (min(n_modes, len(values)) / _FIRST_MODES) ** done)
        moved = scan.moved(pose)
        there = Cloud(vertices[chosen], Surface(vertices, faces).vertex_normals[chosen], scan.turn)
        near, back = (
            np.asarray(a.tree.query(b.features)[1]) for a, b in ((there, moved), (moved, there))
        )
        here, partner = np.r_[near, : len(chosen)], np.r_[: len(near), back]
        at, y, n = chosen[here], moved.points[partner], moved.normals[partner]
        agreement = np.maximum((there.normals[here] * n).sum(axis=1), 0.0)
        matrix, rhs = normal_equations(modes[at, :m], n, y - start[at], agreement)
        s = _STIFF[0] * (_STIFF[1] / _STIFF[0]) ** done
        matrix[np.diag_indices_from(matrix)] += len(y) * (s * np.repeat(stiffness[:m], 3) + 1e-9)
        vertices = start + modes[:, :m] @ cho_solve(
            cho_factor(matrix, overwrite_a=True), rhs
        ).reshape(-1, 3)
        distance = np.linalg.norm(vertices[at] - y, axis=1) + scan.turn * (1 - agreement)
        if done < _RIGID:
            pose = pose.then(fit_similarity(y, vertices[at], agreement + 1e-12, with_scale=False))
    return Bent(vertices, pose, float(distance.mean()))


def _spread(rows: IntArray, count: int) -> IntArray:
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]
