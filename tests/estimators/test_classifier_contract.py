"""scikit-learn's own estimator checks. They speak in tables (n, F), so each row is laid out as an
image of F channels that are constant over a 5 x 5 square; everything behind that is the classifier
as it is."""

from __future__ import annotations

import pytest
from rows import TakesTables, as_images, check_name
from sklearn.utils.estimator_checks import estimator_checks_generator

from meshconv.estimators.classifier import SurfaceClassifier


class OnRows(TakesTables, SurfaceClassifier):
    """The classifier on tables: only the shape of X is changed on the way in."""

    def fit(self, X, y=None):
        return super().fit(as_images(X), y)

    def predict_proba(self, X):
        return super().predict_proba(as_images(X))


def _checks():
    return list(
        estimator_checks_generator(
            OnRows(size=5, network_size=5, epochs=15, batch_size=64), legacy=True
        )
    )


@pytest.mark.parametrize("check", _checks(), ids=check_name)
def test_estimator_checks(check):
    estimator, run = check
    run(estimator)
