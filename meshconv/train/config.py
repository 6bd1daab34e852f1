"""What preparation and training are told to do, as data: the one place where their defaults stand;
compared when a run is resumed, written beside results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from meshconv._check import in_range, one_of, whole_number
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
DENSITIES = ("auto", "shared", "sample", "uniform")
HEADS = ("flatten", "mean", "mean+max", "auto")
BACKBONES = ("small", "dynamic_stride", "adaptive", "recalibration", "scale_equivariant")
PRECISIONS = ("float32", "bfloat16")
MEASURED = (False, True, "axial")


@dataclass(frozen=True)
class PrepareConfig:
    """How a scan becomes an image.

    Attributes
    ----------
    size : int
        Nodes per side.
    channels : tuple of str
        Of those that `meshconv.channels` gives.
    detail : float
        At which length normals are taken, whatever mesh the scan has: the standard deviation of a
        blur, as a share of the side, see `meshconv.resample.placed.Placed.image`; positions are
        read to second order. 0: as the mesh has them; then what was learned on dense meshes does
        not hold on coarse ones.
    repair : bool
        Mend the scan first (`meshconv.repair`); a scan that needs it and does not get it is
        refused.
    measures : bool or 'axial'
        Whether `meshconv.shape_measures` of the mended scan come beside its image; ``axial``: with
        those of its sections across z.
    """

    size: int = 129
    channels: tuple[str, ...] = CHANNELS
    detail: float = 0.006
    repair: bool = True
    measures: bool | str = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON and users give lists
        grid_size(self.size)
        if not self.channels:
            raise ArgumentError("channels: at least one is needed")
        in_range(self.detail, 0.0, 0.25, "detail")
        if self.measures not in MEASURED:
            raise ArgumentError(f"measures must be True, False or 'axial', found {self.measures!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "channels": list(self.channels)}


@dataclass(frozen=True)
class NetworkConfig:
    """What is trained: the options of `DECNN` that a study chooses, see there.

    Attributes
    ----------
    network_size : int
        Nodes per side of the equalized grid that the network sees.
    density : {'auto', 'shared', 'sample', 'uniform'}
        ``auto``: a shared one and a uniform one beside it. How much each counts is learned from
        scans held out (those of the verdict; without a verdict, both count alike).
    ratio : float
        Largest / smallest density.
    warm_start : bool
        Start the density from where the classes of the training images differ.
    head : {'flatten', 'mean', 'mean+max', 'auto'}
        ``auto``: ``flatten`` or ``mean``, whichever does better on held-out images.
    width : int
    direct : bool, optional
        By default there are direct heads where images lie in the frame of a template, all under one
        density, and the head is ``flatten``; they are solved in closed form (ridge regression), and
        how much they count is learned as for ``density="auto"``. True: they are trained, and added
        to the others.
    emphasis : float, optional
    backbone : {'small', 'dynamic_stride', 'adaptive', 'recalibration', 'scale_equivariant'}
    """

    network_size: int = 33
    density: str = "auto"
    ratio: float = 10.0
    warm_start: bool = True
    head: str = "flatten"
    width: int = 8
    direct: bool | None = None
    emphasis: float | None = None
    backbone: str = "small"

    def __post_init__(self) -> None:
        grid_size(self.network_size, "network_size")
        one_of(self.density, DENSITIES, "density")
        in_range(self.ratio, 1.0, 1e6, "ratio")
        one_of(self.head, HEADS, "head")
        one_of(self.backbone, BACKBONES, "backbone")
        whole_number(self.width, 1, "width")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


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
        Epochs in which a density that all images share is learned on by gradient; then it is fixed
        and the images are brought to the equalized grid once and for all, which makes every further
        epoch several times cheaper. Beyond what it starts from (`NetworkConfig.warm_start`) nothing
        was ever gained by it; see `density_turns`.
    density_turns : int
        For `fit`: turns in which a density that all images share goes on learning before the
        training, by the loss of one half of the images, from which the weights behind it do not
        learn, and the other way round (`meshconv.train.turns.learn_in_turn`); 0 for none. Where the
        evidence found nothing, it stays flat. Twenty cost as much as training for 60 epochs.
    evidence : float
        Weight of the loss of the evidence that a density of each image's own is made of.
    noise : float
        Standard deviation of the noise added to every channel the network sees, in that channel's
        standard deviations.
    variation : float
        Standard deviation of the share of another difference that is added to each image: that of
        two random training images of one class. New individuals, in the directions in which
        individuals vary.
    mirror : bool
        Show mirror images too, mirrored in the frame; for `fit`, which knows the frame.
    class_weight : 'balanced', None, or dict of class to float
        How much each class weighs, as scikit-learn spells it: ``balanced``, all classes alike
        whatever their number; None, all images alike. Classes that a dict does not name weigh 1.
        `fit` takes labels, `train` takes numbers 0..K-1.
        Where there is a verdict, half of what frequencies say is put back into probabilities, see
        `meshconv.train.stacking.log_frequencies`.
    patience : int
        Epochs without a better validation loss before training stops; 0 never stops. The best
        weights are kept. Needs a validation set.
    validation : float
        Share of the training images that `fit` holds out for `patience` and for ``head='auto'``.
    precision : {'float32', 'bfloat16'}
        Of the convolutions (autocast).
    verdict : int
        Folds in which `fit` measures the network on subjects it has not seen, and learns from them
        how much each of its parts counts and how sure it may be, see
        `meshconv.train.quality.Quality`; 0 for neither. Each fold costs a training on the other
        folds: five cost four times what the training does, and nothing of what preparing the scans
        does.
    seed : int
        Of batches, noise, dropout, mirroring and folds.
    """

    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    density_epochs: int = 0
    density_turns: int = 0
    evidence: float = 0.5
    noise: float = 0.1
    variation: float = 1.0
    mirror: bool = False
    class_weight: str | Mapping[Any, float] | None = "balanced"
    patience: int = 0
    validation: float = 0.2
    precision: str = "float32"
    verdict: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            whole_number(getattr(self, name), 1, name)
        for name in ("density_epochs", "density_turns", "patience", "seed", "verdict"):
            whole_number(getattr(self, name), 0, name)
        if self.verdict == 1:
            raise ArgumentError("verdict: at least 2 folds are needed, or 0 for none, found 1")
        if not 0 < self.learning_rate < math.inf:
            raise ArgumentError(
                f"learning_rate must be positive and finite, found {self.learning_rate}"
            )
        in_range(self.label_smoothing, 0.0, 0.99, "label_smoothing")
        for name in ("weight_decay", "evidence", "noise", "variation"):
            in_range(getattr(self, name), 0.0, 100.0, name)
        object.__setattr__(self, "class_weight", _class_weight(self.class_weight))
        one_of(self.precision, PRECISIONS, "precision")

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return _plain({one.name: getattr(self, one.name) for one in fields(self)})


