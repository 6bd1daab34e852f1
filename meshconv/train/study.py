"""`Study`: images, what is to be learned of them, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.registration.frame import Frame
from meshconv.stats.folds import hold_out
from meshconv.train.config import Settings, TrainConfig
from meshconv.train.prepared import Prepared
from meshconv.train.target import Target


@dataclass(frozen=True, eq=False)
class Study:
    """What is learned from, and how."""

    prepared: Prepared
    target: Target
    weight: FloatArray | None
    settings: Settings
    template: Frame | None
    device: Any

    def take(self, rows: IntArray) -> Study:
        """Return the study of some of the images."""
        weight = None if self.weight is None else self.weight[rows]
        prepared, target = self.prepared.take(rows), self.target.take(rows)
        return replace(self, prepared=prepared, target=target, weight=weight)

    def weighed(self) -> Study:
        """Return the study of the images that weigh something."""
        if self.weight is None or (self.weight > 0).all():
            return self
        found = self.take(np.flatnonzero(self.weight > 0))
        return replace(found, prepared=replace(found.prepared, skipped=self.prepared.skipped))

    @property
    def strata(self) -> IntArray:
        """What parts hold in proportion."""
        return self.target.strata(self.prepared.subjects)

    @property
    def config(self) -> TrainConfig:
        """How to train, in numbers of classes."""
        return self.target.config(self.settings.train)

    def halves(self) -> tuple[IntArray, IntArray]:
        """Return the rows to learn from and those held out."""
        share, seed = self.settings.train.validation, self.settings.train.seed
        return hold_out(self.strata, self.prepared.subjects, share=share, seed=seed)
