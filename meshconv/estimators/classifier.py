"""`SurfaceClassifier`: the whole pipeline, from scans and labels to a class and a saliency,
scikit-learn manners.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.estimators.classifier_file import read_classifier, write_classifier
from meshconv.nn.decnn import DECNN
from meshconv.registration.template import Template
from meshconv.saliency.explain import explanation, template_saliency
from meshconv.saliency.explanation import Explanation
from meshconv.stats.folds import warn_shared_subjects
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.fit import choose_head, fit_network
from meshconv.train.frames import population_template
from meshconv.train.inputs import as_prepared, class_indices, own_labels, subjects_of
from meshconv.train.loop import predict
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.reading import ScanLike

_STEPS = 8  # of the flow where the area element multiplies the density
Scans = Sequence[ScanLike] | Prepared | ArrayLike


class SurfaceClassifier(ClassifierMixin, BaseEstimator):
    """Classify surface scans, and say where on the surface the decision lives.

    scan -> mended disk -> registered map -> image -> `DECNN` -> class and density

    Parameters
    ----------
    size, network_size : int
        Nodes per side of the images, and of the equalized grid that the network sees.
    density : {'shared', 'sample', 'uniform'}
        One density for the population, one for each scan, or none. With a template, a density
        multiplies the area element: equal attention is equal area of *surface*. Without one, the
        frame is sampled evenly.
    ratio : float
        Largest / smallest density.
    warm_start : bool
        Start the density from where the classes of the training images differ, as far as that is
        more than chance gives. (Not scikit-learn's ``warm_start``: every `fit` starts afresh.)
    head : {'flatten', 'mean', 'mean+max', 'auto'}
        Whether the network tells places apart, or pools over them, see `DECNN`: ``flatten`` for
        scans that register well (faces), a pooled head where two scans share few places (organs
        turned or shaped anyhow). ``auto``: ``flatten`` or ``mean``, whichever has the smaller loss
        on the share `validation` of the training scans; costs about two fits more.
    width : int
        Channels of the first stage of the network.
    direct : bool, optional
        Whether linear heads also see every node of the equalized image, see `DECNN`; by default for
        scans (with a template) whose density is not one for each, with ``head='flatten'``.
    emphasis : float, optional
        Power of the density that multiplies what the network sees, see `DECNN`.
    template : Template, optional
        The frame; the mean of the first few training scans if None. Give one to share the frame
        (and the cache) between fits.
    channels : tuple of str
        Of those that `meshconv.channels` gives.
    repair : bool
        Mend scans first.
    mirror : bool
        Show mirror images of training scans too, mirrored in the frame. For effects that may be on
        either side.
    epochs, batch_size, learning_rate, label_smoothing, density_epochs, noise, variation,
    class_weights, precision
        See `TrainConfig`.
    patience : int
        Epochs without a better loss on `validation` before training stops; 0 for never.
    validation : float
        Share of the training scans (by subject) held out for `patience`, and for ``head='auto'``.
    on_error : {'raise', 'skip'}
        What a bad scan leads to in `fit`; those skipped are in ``skipped_``.
    cache, workers
        See `prepare`.
    checkpoint : path, optional
        Written after every epoch; `fit` on the same data goes on from it.
    device : str or torch.device, optional
        Where the network runs; the CPU if None.
    seed : int
    progress : bool
        Show a bar while scans are prepared, on a terminal only.

    Attributes
    ----------
    classes_ : (K,) array
    template_ : Template or None
        None if fitted on images.
    head_ : str
        The head in use.
    model_ : DECNN
    standardizer_ : Standardizer
    progress_ : Progress
        Losses by epoch.
    skipped_ : tuple of Skipped
        The scans that were left out of training, and why.
    n_features_in_ : int
        Channels of the images.

    Examples
    --------
    >>> images = np.random.default_rng(0).normal(size=(20, 1, 17, 17))
    >>> labels = np.array(["a", "b"] * 10)
    >>> images[labels == "b", :, 4:8, 4:8] += 2
    >>> model = SurfaceClassifier(network_size=9, epochs=8).fit(images, labels)
    >>> float(model.score(images, labels)) > 0.9
    True
    """

    def __init__(
        self,
        *,
        size: int = 129,
        network_size: int = 33,
        density: str = "shared",
        ratio: float = 10.0,
        warm_start: bool = True,
        head: str = "flatten",
        width: int = 8,
        direct: bool | None = None,
        emphasis: float | None = None,
        template: Template | None = None,
        channels: tuple[str, ...] = CHANNELS,
        repair: bool = True,
        mirror: bool = False,
        epochs: int = 60,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        label_smoothing: float = 0.1,
        density_epochs: int = 10,
        noise: float = 0.1,
        variation: float = 1.0,
        class_weights: str = "balanced",
        patience: int = 0,
        validation: float = 0.2,
        precision: str = "float32",
        on_error: str = "raise",
        cache: str | PathLike[str] | None = None,
        workers: int = 1,
        checkpoint: str | PathLike[str] | None = None,
        device: Any = None,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        self.size, self.network_size = size, network_size
        self.density, self.ratio, self.warm_start = density, ratio, warm_start
        self.head, self.width, self.direct, self.emphasis = head, width, direct, emphasis
        self.template, self.channels, self.repair, self.mirror = template, channels, repair, mirror
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.label_smoothing, self.noise, self.variation = label_smoothing, noise, variation
        self.density_epochs, self.class_weights, self.precision = (
            density_epochs,
            class_weights,
            precision,
        )
        self.patience, self.validation = patience, validation
        self.on_error, self.cache, self.workers = on_error, cache, workers
        self.checkpoint, self.device, self.seed, self.progress = checkpoint, device, seed, progress

    # --- fitting -------------------------------------------------------------------------------

    def fit(self, X: Scans, y: ArrayLike | None = None) -> Self:
        """Learn from scans (or images (n, C, N, N)) and their labels.

        Parameters
        ----------
        X : sequence of Scan, Surface, path or GeometryImage; Prepared; or (n, C, N, N) array
        y : (n,) array_like, optional
            Numbers or text; the labels the scans bring along if None.

        Raises
        ------
        ArgumentError
            If there is one class only, labels are missing, or their number is another; as
            scikit-learn words it.
        MeshConvError
            Of the first bad scan.
        """
        self.template_ = self.template
        prepared = as_prepared(
            X, lambda scans: self._prepare(scans, on_error=self.on_error, learn=True)
        )
        labels = own_labels(X, prepared) if y is None else np.asarray(y)
        if (
            y is not None
            and prepared.skipped
            and len(labels) == len(prepared) + len(prepared.skipped)
        ):
            labels = labels[prepared.kept]
        self.classes_, index = class_indices(labels, len(prepared))
        self.skipped_ = prepared.skipped
        self.subjects_ = frozenset(subjects_of(X)) - {""}
        self.channel_names_ = prepared.channel_names
        self.n_features_in_ = prepared.images.shape[1]
        self.head_ = choose_head(self, prepared, index) if self.head == "auto" else self.head
        fit_network(self, prepared, index)
        return self

    def network(self) -> DECNN:
        """Return a new network for the classes, channels and grid that were found."""
        in_channels, size = self.standardizer_.mean.shape[:2]
        in_frame = (
            self.template_ is not None and self.head_ == "flatten" and self.density != "sample"
        )
        direct = in_frame if self.direct is None else self.direct
        return DECNN(
            in_channels,
            len(self.classes_),
            size=size,
            network_size=min(self.network_size, size),
            head=self.head_,
            width=self.width,
            direct=direct,
            emphasis=self.emphasis,
            density=self.density,
            ratio=self.ratio,
            steps=None if self.template_ is None else _STEPS,
            seed=self.seed,
        )

    def _prepare_config(self) -> PrepareConfig:
        return PrepareConfig(self.size, tuple(self.channels), self.repair)

    def _prepare(
        self, scans: Sequence[ScanLike], *, on_error: str, learn: bool = False
    ) -> Prepared:
        if learn and self.template_ is None:
            self.template_ = population_template(scans, on_error=on_error)
        if self.template_ is None:
            raise ArgumentError(
                "fitted on images: there is no frame to bring scans into", hint="pass template="
            )
        return prepare(
            scans,
            self.template_,
            config=self._prepare_config(),
            cache=self.cache,
            workers=self.workers,
            on_error=on_error,
            progress=self.progress,
        )

    # --- using ---------------------------------------------------------------------------------

    def predict_proba(self, X: Scans) -> FloatArray:
        """Return the probability of each class, (n, K), columns as in ``classes_``."""
        check_is_fitted(self)
        prepared = as_prepared(X, lambda scans: self._prepare(scans, on_error="raise"))
        found, expected = prepared.images.shape[1], self.n_features_in_
        if found != expected:
            raise ArgumentError(
                f"X has {found} features, but {type(self).__name__} is expecting {expected} features as input"
            )
        logits = predict(
            self.model_, self.standardizer_(prepared.images), batch_size=self.batch_size
        )
        return np.asarray(torch.softmax(logits.double(), dim=1).numpy())

    def predict(self, X: Scans) -> NDArray[Any]:
        """Return the most probable class of each scan, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def score(
        self, X: Scans, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy; with the scans' own labels if `y` is None.

        Warns
        -----
        MeshConvWarning
            If a subject was among those the classifier learned from.
        """
        check_is_fitted(self)
        warn_shared_subjects(self.subjects_, subjects_of(X))
        if y is None:
            prepared = as_prepared(X, lambda scans: self._prepare(scans, on_error="raise"))
            return float(super().score(prepared, own_labels(X, prepared), sample_weight))
        return float(super().score(X, y, sample_weight))

    def explain(self, scan: ScanLike, *, method: str = "density") -> Explanation:
        """Return the class of one scan and its saliency on every vertex.

        Parameters
        ----------
        scan : Scan, Surface or path
        method : {'density', 'gradient', 'gradcam'}
            See `meshconv.saliency.attribute.attribute`.
        """
        check_is_fitted(self)
        if self.template_ is None:
            raise ArgumentError(
                "fitted on images: there is no frame to bring a scan into", hint="pass template="
            )
        return explanation(self, scan, self.template_, self._prepare_config(), method)

    def template_saliency(self) -> FloatArray:
        """Return the population's density on the vertices of the template, (V,), scaled to 0..1."""
        check_is_fitted(self)
        if self.template_ is None:
            raise ArgumentError("fitted on images: there is no template", hint="pass template=")
        return template_saliency(self, self.template_)

    # --- files ---------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted classifier to one checksummed file that cannot run code."""
        check_is_fitted(self)
        write_classifier(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], *, device: Any = None) -> Self:
        """Read a classifier that `save` wrote.

        Raises
        ------
        MissingFileError, CheckpointError
            If there is none, or it is damaged, foreign or of another kind.
        """
        new = cls(device=device)
        read_classifier(new, path)
        return new

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # images (n, C, N, N), or scans
        return tags
