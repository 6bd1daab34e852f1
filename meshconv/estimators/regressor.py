"""`SurfaceRegressor`: from scans and a measure of each (age, severity) to that of a new scan, and
to where on the surface it shows.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from meshconv.errors import ArgumentError
from meshconv.estimators.surface_estimator import Scans, SurfaceEstimator
from meshconv.registration.template import Template
from meshconv.train.config import NetworkConfig, PrepareConfig, TrainConfig
from meshconv.train.reading import Measures
from meshconv.train.target import MeasureTarget, Target


class SurfaceRegressor(RegressorMixin, SurfaceEstimator):
    """Predict a measure (age, severity, a length) of surface scans, and say where it shows.

    All is as with `SurfaceClassifier`, but for these. There are no classes to weigh and no labels
    to smooth; a measure is learned in its own standard deviations, by least squares.

    Parameters
    ----------
    verdict : int
        Folds in which `fit` also measures the regressor on subjects it has not seen: out-of-fold
        R2, mean absolute error and correlation with intervals, and the probability of a prediction
        as good by chance (``quality_``); 0 for none.
    size, network_size, density, ratio, warm_start, head, width, direct, emphasis, backbone
        As of `SurfaceClassifier`; the density starts from where images go with the measure.
    template, channels, detail, repair, mirror, epochs, batch_size, learning_rate, density_epochs,
    density_turns
        As of `SurfaceClassifier`.
    noise, variation
        As of `SurfaceClassifier`; `variation` mixes differences of scans of about the same measure.
    patience, validation, precision, on_error, cache, workers, client, checkpoint, device, seed
        As of `SurfaceClassifier`.
    progress : bool
        As of `SurfaceClassifier`.

    Attributes
    ----------
    fitted_ : Fitted
        What training left, as one value; the other attributes that end with ``_`` are its parts.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> images, age = rng.normal(size=(40, 1, 17, 17)), rng.uniform(20, 60, 40)
    >>> images[:, 0, 4:8, 4:8] += age[:, None, None] / 5
    >>> model = SurfaceRegressor(network_size=9, epochs=30, verdict=0).fit(images, age)
    >>> float(model.score(images, age)) > 0.8
    True
    """

    _reads = Measures

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
        mirror: bool = TrainConfig.mirror,
        epochs: int = TrainConfig.epochs,
        batch_size: int = TrainConfig.batch_size,
        learning_rate: float = TrainConfig.learning_rate,
        density_epochs: int = TrainConfig.density_epochs,
        density_turns: int = TrainConfig.density_turns,
        noise: float = TrainConfig.noise,
        variation: float = TrainConfig.variation,
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

    def fit(self, X: Scans, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from scans (or images (n, C, N, N)) and their measures.

        Parameters
        ----------
        X : sequence of Scan, Surface, path or GeometryImage; Prepared; or (n, C, N, N) array
        y : (n,) or (n, T) array_like
            Finite numbers; several columns are learned together.
        sample_weight : (n,) array_like, optional
            How much each scan weighs in the loss; scans of weight 0 are left out.

        Raises
        ------
        ArgumentError
            If a measure does not vary, or their number is another; as scikit-learn words it.
        MeshConvError
            Of the first bad scan.
        """
        return self._fit(X, _given(y), sample_weight)

    def predict(self, X: Scans) -> NDArray[Any]:
        """Return the measure of each scan, (n,), or several, (n, T), as they came."""
        found, reading = self._outputs(X), self.fitted_.reading
        flat = isinstance(reading, Measures) and reading.flat
        return np.asarray(found[:, 0] if flat else found)

    def score(self, X: Scans, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2; the mean of several.

        Warns
        -----
        MeshConvWarning
            If a subject was among those the regressor learned from.
        """
        return self._scored(super().score, X, _given(y), sample_weight)

    def _target(self, y: Any, n: int) -> Target:
        return MeasureTarget.of(y, n)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _given(y: Any) -> Any:
    """Return measures, which scans do not bring along."""
    if y is None:
        raise ArgumentError("SurfaceRegressor requires y to be passed, but the target y is None")
    return y
