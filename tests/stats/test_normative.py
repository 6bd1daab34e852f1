"""A norm: z of scans it has not seen are standard normal, and a local change stands out."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score
from test_strips import OnlyInPart

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats import components, departure, normative, strips
from meshconv.stats.departure import Channels
from meshconv.stats.expectation import Expectation
from meshconv.stats.normative import ImageNorm
from meshconv.stats.strips import Strips

CHANNELS = (
    *("difference_x", "difference_y", "difference_z"),
    *("normal_x", "normal_y", "normal_z"),
)
RNG = np.random.default_rng(0)
NORMAL = np.array([0.0, 0.6, 0.8])


def _scans(n, seed, age=None, size=17):
    rng = np.random.default_rng(seed)
    ways = gaussian_filter(np.random.default_rng(7).normal(size=(5, size, size)), (0, 4, 4))
    ways *= 3 / ways.std(axis=(1, 2), keepdims=True)
    fine = gaussian_filter(rng.normal(size=(n, size, size)), (0, 1, 1)) * 2
    height = np.tensordot(rng.normal(size=(n, 5)), ways, 1) + fine * np.linspace(0.5, 2, size)
    if age is not None:
        height += age[:, None, None] * 2
    images = np.empty((n, 6, size, size))
    images[:, :3] = height[:, None] * NORMAL[:, None, None]
    images[:, 3:] = NORMAL[:, None, None]
    return images


@pytest.fixture(scope="module")
def norm():
    return ImageNorm.fit(_scans(150, 0), channels=CHANNELS)


def test_scans_it_has_not_seen_are_standard_normal(norm):
    held = [norm.score(one) for one in _scans(100, 1)]
    z = np.stack([one.z for one in held])
    assert z.var() == pytest.approx(1.0, abs=0.1)
    assert np.abs(z.mean()) < 0.1
    by_place = z.std(axis=0)
    assert by_place.max() < 1.5 and by_place.min() > 0.6
    p = np.array([one.p for one in held])
    assert (p < 0.1).mean() == pytest.approx(0.1, abs=0.1)


def test_a_local_change_of_one_scan_stands_out(norm):
    site = np.zeros((17, 17), dtype=bool)
    site[8:11, 5:8] = True
    areas = []
    for one in _scans(8, 2):
        one[:3, site] += 3 * NORMAL[:, None]
        areas.append(roc_auc_score(site.ravel(), norm.score(one).z.ravel()))
    assert np.mean(areas) > 0.95
    plain = ImageNorm.fit(_scans(150, 0), channels=CHANNELS, components=0)
    assert roc_auc_score(site.ravel(), plain.score(one).z.ravel()) < areas[-1]


def test_departures_are_standard_normal_in_the_norm_and_large_where_shape_is_another(norm):
    held = np.stack([norm.score(one).departure for one in _scans(60, 11)])
    assert abs(held.mean()) < 0.15 and held.var() == pytest.approx(1.0, abs=0.2)
    site = np.zeros((17, 17), dtype=bool)
    site[8:11, 5:8] = True
    areas, flat = [], []
    for one in _scans(8, 12):  # sideways, and bent: nothing of it is along the mean normal
        one[0, site] += 2.0
        one[3, site] += 0.5
        found = norm.score(one)
        areas.append(roc_auc_score(site.ravel(), found.departure.ravel()))
        flat.append(roc_auc_score(site.ravel(), np.abs(found.z).ravel()))
    assert np.mean(areas) > 0.95 and np.mean(flat) < 0.7


def test_a_few_odd_scans_do_not_widen_the_norm(norm):
    odd = _scans(150, 0)
    odd[:6, :3] *= 8
    robust = ImageNorm.fit(odd, channels=CHANNELS)
    assert np.median(robust.scale / norm.scale) == pytest.approx(1.0, abs=0.15)


def test_what_age_explains_is_expected():
    age = np.random.default_rng(3).normal(size=120)
    fitted = ImageNorm.fit(_scans(120, 4, age), age, channels=CHANNELS)
    old = _scans(20, 5, np.full(20, 2.5))
    told = np.array([fitted.score(one, 2.5).z.mean() for one in old])
    assert abs(told.mean()) < 0.3
    assert "distance from the norm" in str(fitted.score(old[0], 2.5))
    with pytest.raises(ArgumentError, match="the norm has 1 covariates, found 0"):
        fitted.score(old[0])


def test_masks_are_allowed_for(norm):
    one = _scans(1, 6)[0]
    one[:, :5] = np.nan
    found = norm.score(one)
    assert np.isnan(found.z[:5]).all() and np.isfinite(found.z[5:]).all()
    assert 0.3 < found.distance < 3


def test_impossible_norms_are_refused(norm):
    images = _scans(24, 0)
    with pytest.raises(ArgumentError, match="a norm needs 20 scans"):
        ImageNorm.fit(images[:10], channels=CHANNELS)
    with pytest.raises(ArgumentError, match="positions and normals are needed"):
        ImageNorm.fit(images, channels=["a", "b", "c", "d", "e", "f"])
    with pytest.raises(ArrayTypeError, match=r"the image must be \(6, 17, 17\)"):
        norm.score(images[0, :, :5, :5])


def _masked(n, seed, size=17):
    """Images whose every channel varies, most of them with a border of their own."""
    rng = np.random.default_rng(seed)
    images = _scans(n, seed, size=size)
    images[:, 3:] += 0.1 * gaussian_filter(rng.normal(size=images[:, 3:].shape), (0, 0, 2, 2))
    row, column = np.mgrid[:size, :size] - size // 2
    for one in images[::2]:
        one[:, np.hypot(row, column) > rng.uniform(0.6, 0.8) * size] = np.nan
    return images.astype(np.float32)


def _same(found, expected, rtol):
    for name in ("z", "departure", "distance", "p"):
        of_both = (getattr(one, name) for one in (found, expected))
        np.testing.assert_allclose(*of_both, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("enough", [800, 30])
def test_images_in_parts_give_the_same_norm_to_the_bit(enough, monkeypatch):
    monkeypatch.setattr(components, "ROWS", enough)
    images, age = _masked(60, 21), np.random.default_rng(22).normal(size=60)
    other = _masked(2, 23)
    whole = ImageNorm.fit(images, age, channels=CHANNELS)
    monkeypatch.setattr(strips, "_CELLS", 2 * images[..., 0, :].size)
    monkeypatch.setattr(strips, "_SHARE", 0.0)
    inside, apart = (
        ImageNorm.fit(x, age, channels=CHANNELS) for x in (images, OnlyInPart(images, 2 / 17))
    )
    np.testing.assert_array_equal(apart.distances, inside.distances)
    for one in other:
        _same(apart.score(one, 0.5), inside.score(one, 0.5), 0.0)
        _same(apart.score(one, 0.5), whole.score(one, 0.5), 1e-4)


def test_each_scan_of_the_norm_is_judged_by_the_others(monkeypatch):
    """In closed form as by a norm from which it was taken out, whether it is a row or none."""
    images, none = _masked(41, 31), np.zeros((41, 0))
    strip = Strips(images, np.arange(41))
    reached = np.isfinite(images).all(axis=(0, 1))
    channels = Channels(strip, reached, np.ones(6))
    monkeypatch.setattr(components, "ROWS", 21)
    norm = Expectation.fit(channels, none, 4)
    left = np.concatenate([part for _, part, _ in norm.unseen(channels, none)], axis=2)
    x, there = images[:, :, reached], np.ones(int(reached.sum()), dtype=bool)
    leverage = 1 - 1 / 41
    for k in (2, 20):  # of rows
        others = replace(norm, rows=np.delete(norm.rows, k // 2, axis=0))
        expected = others.left(x[k], there, none[:1])
        np.testing.assert_allclose(left[k] * leverage, expected, atol=1e-4)
    np.testing.assert_allclose(left[7] * leverage, norm.left(x[7], there, none[:1]), atol=1e-4)


def test_a_norm_of_images_in_a_file_takes_less_than_they_do(tmp_path, monkeypatch):
    n, size = 1000, 25
    images = RNG.normal(size=(n, 6, size, size)).astype(np.float32)
    images[::50, :, :3] = np.nan
    np.save(tmp_path / "images.npy", images)
    monkeypatch.setattr(components, "ROWS", 50)
    monkeypatch.setattr(strips, "_CELLS", 0)
    for module in (normative, departure):  # what is the same for images of any number
        monkeypatch.setattr(module, "_BLOCK", 8)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    tracemalloc.start()
    norm = ImageNorm.fit(mapped, channels=CHANNELS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.55 * mapped.nbytes
    assert len(norm.distances) == n


def test_a_channel_that_does_not_vary_is_no_departure():
    """Its rounding is not a scale."""
    images = _scans(40, 51)
    images[:, :3] += 0.1 * np.random.default_rng(52).normal(size=images[:, :3].shape)
    scale = ImageNorm.fit(images.astype(np.float32), channels=CHANNELS)._departure.scale
    np.testing.assert_array_equal(scale[3:], 1.0)
    assert scale[:3].min() > 0.05 and scale[:3].max() < 10


def test_no_pixel_that_enough_scans_reach_is_refused():
    images = _scans(24, 0)
    images[::2, :, :8] = images[1::2, :, 8:] = np.nan
    with pytest.raises(ArgumentError, match="no pixel is reached by 80%"):
        ImageNorm.fit(images, channels=CHANNELS, least_share=0.8)


def test_a_scan_that_alone_has_a_value_of_a_covariate_says_nothing():
    """Whatever it is, covariates leave nothing of it: rounding over rounding is no distance."""
    images, alone = _masked(40, 61), (np.arange(40) == 3).astype(float)
    age = RNG.normal(size=40)
    found = ImageNorm.fit(images, np.column_stack([age, alone]), channels=CHANNELS)
    without = ImageNorm.fit(images[alone == 0], age[alone == 0], channels=CHANNELS)
    assert len(found.distances) == 39
    np.testing.assert_allclose(found.distances, without.distances, rtol=0.05)
    one = _masked(1, 62)[0]
    a, b = found.score(one, [0.5, 0.0]), without.score(one, [0.5])
    for name in ("z", "departure"):
        x, y = getattr(a, name), getattr(b, name)
        both = np.isfinite(x) & np.isfinite(y)
        assert np.abs(x - y)[both].max() < 0.3
