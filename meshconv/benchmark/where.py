"""Opponents that say where two groups differ, and nothing else."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, zoom

from meshconv._check import FloatArray, IntArray
from meshconv.benchmark.task import Task, UnfitTaskError
from meshconv.benchmark.trained import Model, Trained
from meshconv.mesh.shapes import icosphere
from meshconv.resample.resampler import Resampler
from meshconv.stats.group import group_map
from meshconv.stats.group_statistic import group_statistic

_DIFFERENCES = ("difference_x", "difference_y", "difference_z")
_SIDE = 65  # nodes of the surfaces that Euler characteristics are taken of
_IN_CONE, _CAP, _LEVELS = 3, 0.15, 40  # directions of 42 cones, radians from the axis, heights
_NOISE = 1.0  # variance of labels about the Gaussian process, whose own is 1


def t_map(task: Task, seed: int, epochs: int) -> Trained:
    """The statistic of the training images at every pixel: it says where, not which."""
    return Trained(
        None,
        0,
        maps={"t-map": np.nan_to_num(group_statistic(task.train.images, task.train.labels))},
    )


def hotelling(task: Task, seed: int, epochs: int) -> Trained:
    """Hotelling's T2 of corresponding points, as ShapeWorks compares groups, in the task's frame.

    At every pixel the difference of the group means of the places (3 numbers) in the metric of
    their pooled covariance.

    References
    ----------
    Hotelling, 1931, The generalization of Student's ratio, eq. (26). doi:10.1214/aoms/1177732979
    Cates, Elhabian, Whitaker, 2017, ShapeWorks. doi:10.1016/B978-0-12-810493-4.00012-2
    """
    start = time.process_time()
    moved, labels = _moved(task)
    n = np.bincount(labels)
    means = [moved[labels == k].mean(axis=0) for k in (0, 1)]
    inner = np.concatenate([moved[labels == k] - means[k] for k in (0, 1)])
    covariance = np.einsum("nipq,njpq->pqij", inner, inner) / (n.sum() - 2)
    covariance += 1e-9 * np.trace(covariance, axis1=2, axis2=3).max() * np.eye(3)
    gap = np.moveaxis(means[1] - means[0], 0, -1)
    solved = np.linalg.solve(covariance, gap[..., None])[..., 0]
    statistic = n[0] * n[1] / n.sum() * (gap * solved).sum(axis=-1)
    return Trained(
        None, 0, seconds=time.process_time() - start, maps={"Hotelling T2": np.sqrt(statistic)}
    )


def own_map(task: Task, seed: int, epochs: int) -> Trained:
    """`meshconv.group_map`: the t-map, or what is left of it without what all scans have."""
    start = time.process_time()
    found = group_map(task.train.images, task.train.labels, permutations=20, seed=seed)
    statistic = np.maximum(np.nan_to_num(found.statistic), 0.0)
    return Trained(None, 0, seconds=time.process_time() - start, maps={"group map": statistic})


def sinatra(task: Task, seed: int, epochs: int) -> Trained:
    """Differences without correspondence: which heights of which directions tell the groups apart.

    Of every scan, in the pose of the frame, the Euler characteristic transform: for directions in
    cones, the curve of Euler characteristics of what lies below each height. A Gaussian process
    learns the groups from all curves; what each height of each direction has to do with it (effect
    over its posterior deviation) goes back to the places of the mean at that height
    (`evidence_of`). Here the process has Gaussian noise in place of a probit, and the effect over
    its deviation stands for RATE. The curves are not integrated over the heights: the integral
    carries a difference to all heights above it, and on spheres with one lump the site was missed.

    References
    ----------
    Wang, Sudijono, Kirveslahti, Gao, Boyer, Mukherjee, Crawford, 2021, A statistical pipeline for
    identifying physical features that differentiate classes of 3D shapes, Ann. Appl. Stat. 15(2),
    sections 2.1 to 2.4. doi:10.1214/20-AOAS1430
    """
    start = time.process_time()
    moved, labels = _moved(task)
    step = max(1, round((task.size - 1) / (_SIDE - 1)))
    points = (_places(task) + moved)[:, :, ::step, ::step]
    side = points.shape[-1]
    scans = points.reshape(len(moved), 3, -1).transpose(0, 2, 1)
    found = evidence_of(scans, grid_sheet(side), labels).reshape(side, side)
    whole = zoom(found, task.size / side, order=1)
    return Trained(None, 0, seconds=time.process_time() - start, maps={"SINATRA": whole})


def evidence_of(scans: FloatArray, sheet: Sheet, labels: IntArray) -> FloatArray:
    """Return how far each place (V,) of scans (n, V, 3) of two groups tells them apart: the least
    over a cone of what its height has to do with them, the largest over cones.
    """
    directions = cones(_IN_CONE, _CAP)
    heights = scans.mean(axis=0) @ directions.T
    levels = np.linspace(heights.min(), heights.max(), _LEVELS)
    curves = np.array([euler_curves(scan, sheet, directions, levels) for scan in scans])
    relevant = effects(curves.reshape(len(scans), -1), labels).reshape(len(directions), -1)
    level = np.minimum(np.searchsorted(levels, heights), _LEVELS - 1)
    evidence = relevant[np.arange(len(directions)), level].reshape(len(heights), -1, _IN_CONE)
    return np.asarray(evidence.min(axis=2).max(axis=1))


class Sheet(NamedTuple):
    """Edges (E, 2) and faces (F, 3) of a triangle mesh."""

    edges: IntArray
    faces: IntArray


def grid_sheet(side: int) -> Sheet:
    """Return the triangles of a square of nodes, row by row."""
    node = np.arange(side * side).reshape(side, side)
    a, b, c, d = (x.ravel() for x in (node[:-1, :-1], node[:-1, 1:], node[1:, 1:], node[1:, :-1]))
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    both = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return Sheet(np.unique(both, axis=0), faces)


def cones(inside: int, radius: float) -> FloatArray:
    """Return directions (42 * inside, 3): of each cone its axis, and others on a circle around."""
    axis = icosphere(1).vertices
    away = np.eye(3)[np.abs(axis).argmin(axis=1)]
    first = np.cross(axis, away)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(axis, first)
    turn = 2 * np.pi * np.arange(inside - 1) / max(inside - 1, 1)
    around = [np.cos(t) * first + np.sin(t) * second for t in turn]
    ring = [np.cos(radius) * axis + np.sin(radius) * r for r in around]
    return np.stack([axis, *ring], axis=1).reshape(-1, 3)


def euler_curves(
    points: FloatArray, sheet: Sheet, directions: FloatArray, levels: FloatArray
) -> FloatArray:
    """Return the Euler characteristics (D, L) of what lies below each level along each direction.

    A vertex, edge or face of points (V, 3) is there once all its vertices are.
    """
    entered = np.searchsorted(levels, points @ directions.T)
    row = np.arange(len(directions)) * (len(levels) + 1)
    total = np.zeros(len(row) * (len(levels) + 1))
    for sign, members in (
        (1, np.arange(len(points))[:, None]),
        (-1, sheet.edges),
        (1, sheet.faces),
    ):
        last = entered[members[:, 0]]
        for corner in members.T[1:]:
            last = np.maximum(last, entered[corner])
        total += sign * np.bincount((last + row).ravel(), minlength=len(total))
    return np.asarray(np.cumsum(total.reshape(len(row), -1), axis=1)[:, :-1])


def effects(features: FloatArray, labels: IntArray) -> FloatArray:
    """Return what each feature (n, p) has to do with two groups, (p,): the size of its effect on a
    Gaussian process over its posterior deviation; 0 where a feature does not vary.
    """
    spread = features.std(axis=0)
    x = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    square = (x**2).sum(axis=1)
    far = np.maximum(square[:, None] + square - 2 * x @ x.T, 0.0)
    kernel = np.exp(-far / (2 * np.median(far[far > 0])))
    y = np.where(labels == 1, 1.0, -1.0) - (2 * labels.mean() - 1)
    gain = np.linalg.solve(kernel + _NOISE * np.eye(len(y)), kernel).T
    gram = x @ x.T
    back = np.linalg.solve(gram + 1e-6 * np.trace(gram) / len(y) * np.eye(len(y)), x)
    effect = back.T @ (gain @ y)
    variance = np.einsum("np,nm,mp->p", back, kernel - gain @ kernel, back, optimize=True)
    return np.asarray(np.where(spread > 0, np.abs(effect) / np.sqrt(variance + 1e-300), 0.0))


def _moved(task: Task) -> tuple[FloatArray, IntArray]:
    """Return the training differences (n, 3, N, N) from the template, 0 outside, and the labels."""
    if task.template is None or not set(_DIFFERENCES) <= set(task.channels):
        raise UnfitTaskError(f"task {task.name!r} has no places in a frame")
    if len(task.classes) != 2:
        raise UnfitTaskError(f"two groups are compared, task {task.name!r} has {len(task.classes)}")
    rows = [task.channels.index(name) for name in _DIFFERENCES]
    found: NDArray[np.float32] = task.train.images[:, rows]
    there = np.isfinite(found).all(axis=1, keepdims=True).mean(axis=0) >= 0.5
    return np.nan_to_num(found.astype(np.float64)) * there, task.train.labels


def _places(task: Task) -> FloatArray:
    """Return the template's places (3, N, N); beyond it those of its nearest pixel."""
    if task.template is None:
        raise UnfitTaskError(f"task {task.name!r} has no template")
    resampler = Resampler(task.template.parameterization, task.size)
    image = resampler.to_image(task.template.surface.vertices)
    rows, columns = distance_transform_edt(~image.mask, return_distances=False, return_indices=True)
    return np.asarray(image.channels[:, rows, columns])


WHERE: dict[str, Model] = {
    "t-map": t_map,
    "group map": own_map,
    "Hotelling T2": hotelling,
    "SINATRA": sinatra,
}
