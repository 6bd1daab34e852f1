import numpy as np
import pytest

from meshconv.errors import ArrayTypeError
from meshconv.train.dataset import Standardizer


def _images(n=200):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, 2, 5, 5)) * np.array([3.0, 0.01])[:, None, None] + rng.normal(
        size=(2, 5, 5)
    )
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


def test_what_no_training_image_shows_says_nothing_later():
    images = np.full((20, 1, 3, 3), 500.0) + np.random.default_rng(0).normal(size=(20, 1, 3, 3))
    images[:, :, 0, 0] = np.nan
    x = Standardizer.fit(images)(np.full((1, 1, 3, 3), 500.0)).numpy()
    assert x[0, 0, 0, 0] == 0 and np.abs(x).max() < 3


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "image 66 has no value"), (np.inf, "image 66 has an infinite")]
)
def test_images_without_a_value_or_with_infinities_are_named(value, words):
    images = np.zeros((70, 2, 3, 3))
    images[66] = value
    with pytest.raises(ArrayTypeError, match=words):
        Standardizer.fit(np.zeros((4, 2, 3, 3)))(images)
