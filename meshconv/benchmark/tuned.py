"""Networks as good as tuning on held-out training scans makes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from meshconv._check import FloatArray
from meshconv.benchmark.task import Part, Task
from meshconv.benchmark.trained import Trained
from meshconv.stats.folds import hold_out

_RATES, _LONGER = (3e-3, 1e-2), (1, 4)  # learning rates and multiples of the epochs that are tried


def tuned(
    fit: Callable[..., Trained], task: Task, seed: int, epochs: int, **options: Any
) -> Trained:
    """Fit with the learning rate and epochs (as many, or four times) that do best on held-out
    training scans.
    """
    rows, held = hold_out(task.train.labels, share=0.2, seed=seed)
    trial = replace(task, train=task.train.take(rows), test=task.train.take(held), variants={})
    tried, seconds = [], 0.0
    for rate, longer in itertools.product(_RATES, _LONGER):
        one = fit(trial, seed, longer * epochs, learning_rate=rate, trial=True, **options)
        loss = -np.log(np.maximum(_of_own_class(one, trial.test), 1e-12)).mean()
        tried.append((loss, rate, longer))
        seconds += one.seconds
    _, rate, longer = min(tried)
    best = fit(task, seed, longer * epochs, learning_rate=rate, **options)
    return replace(best, seconds=seconds + best.seconds)


def four_times(
    fit: Callable[..., Trained], task: Task, seed: int, epochs: int, **options: Any
) -> Trained:
    """Fit for four times the epochs."""
    return fit(task, seed, 4 * epochs, **options)


def _of_own_class(fitted: Trained, part: Part) -> FloatArray:
    judge = cast(Callable[[Part], FloatArray], fitted.probabilities)
    return np.asarray(judge(part)[np.arange(len(part.labels)), part.labels])
