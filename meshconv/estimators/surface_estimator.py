"""`SurfaceEstimator`: what the classifier and the regressor share, from scans to a `Fitted`,
scikit-learn manners.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from os import PathLike
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError, CheckpointError
from meshconv.estimators.fitted_parts import FittedParts
from meshconv.saliency.explain import Explanation, explain, template_saliency
from meshconv.stats.folds import warn_shared_subjects
from meshconv.train.config import Settings
from meshconv.train.fit import fit
from meshconv.train.fitted import predict, require_alike
from meshconv.train.fitted_file import load_fitted, save_fitted
from meshconv.train.frames import population_template
from meshconv.train.inputs import as_prepared, labels_of, weights_of
from meshconv.train.prepare import prepare
from meshconv.train.prepared import Prepared
from meshconv.train.ranks import Ranks
from meshconv.train.reading import Classes, Measures
from meshconv.train.scans import ScanLike, subjects_of
from meshconv.train.target import Target

Scans = Sequence[ScanLike] | Prepared | ArrayLike


class SurfaceEstimator(FittedParts, BaseEstimator, ABC):
    """Learn from surface scans; its heirs say what: `_target`, and how outputs are read.

    Every option is kept as it was given, under its own name.
    """

    _reads: type[Classes] | type[Measures]

    def _keep(self, options: dict[str, Any]) -> None:
        """Keep the arguments of a constructor, its locals."""
        for name in self._get_param_names():
            setattr(self, name, options[name])

    @abstractmethod
    def _target(self, y: Any, n: int) -> Target:
        """Return what is learned of n images."""

    def _fit(self, X: Scans, y: Any, sample_weight: ArrayLike | None) -> Self:
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
            self._target(labels_of(X, y, prepared), len(prepared)),
            settings,
            sample_weight=weights_of(sample_weight, X, prepared),
            template=frame,
            device=self.device,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        return self

    def _outputs(self, X: Scans) -> FloatArray:
        """Return what the network says of scans, (n, K)."""
        prepared = self.prepared(X)
        found, expected = prepared.images.shape[1], self.n_features_in_
        if found != expected:
            raise ArgumentError(
                f"X has {found} features, but {type(self).__name__} is expecting {expected}"
                " features as input"
            )
        return predict(self.fitted_, prepared)

    def _scored(
        self,
        score: Callable[..., Any],
        X: Scans,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
    ) -> float:
        """Return what scikit-learn scores, with what the scans bring along if `y` is None."""
        check_is_fitted(self)
        warn_shared_subjects(self.fitted_.subjects, subjects_of(X))
        if y is not None:
            return float(score(X, y, sample_weight))
        prepared = self.prepared(X)
        return float(score(prepared, labels_of(X, None, prepared), sample_weight))

    def explain(self, scan: Any, *, method: str = "density") -> Explanation:
        """Return what is said of one scan, and its saliency on every vertex, see
        `meshconv.saliency.explain.explain`.
        """
        check_is_fitted(self)
        return explain(self.fitted_, scan, method=method)

    def template_saliency(self) -> FloatArray:
        """Return the population's density on the vertices of the template, (V,), scaled to 0..1."""
        check_is_fitted(self)
        return template_saliency(self.fitted_)

    def save(self, path: str | PathLike[str]) -> None:
        """Write what was fitted to one checksummed file that cannot run code."""
        check_is_fitted(self)
        save_fitted(self.fitted_, path)

    @classmethod
    def load(cls, path: str | PathLike[str], *, device: Any = None) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        MissingFileError, CheckpointError
            If there is none, or it is damaged, foreign or of another kind.
        """
        fitted = load_fitted(path, device=device)
        if not isinstance(fitted.reading, cls._reads):
            raise CheckpointError(
                f"this is a {fitted.reading.kind}, not a {cls._reads.kind}",
                path=path,
                hint=f"Surface{fitted.reading.kind.title()}.load",
            )
        known, options = cls._get_param_names(), fitted.settings.options()
        own = {name: value for name, value in options.items() if name in known}
        new = cls(**own, template=fitted.template, device=device)
        new.fitted_ = fitted
        return new

    def prepared(self, X: Scans) -> Prepared:
        """Return the images that scans become in the frame of what was fitted.

        Raises
        ------
        ArgumentError
            If images are given whose channels or detail differ from those that it learned from.
        """
        check_is_fitted(self)
        own = self._reading()
        found = as_prepared(X, lambda scans: prepare(scans, **self.fitted_.preparation, **own))
        require_alike(found, self.fitted_)
        return found

    def _reading(self) -> dict[str, Any]:
        names = ("cache", "workers", "client", "progress")
        return {name: getattr(self, name) for name in names}

    def __sklearn_clone__(self) -> Self:
        shell = copy(self)
        shell.client = None  # a connection has no copies
        clone: Self = super(SurfaceEstimator, shell).__sklearn_clone__()
        return clone.set_params(client=self.client)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # images (n, C, N, N), or scans
        return tags
