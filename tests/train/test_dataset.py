import numpy as np
import pytest

from meshconv.errors import ArrayTypeError
from meshconv.train.dataset import Standardizer


def _images(n=200):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, 2, 5, 5)) * np.array([3.0, 0.01])[:, None, None] + rng.normal(size=(2, 5, 5))
    images[: n // 2, :, 0, 0] = np.nan
    images[:, :, 4, 4] = np.nan
    return images


def test_mean_image_zero_and_spread_one():
    images = _images()
    x = Standardizer.fit(images)(images).numpy()
    outside = ~np.isfinite(images)
    assert np.abs(x.mean(axis=0)).max() < 1e-4 and (x[outside] == 0).all()
    for channel in (0, 1):
        assert x[:, channel][~outside[:, channel]].std() == pytest.approx(1, abs=1e-4)


def test_a_channel_that_never_varies_stays_finite():
    images = np.full((4, 1, 3, 3), 1e7)
    assert np.abs(Standardizer.fit(images)(images).numpy()).max() == 0


def test_other_grids_are_refused():
    with pytest.raises(ArrayTypeError, match=r"must be \(n, 2, 5, 5\)"):
        Standardizer.fit(_images())(np.zeros((1, 2, 9, 9)))
