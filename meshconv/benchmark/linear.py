"""Classical opponents: linear models of all pixels."""

from __future__ import annotations

import itertools
import time
import warnings
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from meshconv._check import FloatArray
from meshconv.benchmark.task import Part, Task, UnfitTaskError
from meshconv.benchmark.trained import Images, Trained

_SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)  # of the pixels, by t
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
_TEMPERATURES = tuple(np.geomspace(0.1, 10, 21).tolist())  # inverse, of the scores of a machine


def principal_components(task: Task, seed: int, epochs: int) -> Trained:
    """Logistic regression on principal components of 99.9 % of the variance; strength by
    cross-validation.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    model = make_pipeline(
        StandardScaler(),  # by what is inside the masks; outside: the mean
        FunctionTransformer(np.nan_to_num),
        PCA(0.999, svd_solver="full"),
        StandardScaler(),
        LogisticRegressionCV(Cs=np.logspace(-5, 1, 7), max_iter=3000, cv=_folds(task, 5)),
    )
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # of defaults that change in scikit-learn 1.10
        model.fit(_rows(task.train.images), task.train.labels)
    size = int(model[-1].coef_.size + model[-1].intercept_.size)
    seconds = time.process_time() - start
    return Trained(lambda part: model.predict_proba(_rows(part.images)), size, seconds=seconds)


def kernel_machine(task: Task, seed: int, epochs: int) -> Trained:
    """Support vectors with Gaussian kernels on the same components; width and penalty by
    cross-validation, and one temperature of all scores: Platt's slope for each class turns round
    where there are few scans.
    """
    from sklearn.decomposition import PCA
    from sklearn.model_selection import GridSearchCV, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.svm import SVC

    front = (
        StandardScaler(),
        FunctionTransformer(np.nan_to_num),
        PCA(0.999, svd_solver="full"),
        StandardScaler(),
    )
    start = time.process_time()
    x, y = _rows(task.train.images), task.train.labels
    reduced = make_pipeline(*front).fit(x)
    components = reduced.transform(x)
    widths = np.array([0.1, 0.3, 1.0]) / components.shape[1]
    grid = {"C": [1.0, 10.0], "gamma": widths.tolist()}
    cv = _folds(task, 3)
    best = GridSearchCV(SVC(), grid, cv=cv).fit(components, y).best_params_
    machine = SVC(**best)
    held = _logits(cross_val_predict(machine, components, y, cv=cv, method="decision_function"))
    losses = [-log_softmax(t * held, axis=1)[np.arange(len(y)), y].sum() for t in _TEMPERATURES]
    temperature = _TEMPERATURES[int(np.argmin(losses))]
    machine.fit(components, y)

    def probabilities(part: Part) -> FloatArray:
        scores = machine.decision_function(reduced.transform(_rows(part.images)))
        return np.asarray(softmax(temperature * _logits(scores), axis=1))

    size, seconds = int(machine.support_vectors_.size), time.process_time() - start
    return Trained(probabilities, size, seconds=seconds)


def _logits(scores: FloatArray) -> FloatArray:
    """Return scores (n, K); of two classes there is one alone."""
    return scores if scores.ndim == 2 else np.stack([-scores / 2, scores / 2], axis=1)


def chosen_pixels(task: Task, seed: int, epochs: int) -> Trained:
    """The same on the pixels in which the training groups differ most: what DECNN's warm start
    knows, without a net.

    How many pixels, and the strength, by cross-validation; pixels are chosen anew in each fold.
    """
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    start = time.process_time()
    scaler = StandardScaler()
    x = np.nan_to_num(scaler.fit_transform(_rows(task.train.images)))
    y = task.train.labels
    options = list(itertools.product(_SHARES, _STRENGTHS))
    right = np.zeros(len(options))
    for learn, held in StratifiedKFold(_folds(task, 5), shuffle=True, random_state=0).split(x, y):
        by_share = {share: _reduced(x[learn], y[learn], share) for share in _SHARES}
        for k, (share, strength) in enumerate(options):
            front, features = by_share[share]
            right[k] += (
                _logistic(features, y[learn], strength).predict(front(x[held])) == y[held]
            ).sum()
    share, strength = options[int(right.argmax())]
    front, features = _reduced(x, y, share)
    model = _logistic(features, y, strength)
    size = int(model.coef_.size + model.intercept_.size)
    seconds = time.process_time() - start
    return Trained(
        lambda part: model.predict_proba(
            front(np.nan_to_num(scaler.transform(_rows(part.images))))
        ),
        size,
        seconds=seconds,
    )


def _reduced(x: Images, y: Any, share: float) -> tuple[Any, Images]:
    """Principal components of the best pixels, of unit variance: how to find them, and those of
    `x`.
    """
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectPercentile, f_classif
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pixels outside every mask have no variance
        front = make_pipeline(
            SelectPercentile(f_classif, percentile=100 * share),
            PCA(0.999, svd_solver="full"),
            StandardScaler(),
        )
        return front.transform, front.fit_transform(x, y)


def _logistic(x: Images, y: Any, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=3000).fit(x, y)


def _folds(task: Task, most: int) -> int:
    """Return how many inner folds there can be."""
    fewest = int(np.bincount(task.train.labels).min())
    if fewest < 2:
        raise UnfitTaskError(f"task {task.name!r} has a class of {fewest} scans to learn from")
    return min(most, fewest)


def _rows(images: Images) -> Images:
    return images.reshape(len(images), -1)
