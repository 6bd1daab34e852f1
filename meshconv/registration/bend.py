"""Bend a template smoothly onto a scan: spectral non-rigid closest points, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.linalg import cho_factor, cho_solve

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.rigid import Pose, fit_similarity
from meshconv.mesh.surface import Surface
from meshconv.registration.closed_pose import closed_poses
from meshconv.registration.cloud import Cloud, even_subset, evenly
from meshconv.registration.frame import N_MODES, Bent, Frame
from meshconv.registration.matching import COMPLETE, Matcher

_RIGID = 0.7  # share of the iterations in which the pose is still improved
_STIFF = (10.0, 1e-3)  # weight of smoothness, first and last iteration
_SMOOTHNESS_POWER = 1.5  # penalty lambda^power on each mode; 2 would be a thin plate
_TANGENTIAL = 0.02  # weight of the distance along the surface, against 1 for the distance to it
_FIRST_MODES = 16  # of a closed template
_OTHER = 1 + 2 * np.cos(np.radians(30))  # trace of a turn by 30 degrees: another pose
_LANDMARK = 0.1  # weight of all landmarks together, against 1 for all points


@dataclass(frozen=True)
class Schedule:
    """How many rounds, and with how many of the template's modes in the first and the last."""

    iterations: int
    first_modes: int = N_MODES
    modes: int = N_MODES


@dataclass(frozen=True, eq=False)
class Marks:
    """Landmarks of the scan (K, 3) and the template vertices (K,) they belong on."""

    points: FloatArray
    vertex: IntArray


# points of a closed surface with which the last poses are compared, and those of the last bending
_TRIAL = (250, Schedule(6, _FIRST_MODES, 20))
_LAST = (500, Schedule(14, _FIRST_MODES, 100))
_CLOSED_POINTS = 500  # of each closed surface, for equal areas

NO_MARKS = Marks(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))


def bend(
    frame: Frame,
    chosen: IntArray,
    scan: Cloud,
    pose: Pose,
    matcher: Matcher,
    schedule: Schedule,
    marks: Marks = NO_MARKS,
) -> Bent:
    """Return the template bent onto `scan`, starting from `pose` (scan -> template).

    Unknown: coefficients c (M, 3) of the template's smooth modes U. Every iteration pairs scan
    points y with template vertices x among those `chosen`, and minimises

        sum w [ (n . (x + U c - y))^2 + a |x + U c - y|^2 ] + s sum lambda^p |c|^2,

    n the scan's normal, w the pair's weight, s decreasing.
    """
    values, modes = frame.modes
    start, faces = frame.surface.vertices, frame.surface.faces
    vertices, residual = start, 0.0
    for k in range(schedule.iterations):
        done = k / (schedule.iterations - 1)
        m = _mode_count(schedule, len(values), done)
        moved = scan.moved(pose)
        normals = Surface(vertices, faces).vertex_normals[chosen]
        here = Cloud(vertices[chosen], normals, frame.size, _curvature(frame, chosen, scan))
        pairs = matcher.pairs(here, moved)
        at, y, n = chosen[pairs.template], moved.points[pairs.scan], moved.normals[pairs.scan]
        matrix, rhs = _normal_equations(modes[at, :m], n, y - start[at], pairs.weight)
        if len(marks.points):
            gap = pose.points(marks.points) - start[marks.vertex]
            _pull(matrix, rhs, modes[marks.vertex, :m], gap, pairs.weight.sum())
        matrix[np.diag_indices_from(matrix)] += len(y) * _stiffness(values[:m], done)
        c = cho_solve(cho_factor(matrix, overwrite_a=True), rhs).reshape(-1, 3)
        vertices = start + modes[:, :m] @ c
        residual = matcher.residual(vertices[at] - y, n, pairs, frame.size)
        if done < _RIGID:
            weight, scaled = pairs.weight + 1e-12, matcher.with_scale
            pose = pose.then(fit_similarity(y, vertices[at], weight, with_scale=scaled))
    if len(marks.points):
        vertices = _onto_landmarks(vertices, marks.vertex, pose.points(marks.points))
    return Bent(vertices, pose, residual)


