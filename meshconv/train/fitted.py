"""`Fitted`: what training leaves, as one value; predictions are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.registration.template import Template
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.loop import predict_logits
from meshconv.train.prepared import Prepared
from meshconv.train.progress import Progress
from meshconv.train.quality import Quality
from meshconv.train.scans import Skipped


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network with all that is needed to use it on a new scan.

    Attributes
    ----------
    network : DECNN
        In evaluation mode, on the device that it was trained on.
    standardizer : Standardizer
    classes : (K,) array
        Sorted; a column of the probabilities each.
    template : Template or None
        The frame; None if it learned from images.
    settings : Settings
    channel_names : tuple of C str
    head : str
        The head in use, which ``settings.network.head == "auto"`` leaves open.
    subjects : frozenset of str
        Whom the images that it learned from are of, as far as that is known.
    skipped : tuple of Skipped
        The scans that were left out of training, and why.
    progress : Progress
        Losses by epoch.
    quality : Quality or None
        How good it is on subjects it has not seen; None if that was not asked for, or a class has
        too few subjects.
    """

    network: DECNN
    standardizer: Standardizer
    classes: NDArray[Any]
    template: Template | None
    settings: Settings
    channel_names: tuple[str, ...]
    head: str
    subjects: frozenset[str]
    skipped: tuple[Skipped, ...]
    progress: Progress
    quality: Quality | None = None

    @property
    def temperature(self) -> float:
        """What logits are divided by so that probabilities are honest; 1 if that was not
        measured.
        """
        return 1.0 if self.quality is None else self.quality.temperature

    @property
    def frame(self) -> Template:
        """The template, or an error that says that there is none.

        Raises
        ------
        ArgumentError
            If it learned from images.
        """
        if self.template is None:
            raise ArgumentError(
                "fitted on images: there is no frame to bring a scan into", hint="pass template="
            )
        return self.template

    @property
    def preparation(self) -> dict[str, Any]:
        """The frame and the settings with which `prepare` brings other scans to this network."""
        return {"template": self.frame, "config": self.settings.prepare}


def predict(fitted: Fitted, prepared: Prepared) -> FloatArray:
    """Return the probability of each class for each image, (n, K), columns as in
    ``fitted.classes``; calibrated, if the quality was measured.

    Raises
    ------
    ArrayTypeError
        If the images have other channels or another size than those that it learned from.
    """
    return np.asarray(softmax(logits_of(fitted, prepared.images) / fitted.temperature, axis=1))


def logits_of(fitted: Fitted, images: Any) -> FloatArray:
    """Return the network's logits (n, K) of images (n, C, N, N), as they are."""
    x, batch = fitted.standardizer.of(images), fitted.settings.train.batch_size
    return np.asarray(predict_logits(fitted.network, x, batch_size=batch).double().numpy())
