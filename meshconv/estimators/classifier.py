"""`SurfaceClassifier`: the whole pipeline, from scans and labels to a class and a saliency."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from meshconv._check import FloatArray
from meshconv.estimators.surface_estimator import Scans, SurfaceEstimator
from meshconv.registration.template import Template
from meshconv.train.config import NetworkConfig, PrepareConfig, TrainConfig
from meshconv.train.reading import Classes
from meshconv.train.target import ClassTarget, Target


class SurfaceClassifier(ClassifierMixin, SurfaceEstimator):
    """Classify surface scans, and say where on the surface the decision lives.

    scan -> mended disk -> registered map -> image -> `DECNN` -> class and density

    Parameters
    ----------
    size, network_size : int
        Nodes per side of the images, and of the equalized grid that the network sees.
    density : {'auto', 'shared', 'sample', 'uniform'}
        One density for the population, one for each scan, or none; ``auto``: two networks, one with
        a shared density and one without, each of which counts as much as scans held out say
        (``quality_.weights``). With a template, a density multiplies the area element: equal
        attention is equal area of *surface*. Without one, the frame is sampled evenly.
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
        Whether linear heads also see every node of the equalized image, see `DECNN`. By default
        they do for scans (with a template) whose density is not one for each, with
        ``head='flatten'``, and count as much as scans held out say.
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
    detail : float
        At which length normals are taken, a share of the side of the images, see `PrepareConfig`.
    repair : bool
        Mend scans first.
    measures : bool or 'axial'
        Let `shape_measures` of each scan speak beside the network: a logistic regression and a
        kernel on families of them (`meshconv.stats.measure_model.MeasureModel`),
        and the share of it in the answer (0, a quarter, .. all) that has the least loss on the
        share `validation` of the training scans; costs about one fit more. ``axial``: with the
        measures of sections across z, for organs in the pose of the scanner. For organs without
        common places, on which measures are hard to beat. What `explain` shows is the network's.
    mirror : bool
        Show mirror images of training scans too, mirrored in the frame. For effects that may be on
        either side.
    epochs, batch_size, learning_rate, label_smoothing, density_epochs, density_turns, noise,
    variation, precision
        See `TrainConfig`.
    class_weight : 'balanced', None, or dict of class to float
        How much each class weighs in the loss.
    patience : int
        Epochs without a better loss on `validation` before training stops; 0 for never.
    validation : float
        Share of the training scans (by subject) held out for `patience`, and for ``head='auto'``.
    verdict : int
        Folds in which `fit` also measures the classifier on subjects it has not seen (``quality_``:
        accuracy and AUC with intervals, and whether they are more than chance), and learns from
        them what counts how much, and how sure it may be; 0 for neither. Five cost four times what
        training does, and nothing of what preparing the scans does.
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

    _reads = Classes

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
        detail: float = PrepareConfig.detail,
        repair: bool = PrepareConfig.repair,
        measures: bool | str = PrepareConfig.measures,
        mirror: bool = TrainConfig.mirror,
        epochs: int = TrainConfig.epochs,
        batch_size: int = TrainConfig.batch_size,
        learning_rate: float = TrainConfig.learning_rate,
        label_smoothing: float = TrainConfig.label_smoothing,
        density_epochs: int = TrainConfig.density_epochs,
        density_turns: int = TrainConfig.density_turns,
        noise: float = TrainConfig.noise,
        variation: float = TrainConfig.variation,
        class_weight: str | Mapping[Any, float] | None = TrainConfig.class_weight,
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
        self._keep(locals())

    def fit(
        self, X: Scans, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from scans (or images (n, C, N, N)) and their labels.

        Parameters
        ----------
        X : sequence of Scan, Surface, path or GeometryImage; Prepared; or (n, C, N, N) array
        y : (n,) array_like, optional
            Numbers or text; the labels the scans bring along if None.
        sample_weight : (n,) array_like, optional
            How much each scan weighs in the loss; scans of weight 0 are left out.

        Raises
        ------
        ArgumentError
            If there is one class only, labels are missing, or their number is another; as
            scikit-learn words it.
        MeshConvError
            Of the first bad scan.
        """
        return self._fit(X, y, sample_weight)

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, (K,)."""
        return self.fitted_.classes

    def predict_proba(self, X: Scans) -> FloatArray:
        """Return the probability of each class, (n, K), columns as in ``classes_``."""
        return self._outputs(X)

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
        return self._scored(super().score, X, y, sample_weight)

    def _target(self, y: Any, n: int) -> Target:
        return ClassTarget.of(y, n)
