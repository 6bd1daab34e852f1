"""A planned study of the size that `power` names finds the effect about as often as it says."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from meshconv.errors import ArgumentError
from meshconv.stats.group import group_map
from meshconv.stats.power import power

SIZE = 17


def _images(n, seed, amplitude, score=None):
    rng = np.random.default_rng(seed)
    images = gaussian_filter(rng.normal(size=(n, 2, SIZE, SIZE)), (0, 0, 1.5, 1.5))
    images /= images.std()
    site = np.zeros((SIZE, SIZE))
    site[5, 11] = 1
    site = gaussian_filter(site, 1.5) / gaussian_filter(site, 1.5).max()
    labels = np.arange(n) % 2 if score is None else score
    images[:, 0] += amplitude * labels[:, None, None] * site
    return images.astype(np.float32), labels


def _share_found(n, seed, runs=16):
    found = [group_map(*_images(n, seed + k, 1.6), permutations=60) for k in range(runs)]
    return np.mean([one.significant().any() for one in found])


def test_a_study_of_that_size_finds_the_effect_about_as_often():
    found = [power(*_images(60, seed, 1.6), resamplings=10) for seed in range(4)]
    needed = int(np.median([one.needed or 400 for one in found]))
    assert _share_found(2 * needed, 100) >= 0.8 and _share_found(needed // 2, 200) < 0.5


def test_a_larger_effect_needs_fewer_scans_and_none_none():
    sizes = [power(*_images(60, 1, a), resamplings=10).needed for a in (1.2, 1.6, 4.0)]
    assert sizes[0] > sizes[1] > sizes[2] >= 12
    nothing = [power(*_images(40, seed, 0.0), resamplings=8) for seed in range(16)]
    assert np.mean([one.needed is None for one in nothing]) > 0.85
    assert "was not seen" in str(next(one for one in nothing if one.needed is None))


def test_scores_and_subjects_and_the_words():
    rng = np.random.default_rng(0)
    score = rng.normal(size=50)
    images, _ = _images(50, 1, 1.5, score)
    found = power(images, score, score=True, resamplings=10)
    assert found.needed and found.sizes[0] == 12 and found.sizes[-1] == 200
    assert found.found_with(found.needed) == pytest.approx(0.8, abs=0.02)
    assert f"about {found.needed} scans" in str(found)
    doubled = power(
        np.repeat(images, 2, axis=0),
        np.repeat(score, 2),
        score=True,
        subjects=np.repeat(np.arange(50), 2),
        resamplings=10,
    )
    assert doubled.n == 50 and doubled.needed == pytest.approx(found.needed, rel=0.1)
    with pytest.raises(ArgumentError, match="resamplings"):
        power(images, score, score=True, resamplings=1)
