"""Deletion curves: the map that knows what the answer hangs on falls first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshconv.benchmark.deletion import deletion_areas
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.trained import Trained


def scattered(n: int = 40, size: int = 9) -> tuple[Task, Trained]:
    """Each image has one bright pixel somewhere else, which alone decides; channel 1 is noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = 0.01 * rng.normal(size=(n, 2, size, size)).astype(np.float32)
    images[np.arange(n), 0, rng.integers(size, size=n), rng.integers(size, size=n)] = 1.0
    images[:, 0] *= np.where(labels == 1, 1, -1)[:, None, None]

    def probabilities(part: Part) -> np.ndarray:
        brightest = part.images[:, 0].reshape(len(part.images), -1)
        at = np.abs(brightest).argmax(axis=1)
        p = 1 / (1 + np.exp(-8 * brightest[np.arange(len(at)), at]))
        return np.stack([1 - p, p], axis=1)

    def explained(some: np.ndarray) -> dict[str, np.ndarray]:
        return {"own": np.abs(some[:, 0]).astype(float)}

    part = Part(images, labels.astype(np.int64))
    channels = ("log_conformal_factor", "mean_curvature")
    task = Task("scattered", part, part, ("dark", "bright"), aligned=False, channels=channels)
    maps = {name: found.mean(axis=0) for name, found in explained(images).items()}
    return task, Trained(probabilities, 0, maps=maps, explained=explained)


def test_without_common_places_each_image_has_its_own_map():
    task, fitted = scattered()
    areas = deletion_areas(task, fitted)
    assert list(areas) == ["own", "curvature", "random"]
    assert areas["own"] < 0.6 < 0.7 < min(areas["curvature"], areas["random"])


def test_with_common_places_the_map_is_the_populations():
    task, fitted = scattered()
    areas, each = deletion_areas(replace(task, aligned=True), fitted), deletion_areas(task, fitted)
    assert list(areas) == ["own", "t-map", "random"]
    assert areas["own"] > each["own"] + 0.02


def test_a_model_without_answers_or_maps_has_none():
    task, fitted = scattered()
    assert deletion_areas(task, replace(fitted, probabilities=None)) == {}
    assert deletion_areas(task, replace(fitted, maps={})) == {}
