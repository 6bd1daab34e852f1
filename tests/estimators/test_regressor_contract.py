"""scikit-learn's own checks of regressors, on rows laid out as images (see the classifier's)."""

from __future__ import annotations

import pytest
from rows import TakesTables, as_images, check_name
from sklearn.utils.estimator_checks import estimator_checks_generator

from meshconv.estimators.regressor import SurfaceRegressor

_WEIGHTS_ARE_NO_COPIES = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "batches are drawn of the scans: a scan of weight two is not two scans, bit for bit",
)


class OnRows(TakesTables, SurfaceRegressor):
    """The regressor on tables: only the shape of X is changed on the way in."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(as_images(X), y, sample_weight)

    def predict(self, X):
        return super().predict(as_images(X))


def _checks():
    model = OnRows(size=5, network_size=5, epochs=15, batch_size=64, verdict=0)
    return list(estimator_checks_generator(model, legacy=True))


@pytest.mark.parametrize("check", _checks(), ids=check_name)
def test_estimator_checks(check):
    if check_name(check) in _WEIGHTS_ARE_NO_COPIES:
        pytest.xfail(_WEIGHTS_ARE_NO_COPIES[check_name(check)])
    estimator, run = check
    run(estimator)
