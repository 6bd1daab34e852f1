import numpy as np
import pytest
from scipy.stats import f_oneway

from meshconv.stats.coarse import Coarse, whitened
from meshconv.stats.searchlight import Statistics
from meshconv.stats.targets import targets


def _case(n=40, d=7, classes=3, seed=0):
    labels = np.arange(n) % classes
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    x[:, 0] += labels
    found, _ = targets(labels)
    return x - x.mean(axis=0), labels, Statistics(found, found.permuted(5, seed=1))


def test_the_mean_is_tested_by_f():
    x, labels, statistics = _case()
    expected = f_oneway(*(x[labels == k] for k in range(3))).statistic
    np.testing.assert_allclose(statistics.mean(x)[0, 0], expected, rtol=1e-3)


def test_scores_are_those_of_ridge_regressions_that_leave_each_row_out():
    x, _, statistics = _case()
    y, ridge = statistics.targets.columns, 3.0
    predicted = np.empty_like(y)
    for k in range(len(x)):
        rest = np.delete(np.arange(len(x)), k)
        # features that are centred once, and the mean left free
        design = np.column_stack([x[rest], np.ones(len(rest))])
        penalty = np.diag([ridge] * x.shape[1] + [0.0])
        beta = np.linalg.solve(design.T @ design + penalty, design.T @ y[rest])
        predicted[k] = np.append(x[k], 1.0) @ beta
    predicted -= predicted.mean(axis=0)
    expected = (predicted * y).sum() / np.sqrt((predicted**2).sum() * (y**2).sum())
    assert statistics.score(x, ridge)[0, 0] == pytest.approx(expected, rel=1e-3)


def test_pairs_are_sums_of_squared_products():
    _, _, statistics = _case()
    parts = np.random.default_rng(2).normal(size=(35, 40, 2)).astype(np.float32)
    found = statistics.pairs(parts, 0)
    a, b = parts[3], parts[33]
    expected = sum(((a.T * column) @ b) ** 2 for column in statistics.targets.columns.T).sum()
    assert found[0, 3, 33] == pytest.approx(expected, rel=1e-4)


def test_whitened_components_are_uncorrelated_and_alike():
    x = np.random.default_rng(0).normal(size=(300, 9)) @ np.diag(np.arange(1.0, 10.0))
    z = whitened((x - x.mean(axis=0)).astype(np.float32), 5)
    covariance = np.cov(z.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3
    assert np.diag(covariance).min() > 0.9
    assert not whitened(np.zeros((5, 3), dtype=np.float32), 2).any()


def test_averages_over_area_and_what_is_narrower_than_they_are():
    u = np.linspace(0, 1, 129)
    slope, waves = 3 * u[:, None] + 2 * u, np.cos(2 * np.pi * 40 * u)[:, None] * (u < 0.5)
    images = np.stack([slope, -slope, slope + waves, -slope])[:, None]
    images[:, :, :, 120:] = np.nan
    coarse = Coarse.of(images)
    inner = np.linspace(0, 1, 33)[2:29]
    level = coarse.level[0, 0, 2:29, 2:29] - coarse.level[1, 0, 2:29, 2:29]
    np.testing.assert_allclose(level, 2 * (3 * inner[:, None] + 2 * inner), atol=1e-4)
    rough = coarse.texture[2, 0] - coarse.texture[0, 0]
    np.testing.assert_allclose(
        rough[4:28, 4:13], np.log(9), atol=1e-3
    )  # less their mean: 3 / 4, 1 / 4
    assert np.abs(rough[4:28, 20:27]).max() < 0.1
    assert not coarse.reached[:, 31:].any() and coarse.reached[:, :29].all()


def test_a_map_is_enlarged_linearly_and_stays_where_images_are():
    images = np.ones((3, 1, 65, 65))
    images[:, :, :10] = np.nan
    coarse = Coarse.of(images)
    large = coarse.enlarged(np.linspace(0, 1, 33)[:, None] * np.ones(33), 65)
    assert np.isnan(large[:8]).all()
    np.testing.assert_allclose(large[20:, 5], np.linspace(0, 1, 65)[20:], atol=1e-9)
