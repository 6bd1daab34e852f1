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

    The maps are those of the population, which a model of images gives; beside them a random order
    and the t-map of the training images. A deleted pixel takes the mean of the training images.
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

    size = task.size
    random = np.random.default_rng(seed).random((size, size))
    statistic = np.nan_to_num(group_statistic(task.train.images, task.train.labels))
    areas = {}
    for name, map_ in {**fitted.maps, "t-map": statistic, "random": random}.items():
        _, curve = deletion_curve(predict, images - mean, map_)
        areas[name] = float(curve.mean() / curve[0])
    return areas