def fit_closed(surface: Surface, frame: Frame) -> tuple[Bent, float]:
    """Return the template bent onto `surface`, in any pose, or little turned if it says so; and how
    much worse the best other pose is.
    """
    rows, chosen = (even_subset(s, _CLOSED_POINTS) for s in (surface, frame.surface))
    scale = frame.size / float(np.sqrt(surface.area))
    middle = surface.vertices[rows].mean(axis=0)
    scan = Cloud(
        scale * (surface.vertices[rows] - middle), surface.vertex_normals[rows], frame.size
    )
    target = Cloud.of(frame.surface, chosen, frame.size)
    tried = [
        _bend_closed(frame, chosen, scan, pose, *_TRIAL)
        for pose in closed_poses(scan, target, frame.orientation)
    ]
    best = min(tried, key=lambda bent: bent.residual)
    others = [
        one.residual for one in tried if np.trace(one.pose.rotation @ best.pose.rotation.T) < _OTHER
    ]
    bent = _bend_closed(frame, chosen, scan, best.pose, *_LAST)
    turned = bent.pose.rotation
    moved = Pose(turned, bent.pose.translation - scale * (turned @ middle), scale)
    rival = min(others) / best.residual if others and best.residual > 0 else np.inf
    return Bent(bent.vertices, moved, bent.residual), float(rival)


def _bend_closed(
    frame: Frame, chosen: IntArray, scan: Cloud, pose: Pose, count: int, schedule: Schedule
) -> Bent:
    few = chosen[evenly(len(chosen), count)]
    return bend(frame, few, scan.few(count), pose, COMPLETE, schedule)


def _mode_count(schedule: Schedule, there: int, done: float) -> int:
    first, last = (min(n, there) for n in (schedule.first_modes, schedule.modes))
    return round(first * (last / first) ** done)


def _curvature(frame: Frame, chosen: IntArray, scan: Cloud) -> FloatArray:
    """The template's, where the scan's is known too."""
    return frame.curvature[chosen] if scan.curvature.size else scan.curvature


def _stiffness(values: FloatArray, done: float) -> FloatArray:
    """Weight of smoothness on each component of each mode, (3M,)."""
    s = _STIFF[0] * (_STIFF[1] / _STIFF[0]) ** done
    return s * np.repeat((values / (4 * np.pi**2)) ** _SMOOTHNESS_POWER, 3) + 1e-9


def _onto_landmarks(vertices: FloatArray, mark_vertex: IntArray, marks: FloatArray) -> FloatArray:
    """Move the landmarks exactly onto their partners, and all else along, less the farther away
    (splines in space).
    """
    at = vertices[mark_vertex]
    _, first = np.unique(at, axis=0, return_index=True)
    return vertices + RBFInterpolator(at[first], (marks - at)[first], kernel="linear")(vertices)


def _normal_equations(
    modes: FloatArray, n: FloatArray, gap: FloatArray, w: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Matrix (3M, 3M) and right-hand side of the weighted point-to-plane and point-to-point
    terms.
    """
    root = np.sqrt(w)
    plane = (root[:, None, None] * modes[:, :, None] * n[:, None, :]).reshape(len(n), -1)
    matrix, rhs = plane.T @ plane, plane.T @ (root * (n * gap).sum(axis=1))
    weighted = modes.T * (_TANGENTIAL * w)
    blocks = matrix.reshape(modes.shape[1], 3, modes.shape[1], 3)
    for axis in range(3):
        blocks[:, axis, :, axis] += weighted @ modes
    return matrix, rhs + (weighted @ gap).ravel()


def _pull(
    matrix: FloatArray, rhs: FloatArray, modes: FloatArray, gap: FloatArray, total: float
) -> None:
    """Add the landmarks to the normal equations, in place."""
    weight = _LANDMARK * total / len(gap)
    blocks = matrix.reshape(modes.shape[1], 3, modes.shape[1], 3)
    for axis in range(3):
        blocks[:, axis, :, axis] += weight * (modes.T @ modes)
    rhs += weight * (modes.T @ gap).ravel()
