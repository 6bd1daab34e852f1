"""`Fitted`: what training leaves, as one value; predictions are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.registration.frame import Frame
from meshconv.train.blend import Blend
from meshconv.train.config import Settings
from meshconv.train.dataset import Standardizer
from meshconv.train.loop import predict_logits
from meshconv.train.measure_quality import AnyQuality, MeasureQuality
from meshconv.train.prepared import Prepared
from meshconv.train.progress import Progress
from meshconv.train.reading import Classes, Measures
from meshconv.train.skipped import Skipped

BLENDED = ""  # the one part of what has no other


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network with all that is needed to use it on a new scan.

    Attributes
    ----------
    network : Ensemble, or DECNN of measures
        In evaluation mode, on the device that it was trained on.
    standardizer : Standardizer
    reading : Classes or Measures
        What its outputs are.
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
    quality : Quality, MeasureQuality or None
        How good it is on subjects it has not seen; None if that was not asked for, or a class has
        too few subjects.
    blend : Blend or None
        What measures of a scan say beside the network, where they were asked for.
    """

    network: DECNN | Ensemble
    standardizer: Standardizer
    reading: Classes | Measures
    template: Frame | None
    settings: Settings
    channel_names: tuple[str, ...]
    head: str
    subjects: frozenset[str]
    skipped: tuple[Skipped, ...]
    progress: Progress
    quality: AnyQuality | None = None
    blend: Blend | None = None

    @property
    def classes(self) -> NDArray[Any]:
        """The classes, sorted, a column of the probabilities each; none of a network of measures,
        (0,).
        """
        return self.reading.values if isinstance(self.reading, Classes) else np.zeros(0)

    @property
    def temperature(self) -> FloatArray | float:
        """What outputs are divided by so that square errors of measures are least, or
        probabilities, where measures speak beside the network, honest; else 1: the network's
        weights hold it.
        """
        if isinstance(self.quality, MeasureQuality):
            return self.quality.temperature
        if self.quality is None or self.blend is None:
            return 1.0
        return 1 / self.quality.weights[BLENDED]

    @property
    def frame(self) -> Frame:
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


def require_alike(prepared: Prepared, fitted: Fitted) -> None:
    """Raise `ArgumentError` if images say that they were made otherwise than those learned from."""
    how = fitted.settings.prepare
    if prepared.detail is None or fitted.channel_names != how.channels:  # it is not known
        return
    if (prepared.channel_names, prepared.detail) != (how.channels, how.detail):
        raise ArgumentError(
            f"images of {', '.join(prepared.channel_names)} at detail {prepared.detail:g}, learned"
            f" from {', '.join(how.channels)} at {how.detail:g}",
            hint="prepare them with fitted_.preparation, or pass the scans",
        )


def predict(fitted: Fitted, prepared: Prepared) -> FloatArray:
    """Return the probability of each class for each image, (n, K), columns as in
    ``fitted.classes``, calibrated if the quality was measured; of a network of measures these,
    (n, T).

    Raises
    ------
    ArrayTypeError
        If the images have other channels or another size than those that it learned from.
    """
    return read_outputs(fitted, raw_outputs(fitted, prepared.images, prepared.measures))


def read_outputs(fitted: Fitted, raw: FloatArray) -> FloatArray:
    """Return probabilities, or measures, of raw outputs (n, K)."""
    return fitted.reading(raw, fitted.temperature)


def outputs_of(fitted: Fitted, prepared: Prepared) -> dict[str, FloatArray]:
    """Return what the quality is measured of: logits (n, K) of each part, of a network and measures
    together (`BLENDED`), or measures (n, T).
    """
    if isinstance(fitted.reading, Measures) or fitted.blend is not None:
        raw = raw_outputs(fitted, prepared.images, prepared.measures)
        return {BLENDED: fitted.reading(raw) if isinstance(fitted.reading, Measures) else raw}
    x, batch = fitted.standardizer.of(prepared.images), fitted.settings.train.batch_size
    said = fitted.network.by_part if isinstance(fitted.network, Ensemble) else None
    found = predict_logits(fitted.network, x, batch_size=batch, of=said)
    return {part: logits.double().numpy() for part, logits in found.items()}


def raw_outputs(fitted: Fitted, images: Any, measures: FloatArray | None = None) -> FloatArray:
    """Return what the network gives for images (n, C, N, N), as it is, (n, K); with `measures`
    (n, M) of their scans where it was fitted with these.
    """
    x, batch = fitted.standardizer.of(images), fitted.settings.train.batch_size
    found = predict_logits(fitted.network, x, batch_size=batch)
    parts = list(found.values()) if isinstance(found, dict) else [found]
    raw = np.concatenate([part.double().numpy() for part in parts], axis=1)
    return raw if fitted.blend is None else fitted.blend(raw, measures)
