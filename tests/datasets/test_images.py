import numpy as np
import pytest

from meshconv.datasets.images import cluttered_mnist, mnist, pneumonia_mnist
from meshconv.errors import ArgumentError, MissingFileError


@pytest.fixture(autouse=True)
def _data(data_dir, monkeypatch):
    monkeypatch.setenv("MESHCONV_DATA", str(data_dir))


def test_counts_are_the_official_ones():
    assert [len(pneumonia_mnist(split)) for split in ("train", "val", "test")] == [4708, 524, 624]
    digits = mnist("test")
    assert (
        digits.images.shape == (10000, 1, 28, 28)
        and digits.images.min() >= 0
        and digits.images.max() == 1
    )
    assert np.bincount(digits.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_training_x_rays_are_shuffled():
    labels = pneumonia_mnist().labels
    assert abs(labels[:1000].mean() - labels.mean()) < 0.05


def test_the_digit_is_in_its_box_and_clutter_outside():
    made = cluttered_mnist(20, "test", seed=1)
    digits = mnist("test")
    outside = []
    for image, label, (i, j, k, m) in zip(made.images[:, 0], made.labels, made.boxes, strict=True):
        inside = image[i:k, j:m]
        same = digits.images[digits.labels == label, 0]
        assert (inside >= same - 1e-6).all(axis=(1, 2)).any()  # one of the digits is whole in there
        outside.append(image.sum() - inside.sum())
    assert np.mean(outside) > 20
    np.testing.assert_array_equal(made.images, cluttered_mnist(20, "test", seed=1).images)
    assert not np.array_equal(made.images, cluttered_mnist(20, "test", seed=2).images)


def test_refusals(monkeypatch, tmp_path):
    with pytest.raises(ArgumentError, match="split must be one of"):
        mnist("val")
    with pytest.raises(ArgumentError, match="size at least 28"):
        cluttered_mnist(3, size=20)
    monkeypatch.setenv("MESHCONV_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"mnist\.npz.*MESHCONV_DATA"):
        mnist()
