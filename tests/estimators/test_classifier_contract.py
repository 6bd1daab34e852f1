"""scikit-learn's own estimator checks. They speak in tables (n, F), so each row is laid out as an
image of F channels that are constant over a 5 x 5 square; everything behind that is the classifier
as it is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from meshconv.estimators.classifier import SurfaceClassifier


class OnRows(SurfaceClassifier):
    """The classifier on tables: only the shape of X is changed on the way in."""

    def fit(self, X, y=None):
        return super().fit(_as_images(X), y)

    def predict_proba(self, X):
        return super().predict_proba(_as_images(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def _as_images(X):
    if hasattr(X, "toarray"):
        return X
    array = np.asarray(X)
    return array if array.ndim != 2 else np.tile(array[:, :, None, None], (1, 1, 5, 5))


def _checks():
    return list(
        estimator_checks_generator(
            OnRows(size=5, network_size=5, epochs=15, batch_size=64), legacy=True
        )
    )


def _name(check):
    return check[
        1
    ].func.__name__  # str() would hold an address, which differs between test processes


@pytest.mark.parametrize("check", _checks(), ids=_name)
def test_estimator_checks(check):
    estimator, run = check
    run(estimator)
