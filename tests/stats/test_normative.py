"""A norm: z of scans it has not seen are standard normal, and a local change stands out."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from meshconv.errors import ArgumentError, ArrayTypeError
from meshconv.stats.normative import ImageNorm

CHANNELS = (
    *("difference_x", "difference_y", "difference_z"),
    *("normal_x", "normal_y", "normal_z"),
)
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
