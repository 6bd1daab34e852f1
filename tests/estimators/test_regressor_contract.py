"""scikit-learn's own checks of regressors, on rows laid out as images (see the classifier's)."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from meshconv.estimators.regressor import SurfaceRegressor

_WEIGHTS_ARE_NO_COPIES = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "batches are drawn of the scans: a scan of weight two is not two scans, bit for bit",
)


class OnRows(SurfaceRegressor):
    """The regressor on tables: only the shape of X is changed on the way in."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(_as_images(X), y, sample_weight)

    def predict(self, X):
        return super().predict(_as_images(X))

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
    model = OnRows(size=5, network_size=5, epochs=15, batch_size=64, verdict=0)
    return list(estimator_checks_generator(model, legacy=True))


def _name(check):
    return check[1].func.__name__


@pytest.mark.parametrize("check", _checks(), ids=_name)
def test_estimator_checks(check):
    if _name(check) in _WEIGHTS_ARE_NO_COPIES:
        pytest.xfail(_WEIGHTS_ARE_NO_COPIES[_name(check)])
    estimator, run = check
    run(estimator)
