"""The parts of what training left, by the names that scikit-learn gives such attributes."""

from __future__ import annotations

from typing import cast

from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.registration.template import Template
from meshconv.train.dataset import Standardizer
from meshconv.train.fitted import Fitted
from meshconv.train.measure_quality import AnyQuality
from meshconv.train.progress import Progress
from meshconv.train.skipped import Skipped


class FittedParts:
    """Read-only attributes of an estimator that holds a `Fitted`; there once it does."""

    fitted_: Fitted

    @property
    def template_(self) -> Template | None:
        """The frame; None if fitted on images."""
        return cast("Template | None", self.fitted_.template)

    @property
    def head_(self) -> str:
        """The head in use."""
        return self.fitted_.head

    @property
    def model_(self) -> DECNN | Ensemble:
        """The network, or the networks that are weighed against each other."""
        return self.fitted_.network

    @property
    def standardizer_(self) -> Standardizer:
        """What is subtracted from images, and what they are divided by."""
        return self.fitted_.standardizer

    @property
    def progress_(self) -> Progress:
        """Losses by epoch."""
        return self.fitted_.progress

    @property
    def skipped_(self) -> tuple[Skipped, ...]:
        """The scans that were left out of training, and why."""
        return self.fitted_.skipped

    @property
    def quality_(self) -> AnyQuality | None:
        """How good it is on subjects it has not seen."""
        return self.fitted_.quality

    @property
    def subjects_(self) -> frozenset[str]:
        """Whom the scans that it learned from are of."""
        return self.fitted_.subjects

    @property
    def n_features_in_(self) -> int:
        """Channels of the images."""
        return len(self.fitted_.channel_names)
