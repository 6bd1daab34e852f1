"""Saliency where no truth is known: what the answer loses when the salient pixels are deleted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.benchmark.task import Task
from meshconv.benchmark.trained import Trained
from meshconv.saliency.evaluate import deletion_curve
from meshconv.stats.group_statistic import group_statistic

_IMAGES = 64  # of the test set, at most


def deletion_areas(task: Task, fitted: Trained, *, seed: int = 0) -> dict[str, float]:
    """Return, by method, the mean over the deletion curve over its value at the start.

    Where a pixel means the same place in all images the maps are those of the population, beside
    them the t-map of the training images; elsewhere those of each image, beside them how strongly
    it is curved, if a channel says so. A random order stands beside both. A deleted pixel takes the
    mean of the training images.
    """
    if fitted.probabilities is None or not fitted.maps:
        return {}
    images, answers = task.test.images[:_IMAGES], fitted.probabilities
    mean = np.nan_to_num(np.nanmean(task.train.images, axis=0)).astype(np.float32)

    def predict(gaps: NDArray[np.float32]) -> FloatArray:
        labels = task.test.labels[: len(gaps)]
        return answers(
            replace(task.test.take(np.arange(len(gaps))), images=gaps + mean, labels=labels)
        )

    areas = {}
    for name, map_ in _orders(task, fitted, images, seed).items():
        _, curve = deletion_curve(predict, images - mean, map_)
        areas[name] = float(curve.mean() / curve[0])
    return areas


def _orders(
    task: Task, fitted: Trained, images: NDArray[np.float32], seed: int
) -> dict[str, FloatArray]:
    """Return the maps that say what is deleted first."""
    rng, size = np.random.default_rng(seed), task.size
    if task.aligned or fitted.explained is None:
        statistic = np.nan_to_num(group_statistic(task.train.images, task.train.labels))
        return {**fitted.maps, "t-map": statistic, "random": rng.random((size, size))}
    orders = fitted.explained(images)
    if "mean_curvature" in task.channels[: images.shape[1]]:
        bent = np.abs(images[:, task.channels.index("mean_curvature")])
        orders["curvature"] = np.nan_to_num(bent.astype(np.float64))
    return {**orders, "random": rng.random((len(images), size, size))}