def _class_weight(given: Any) -> str | dict[Any, float] | None:
    """Return class weights, checked; a list of pairs is how they lie in a file."""
    if given is None or isinstance(given, str):
        return given if given is None else one_of(given, ("balanced",), "class_weight")
    if not isinstance(given, Mapping | list | tuple):
        raise ArgumentError(
            f"class_weight must be 'balanced', None or a dict, found {type(given).__name__}"
        )
    weights = dict(given)
    for label, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ArgumentError(f"class_weight of {label!r} must be at least 0, found {weight}")
    return weights


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as JSON values: labels, which may be numbers, are no keys there."""
    weights = options["class_weight"]
    pairs = [list(pair) for pair in weights.items()] if isinstance(weights, dict) else weights
    return {**options, "class_weight": pairs}


@dataclass(frozen=True)
class Settings:
    """All that `meshconv.train.fit.fit` is told: how scans become images, what is trained, and
    how.
    """

    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the settings that options by name make; those of other things are passed over.

        >>> Settings.of({"epochs": 5, "width": 4, "workers": 2}).train.epochs
        5
        """

        def some(kind: Any) -> dict[str, Any]:
            return {one.name: options[one.name] for one in fields(kind) if one.name in options}

        return cls(
            PrepareConfig(**some(PrepareConfig)),
            NetworkConfig(**some(NetworkConfig)),
            TrainConfig(**some(TrainConfig)),
        )

    def made(self, preparation: Callable[[PrepareConfig], PrepareConfig]) -> Settings:
        """Return the same with what images say of how they were made."""
        return replace(self, prepare=preparation(self.prepare))

    def options(self) -> dict[str, Any]:
        """Return all options by name: the inverse of `of`."""
        parts = (self.prepare, self.network, self.train)
        return {one.name: getattr(part, one.name) for part in parts for one in fields(part)}

    def as_dict(self) -> dict[str, Any]:
        """Return all options as JSON values."""
        return _plain({**self.options(), "channels": list(self.prepare.channels)})
