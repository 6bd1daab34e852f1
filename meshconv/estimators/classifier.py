"""`SurfaceClassifier`: the whole pipeline, from scans and labels to a class and a saliency,
scikit-learn manners.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.estimators.fitted_parts import FittedParts
from meshconv.registration.template import Template
from meshconv.saliency.explain import explain, template_saliency
from meshconv.saliency.explanation import Explanation
from meshconv.stats.folds import warn_shared_subjects
from meshconv.train.config import NetworkConfig, PrepareConfig, Settings, TrainConfig
from meshconv.train.fit import fit
from meshconv.train.fitted import predict
from meshconv.train.fitted_file import load_fitted, save_fitted
from meshconv.train.frames import population_template
from meshconv.train.inputs import as_prepared, labels_of
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.ranks import Ranks
from meshconv.train.scans import ScanLike, subjects_of

Scans = Sequence[ScanLike] | Prepared | ArrayLike


class SurfaceClassifier(FittedParts, ClassifierMixin, BaseEstimator):
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
    backbone : {'small', 'dynamic_stride', 'adaptive', 'recalibration', 'scale_equivariant'}
        The convolutions: plain, or with layers that adapt, see `meshconv.nn.layers.convert`. What
        these saw comes back to the surface by ``explain`` with the method ``landing``,
        ``attention`` or ``levels``.
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
    verdict : int
        Folds in which `fit` also measures the classifier on subjects it has not seen (``quality_``:
        accuracy and AUC with intervals, and whether they are more than chance) and calibrates its
        probabilities; 0 for neither. Five cost four times what training does, some 30 seconds for
        200 scans, and nothing of what preparing them does.
    on_error : {'raise', 'skip'}
        What a bad scan leads to in `fit`; those skipped are in ``skipped_``.
    cache, workers, client
        See `prepare`. A client is shared by all clones.
    checkpoint : path, optional
        Written after every epoch; `fit` on the same data goes on from it.
    device : str or torch.device, optional
        Where the network runs; the CPU if None.
    seed : int
    progress : bool
        Show a bar while scans are prepared and learned from; elsewhere than on a terminal, a line
        a minute.

    Attributes
    ----------
    fitted_ : Fitted
        What training left, as one value; the other attributes that end with ``_`` are its parts.

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
        size: int = PrepareConfig.size,
        network_size: int = NetworkConfig.network_size,
        density: str = NetworkConfig.density,
        ratio: float = NetworkConfig.ratio,
        warm_start: bool = NetworkConfig.warm_start,
        head: str = NetworkConfig.head,
        width: int = NetworkConfig.width,
        direct: bool | None = NetworkConfig.direct,
        emphasis: float | None = NetworkConfig.emphasis,
        backbone: str = NetworkConfig.backbone,
        template: Template | None = None,
        channels: tuple[str, ...] = PrepareConfig.channels,
        repair: bool = PrepareConfig.repair,
        mirror: bool = TrainConfig.mirror,
        epochs: int = TrainConfig.epochs,
        batch_size: int = TrainConfig.batch_size,
        learning_rate: float = TrainConfig.learning_rate,
        label_smoothing: float = TrainConfig.label_smoothing,
        density_epochs: int = TrainConfig.density_epochs,
        noise: float = TrainConfig.noise,
        variation: float = TrainConfig.variation,
        class_weights: str = TrainConfig.class_weights,
        patience: int = TrainConfig.patience,
        validation: float = TrainConfig.validation,
        precision: str = TrainConfig.precision,
        verdict: int = TrainConfig.verdict,
        on_error: str = "raise",
        cache: str | PathLike[str] | None = None,
        workers: int = 1,
        client: Any = None,
        checkpoint: str | PathLike[str] | None = None,
        device: Any = None,
        seed: int = TrainConfig.seed,
        progress: bool = False,
    ) -> None:
        self.size, self.channels, self.repair, self.template = size, channels, repair, template
        self.network_size, self.width, self.head, self.direct = network_size, width, head, direct
        self.density, self.ratio, self.warm_start = density, ratio, warm_start
        self.emphasis, self.backbone, self.mirror = emphasis, backbone, mirror
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.label_smoothing, self.noise, self.variation = label_smoothing, noise, variation
        self.density_epochs, self.class_weights = density_epochs, class_weights
        self.patience, self.validation, self.precision = patience, validation, precision
        self.verdict = verdict
        self.on_error, self.cache, self.workers = on_error, cache, workers
        self.client, self.progress = client, progress
        self.checkpoint, self.device, self.seed = checkpoint, device, seed

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
        settings, frame = Settings.of(self.get_params(deep=False)), self.template

        def in_frame(scans: Sequence[ScanLike]) -> Prepared:
            nonlocal frame
            ranks, given = Ranks.here(), frame
            frame = ranks.from_first(
                lambda: given or population_template(scans, on_error=self.on_error)
            )
            how = {**self._reading(), "on_error": self.on_error}
            with ranks.first_then_others():  # who find the images in the cache, if there is one
                return prepare(scans, frame, config=settings.prepare, **how)

        prepared = as_prepared(X, in_frame)
        self.fitted_ = fit(
            prepared,
            labels_of(X, y, prepared),
            settings,
            template=frame,
            device=self.device,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        return self

    def predict_proba(self, X: Scans) -> FloatArray:
        """Return the probability of each class, (n, K), columns as in ``classes_``."""
        prepared = self._prepared(X)
        found, expected = prepared.images.shape[1], self.n_features_in_
        if found != expected:
            raise ArgumentError(
                f"X has {found} features, but {type(self).__name__} is expecting {expected}"
                " features as input"
            )
        return predict(self.fitted_, prepared)

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
        warn_shared_subjects(self.fitted_.subjects, subjects_of(X))
        if y is not None:
            return float(super().score(X, y, sample_weight))
        prepared = self._prepared(X)
        return float(super().score(prepared, labels_of(X, None, prepared), sample_weight))

    def explain(self, scan: Any, *, method: str = "density") -> Explanation:
        """Return the class of one scan and its saliency on every vertex, see
        `meshconv.saliency.explain.explain`.
        """
        check_is_fitted(self)
        return explain(self.fitted_, scan, method=method)

    def template_saliency(self) -> FloatArray:
        """Return the population's density on the vertices of the template, (V,), scaled to 0..1."""
        check_is_fitted(self)
        return template_saliency(self.fitted_)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted classifier to one checksummed file that cannot run code."""
        check_is_fitted(self)
        save_fitted(self.fitted_, path)

    @classmethod
    def load(cls, path: str | PathLike[str], *, device: Any = None) -> Self:
        """Read a classifier that `save` wrote.

        Raises
        ------
        MissingFileError, CheckpointError
            If there is none, or it is damaged, foreign or of another kind.
        """
        fitted = load_fitted(path, device=device)
        known, options = cls._get_param_names(), fitted.settings.options()
        own = {name: value for name, value in options.items() if name in known}
        new = cls(**own, template=fitted.template, device=device)
        new.fitted_ = fitted
        return new

    def _prepared(self, X: Scans) -> Prepared:
        check_is_fitted(self)
        own = self._reading()
        return as_prepared(X, lambda scans: prepare(scans, **self.fitted_.preparation, **own))

    def _reading(self) -> dict[str, Any]:
        names = ("cache", "workers", "client", "progress")
        return {name: getattr(self, name) for name in names}

    def __sklearn_clone__(self) -> Self:
        shell = copy(self)
        shell.client = None  # a connection has no copies
        clone: Self = super(SurfaceClassifier, shell).__sklearn_clone__()
        return clone.set_params(client=self.client)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # images (n, C, N, N), or scans
        return tags
