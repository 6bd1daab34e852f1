"""What the models of a benchmark have in common once they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.benchmark.task import Part, Task

Images = NDArray[np.float32]
ATTRIBUTED = 128  # test images that a map of the population is the mean of


@dataclass(frozen=True, eq=False)
class Trained:
    """A model after training.

    Attributes
    ----------
    probabilities : callable, optional
        (n, K) of a `Part`; None for a model that only says where.
    parameters, epochs : int
    seconds : float
        CPU time of the training alone.
    maps : mapping of str to (N, N) float64
        What it says of where the groups differ, by method, over the population.
    explained : callable, optional
        By method, what it says of each image, (n, N, N) of images (n, C, N, N).
    densities : callable, optional
        (n, N, N) of images, where each image has its own.
    chosen_epoch : int, optional
        Whose weights these are, where held-out training scans chose.
    last_train_accuracy : float, optional
        After the last epoch, of what it learned from.
    """

    probabilities: Callable[[Part], FloatArray] | None
    parameters: int
    epochs: int = 0
    seconds: float = 0.0
    maps: Mapping[str, FloatArray] = field(default_factory=dict)
    explained: Callable[[Images], dict[str, FloatArray]] | None = None
    densities: Callable[[Images], FloatArray] | None = None
    chosen_epoch: int | None = None
    last_train_accuracy: float | None = None


def mean_maps(
    explained: Callable[[Images], dict[str, FloatArray]], images: Images
) -> dict[str, FloatArray]:
    """Return what is said of the population: the mean over its images, by method."""
    return {method: maps.mean(axis=0) for method, maps in explained(images[:ATTRIBUTED]).items()}


Model = Callable[[Task, int, int], Trained]  # task, seed, epochs
