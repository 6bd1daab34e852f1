"""Maps of images that lie in files are those of images in memory, and take little of it."""

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meshconv.resample.image_stack import in_files
from meshconv.stats import components, group_statistic, linear_model, strips
from meshconv.stats.components import add_products, common_weights, sampled
from meshconv.stats.group import group_map, score_map
from meshconv.stats.strips import Strips

CHANNELS = ("difference_x", "difference_y", "difference_z", "normal_x", "normal_y", "normal_z")
N, SIZE = 48, 17
RNG = np.random.default_rng(0)
PAIRS = [str(k // 2) for k in range(N)]
DESIGNS = {
    "two groups": (group_map, np.arange(N) % 2, {}),
    "three groups and covariates": (
        group_map,
        np.arange(N) % 3,
        {"covariates": RNG.normal(size=(N, 2))},
    ),
    "a score": (score_map, RNG.normal(size=N), {"covariates": RNG.normal(size=N)}),
    "several scans of a subject": (group_map, np.arange(N) // 2 % 2, {"subjects": PAIRS}),
    "within subjects": (group_map, np.arange(N) % 2, {"subjects": PAIRS}),
    "clusters": (group_map, np.arange(N) % 2, {"correction": "cluster", "components": 0}),
}


def _images(n: int = N, size: int = SIZE, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = gaussian_filter(rng.normal(size=(n, 6, size, size)), (0, 0, 2, 2)).astype(np.float32)
    x[:, 5] += 1
    x[n // 2 :, 2, 5:9, 5:9] += 0.4
    row, column = np.mgrid[:size, :size] - size // 2
    for one, reach in zip(x, rng.uniform(0.6, 1.0, n), strict=True):
        one[:, np.hypot(row, column) > reach * size / 2] = np.nan
    return x


class OnlyInPart:
    """Images of which no more than a share is handed out at once."""

    def __init__(self, images, most: float) -> None:
        self._images, self._most = images, most
        self.shape, self.ndim, self.dtype = images.shape, images.ndim, images.dtype

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key):
        part = self._images[key]
        assert part.size <= self._most * self._images.size, part.shape
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("read whole")


@pytest.mark.parametrize("name", DESIGNS)
def test_images_in_parts_give_the_same_map_to_the_bit(name, monkeypatch):
    """However few lines a strip has, and whatever the rest of the design."""
    how, labels, options = DESIGNS[name]
    options = {"channels": CHANNELS, "permutations": 30, **options}
    whole = how(_images(), labels, **options)
    monkeypatch.setattr(strips, "_CELLS", 2 * N * 6 * SIZE)
    monkeypatch.setattr(strips, "_SHARE", 0.0)
    inside, apart = (
        how(images, labels, **options) for images in (_images(), OnlyInPart(_images(), 2 / SIZE))
    )
    for key, value in vars(apart).items():
        np.testing.assert_array_equal(value, getattr(inside, key), err_msg=key)
    np.testing.assert_allclose(apart.p, whole.p, atol=1e-12)
    for key in ("statistic", "difference", "millimetres", "interval", "local", "smoothness"):
        largest = np.nanmax(np.abs(getattr(whole, key)))
        np.testing.assert_allclose(
            getattr(apart, key), getattr(whole, key), atol=1e-5 * largest, err_msg=key
        )


def test_images_in_a_file_take_a_third_of_their_size(tmp_path, monkeypatch):
    n, size = 2000, 25
    path = tmp_path / "images.npy"
    np.save(path, RNG.normal(size=(n, 6, size, size)).astype(np.float32))
    monkeypatch.setattr(components, "ROWS", 100)
    monkeypatch.setattr(strips, "_CELLS", 0)
    for module in (linear_model, group_statistic):  # what is the same for images of any number
        monkeypatch.setattr(module, "_CELLS", 2**15)
    for images in (np.load(path, mmap_mode="r"), in_files(np.load(path, mmap_mode="r"))):
        tracemalloc.start()
        found = group_map(images, np.arange(n) % 2, channels=CHANNELS, permutations=5)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.4 * images.nbytes
        assert np.isfinite(found.p).all() and found.n == n


def test_rows_are_means_of_what_is_there_and_within_subjects_reach_what_all_reach():
    images = np.arange(4 * 5.0 * 5).reshape(4, 1, 5, 5)
    images[1, 0, 0, 0] = images[2, 0, 1, 1] = np.nan
    mean = Strips(images, np.array([1, 0, 1, 0])).read(slice(0, 5))
    np.testing.assert_array_equal(mean, np.nanmean(images[[[1, 3], [0, 2]]], axis=1))
    apart = Strips(images, np.array([3, 2, 1, 0]), np.array([0, 0, 1, 1])).read(slice(0, 2))
    expected = images[::-1, :, :2].copy()
    expected[:2, 0, 1, 1] = expected[2:, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(apart, expected)


def test_what_a_sample_has_in_common_is_taken_out_of_all():
    """Of rows that vary in three ways, some of them know these as well as all do."""
    rng = np.random.default_rng(1)
    ways = rng.normal(size=(3, 400)).astype(np.float32)
    x = (10 * rng.normal(size=(300, 3)) @ ways + rng.normal(size=(300, 400))).astype(np.float32)
    left = {}
    for name, sample in (("all", np.arange(300)), ("some", np.arange(0, 300, 5))):
        products = np.zeros((300, len(sample)), dtype=np.float32)
        for part in np.array_split(np.arange(400), 7):
            add_products(products, x[:, part], x[sample][:, part])
        weights = common_weights(products, sample, 3)
        left[name] = x - weights @ x[sample]
    others = np.setdiff1d(np.arange(300), np.arange(0, 300, 5))
    before = np.square(x @ ways.T).sum()
    for rest in left.values():
        assert np.square(rest @ ways.T).sum() < 2e-3 * before
    assert np.square(left["some"][others]).mean() == pytest.approx(1, abs=0.4)


def test_as_many_rows_as_are_enough_evenly(monkeypatch):
    assert sampled(7).tolist() == list(range(7))
    monkeypatch.setattr(components, "ROWS", 4)
    assert sampled(10).tolist() == [0, 3, 6, 9]


def test_of_more_rows_than_are_enough_a_difference_is_found_and_chance_is_not(monkeypatch):
    monkeypatch.setattr(components, "ROWS", 20)
    labels = np.arange(N) // (N // 2)
    found = group_map(_images(), labels, permutations=99)
    assert found.p[7, 7] <= 0.02
    images = _images(seed=1)
    images[N // 2 :, 2, 5:9, 5:9] -= 0.4
    shuffled = [np.random.default_rng(k).permutation(labels) for k in range(30)]
    least = [np.nanmin(group_map(images, y, permutations=39).p) for y in shuffled]
    assert np.mean(np.array(least) <= 0.05) <= 0.15
