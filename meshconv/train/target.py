"""What is to be learned of each image of a study: its class, or measures of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from meshconv._check import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.stats.folds import subject_numbers
from meshconv.train.config import TrainConfig
from meshconv.train.labels import Labels
from meshconv.train.measure_quality import AnyQuality, MeasureQuality, measures_measured
from meshconv.train.quality import Quality, measured
from meshconv.train.reading import Classes, Measures
from meshconv.train.stacking import log_frequencies

_IN_BIN = 10  # subjects of about the same measure that folds keep in proportion


class Target(ABC):
    """What is to be learned of n images."""

    @abstractmethod
    def take(self, rows: IntArray) -> Self:
        """Return that of some of the images."""

    @abstractmethod
    def reading(self) -> Classes | Measures:
        """Return how a network that learned this is read."""

    @abstractmethod
    def labels(self, reading: Any) -> Labels:
        """Return what the network is to give."""

    @property
    @abstractmethod
    def values(self) -> NDArray[Any]:
        """Numbers that evidence is sought by: groups, or scores."""

    @abstractmethod
    def strata(self, whom: Sequence[str]) -> IntArray:
        """Number what folds are to hold in proportion, (n,)."""

    @abstractmethod
    def loss(self, predicted: FloatArray) -> float:
        """Return how far predictions are off."""

    def config(self, given: TrainConfig) -> TrainConfig:
        """Return how to train, in numbers of classes."""
        return given

    def teaches(self, rows: IntArray) -> bool:
        """Return whether these rows alone can be learned from."""
        return True

    @abstractmethod
    def quality(
        self,
        outputs: Mapping[str, FloatArray],
        fold: IntArray,
        whom: tuple[str, ...],
        config: TrainConfig,
    ) -> AnyQuality:
        """Return how good outputs (n, K) are that were made out of fold: of classes the logits of
        each part, of measures as they are read.
        """


@dataclass(frozen=True, eq=False)
class ClassTarget(Target):
    """The class of each image.

    Attributes
    ----------
    classes : (K,) array
    index : (n,) int64
        Of each image's class.
    """

    classes: NDArray[Any]
    index: IntArray

    @classmethod
    def of(cls, labels: ArrayLike, n: int) -> ClassTarget:
        """Return the classes of n labels; errors as scikit-learn words them."""
        return cls(*class_indices(labels, n))

    def take(self, rows: IntArray) -> ClassTarget:
        return replace(self, index=self.index[rows])

    def reading(self) -> Classes:
        return Classes(self.classes)

    def labels(self, reading: Any) -> Labels:
        return torch.from_numpy(self.index)

    @property
    def values(self) -> NDArray[Any]:
        return self.index

    def strata(self, whom: Sequence[str]) -> IntArray:
        return self.index

    def teaches(self, rows: IntArray) -> bool:
        return len(np.unique(self.index[rows])) == len(self.classes)

    def loss(self, predicted: FloatArray) -> float:
        own = predicted[np.arange(len(predicted)), self.index]
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    def config(self, given: TrainConfig) -> TrainConfig:
        asked = given.class_weight
        if not isinstance(asked, Mapping):
            return given
        number = {label: k for k, label in enumerate(self.classes.tolist())}
        unknown = [label for label in asked if label not in number]
        if unknown:
            raise ArgumentError(f"class_weight names {unknown}, the classes are {list(number)}")
        return replace(given, class_weight={number[one]: w for one, w in asked.items()})

    def quality(
        self,
        outputs: Mapping[str, FloatArray],
        fold: IntArray,
        whom: tuple[str, ...],
        config: TrainConfig,
    ) -> Quality:
        alone = "" in outputs  # with measures, which know how frequent classes are
        offset = None if alone else log_frequencies(self.index, config.class_weight)
        how: dict[str, Any] = {"offset": offset, "subjects": whom, "seed": config.seed}
        return measured(outputs, self.index, fold, **how)


@dataclass(frozen=True, eq=False)
class MeasureTarget(Target):
    """Measures of each image.

    Attributes
    ----------
    table : (n, T) float64
    flat : bool
        Whether they came as (n,).
    """

    table: FloatArray
    flat: bool

    @classmethod
    def of(cls, measures: ArrayLike, n: int) -> MeasureTarget:
        """Return measures (n,) or (n, T); errors as scikit-learn words them."""
        return cls(*measure_table(measures, n))

    def take(self, rows: IntArray) -> MeasureTarget:
        return replace(self, table=self.table[rows])

    def reading(self) -> Measures:
        scale = self.table.std(axis=0)
        return Measures(self.table.mean(axis=0), np.where(scale > 0, scale, 1.0), self.flat)

    def labels(self, reading: Any) -> Labels:
        known = torch.from_numpy(reading.standardized(self.table).astype(np.float32))
        outputs = reading.outputs
        if isinstance(outputs, int):
            return known[:, 0].contiguous()
        return {task: known[:, k].contiguous() for k, task in enumerate(outputs)}

    @property
    def values(self) -> NDArray[Any]:
        return self.table

    def strata(self, whom: Sequence[str]) -> IntArray:
        """Number subjects by the first measure, some ten of about the same each."""
        subject = subject_numbers(len(self.table), list(whom))
        mean = np.bincount(subject, self.table[:, 0]) / np.bincount(subject)
        rank = np.argsort(np.argsort(mean, kind="stable"), kind="stable")
        bins = max(1, len(mean) // _IN_BIN)
        return np.asarray((rank * bins // len(mean))[subject])

    def teaches(self, rows: IntArray) -> bool:
        return bool((np.ptp(self.table[rows], axis=0) > 0).all())

    def loss(self, predicted: FloatArray) -> float:
        spread = np.maximum(self.table.std(axis=0), 1e-300)
        return float((((predicted - self.table) / spread) ** 2).mean())

    def quality(
        self,
        outputs: Mapping[str, FloatArray],
        fold: IntArray,
        whom: tuple[str, ...],
        config: TrainConfig,
    ) -> MeasureQuality:
        return measures_measured(outputs[""], self.table, fold, subjects=whom, seed=config.seed)


def class_indices(y: Any, n: int) -> tuple[NDArray[Any], IntArray]:
    """Return the classes, sorted, and each label's index into them; errors as scikit-learn words
    them.
    """
    from sklearn.utils import assert_all_finite, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets

    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "O" and any(value is None for value in labels):
        raise ArgumentError("Input y contains None", hint="label every scan, or leave it out")
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != n:
        raise ArgumentError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(labels)}]"
        )
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ArgumentError(
            f"The number of classes has to be greater than one; got {len(classes)} class",
            hint="add scans of another",
        )
    return classes, index.astype(np.int64)


def measure_table(y: Any, n: int) -> tuple[FloatArray, bool]:
    """Return measures (n, T), and whether they came as (n,); errors as scikit-learn words them."""
    from sklearn.utils import check_array

    if y is None:
        raise ArgumentError("requires y to be passed, but the target y is None")
    table = check_array(
        y, ensure_2d=False, allow_nd=True, dtype=np.float64, ensure_min_samples=2, input_name="y"
    )
    if table.ndim > 2:
        raise ArgumentError(f"measures must be (n,) or (n, T), found {table.shape}")
    same = np.flatnonzero(np.ptp(table.reshape(len(table), -1), axis=0) == 0)
    if len(same):
        raise ArgumentError(
            f"measure {same[0]} is the same for all {len(table)} scans: there is nothing to learn"
        )
    if len(table) != n:
        raise ArgumentError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(table)}]"
        )
    return table.reshape(n, -1), table.ndim == 1
