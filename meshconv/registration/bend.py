"""Bend a template smoothly onto a scan: spectral non-rigid closest points, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray
from meshconv.mesh.surface import Surface
from meshconv.registration.pose import Pose, fit_similarity
from meshconv.registration.template import Template

_ITERATIONS = 20
_RIGID_UNTIL = 14  # iterations in which the pose is still improved
_STIFF = (10.0, 1e-3)  # weight of smoothness, first and last iteration
_SMOOTHNESS_POWER = 1.5  # penalty lambda^power on each mode; 2 would be a thin plate
_TANGENTIAL = 0.02  # weight of the distance along the surface, against 1 for the distance to it
_NORMAL, _CURVATURE = 0.25, 0.0092  # one radian, one curvature 1/size, in template sizes
_FLOOR = 1e-3  # robust scale is not taken below this share of the size
_LANDMARK = 0.1  # weight of all landmarks together, against 1 for all points
_TEMPLATE_POINTS = 2500


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of the scan that pull: positions, unit normals, blurred curvature times template
    size.
    """

    points: FloatArray
    normals: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, eq=False)
class Bent:
    """The template on the scan: its vertices (V, 3) in its own frame, the scan's pose there, and
    how far off.
    """

    vertices: FloatArray
    pose: Pose
    residual: float  # median distance between the two surfaces, in the template's unit


def subset(template: Template) -> IntArray:
    """Return the template's vertices that are matched: all, or a fixed random subset away from the
    border.
    """
    inner = np.flatnonzero(~template.on_border)
    if len(inner) <= _TEMPLATE_POINTS:
        return inner if len(inner) else np.arange(template.surface.n_vertices)
    return np.sort(np.random.default_rng(0).choice(inner, _TEMPLATE_POINTS, replace=False))


def bend(
    template: Template, cloud: Cloud, pose: Pose, marks: FloatArray, mark_vertex: IntArray
) -> Bent:
    """Return the template bent onto `cloud`, starting from `pose` (scan -> template).

    Unknown: coefficients c (M, 3) of the template's smooth modes U. Every iteration matches each
    scan point y to the template vertex x nearest in position, normal and curvature, and minimises

        sum w [ (n . (x + U c - y))^2 + a |x + U c - y|^2 ] + s sum lambda^p |c|^2,

    n the scan's normal, w robust, s decreasing. `marks` (K, 3) are the scan's landmarks,
    `mark_vertex` (K,) their partners.
    """
    values, modes = template.modes
    chosen, start, size = subset(template), template.surface.vertices, template.size
    stiffness = (values / (4 * np.pi**2)) ** _SMOOTHNESS_POWER
    vertices = start
    distance = np.zeros(1)
    for k in range(_ITERATIONS):
        y, n = pose.points(cloud.points), pose.directions(cloud.normals)
        normals = Surface(vertices, template.surface.faces).vertex_normals[chosen]
        match = _match(
            vertices[chosen], normals, template.curvature[chosen], y, n, cloud.curvature, size
        )
        at = chosen[match]
        weight = _robust(vertices[at] - y, normals[match], n, size)
        matrix, rhs = _normal_equations(modes[at], n, y - start[at], weight)
        if len(marks):
            _pull(
                matrix,
                rhs,
                modes[mark_vertex],
                pose.points(marks) - start[mark_vertex],
                weight.sum(),
            )
        s = _STIFF[0] * (_STIFF[1] / _STIFF[0]) ** (k / (_ITERATIONS - 1))
        matrix[np.diag_indices_from(matrix)] += len(y) * (s * np.repeat(stiffness, 3) + 1e-9)
        c = cho_solve(cho_factor(matrix, overwrite_a=True), rhs).reshape(-1, 3)
        vertices = start + modes @ c
        distance = np.abs(((vertices[at] - y) * n).sum(axis=1))
        if k < _RIGID_UNTIL:
            pose = pose.then(fit_similarity(y, vertices[at], weight + 1e-12, with_scale=True))
    if len(marks):
        vertices = _onto_landmarks(vertices, mark_vertex, pose.points(marks))
    return Bent(vertices, pose, float(np.median(distance)))


def _onto_landmarks(vertices: FloatArray, mark_vertex: IntArray, marks: FloatArray) -> FloatArray:
    """Move the landmarks exactly onto their partners, and all else along, less the farther away
    (splines in space).
    """
    at = vertices[mark_vertex]
    _, first = np.unique(at, axis=0, return_index=True)
    return vertices + RBFInterpolator(at[first], (marks - at)[first], kernel="linear")(vertices)


def _match(
    x: FloatArray,
    x_normal: FloatArray,
    x_curvature: FloatArray,
    y: FloatArray,
    n: FloatArray,
    h: FloatArray,
    size: float,
) -> IntArray:
    """Index of the template point nearest to each scan point in position, normal and curvature
    together.
    """
    a, b = _NORMAL * size, _CURVATURE * size
    tree = cKDTree(np.column_stack([x, a * x_normal, b * x_curvature]))
    return np.asarray(tree.query(np.column_stack([y, a * n, b * h]))[1])


def _robust(gap: FloatArray, normals: FloatArray, n: FloatArray, size: float) -> FloatArray:
    """Cauchy weight of the distance, times the agreement of the normals: what is cropped away does
    not pull.
    """
    distance = np.linalg.norm(gap, axis=1)
    scale = max(1.5 * float(np.median(distance)), _FLOOR * size)
    return np.asarray(
        np.maximum((normals * n).sum(axis=1), 0.0) ** 2 / (1.0 + (distance / scale) ** 2)
    )


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
