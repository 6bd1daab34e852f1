"""What preparation and training are told to do, as data: compared when a run is resumed, written
beside results.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

from meshconv._check import in_range, one_of
from meshconv.errors import ArgumentError
from meshconv.resample.grid import grid_size

CHANNELS = (
    "difference_x",
    "difference_y",
    "difference_z",
    "normal_x",
    "normal_y",
    "normal_z",
)
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class PrepareConfig:
    """How a scan becomes an image.

    Attributes
    ----------
    size : int
        Nodes per side.
    channels : tuple of str
        Of those that `meshconv.channels` gives.
    repair : bool
        Mend the scan first (`meshconv.repair`); a scan that needs it and does not get it is
        refused.
    """

    size: int = 129
    channels: tuple[str, ...] = CHANNELS
    repair: bool = True

    def __post_init__(self) -> None:
        grid_size(self.size)
        if not self.channels:
            raise ArgumentError("channels: at least one is needed")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "channels": list(self.channels)}


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over the first epoch and falls along a cosine.
    label_smoothing : float
        Share of each target that is spread over all classes.
    density_epochs : int
        Epochs in which a density that all images share is learned; then it is fixed and the images
        are brought to the equalized grid once and for all, which makes every further epoch several
        times cheaper.
    evidence : float
        Weight of the loss of the evidence that a density of each image's own is made of.
    noise : float
        Standard deviation of the noise added to every channel the network sees, in that channel's
        standard deviations.
    variation : float
        Standard deviation of the share of another difference that is added to each image: that of
        two random training images of one class. New individuals, in the directions in which
        individuals vary.
    class_weights : {'balanced', 'none'}
        Whether rare classes weigh more.
    patience : int
        Epochs without a better validation loss before training stops; 0 never stops. The best
        weights are kept. Needs a validation set.
    precision : {'float32', 'bfloat16'}
        Of the convolutions (autocast).
    seed : int
        Of batches, noise, dropout and mirroring.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    density_epochs: int = 10
    evidence: float = 0.5
    noise: float = 0.1
    variation: float = 1.0
    class_weights: str = "balanced"
    patience: int = 0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("density_epochs", 0),
            ("patience", 0),
            ("seed", 0),
        ):
            found = getattr(self, name)
            if isinstance(found, bool) or not isinstance(found, Integral) or found < least:
                raise ArgumentError(
                    f"{name} must be a whole number of at least {least}, found {found!r}"
                )
        if not 0 < self.learning_rate < math.inf:
            raise ArgumentError(
                f"learning_rate must be positive and finite, found {self.learning_rate}"
            )
        in_range(self.weight_decay, 0.0, 100.0, "weight_decay")
        in_range(self.label_smoothing, 0.0, 0.99, "label_smoothing")
        in_range(self.evidence, 0.0, 100.0, "evidence")
        in_range(self.noise, 0.0, 100.0, "noise")
        in_range(self.variation, 0.0, 100.0, "variation")
        one_of(self.class_weights, ("balanced", "none"), "class_weights")
        one_of(self.precision, PRECISIONS, "precision")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)
