"""The border of the disk map: harmonic measure is moved between neighbours, never made or lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshconv.maps.conformal.circle import _positive
from meshconv.maps.conformal.conformal_map import conformal_map
from meshconv.mesh.planar import delaunay_disk


@given(seed=st.integers(0, 10**6), n_bad=st.integers(1, 5))
def test_negative_flux_is_filled_from_its_neighbours_and_the_sum_stays(seed, n_bad):
    rng = np.random.default_rng(seed)
    n = 240
    share = rng.uniform(0.5, 1.5, n)
    share /= share.sum()
    measure = 2 * np.pi * share * rng.uniform(0.8, 1.2, n)
    bad = 40 * np.arange(1, n_bad + 1) + rng.integers(-2, 3, n_bad)
    measure[bad] = -0.3 * measure[bad]
    measure *= 2 * np.pi / measure.sum()
    mended = _positive(measure, share)
    assert mended.min() > 0
    assert mended.sum() == pytest.approx(2 * np.pi, rel=1e-14)
    # what a bad entry gains, its neighbours lose: no arc of 31 vertices around one changes in sum
    for place in bad:
        window = np.arange(place - 15, place + 16) % n
        assert mended[window].sum() == pytest.approx(measure[window].sum(), rel=1e-9)
    near = (np.abs(np.arange(n)[:, None] - bad) <= 15).any(axis=1)
    np.testing.assert_allclose(mended[~near], measure[~near], rtol=1e-12)


def test_flux_of_an_even_mesh_is_left_alone():
    surface = delaunay_disk(400, seed=3)
    share = np.full(50, 0.02)
    measure = 2 * np.pi * share * (1 + 0.1 * np.cos(np.arange(50)))
    measure *= 2 * np.pi / measure.sum()
    np.testing.assert_allclose(_positive(measure, share), measure, rtol=1e-15)
    assert len(conformal_map(surface).flipped_faces()) == 0
